"""Weather: forecasts for cities, and alerts that the user sets."""

from moonlet.simulate.domains.actions import add, change, find, read, remove
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, number, text

WEATHER = Domain(
    "weather",
    (
        Table("forecasts", "CITY", ("city", "เมือง", "城市"), "city", {
            "city": text("City", "cities"), "sky": text("Sky", "skies"), "high_c": number("High", 5, 38),
            "low_c": number("Low", 0, 25), "rain_percent": number("Rain", 0, 100, 5), "wind_kmh": number("Wind", 2, 70),
        }),
        Table("alerts", "ALR", ("weather alert", "การแจ้งเตือนอากาศ", "天气提醒"), "city", {
            "city": text("City", "cities"), "degrees": number("Degrees", 0, 40), "status": choice("Status", "active"),
        }, 4),
    ),
    (
        find("find_city", "Find the ids of cities by name", "forecasts",
             ("Which city ids match {query}?|Look up {query} in the weather service", "ค้นหาเมือง{query}ในระบบอากาศ", "在天气服务里查找{query}")),
        read("get_forecast", "Weather forecast of a city", "forecasts", "city_id", "sky high_c low_c",
             ("What's the weather like for {city_id}?|Give me the forecast for {city_id}", "พยากรณ์อากาศของ{city_id}เป็นยังไง", "{city_id}的天气怎么样")),
        read("get_rain", "Chance of rain in a city", "forecasts", "city_id", "rain_percent",
             ("How likely is rain for {city_id}?|Will it rain for {city_id}? Tell me the chance", "{city_id}มีโอกาสฝนตกเท่าไหร่", "{city_id}的降雨概率是多少")),
        read("get_wind", "Wind speed in a city", "forecasts", "city_id", "wind_kmh",
             ("How strong is the wind for {city_id}?|Wind speed for {city_id} please", "ลมของ{city_id}แรงแค่ไหน", "{city_id}的风速是多少")),
        add("add_alert", "Warn the user when a city gets hotter than this", "alerts",
            {"city": text("Name of the city", "cities"), "degrees": number("Celsius", 0, 40)},
            ("Warn me when it gets above {degrees} degrees in {city}|Set an alert for {city} at {degrees} degrees",
             "เตือนฉันเมื่อ{city}ร้อนเกิน {degrees} องศา", "{city}超过{degrees}度时提醒我"), {"status": "active"}),
        change("change_alert", "Set the temperature of a weather alert", "alerts", "alert_id",
               ("Set {alert_id} to {degrees} degrees|Move {alert_id} to {degrees} degrees", "ตั้ง{alert_id}เป็น {degrees} องศา", "把{alert_id}改成{degrees}度"),
               {"degrees": number("Celsius", 0, 40)}),
        remove("delete_alert", "Remove a weather alert", "alerts", "alert_id",
               ("Delete {alert_id}|I don't need {alert_id} any more, remove it", "ลบ{alert_id}ออก", "删除{alert_id}")),
    ),
)  # fmt: skip
