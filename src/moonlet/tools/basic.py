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
from moonlet.tools.tool import Tool, ToolError, parameters

MAX_LENGTH = 200  # characters of an expression
MAX_BITS = 512  # of any whole number on the way: 2**512 has 155 digits

CALCULATE = ToolSpec(
    "calculate",
    "Work out arithmetic",
    parameters({"expression": {"type": "string", "description": "Such as 12 * 7 or 15% of 80"}}),
)
CURRENT_TIME = ToolSpec(
    "current_time",
    "Tell the time and date, here or in a city",
    parameters(optional={"place": {"type": "string", "description": "City"}}),
)

Number = int | float

# What people write for an operator, in the order in which it is replaced.
WORDS: tuple[tuple[str, str], ...] = (
    (r"(?<=\d),(?=\d{3}\b)", ""),
    (r"[×✕∙·]|\b(?:times|multiplied by)\b|(?<=[\d)])\s*x\s*(?=[\d(])|乘以?|คูณ(?:ด้วย)?", "*"),
    (r"÷|\b(?:divided by|over)\b|除以|หาร(?:ด้วย)?", "/"),
    (r"−|–|\bminus\b|减去?|ลบ(?:ด้วย)?", "-"),
    (r"\bplus\b|加上?|บวก(?:ด้วย)?", "+"),
    (r"\b(?:to the power of|to the power)\b|\^", "**"),
    (r"\bsquared\b", "**2"),
    (r"\bcubed\b", "**3"),
    (r"\b(?:the )?square root of\s*([\d.]+)", r"sqrt(\1)"),
    (r"√\s*([\d.]+)", r"sqrt(\1)"),
    (r"\bhalf of\b", "0.5 *"),
    (r"\bpercent\b|\bper cent\b", "%"),
    (r"([\d.]+)\s*%\s*of\b", r"(\1/100) *"),
    (r"([\d.]+)\s*%(?!\s*[\d(])", r"(\1/100)"),
    (r"\bmod\b", "%"),
)
SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
NUMBER_WORDS = {word: value for value, word in enumerate(SMALL)} | {word: 20 + 10 * i for i, word in enumerate(TENS)}
FUNCTIONS: dict[str, Callable[..., Number]] = {
    "sqrt": math.sqrt, "abs": abs, "round": round, "min": min, "max": max, "floor": math.floor, "ceil": math.ceil,
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
    text = re.sub(rf"\b({'|'.join(TENS)})[ -]({'|'.join(SMALL[1:10])})\b", _tens, text)
    text = re.sub(r"[a-z]+", lambda word: str(NUMBER_WORDS.get(word[0], word[0])), text)
    for pattern, sign in WORDS:
        text = re.sub(pattern, sign, text)
    return text.strip()


def _tens(match: re.Match[str]) -> str:
    return str(NUMBER_WORDS[match[1]] + NUMBER_WORDS[match[2]])


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
    "北京 上海 广州 深圳 杭州 成都 重庆 西安 南京 武汉 青岛 大连 厦门 中国 ปักกิ่ง เซี่ยงไฮ้ จีน",
    "Asia/Kolkata": "delhi new_delhi mumbai bangalore chennai pune jaipur hyderabad kochi lucknow india goa 印度 อินเดีย",
    "Asia/Tokyo": "osaka kyoto sapporo nara fukuoka nagoya yokohama hiroshima "
    "东京 大阪 京都 日本 โตเกียว โอซาก้า ญี่ปุ่น",
    "Asia/Bangkok": "thailand chiang_mai phuket pattaya hua_hin krabi koh_samui 曼谷 清迈 普吉 泰国 กรุงเทพ "
    "กรุงเทพฯ เชียงใหม่ ภูเก็ต ขอนแก่น พัทยา หาดใหญ่ เชียงราย หัวหิน กระบี่ อยุธยา อุบล นครราชสีมา ไทย",
    "Asia/Seoul": "busan korea south_korea 首尔 โซล เกาหลี", "Asia/Singapore": "新加坡 สิงคโปร์",
    "Asia/Ho_Chi_Minh": "hanoi saigon ho_chi_minh_city hue da_nang vietnam 河内 ฮานอย เวียดนาม",
    "Asia/Taipei": "taiwan 台北 ไทเป",
    "Asia/Hong_Kong": "香港 ฮ่องกง", "Asia/Dubai": "abu_dhabi uae 迪拜 ดูไบ", "Asia/Jerusalem": "tel_aviv israel",
    "Asia/Kuala_Lumpur": "penang malaysia", "Asia/Manila": "cebu philippines", "Asia/Jakarta": "bandung indonesia",
    "Asia/Makassar": "bali denpasar", "Asia/Riyadh": "jeddah mecca saudi_arabia",
    "Asia/Karachi": "lahore islamabad pakistan",
    "Europe/London": "edinburgh manchester liverpool leeds bristol glasgow cardiff belfast oxford cambridge "
    "brighton york sheffield aberdeen england scotland wales uk britain united_kingdom 伦敦 英国 ลอนดอน อังกฤษ",
    "Europe/Paris": "nice lyon bordeaux marseille lille toulouse nantes strasbourg "
    "grenoble france 巴黎 法国 ปารีส ฝรั่งเศส",
    "Europe/Berlin": "munich hamburg frankfurt cologne stuttgart leipzig dresden nuremberg hanover bremen germany 柏林 "
    "慕尼黑 德国 เบอร์ลิน เยอรมนี",
    "Europe/Madrid": "barcelona seville valencia malaga bilbao granada spain 马德里 巴塞罗那 มาดริด สเปน",
    "Europe/Rome": "milan florence venice naples turin bologna palermo verona pisa italy 罗马 米兰 โรม อิตาลี",
    "Europe/Zurich": "geneva basel bern lausanne switzerland 苏黎世",
    "Europe/Vienna": "salzburg graz innsbruck austria 维也纳 เวียนนา",
    "Europe/Warsaw": "krakow gdansk wroclaw poland", "Europe/Oslo": "bergen trondheim tromso norway",
    "Europe/Stockholm": "gothenburg malmo sweden", "Europe/Copenhagen": "aarhus denmark",
    "Europe/Helsinki": "tampere turku finland",
    "Europe/Amsterdam": "rotterdam the_hague utrecht netherlands holland",
    "Europe/Brussels": "antwerp ghent bruges belgium",
    "Europe/Lisbon": "porto portugal", "Europe/Dublin": "cork galway ireland", "Europe/Athens": "thessaloniki greece",
    "Europe/Moscow": "st._petersburg russia 莫斯科 มอสโก", "Europe/Prague": "brno czechia",
    "Europe/Budapest": "hungary",
    "Europe/Istanbul": "ankara izmir antalya turkey", "Europe/Kyiv": "odessa lviv ukraine",
    "Atlantic/Reykjavik": "iceland",
    "America/New_York": "new_york_city nyc boston washington washington_dc miami atlanta philadelphia "
    "baltimore orlando pittsburgh florida 纽约 นิวยอร์ก",
    "America/Chicago": "dallas houston austin san_antonio new_orleans minneapolis memphis nashville texas 芝加哥",
    "America/Denver": "salt_lake_city boulder colorado",
    "America/Los_Angeles": "san_francisco seattle las_vegas san_diego portland la california palo_alto san_jose 洛杉矶 "
    "旧金山 ซานฟรานซิสโก",
    "Pacific/Honolulu": "hawaii", "America/Toronto": "montreal ottawa quebec 多伦多", "America/Edmonton": "calgary",
    "America/Sao_Paulo": "rio rio_de_janeiro brasilia brazil", "America/Argentina/Buenos_Aires": "argentina",
    "America/Mexico_City": "guadalajara puebla mexico", "America/Lima": "cusco peru",
    "America/Bogota": "medellin colombia",
    "Africa/Johannesburg": "cape_town durban pretoria south_africa", "Africa/Cairo": "alexandria egypt",
    "Africa/Nairobi": "mombasa kenya", "Africa/Lagos": "abuja nigeria", "Africa/Casablanca": "marrakesh rabat morocco",
    "Australia/Sydney": "canberra 悉尼 ซิดนีย์", "Australia/Melbourne": "墨尔本 เมลเบิร์น",
    "Pacific/Auckland": "wellington new_zealand",
}  # fmt: skip


@lru_cache(maxsize=1024)
def zone_of(place: str) -> ZoneInfo | None:
    """The time zone of a city or country, or None: those listed here, then the names in the zone database."""
    name = _zones_by_place().get(place.strip().lower().removeprefix("the "))
    return ZoneInfo(name) if name else None


@lru_cache(maxsize=1)
def _zones_by_place() -> dict[str, str]:
    named = {name.rsplit("/", 1)[-1].replace("_", " ").lower(): name for name in sorted(available_timezones())}
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
