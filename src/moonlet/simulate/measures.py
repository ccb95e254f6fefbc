"""Units of measure and currencies by the names that people use, and conversion between them."""

import re
from functools import lru_cache

from moonlet.simulate.script import simplified
from moonlet.tools.tool import ToolError

# Dimension -> unit -> (size in the dimension's base unit, other names). The first unit's size is 1.
UNITS: dict[str, dict[str, tuple[float, str]]] = {
    "length": {
        "m": (1, "metre metres meter meters 米 公尺 เมตร"),
        "km": (1000, "kilometre kilometres kilometer kilometers kms k 公里 千米 กิโลเมตร กม. โล"),
        "cm": (0.01, "centimetre centimetres centimeter centimeters cms 厘米 公分 เซนติเมตร เซน เซ็น ซม."),
        "mm": (0.001, "millimetre millimetres millimeter millimeters 毫米 มิลลิเมตร มม."),
        "miles": (1609.344, "mile mi 英里 英哩 ไมล์"), "feet": (0.3048, "foot ft 英尺 ฟุต"),
        "inches": (0.0254, "inch in 英寸 英吋 นิ้ว"),
        "yards": (0.9144, "yard yd 码 หลา"), "nautical miles": (1852, "nautical_mile nmi"),
    },
    "weight": {
        "kg": (1, "kilogram kilograms kilo kilos kgs 公斤 千克 กิโลกรัม กก. กิโล โล"),
        "g": (0.001, "gram grams 克 กรัม"), "mg": (1e-6, "milligram milligrams"),
        "pounds": (0.45359237, "pound lb lbs 磅 ปอนด์"), "ounces": (0.028349523125, "ounce oz 盎司 ออนซ์"),
        "jin": (0.5, "斤 市斤"), "khit": (0.1, "ขีด"),
        "stone": (6.35029318, "stones st"),
        "tonnes": (1000, "tonne tons ton t 吨 ตัน"),
    },
    "volume": {
        "litres": (1, "litre liter liters l 升 公升 ลิตร"),
        "ml": (0.001, "millilitre millilitres milliliter milliliters 毫升 มิลลิลิตร มล. ซีซี"),
        "cups": (0.2365882365, "cup"), "gallons": (3.785411784, "gallon gal 加仑 แกลลอน"),
        "pints": (0.473176473, "pint pt"),
        "tablespoons": (0.01478676478, "tablespoon tbsp"), "teaspoons": (0.00492892159, "teaspoon tsp"),
        "fluid ounces": (0.0295735295625, "fluid_ounce fl_oz"),
    },
    "speed": {
        "km/h": (1, "kmh kph kilometers_per_hour kilometres_per_hour"), "mph": (1.609344, "miles_per_hour"),
        "m/s": (3.6, "meters_per_second metres_per_second"), "knots": (1.852, "knot kn"),
    },
    "time": {
        "seconds": (1, "second sec secs s 秒 วินาที"), "minutes": (60, "minute min mins 分钟 นาที"),
        "hours": (3600, "hour hr hrs h 小时 钟头 ชั่วโมง ชม."),
        "days": (86_400, "day d 天 วัน"), "weeks": (604_800, "week 周 星期 สัปดาห์"),
        "years": (31_557_600, "year yr yrs 年 ปี"),
    },
    "data": {
        "MB": (1, "megabytes megabyte"), "GB": (1000, "gigabytes gigabyte gigs gig"), "TB": (1e6, "terabytes terabyte"),
        "KB": (0.001, "kilobytes kilobyte"),
    },
    "area": {
        "square metres": (1, "square_meters square_meter square_metre m2 sqm 平方米 平米 平方公尺 ตารางเมตร ตร.ม."),
        "square feet": (0.09290304, "square_foot sqft 平方英尺 ตารางฟุต"), "acres": (4046.8564224, "acre 英亩 เอเคอร์"),
        "hectares": (10_000, "hectare ha 公顷 เฮกตาร์"), "rai": (1600, "ไร่"), "square wa": (4, "ตารางวา"),
    },
}  # fmt: skip
TEMPERATURES = {"celsius": "c °c degrees_celsius 摄氏度 摄氏 เซลเซียส องศาเซลเซียส",
"fahrenheit": "f °f degrees_fahrenheit 华氏度 华氏 ฟาเรนไฮต์ องศาฟาเรนไฮต์",
                "kelvin": "k kelvins"}  # fmt: skip
# Units of one euro. Round figures for a demonstration, not market data.
CURRENCIES: dict[str, tuple[float, str]] = {
    "EUR": (1, "euro euros € 欧元 ยูโร"), "USD": (1.1, "dollar dollars us_dollars us_dollar bucks $ 美元 美金 美刀 ดอลลาร์ ดอลล่าร์ ดอล เหรียญสหรัฐ"),
    "GBP": (0.85, "pound_sterling british_pounds british_pound sterling quid £ 英镑 ปอนด์อังกฤษ"),
    "JPY": (160, "yen japanese_yen 日元 日币 日圆 เยน"),
    "CHF": (0.95, "swiss_francs swiss_franc francs franc 瑞士法郎 ฟรังก์สวิส"), "THB": (38, "baht thai_baht ฿ 泰铢 บาท"),
    "CNY": (7.8, "yuan rmb chinese_yuan renminbi 人民币 元 块钱 块 หยวน"), "SEK": (11.4, "swedish_kronor swedish_krona"),
    "NOK": (11.6, "kroner norwegian_kroner kroner krone"), "DKK": (7.45, "danish_kroner danish_krone"),
    "INR": (92, "rupees rupee indian_rupees ₹ 印度卢比 卢比 รูปี"), "KRW": (1500, "won korean_won ₩ 韩元 韩币 วอน"), "PLN": (4.3, "zloty zlotys"),
    "CAD": (1.5, "canadian_dollars canadian_dollar 加元 加币 ดอลลาร์แคนาดา"),
    "AUD": (1.65, "australian_dollars australian_dollar aussie_dollars 澳元 澳币 ดอลลาร์ออสเตรเลีย"),
    "SGD": (1.47, "singapore_dollars 新币 新加坡元 ดอลลาร์สิงคโปร์"), "MXN": (20, "pesos peso mexican_pesos"), "BRL": (6, "reais real"),
    "TRY": (36, "lira turkish_lira"), "CZK": (25, "koruna czech_koruna"), "HKD": (8.6, "hong_kong_dollars 港币 港元 ดอลลาร์ฮ่องกง"), "TWD": (35, "台币 新台币 ดอลลาร์ไต้หวัน"),
}  # fmt: skip

Meaning = tuple[str, str, float]  # dimension, proper name, size in base units


@lru_cache(maxsize=1)
def _meanings() -> dict[str, list[Meaning]]:
    """Every name, in lower case, with what it can mean: "pounds" is a weight and a currency."""
    found: dict[str, list[Meaning]] = {}
    tables = {
        **UNITS,
        "currency": CURRENCIES,
        "temperature": {name: (1.0, also) for name, also in TEMPERATURES.items()},
    }
    for dimension, table in tables.items():
        for name, (size, also) in table.items():
            for alias in {name.lower(), *(word.replace("_", " ") for word in also.split())}:
                found.setdefault(alias, []).append((dimension, name, size))
    found["pounds"].append(("currency", "GBP", CURRENCIES["GBP"][0]))
    found["pound"].append(("currency", "GBP", CURRENCIES["GBP"][0]))
    found["ปอนด์"].append(("currency", "GBP", CURRENCIES["GBP"][0]))
    return found


def convert(amount: float, source: str, target: str) -> float:
    """The amount in the target unit or currency; ToolError if a name is unknown or the two do not fit."""
    known = _meanings()
    for name in (source, target):
        if _key(name) not in known:
            raise ToolError(f"the unit or currency {name!r} is not known")
    for dimension, source_name, source_size in known[_key(source)]:
        for other, target_name, target_size in known[_key(target)]:
            if dimension != other:
                continue
            if dimension == "temperature":
                return _temperature(amount, source_name, target_name)
            # A currency's number says how many make one euro: the larger, the less each is worth.
            ratio = target_size / source_size if dimension == "currency" else source_size / target_size
            return amount * ratio
    raise ToolError(f"{source} cannot be converted to {target}")


def _key(name: str) -> str:
    name = simplified(name)
    words = " ".join(name.lower().split())
    words = words if re.search("[ก-๙]", words) else words.strip(" .")
    return words.removeprefix("degrees ").removeprefix("degree ") or words


def _temperature(amount: float, source: str, target: str) -> float:
    kelvin = {"celsius": amount + 273.15, "fahrenheit": (amount - 32) / 1.8 + 273.15, "kelvin": amount}[source]
    return {"celsius": kelvin - 273.15, "fahrenheit": (kelvin - 273.15) * 1.8 + 32, "kelvin": kelvin}[target]
