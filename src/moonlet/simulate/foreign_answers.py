"""What the assistant says in Thai and Chinese once a tool has answered: names and figures are taken from the result."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from moonlet.simulate.answers import Result
from moonlet.simulate.in_english import DAYS, MONTHS

NO_TOOL = {"zh": "我没有可以做这件事的工具。", "th": "ฉันไม่มีเครื่องมือสำหรับเรื่องนี้"}
SKY = {
    "zh": {"sunny": "晴", "partly cloudy": "多云", "cloudy": "阴", "foggy": "有雾", "light rain": "小雨",
    "rain": "有雨", "heavy rain": "大雨", "thunderstorms": "雷阵雨", "snow": "下雪"},
    "th": {"sunny": "แดดจ้า", "partly cloudy": "มีเมฆบางส่วน", "cloudy": "มีเมฆมาก", "foggy": "มีหมอก",
    "light rain": "ฝนเล็กน้อย", "rain": "ฝนตก", "heavy rain": "ฝนตกหนัก", "thunderstorms": "พายุฝนฟ้าคะนอง",
    "snow": "หิมะตก"},
}  # fmt: skip
STATUS = {
    "zh": {"processing": "处理中", "shipped": "已发货", "delivered": "已送达", "cancelled": "已取消", "returned": "已退货"},
    "th": {"processing": "กำลังเตรียม", "shipped": "ส่งแล้ว", "delivered": "ถึงแล้ว", "cancelled": "ยกเลิกแล้ว",
    "returned": "คืนแล้ว"},
}  # fmt: skip
THAI_DAYS = ["จันทร์", "อังคาร", "พุธ", "พฤหัสบดี", "ศุกร์", "เสาร์", "อาทิตย์"]
THAI_MONTHS = ["มกราคม", "กุมภาพันธ์", "มีนาคม", "เมษายน", "พฤษภาคม", "มิถุนายน", "กรกฎาคม", "สิงหาคม", "กันยายน", "ตุลาคม", "พฤศจิกายน", "ธันวาคม"]  # fmt: skip


def _day(spoken: str, language: str) -> str:
    """A date of the world, as "Tuesday 24 November", in the language."""
    weekday, day, month = re.findall(r"\w+", spoken.lower())[:3]
    if language == "zh":
        return f"{MONTHS.index(month) + 1}月{day}日星期{'一二三四五六日'[DAYS.index(weekday)]}"
    return f"วัน{THAI_DAYS[DAYS.index(weekday)]}ที่ {day} {THAI_MONTHS[MONTHS.index(month)]}"


def _moment(spoken: str, language: str) -> str:
    day, _, clock = spoken.partition(", ")
    return f"{_day(day, language)} {clock}"


def tell(language: str, tool: str, arguments: Mapping[str, Any], result: Result) -> str:
    """The answer in Chinese or Thai, with the names and figures of the result."""
    if "error" in result:
        return f"{'抱歉' if language == 'zh' else 'ขออภัย'}: {result['error']}"
    return (_tell_zh if language == "zh" else _tell_th)(tool, arguments, result)


def _listed(things: Sequence[str], none: str) -> str:
    return "; ".join(things) or none


def _event(event: Mapping[str, str], language: str) -> str:
    return f"{event['title']} {_day(event['day'], language)}" + (f" {event['time']}" if "time" in event else "")


def _orders(result: Result, language: str) -> str:
    """Orders with their status; of a single one also the day."""
    found = result.get("orders") or [result]
    told = "; ".join(f"{order['order']} ({order['item']}): {STATUS[language][order['status']]}" for order in found)
    day = result.get("arrives") or result.get("delivered")
    if not day:
        return told
    arrives = {"zh": "，预计{}送到" if "arrives" in result else "，{}送达",
               "th": " จะถึง{}" if "arrives" in result else " เมื่อ{}"}[language]  # fmt: skip
    return told + arrives.format(_day(day, language))


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
            return "你的日程：" + _listed([_event(event, "zh") for event in r["events"]], "没有安排") + "。"
        case "add_event":
            return f"已添加：{_event(r['added'], 'zh')}。"
        case "cancel_event":
            return f"已取消：{_event(r['cancelled'], 'zh')}。"
        case "add_note":
            return f"已记下：{r['saved']}。"
        case "search_notes":
            return "笔记：" + _listed(r["notes"], "没有找到") + "。"
        case "order_status":
            return f"订单：{_orders(r, 'zh')}。"
        case "cancel_order":
            return f"订单{r['cancelled']}已取消，退款{r['refund_eur']}欧元。"
        case "return_order":
            return f"订单{r['returned']}已开始退货，退款{r['refund_eur']}欧元。"
        case "find_contact":
            return f"{r['name']}：电话{r['phone']}，邮箱{r['email']}。"
        case "send_message":
            return f"已发送给{r['sent_to']}：{r['text']}。"
        case "set_reminder":
            return f"我会提醒你：{r['reminder']}（{_moment(r['at'], 'zh')}）。"
        case "set_timer":
            return f"{r['timer']}计时开始，{r['ends']}结束。"
        case "set_light":
            return (
                f"{'所有房间' if r['room'] == 'all' else r['room']}的灯已{'打开' if r['light'] == 'on' else '关闭'}"
                + (f"，亮度{r['brightness']}%。" if "brightness" in r else "。")
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
            return "นัดของคุณ: " + _listed([_event(event, "th") for event in r["events"]], "ไม่มี")
        case "add_event":
            return f"เพิ่มแล้ว: {_event(r['added'], 'th')}"
        case "cancel_event":
            return f"ยกเลิกแล้ว: {_event(r['cancelled'], 'th')}"
        case "add_note":
            return f"จดแล้ว: {r['saved']}"
        case "search_notes":
            return "โน้ต: " + _listed(r["notes"], "ไม่พบ")
        case "order_status":
            return f"คำสั่งซื้อ: {_orders(r, 'th')}"
        case "cancel_order":
            return f"ยกเลิกคำสั่งซื้อ {r['cancelled']} แล้ว คืนเงิน {r['refund_eur']} ยูโร"
        case "return_order":
            return f"เริ่มคืนสินค้า {r['returned']} แล้ว คืนเงิน {r['refund_eur']} ยูโร"
        case "find_contact":
            return f"{r['name']}: โทร {r['phone']} อีเมล {r['email']}"
        case "send_message":
            return f"ส่งถึง {r['sent_to']} แล้ว: {r['text']}"
        case "set_reminder":
            return f"จะเตือน: {r['reminder']} ({_moment(r['at'], 'th')})"
        case "set_timer":
            return f"ตั้งเวลา {r['timer']} แล้ว จะครบเวลา {r['ends']}"
        case "set_light":
            return (
                f"{'เปิด' if r['light'] == 'on' else 'ปิด'}ไฟ{'ทุกห้อง' if r['room'] == 'all' else ' ' + r['room']} แล้ว"
                + (f" {r['brightness']}%" if "brightness" in r else "")
            )
    return f"ตั้งอุณหภูมิ {r.get('room', '')} เป็น {r['degrees']} องศาแล้ว".replace("  ", " ")
