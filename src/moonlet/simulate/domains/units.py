"""Sums and units."""

from collections.abc import Mapping
from typing import Any

from moonlet.simulate.domains.actions import compute
from moonlet.simulate.domains.domain import Domain
from moonlet.simulate.domains.slot import choice, number
from moonlet.simulate.stage import Stage


def _temperature(stage: Stage, arguments: Mapping[str, Any]) -> Any:
    value = arguments["value"]
    celsius = arguments["unit"] == "celsius"
    return {"result": round(value * 9 / 5 + 32 if celsius else (value - 32) * 5 / 9, 1)}


def _weight(stage: Stage, arguments: Mapping[str, Any]) -> Any:
    rate = 2.20462 if arguments["unit"] == "kg" else 0.453592
    return {"result": round(arguments["value"] * rate, 2)}


def _length(stage: Stage, arguments: Mapping[str, Any]) -> Any:
    rate = 0.621371 if arguments["unit"] == "km" else 1.609344
    return {"result": round(arguments["value"] * rate, 2)}


def _percent(stage: Stage, arguments: Mapping[str, Any]) -> Any:
    return {"result": round(arguments["value"] * arguments["percent"] / 100, 2)}


def _split(stage: Stage, arguments: Mapping[str, Any]) -> Any:
    return {"share": round(arguments["bill"] / arguments["people"], 2)}


def _area(stage: Stage, arguments: Mapping[str, Any]) -> Any:
    return {"area": arguments["width"] * arguments["height"]}


UNITS = Domain(
    "units",
    (),
    (
        compute("convert_temperature", "Convert Celsius to Fahrenheit or back", {"value": number("Degrees", -20, 110), "unit": choice("Unit of the value", "celsius fahrenheit")}, _temperature, "result",
                ("Convert {value} degrees {unit} into the other scale|{value} degrees {unit}, what is that in the other scale?", "แปลง {value} องศา{unit}เป็นอีกหน่วย", "{unit}{value}度换成另一种温标是多少")),
        compute("convert_weight", "Convert kilograms to pounds or back", {"value": number("How much", 1, 200), "unit": choice("Unit of the value", "kg pounds")}, _weight, "result",
                ("Convert {value} {unit} into the other unit of weight|How heavy is {value} {unit} in the other unit?", "แปลง {value} {unit}เป็นอีกหน่วย", "{value}{unit}换成另一种重量单位是多少")),
        compute("convert_length", "Convert kilometres to miles or back", {"value": number("How far", 1, 500), "unit": choice("Unit of the value", "km miles")}, _length, "result",
                ("Convert {value} {unit} into the other unit of length|How far is {value} {unit} in the other unit?", "แปลง {value} {unit}เป็นอีกหน่วย", "{value}{unit}换成另一种长度单位是多少")),
        compute("percent_of", "A percentage of a number", {"percent": number("Percentage", 1, 95), "value": number("Of what", 20, 5000, 10)}, _percent, "result",
                ("What is {percent} percent of {value}?|{percent}% of {value}", "{percent} เปอร์เซ็นต์ของ {value} เท่ากับเท่าไหร่", "{value}的百分之{percent}是多少")),
        compute("split_bill", "Split a bill evenly", {"bill": number("Amount", 20, 900), "people": number("How many people", 2, 9)}, _split, "share",
                ("Split a bill of {bill} between {people} people|{bill} for {people} of us, how much each?", "หารบิล {bill} กัน {people} คน คนละเท่าไหร่", "账单{bill}，{people}个人平分，每人多少")),
        compute("rectangle_area", "Area of a rectangle", {"width": number("Width", 2, 60), "height": number("Height", 2, 60)}, _area, "area",
                ("What is the area of a rectangle of {width} by {height}?|Area: {width} times {height}", "สี่เหลี่ยม {width} คูณ {height} พื้นที่เท่าไหร่", "长{width}宽{height}的长方形面积是多少")),
    ),
)  # fmt: skip
