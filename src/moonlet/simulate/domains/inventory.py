"""A warehouse."""

from moonlet.simulate.domains.actions import add, change, find, read
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, number, text

INVENTORY = Domain(
    "inventory",
    (
        Table("parts", "IT", ("article", "รายการสินค้า", "物料"), "name", {
            "name": text("Name", "parts"), "stock": number("Stock", 0, 500), "minimum": number("Minimum", 5, 100, 5), "shelf": choice("Shelf", "A1 A2 B1 B2 C1 C2"),
        }),
        Table("purchases", "PO", ("purchase", "ใบสั่งซื้อ", "采购单"), "item", {
            "item": text("What", "parts"), "quantity": number("How many", 10, 400, 10), "status": choice("Status", "pending pending approved"),
        }, 5),
    ),
    (
        find("search_stock", "Search articles by name", "parts", ("Search the warehouse for {query}|Do we have {query}?", "ค้นหา{query}ในคลัง", "在仓库里查{query}")),
        read("stock_level", "Stock and shelf of an article", "parts", "article_id", "stock shelf",
             ("How many of {article_id} are there, and on which shelf?|Stock and shelf of {article_id}", "{article_id}เหลือเท่าไหร่ อยู่ชั้นไหน", "{article_id}还有多少，在哪个货架")),
        change("set_stock", "Correct the stock of an article", "parts", "article_id",
               ("Set the stock of {article_id} to {stock}|We counted {stock} of {article_id}, correct it", "แก้จำนวน{article_id}เป็น {stock}", "把{article_id}的库存改成{stock}"), {"stock": number("Counted", 0, 500)}),
        change("move_article", "Put an article on another shelf", "parts", "article_id",
               ("Move {article_id} to shelf {shelf}|Put {article_id} on {shelf}", "ย้าย{article_id}ไปชั้น {shelf}", "把{article_id}移到货架{shelf}"), {"shelf": choice("Shelf", "A1 A2 B1 B2 C1 C2")}),
        add("order_stock", "Order more of an article", "purchases", {"item": text("What", "parts"), "quantity": number("How many", 10, 400, 10)},
            ("Order {quantity} {item}|We need {quantity} more {item}, order them", "สั่ง{item}เพิ่ม {quantity}", "采购{quantity}个{item}"), {"status": "pending"}),
        change("approve_purchase", "Approve a purchase that is pending", "purchases", "purchase_id",
               ("Approve {purchase_id}|Let {purchase_id} through", "อนุมัติ{purchase_id}", "批准{purchase_id}"), sets={"status": "approved"}, only={"status": ("pending",)}),
        find("search_purchases", "Search purchases by article", "purchases", ("Is there a purchase of {query}?|Search the purchases for {query}", "มีใบสั่งซื้อ{query}ไหม", "有{query}的采购单吗")),
    ),
)  # fmt: skip
