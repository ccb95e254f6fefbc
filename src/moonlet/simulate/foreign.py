"""Thai and Chinese requests on the demonstration tools, answered in the language of the request."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any

from moonlet.simulate import slots
from moonlet.simulate.answers import Result
from moonlet.simulate.episode import Conversation, Episode
from moonlet.simulate.requests import Intent, intents, ordered
from moonlet.simulate.slots import Slot
from moonlet.simulate.wording import fill, read, slot_names
from moonlet.simulate.world import World
from moonlet.tools.tool import Tool, call

LANGUAGES = ("zh", "th")
ARGUMENTS = {"number": "order", "known": "title", "task": "text", "note": "text", "message": "text", "topic": "query",
             "from": "from_unit", "into": "to_unit", "percent": "brightness", "sum": "expression"}  # fmt: skip
FAMILIES = ({"公里", "英里", "กิโลเมตร", "ไมล์"}, {"公斤", "磅", "กิโลกรัม", "ปอนด์"},
{"厘米", "英寸", "เซนติเมตร", "นิ้ว"},
            {"美元", "欧元", "人民币", "日元", "泰铢", "ดอลลาร์", "ยูโร", "บาท", "เยน", "หยวน"})  # fmt: skip
NO_TOOL = {"zh": "我没有可以做这件事的工具。", "th": "ฉันไม่มีเครื่องมือสำหรับเรื่องนี้"}
SKY = {
    "zh": {"sunny": "晴", "partly cloudy": "多云", "cloudy": "阴", "foggy": "有雾", "light rain": "小雨",
    "rain": "有雨", "heavy rain": "大雨", "thunderstorms": "雷阵雨", "snow": "下雪"},
    "th": {"sunny": "แดดจ้า", "partly cloudy": "มีเมฆบางส่วน", "cloudy": "มีเมฆมาก", "foggy": "มีหมอก",
    "light rain": "ฝนเล็กน้อย", "rain": "ฝนตก", "heavy rain": "ฝนตกหนัก", "thunderstorms": "พายุฝนฟ้าคะนอง",
    "snow": "หิมะตก"},
}  # fmt: skip


def conversation(rng: Random, world: World, tools: Sequence[Tool]) -> Conversation:
    """3 to 6 requests in one language under one list of tools."""
    language = rng.choice(LANGUAGES)
    episode = Episode([tool.spec for tool in tools])
    names = {tool.spec.name for tool in tools}
    every = intents(language)
    here = [intent for intent in every if intent.tool in names]
    beyond = [intent for intent in every if intent.tool not in names]
    if rng.random() < 0.9:
        episode.system(f"Today is {world.today}, {world.today:%A}.")
    for _ in range(rng.randrange(3, 7)):
        intent = rng.choice(beyond if rng.random() < 0.06 else here) if rng.random() > 0.13 else beyond[-1]
        text, arguments = request(intent, language, rng, world)
        episode.user(text)
        if intent.tool not in names:
            episode.answer(NO_TOOL[language])
            continue
        (result,) = episode.call([(intent.tool, arguments)], lambda wanted: call(tools, wanted))
        episode.answer(tell(language, intent.tool, arguments, result))
    return episode.done()


@lru_cache(maxsize=2)
def _values(language: str) -> dict[str, tuple[str, ...]]:
    groups = read(f"{language}_values")
    return {header["slot"]: tuple(str(pattern.node) for pattern in patterns) for header, patterns in groups}


def request(intent: Intent, language: str, rng: Random, world: World) -> tuple[str, dict[str, Any]]:
    """One request of this intent: its text and the arguments of the call that it means."""
    skeleton = rng.choice(intent.patterns).expand(rng)
    surfaces: dict[str, str] = {}
    arguments: dict[str, Any] = dict(intent.fixed)
    for name in slot_names(skeleton):
        if name == "into":
            family = next(family for family in FAMILIES if surfaces["from"] in family)
            value: Any = rng.choice(sorted(set(_values(language)["from"]) & family - {surfaces["from"]}))
            surface = value
        else:
            surface, value = _value(name, language, rng, world)
        surfaces[name], arguments[ARGUMENTS.get(name, name)] = surface, value
    text = fill(skeleton, surfaces)
    return text, ordered(intent.tool, arguments) if intent.tool else {}


def _value(name: str, language: str, rng: Random, world: World) -> Slot:
    if name == "place" and rng.random() < 0.25:
        return slots.place(rng)
    if name in _values(language):
        return slots.same(rng.choice(_values(language)[name]))
    draws: Mapping[str, Callable[[], Slot]] = {
        "number": lambda: slots.order_number(rng, world), "known": lambda: slots.known_title(rng, world),
        "name": lambda: slots.person(rng, world), "to": lambda: slots.person(rng, world),
        "amount": lambda: slots.amount(rng), "percent": lambda: _percent(rng),
        "degrees": lambda: _degrees(rng), "sum": lambda: _sum(language, rng),
    }  # fmt: skip
    return draws[name]()


def _percent(rng: Random) -> Slot:
    number = rng.randrange(1, 20) * 5
    return f"{number}%", number


def _degrees(rng: Random) -> Slot:
    number = rng.randrange(16, 27)
    return str(number), number


def _sum(language: str, rng: Random) -> Slot:
    words = {"zh": ("加", "减", "乘", "乘以", "除以"), "th": ("บวก", "ลบ", "คูณ", "หาร")}[language]
    sign = rng.choice((*words, "+", "-", "*", "/", "x"))
    gap = "" if language == "zh" and rng.random() < 0.7 else " "
    return slots.same(f"{rng.randrange(2, 500)}{gap}{sign}{gap}{rng.randrange(2, 100)}")


def tell(language: str, tool: str, arguments: Mapping[str, Any], result: Result) -> str:
    """The answer in Chinese or Thai, with the names and figures of the result."""
    if "error" in result:
        return f"{'抱歉' if language == 'zh' else 'ขออภัย'}: {result['error']}"
    told = (_tell_zh if language == "zh" else _tell_th)(tool, arguments, result)
    return told


def _listed(things: Sequence[str], none: str) -> str:
    return "; ".join(things) or none


def _event(event: Mapping[str, str]) -> str:
    return f"{event['title']} {event['day']}" + (f" {event['time']}" if "time" in event else "")


def _orders(result: Result) -> str:
    found = result.get("orders") or [result]
    return "; ".join(f"{order['order']} ({order['item']}): {order['status']}" for order in found)


def _tell_zh(tool: str, a: Mapping[str, Any], r: Result) -> str:
    match tool:
        case "get_weather":
            told = f"{r['place']}{a.get('day', '今天')}{SKY['zh'][r['sky']]}，{r['low_c']}到{r['high_c']}度"
            return f"{told}，降雨概率{r['rain_percent']}%。"
        case "current_time":
            return f"{r.get('place', '')}现在{r['time']}，{r['date']}。"
        case "calculate":
            return f"{a['expression']} = {r['result']}"
        case "convert":
            return f"{a['amount']}{a['from_unit']}是{r['result']}{r['unit']}。"
        case "list_events":
            return "你的日程：" + _listed([_event(event) for event in r["events"]], "没有安排") + "。"
        case "add_event":
            return f"已添加：{_event(r['added'])}。"
        case "cancel_event":
            return f"已取消：{_event(r['cancelled'])}。"
        case "add_note":
            return f"已记下：{r['saved']}。"
        case "search_notes":
            return "笔记：" + _listed(r["notes"], "没有找到") + "。"
        case "order_status":
            return f"订单：{_orders(r)}。"
        case "cancel_order":
            return f"订单{r['cancelled']}已取消，退款{r['refund_eur']}欧元。"
        case "return_order":
            return f"订单{r['returned']}已开始退货，退款{r['refund_eur']}欧元。"
        case "find_contact":
            return f"{r['name']}：电话{r['phone']}，邮箱{r['email']}。"
        case "send_message":
            return f"已发送给{r['sent_to']}：{r['text']}。"
        case "set_reminder":
            return f"我会提醒你：{r['reminder']}（{r['at']}）。"
        case "set_timer":
            return f"{r['timer']}计时开始，{r['ends']}结束。"
        case "set_light":
            return f"{r['room']}的灯已{'打开' if r['light'] == 'on' else '关闭'}" + (
                f"，亮度{r['brightness']}%。" if "brightness" in r else "。"
            )
    return f"{r.get('room', '')}温度设为{r['degrees']}度。"


def _tell_th(tool: str, a: Mapping[str, Any], r: Result) -> str:
    match tool:
        case "get_weather":
            told = f"{r['place']} {a.get('day', 'วันนี้')} {SKY['th'][r['sky']]} {r['low_c']} ถึง {r['high_c']} องศา"
            return f"{told} โอกาสฝนตก {r['rain_percent']}%"
        case "current_time":
            return f"{r.get('place', '')} ตอนนี้ {r['time']} วันที่ {r['date']}".strip()
        case "calculate":
            return f"{a['expression']} = {r['result']}"
        case "convert":
            return f"{a['amount']} {a['from_unit']} เท่ากับ {r['result']} {r['unit']}"
        case "list_events":
            return "นัดของคุณ: " + _listed([_event(event) for event in r["events"]], "ไม่มี")
        case "add_event":
            return f"เพิ่มแล้ว: {_event(r['added'])}"
        case "cancel_event":
            return f"ยกเลิกแล้ว: {_event(r['cancelled'])}"
        case "add_note":
            return f"จดแล้ว: {r['saved']}"
        case "search_notes":
            return "โน้ต: " + _listed(r["notes"], "ไม่พบ")
        case "order_status":
            return f"คำสั่งซื้อ: {_orders(r)}"
        case "cancel_order":
            return f"ยกเลิกคำสั่งซื้อ {r['cancelled']} แล้ว คืนเงิน {r['refund_eur']} ยูโร"
        case "return_order":
            return f"เริ่มคืนสินค้า {r['returned']} แล้ว คืนเงิน {r['refund_eur']} ยูโร"
        case "find_contact":
            return f"{r['name']}: โทร {r['phone']} อีเมล {r['email']}"
        case "send_message":
            return f"ส่งถึง {r['sent_to']} แล้ว: {r['text']}"
        case "set_reminder":
            return f"จะเตือน: {r['reminder']} ({r['at']})"
        case "set_timer":
            return f"ตั้งเวลา {r['timer']} แล้ว จะครบเวลา {r['ends']}"
        case "set_light":
            return f"{'เปิด' if r['light'] == 'on' else 'ปิด'}ไฟ {r['room']} แล้ว" + (
                f" {r['brightness']}%" if "brightness" in r else ""
            )
    return f"ตั้งอุณหภูมิ {r.get('room', '')} เป็น {r['degrees']} องศาแล้ว".replace("  ", " ")
