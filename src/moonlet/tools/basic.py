"""Two real tools that need nothing: a calculator and a clock."""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from moonlet.chat.messages import ToolSpec
from moonlet.tools.numbers import in_figures
from moonlet.tools.tool import Tool, ToolError, parameters

MAX_LENGTH = 200  # characters of an expression
MAX_BITS = 512  # of any whole number on the way: 2**512 has 155 digits
MAX_DIGITS = 400  # before or after the point to round to: more than any number here has before it

CALCULATE = ToolSpec(
    "calculate",
    "Work out arithmetic",
    parameters({"expression": {"type": "string", "description": "Such as 12 * 7 or 15% of 80"}}),
)
CURRENT_TIME = ToolSpec(
    "current_time",
    "Tell the time and date, here or in a city",
    parameters(optional={"place": {"type": "string", "description": "City", "x-verbatim": True}}),
)

Number = int | float

# What people write for an operator, in the order in which it is replaced; numbers are in figures then.
_PARTS = ("half", "third", "quarter", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
WORDS: tuple[tuple[str, str], ...] = (
    (r"\b(?:an? )?half of\b|ครึ่ง\s*(?:1|นึง)?\s*ของ", "0.5 *"),
    *((rf"\ban? {part}\b|^{part}(?= of\b)", f"(1/{i})") for i, part in enumerate(_PARTS, 2)),
    *((rf"(\d+) {part}s?\b", rf"(\1/{i})") for i, part in enumerate(_PARTS, 2)),
    (r"(\d+) and (\(1/\d+\))", r"(\1 + \2)"),
    (r"(\d+\s*/\s*\d+)\s*of\b", r"(\1) *"),
    (r"\)\s*of\b", ") *"),
    (r"\b(?:twice|double)\b|\b2เท่าของ", "2 *"),
    (r"\band\b", "+"),
    (r"(\d+)块(\d)(?!\d)", r"\1.\2"),  # 47块6
    (r"(?<=\d)[块元]|再(?=[加减減乘除])", ""),
    (r"(\d+)分之([\d.]+)", r"(\2/\1)"),
    (r"([\d.]+)\s*的\s*(\([\d./]+\))", r"\2 * \1"),
    (r"([\d.]+)\s*的\s*1半", r"(\1/2)"),
    (r"([\d.]+)\s*的\s*([\d.]+)\s*成", r"(\2/10) * \1"),
    (r"([\d.]+)\s*(?:的平方根|[开開]平方)", r"sqrt(\1)"),
    (r"\s*的\s*([\d.]+)\s*次方", r"**\1"),
    (r"ร้อยละ\s*([\d.]+)\s*ของ", r"(\1/100) *"),
    (r"([\d.]+)\s*ใน\s*([\d.]+)\s*ของ", r"(\1/\2) *"),
    (r"\s*ยกกำลัง\s*(?=\d)", "**"),
    (r"[×✕∙·]|\b(?:times|multiplied by)\b|(?<=[\d)])\s*x\s*(?=[\d(])|乘以?|คูณ(?:ด้วย)?", "*"),
    (r"÷|\b(?:divided by|over)\b|除以|หาร(?:ด้วย)?", "/"),
    (r"−|–|\bminus\b|[减減]去?|ลบ(?:ด้วย)?", "-"),
    (r"\bplus\b|加上?|บวก(?:ด้วย)?", "+"),
    (r"\b(?:to the power of|to the power)\b|\^", "**"),
    (r"\bsquared\b|的平方", "**2"),
    (r"\bcubed\b", "**3"),
    (r"(?:\b(?:the )?square root of|\bsqrt(?: of\b|(?= ))|รากที่2ของ|根[号號])\s*([\d.]+)", r"sqrt(\1)"),
    (r"√\s*([\d.]+)", r"sqrt(\1)"),
    (r"\bpercent\b|\bper cent\b|\s*เปอร์เซ็?นต์", "%"),
    (r"([\d.]+)\s*%\s*(?:of\b|ของ)", r"(\1/100) *"),
    (r"([\d.]+)\s*的\s*([\d.]+)\s*%", r"(\2/100) * \1"),
    (r"([\d.]+)\s*%(?!\s*[\d(])", r"(\1/100)"),
    (r"\bmod\b", "%"),
)


def _round(number: Number, digits: int | None = None) -> Number:
    # Checked before it is computed: for a whole number Python works out 10**-digits, in one step that nothing interrupts.
    if digits is not None and abs(digits) > MAX_DIGITS:
        raise ToolError(f"round takes at most {MAX_DIGITS} digits")
    return round(number, digits)


FUNCTIONS: dict[str, Callable[..., Number]] = {
    "sqrt": math.sqrt, "abs": abs, "round": _round, "min": min, "max": max, "floor": math.floor, "ceil": math.ceil,
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "log": math.log10, "ln": math.log, "exp": math.exp,
}  # fmt: skip
CONSTANTS = {"pi": math.pi, "e": math.e}
OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Number]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
}  # fmt: skip


def calculate(expression: str) -> Number:
    """The value of an arithmetic expression in symbols or plain words; ToolError says what cannot be worked out."""
    if len(expression) > MAX_LENGTH:
        raise ToolError(f"the expression is longer than {MAX_LENGTH} characters")
    try:
        tree = ast.parse(symbols(expression), mode="eval")
        value = _value(tree.body)
    except ToolError:
        raise
    except ZeroDivisionError:
        raise ToolError("division by zero") from None
    except (SyntaxError, ValueError, TypeError, OverflowError, RecursionError, MemoryError):
        raise ToolError(f"cannot work out {expression!r}; write it like 12 * (3 + 4)") from None
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ToolError("the result is too large")
        value = float(f"{value:.10g}")
        return int(value) if value.is_integer() and abs(value) < 1e15 else value
    return value


def symbols(expression: str) -> str:
    """Plain words and typographic signs replaced by operators: "15% of 80" becomes "(15/100) * 80"."""
    text = expression.lower().strip().rstrip("?=. ")
    text = in_figures(text)
    if not re.search(r"\b(?:min|max)\s*\(", text):  # whose numbers stand apart by commas
        text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    for pattern, sign in WORDS:
        text = re.sub(pattern, sign, text)
    return text.strip()


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _small(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in OPERATORS:
            a, b = _value(left), _value(right)
            # Checked before it is computed: the result of a power can be larger than memory.
            if isinstance(sign, ast.Pow) and isinstance(a, int) and a.bit_length() * abs(b) > MAX_BITS:
                raise ToolError("the result is too large")
            result = OPERATORS[type(sign)](a, b)
            if isinstance(result, complex):
                raise ToolError("the result is not a real number")
            return _small(result)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            return _small(FUNCTIONS[name](*map(_value, args)))
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
    raise ToolError("only numbers, + - * / % ** and common functions can be worked out")


def _small(number: Number) -> Number:
    if isinstance(number, int) and number.bit_length() > MAX_BITS:
        raise ToolError("the result is too large")
    return number


def calculator() -> Tool:
    """The tool `calculate`."""

    def run(arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {"result": calculate(arguments["expression"])}

    return Tool(CALCULATE, run)


# Cities and countries whose zone is not named after them, and names in Chinese and Thai; "_" stands for a space.
ZONES: dict[str, str] = {
    "Asia/Shanghai": "beijing shenzhen guangzhou chengdu hangzhou nanjing wuhan xian kunming qingdao china "
    "北京 上海 广州 深圳 杭州 成都 重庆 西安 南京 武汉 青岛 大连 厦门 中国 天津 苏州 長沙 长沙 昆明 哈爾濱 哈尔滨 廣州 重慶 大連 廈門 武漢 中國 เซินเจิ้น กวางโจว เฉิงตู คุนหมิง ปักกิ่ง เซี่ยงไฮ้ จีน",
    "Asia/Kolkata": "delhi new_delhi mumbai bangalore chennai pune jaipur hyderabad kochi lucknow india goa 印度 孟买 新德里 มุมไบ นิวเดลี อินเดีย",
    "Asia/Tokyo": "osaka kyoto sapporo nara fukuoka nagoya yokohama hiroshima "
    "东京 大阪 京都 日本 東京 札幌 冲绳 沖繩 名古屋 福冈 福岡 เกียวโต ซัปโปโร ฟุกุโอกะ นาโกย่า โตเกียว โอซาก้า ญี่ปุ่น",
    "Asia/Bangkok": "thailand chiang_mai phuket pattaya hua_hin krabi koh_samui 曼谷 清迈 普吉 泰国 普吉岛 華欣 华欣 芭提雅 泰國 清邁 กทม โคราช อุดรธานี เกาะสมุย กรุงเทพ "
    "กรุงเทพฯ เชียงใหม่ ภูเก็ต ขอนแก่น พัทยา หาดใหญ่ เชียงราย หัวหิน กระบี่ อยุธยา อุบล นครราชสีมา ไทย",
    "Asia/Seoul": "busan korea south_korea 首尔 โซล เกาหลี 釜山 韩国 韓國 首爾 ปูซาน เกาหลีใต้", "Asia/Singapore": "新加坡 สิงคโปร์",
    "Asia/Ho_Chi_Minh": "hanoi saigon ho_chi_minh_city hue da_nang vietnam 河内 ฮานอย เวียดนาม 河內 胡志明市 โฮจิมินห์ ดานัง",
    "Asia/Taipei": "taiwan 台北 ไทเป 高雄 台中 台南 花莲 花蓮 台湾 台灣 ไต้หวัน",
    "Asia/Hong_Kong": "香港 ฮ่องกง", "Asia/Dubai": "abu_dhabi uae 迪拜 ดูไบ อาบูดาบี", "Asia/Jerusalem": "tel_aviv israel",
    "Asia/Kuala_Lumpur": "penang malaysia 吉隆坡 กัวลาลัมเปอร์ มาเลเซีย", "Asia/Manila": "cebu philippines 马尼拉 馬尼拉 มะนิลา", "Asia/Jakarta": "bandung indonesia 雅加达 雅加達 จาการ์ตา",
    "Asia/Makassar": "bali denpasar 巴厘岛 บาหลี", "Asia/Riyadh": "jeddah mecca saudi_arabia",
    "Asia/Karachi": "lahore islamabad pakistan",
    "Europe/London": "edinburgh manchester liverpool leeds bristol glasgow cardiff belfast oxford cambridge "
    "brighton york sheffield aberdeen england scotland wales uk britain united_kingdom 伦敦 英国 倫敦 英國 爱丁堡 愛丁堡 曼彻斯特 แมนเชสเตอร์ ลิเวอร์พูล ลอนดอน อังกฤษ",
    "Europe/Paris": "nice lyon bordeaux marseille lille toulouse nantes strasbourg "
    "grenoble france 巴黎 法国 法國 ปารีส ฝรั่งเศส",
    "Europe/Berlin": "munich hamburg frankfurt cologne stuttgart leipzig dresden nuremberg hanover bremen germany 柏林 "
    "慕尼黑 德国 法兰克福 法蘭克福 德國 มิวนิก แฟรงก์เฟิร์ต เยอรมัน เบอร์ลิน เยอรมนี",
    "Europe/Madrid": "barcelona seville valencia malaga bilbao granada spain 马德里 巴塞罗那 西班牙 馬德里 巴塞羅那 บาร์เซโลนา มาดริด สเปน",
    "Europe/Rome": "milan florence venice naples turin bologna palermo verona pisa italy 罗马 米兰 意大利 羅馬 米蘭 威尼斯 มิลาน เวนิส โรม อิตาลี",
    "Europe/Zurich": "geneva basel bern lausanne switzerland 苏黎世 日内瓦 蘇黎世 瑞士 ซูริก เจนีวา สวิตเซอร์แลนด์",
    "Europe/Vienna": "salzburg graz innsbruck austria 维也纳 維也納 เวียนนา",
    "Europe/Warsaw": "krakow gdansk wroclaw poland", "Europe/Oslo": "bergen trondheim tromso norway",
    "Europe/Stockholm": "gothenburg malmo sweden", "Europe/Copenhagen": "aarhus denmark",
    "Europe/Helsinki": "tampere turku finland",
    "Europe/Amsterdam": "rotterdam the_hague utrecht netherlands holland 阿姆斯特丹 荷兰 อัมสเตอร์ดัม",
    "Europe/Brussels": "antwerp ghent bruges belgium",
    "Europe/Lisbon": "porto portugal 里斯本 ลิสบอน", "Europe/Dublin": "cork galway ireland", "Europe/Athens": "thessaloniki greece 雅典 เอเธนส์",
    "Europe/Moscow": "st._petersburg russia 莫斯科 俄罗斯 รัสเซีย มอสโก", "Europe/Prague": "brno czechia 布拉格 ปราก",
    "Europe/Budapest": "hungary",
    "Europe/Istanbul": "ankara izmir antalya turkey 伊斯坦布尔 伊斯坦布爾 อิสตันบูล ตุรกี", "Europe/Kyiv": "odessa lviv ukraine",
    "Atlantic/Reykjavik": "iceland",
    "America/New_York": "new_york_city nyc boston washington washington_dc miami atlanta philadelphia "
    "baltimore orlando pittsburgh florida 纽约 紐約 波士顿 波士頓 迈阿密 邁阿密 华盛顿 華盛頓 บอสตัน ไมอามี วอชิงตัน นิวยอร์ก",
    "America/Chicago": "dallas houston austin san_antonio new_orleans minneapolis memphis nashville texas 芝加哥 ชิคาโก",
    "America/Denver": "salt_lake_city boulder colorado",
    "America/Los_Angeles": "san_francisco seattle las_vegas san_diego portland la california palo_alto san_jose 洛杉矶 洛杉磯 舊金山 西雅图 西雅圖 拉斯维加斯 ลอสแอนเจลิส แอลเอ ซีแอตเทิล ลาสเวกัส "
    "旧金山 ซานฟรานซิสโก",
    "Pacific/Honolulu": "hawaii", "America/Toronto": "montreal ottawa quebec 多伦多 多倫多 蒙特利尔 โทรอนโต", "America/Edmonton": "calgary", "America/Vancouver": "温哥华 溫哥華 แวนคูเวอร์",
    "America/Sao_Paulo": "rio rio_de_janeiro brasilia brazil", "America/Argentina/Buenos_Aires": "argentina",
    "America/Mexico_City": "guadalajara puebla mexico", "America/Lima": "cusco peru",
    "America/Bogota": "medellin colombia",
    "Africa/Johannesburg": "cape_town durban pretoria south_africa", "Africa/Cairo": "alexandria egypt 开罗 開羅 埃及 ไคโร",
    "Africa/Nairobi": "mombasa kenya", "Africa/Lagos": "abuja nigeria", "Africa/Casablanca": "marrakesh rabat morocco",
    "Australia/Sydney": "canberra 悉尼 ซิดนีย์ แคนเบอร์รา", "Australia/Melbourne": "墨尔本 เมลเบิร์น",
    "Pacific/Auckland": "wellington new_zealand 奥克兰 โอ๊คแลนด์ นิวซีแลนด์",
}  # fmt: skip


@lru_cache(maxsize=1024)
def zone_of(place: str) -> ZoneInfo | None:
    """The time zone of a city or country, or None: those listed here, then the names in the zone database."""
    name = _zones_by_place().get(place.strip().lower().removeprefix("the "))
    return ZoneInfo(name) if name else None


@lru_cache(maxsize=1)
def _zones_by_place() -> dict[str, str]:
    # Without Etc/GMT+7, which is what lies seven hours west.
    zones = sorted(name for name in available_timezones() if not name.startswith("Etc/"))
    named = {name.rsplit("/", 1)[-1].replace("_", " ").lower(): name for name in zones}
    listed = {place.replace("_", " "): zone for zone, places in ZONES.items() for place in places.split()}
    return named | listed


def clock(now: Callable[[], datetime]) -> Tool:
    """The tool `current_time`. `now` gives the local time; with a zone for other cities, naive means UTC there."""

    def run(arguments: Mapping[str, Any]) -> dict[str, Any]:
        moment = now()
        place = arguments.get("place")
        if place:
            zone = zone_of(place)
            if zone is None:
                raise ToolError(f"the time zone of {place!r} is not known; name a larger city nearby")
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo("UTC"))).astimezone(zone)
        told = {"time": f"{moment:%H:%M}", "date": f"{moment:%Y-%m-%d}", "weekday": f"{moment:%A}"}
        return {"place": place, **told} if place else told

    return Tool(CURRENT_TIME, run)
