"""Restaurants and table bookings."""

from moonlet.simulate.domains.actions import add, change, find, read, remove
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import clock, day, number, ref, text

RESTAURANTS = Domain(
    "restaurants",
    (
        Table("restaurants", "R", ("restaurant", "ร้าน", "餐厅"), "name", {
            "name": text("Name", "restaurants"), "cuisine": text("Cuisine", "cuisines"), "address": text("Address", "streets"),
            "rating": number("Stars", 1, 5), "phone": text("Phone", "phone"), "opens": clock("Opens"),
        }),
        Table("tables", "TB", ("reservation", "การจองโต๊ะ", "订位"), "name", {
            "name": text("Name", "people"), "day": day("Day"), "time": clock("Time"), "guests": number("Guests", 1, 9),
        }, 5),
    ),
    (
        find("search_restaurants", "Search restaurants by name or cuisine", "restaurants",
             ("Search restaurants for {query}|Is there a place called {query}?", "หาร้าน{query}", "找餐厅{query}")),
        read("restaurant_contact", "Address and phone number of a restaurant", "restaurants", "restaurant_id", "address phone",
             ("Address and phone number of {restaurant_id}?|How do I reach {restaurant_id}? Address and phone please", "{restaurant_id}อยู่ที่ไหน เบอร์อะไร", "{restaurant_id}的地址和电话是什么")),
        read("restaurant_rating", "Stars and cuisine of a restaurant", "restaurants", "restaurant_id", "rating cuisine",
             ("How good is {restaurant_id} and what do they cook?|Stars and cuisine of {restaurant_id}", "{restaurant_id}ได้กี่ดาว ขายอาหารแบบไหน", "{restaurant_id}评分多少，是什么菜系")),
        add("book_table", "Reserve a table", "tables",
            {"restaurant_id": ref("Id of the restaurant", "restaurants"), "name": text("On whose name", "people"), "day": day("Date"),
             "time": clock("When"), "guests": number("How many", 1, 9)},
            ("Book a table at {restaurant_id} on {day} at {time} for {guests} people on the name {name}|Reserve {restaurant_id} for {guests}, {day}, {time}, name {name}",
             "จองโต๊ะที่{restaurant_id} {day} เวลา {time} {guests} คน ชื่อ{name}", "在{restaurant_id}订位，{day} {time}，{guests}个人，姓名{name}")),
        change("change_guests", "Set the number of guests of a reservation", "tables", "reservation_id",
               ("Make {reservation_id} for {guests} people|Change {reservation_id} to {guests} guests", "แก้{reservation_id}เป็น {guests} คน", "把{reservation_id}改成{guests}个人"), {"guests": number("How many", 1, 9)}),
        change("move_reservation", "Set the time of a reservation", "tables", "reservation_id",
               ("Move {reservation_id} to {time}|Can {reservation_id} be at {time} instead?", "เลื่อน{reservation_id}เป็น {time}", "把{reservation_id}改到{time}"), {"time": clock("New time")}),
        remove("cancel_reservation", "Cancel a reservation", "tables", "reservation_id",
               ("Cancel {reservation_id}|We can't come, drop {reservation_id}", "ยกเลิก{reservation_id}", "取消{reservation_id}")),
    ),
)  # fmt: skip
