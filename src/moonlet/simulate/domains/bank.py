"""A bank: accounts, bills and cards."""

from moonlet.simulate.domains.actions import add, change, find, read
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, day, number, text

BANK = Domain(
    "bank",
    (
        Table("accounts", "A", ("account", "บัญชี", "账户"), "name", {
            "name": text("Name", "accounts"), "balance": number("Balance", 200, 9000, 10), "status": choice("Status", "active active frozen"),
        }, 5),
        Table("bills", "B", ("bill", "บิล", "账单"), "payee", {
            "payee": text("To", "payees"), "amount": number("Amount", 10, 400, 5), "due": day("Due"), "status": choice("Status", "open open paid"),
        }, 6),
        Table("transfers", "X", ("transfer", "การโอน", "转账"), "to", {"to": text("To", "people"), "amount": number("Amount", 5, 200, 5)}, 3),
    ),
    (
        find("find_accounts", "Search the user's accounts", "accounts",
             ("Which of my accounts match {query}?|Find my {query}", "ค้นหา{query}", "查找我的{query}")),
        read("get_balance", "Balance of an account", "accounts", "account_id", "balance",
             ("How much is in {account_id}?|Balance of {account_id}?", "{account_id}มีเงินเท่าไหร่", "{account_id}还有多少钱")),
        change("freeze_account", "Block an account", "accounts", "account_id",
               ("Freeze {account_id}|Block {account_id} right away", "อายัด{account_id}", "冻结{account_id}"), sets={"status": "frozen"}, only={"status": ("active",)}),
        find("find_bills", "Search bills by who is paid", "bills",
             ("Is there a bill from {query}?|Search my bills for {query}", "มีบิลของ{query}ไหม", "有{query}的账单吗")),
        read("get_bill", "Amount and due date of a bill", "bills", "bill_id", "amount due",
             ("How much is {bill_id} and when is it due?|Amount and due date of {bill_id}", "{bill_id}เท่าไหร่ ครบกำหนดวันไหน", "{bill_id}多少钱，什么时候到期")),
        change("pay_bill", "Pay a bill that is open", "bills", "bill_id",
               ("Pay {bill_id}|Please settle {bill_id}", "จ่าย{bill_id}", "支付{bill_id}"), sets={"status": "paid"}, only={"status": ("open",)}),
        add("send_money", "Send money to a person", "transfers",
            {"to": text("Whom", "people"), "amount": number("How much", 5, 500, 5)},
            ("Send {amount} to {to}|Transfer {amount} to {to}", "โอน {amount} ให้{to}", "给{to}转{amount}")),
    ),
)  # fmt: skip
