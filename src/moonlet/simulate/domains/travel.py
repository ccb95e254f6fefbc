"""Travel: flights, hotels and bookings."""

from moonlet.simulate.domains.actions import add, change, find, read, remove
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, clock, day, number, ref, text

TRAVEL = Domain(
    "travel",
    (
        Table("flights", "FL", ("flight", "เที่ยวบิน", "航班"), "end", {
            "start": text("From", "cities"), "end": text("To", "cities"), "day": day("Day"), "time": clock("Leaves"),
            "price": number("Price", 60, 900, 10), "seats": number("Seats", 0, 40),
        }),
        Table("hotels", "H", ("hotel", "โรงแรม", "酒店"), "name", {
            "name": text("Name", "hotels"), "city": text("City", "cities"), "price": number("A night", 40, 300, 5), "rating": number("Stars", 1, 5),
        }, 5),
        Table("bookings", "BK", ("booking", "การจอง", "预订"), "passenger", {
            "passenger": text("Who", "people"), "cabin": choice("Class", "economy business"), "status": choice("Status", "confirmed"),
        }, 5),
    ),
    (
        find("search_flights", "Search flights by city", "flights",
             ("Which flights are there for {query}?|Search flights: {query}", "มีเที่ยวบินไป{query}ไหม", "有去{query}的航班吗")),
        read("flight_details", "Day, time and price of a flight", "flights", "flight_id", "day time price",
             ("When does {flight_id} leave, and what does it cost?|Day, time and price of {flight_id}", "{flight_id}ออกวันไหนกี่โมง ราคาเท่าไหร่", "{flight_id}哪天几点起飞，多少钱")),
        read("free_seats", "Seats that are left on a flight", "flights", "flight_id", "seats",
             ("How many seats are left on {flight_id}?|Free seats on {flight_id}?", "{flight_id}เหลือที่นั่งเท่าไหร่", "{flight_id}还剩多少座位")),
        add("book_flight", "Book a flight for a person", "bookings",
            {"flight_id": ref("Id of the flight", "flights"), "passenger": text("Who flies", "people"), "cabin": choice("Class", "economy business")},
            ("Book {flight_id} for {passenger} in {cabin}|I want {passenger} on {flight_id}, {cabin} class", "จอง{flight_id}ให้{passenger} {cabin}", "给{passenger}订{flight_id}，{cabin}"), {"status": "confirmed"}),
        change("change_class", "Change the class of a booking", "bookings", "booking_id",
               ("Change {booking_id} to {cabin}|Put {booking_id} in {cabin}", "เปลี่ยน{booking_id}เป็น{cabin}", "把{booking_id}改成{cabin}"), {"cabin": choice("Class", "economy business")}),
        remove("cancel_booking", "Cancel a booking", "bookings", "booking_id",
               ("Cancel {booking_id}|Please call off {booking_id}", "ยกเลิก{booking_id}", "取消{booking_id}")),
        find("search_hotels", "Search hotels by name or city", "hotels",
             ("Search hotels: {query}|Is there a hotel called {query}?", "ค้นหาโรงแรม{query}", "查找酒店{query}")),
        read("hotel_price", "Price of a night and stars of a hotel", "hotels", "hotel_id", "price rating",
             ("What does a night in {hotel_id} cost, and how many stars has it?|Price and stars of {hotel_id}", "{hotel_id}คืนละเท่าไหร่ กี่ดาว", "{hotel_id}一晚多少钱，几颗星")),
    ),
)  # fmt: skip
