"""Orders at a shop."""

from moonlet.simulate.domains.actions import add, change, find, read
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, day, number, text

SHOP = Domain(
    "shop",
    (
        Table("orders", "O", ("order", "คำสั่งซื้อ", "订单"), "item", {
            "item": text("Item", "products"), "price": number("Price", 5, 300), "quantity": number("How many", 1, 4),
            "status": choice("Status", "processing shipped delivered"), "arrives": day("Arrival"), "address": text("To", "streets"),
        }),
        Table("products", "P", ("product", "สินค้า", "商品"), "name", {
            "name": text("Name", "products"), "price": number("Price", 5, 300), "stock": number("Stock", 0, 90), "rating": number("Stars", 1, 5),
        }),
    ),
    (
        find("find_orders", "Search the user's orders by what was ordered", "orders",
             ("Do I have an order for {query}?|Search my orders for {query}", "ฉันสั่ง{query}ไว้ไหม", "我订过{query}吗")),
        read("get_order", "Status and arrival of an order", "orders", "order_id", "status arrives",
             ("What's the status of {order_id} and when does it arrive?|Where is {order_id}? Status and arrival please", "{order_id}สถานะอะไร ถึงวันไหน", "{order_id}什么状态，什么时候到")),
        change("cancel_order", "Cancel an order that is not shipped yet", "orders", "order_id",
               ("Cancel {order_id}|I don't want {order_id} any more, cancel it", "ยกเลิก{order_id}", "取消{order_id}"),
               sets={"status": "cancelled"}, only={"status": ("processing",)}),
        change("return_order", "Send back a delivered order", "orders", "order_id",
               ("Return {order_id}|I want to send {order_id} back", "ขอคืน{order_id}", "我要退{order_id}"), sets={"status": "returned"}, only={"status": ("delivered",)}),
        change("change_address", "Change where an order goes", "orders", "order_id",
               ("Send {order_id} to {address} instead|Change the address of {order_id} to {address}", "เปลี่ยนที่อยู่ของ{order_id}เป็น {address}", "把{order_id}的地址改成{address}"),
               {"address": text("New address", "streets")}, only={"status": ("processing",)}),
        find("search_products", "Search the catalogue", "products",
             ("Do you sell {query}?|Search the shop for {query}", "มี{query}ขายไหม", "你们卖{query}吗")),
        read("product_price", "Price and stock of a product", "products", "product_id", "price stock",
             ("How much is {product_id}, and how many are left?|Price and stock of {product_id}", "{product_id}ราคาเท่าไหร่ เหลือกี่ชิ้น", "{product_id}多少钱，还有多少")),
        add("place_order", "Order something", "orders",
            {"item": text("What", "products"), "quantity": number("How many", 1, 9), "address": text("Where to", "streets")},
            ("Order {quantity} of {item} to {address}|I'd like to buy {item}, {quantity} of them, delivered to {address}", "สั่ง{item} {quantity} ชิ้น ส่งที่ {address}", "订{quantity}件{item}，送到{address}"), {"status": "processing"}),
    ),
)  # fmt: skip
