"""What a tool does, before it has a spelling: made up here, or read from public schemas."""

from dataclasses import dataclass, replace
from random import Random

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    words: Words
    kind: str  # string, integer, number, boolean, array
    description: str = ""
    examples: Words = ()
    required: bool = True
    closed: bool = False  # the examples are all there are
    items: str = "string"  # of an array


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A tool without a fixed spelling."""

    words: Words  # its name
    description: str
    parameters: tuple[Parameter, ...]
    returns: tuple[tuple[Words, str], ...] = ()  # name and kind
    field: str = ""  # two tools of one field are easily confused
    key: str = ""  # by which there are requests for it that were written by hand


# Made-up tools: a thing of some field, what is done with it, and what its parameters are.
THINGS: dict[str, str] = {
    "health": "patient appointment,prescription,blood pressure,vaccination record,diet plan,sleep log,allergy list",
    "travel": "flight,hotel room,train ticket,rental car,visa,travel insurance,luggage,boarding pass,cruise",
    "money": "bank account,invoice,loan,exchange rate,tax return,budget,credit card,stock price,payment,subscription",
    "school": "course,exam result,student record,timetable,homework,scholarship,library book,lecture",
    "work": "employee,leave request,meeting room,project,task,timesheet,contract,job opening,payslip",
    "shop": "product,cart,coupon,delivery,warranty,supplier,stock level,review,gift card,store",
    "home": "alarm,door lock,washing machine,camera,sprinkler,vacuum robot,air filter,window blind",
    "media": "song,playlist,movie,podcast,photo album,news article,tv show,game score,radio station",
    "city": "parking spot,bus route,museum,restaurant table,event ticket,permit,recycling date,traffic jam",
    "nature": "plant,pet,air quality,tide,earthquake,wildlife sighting,soil sample,river level,star map",
    "computing": "server,backup,password,user account,software update,log file,database table,domain name,build",
    "sport": "match,league table,player,training plan,race result,gym class,swim lane,tournament",
    "post": "package,letter,address,courier pickup,customs form,mailbox,stamp",
    "farm": "field,harvest,tractor,cow,seed order,greenhouse,irrigation pump",
}
ACTIONS: tuple[tuple[str, str], ...] = (
    ("get", "Retrieve the {t}"), ("find", "Find a {t}"), ("book", "Book a {t}"), ("cancel", "Cancel a {t}"),
    ("update", "Update a {t}"),
    ("create", "Create a new {t}"), ("delete", "Delete a {t}"), ("check", "Check the status of a {t}"),
    ("list", "List every {t}"),
    ("track", "Track a {t}"), ("add", "Add a {t}"), ("report", "Report a problem with a {t}"),
    ("rate", "Rate a {t}"), ("share", "Share a {t} with someone"),
    ("compare", "Compare one {t} with another"), ("calculate", "Calculate the cost of a {t}"),
    ("renew", "Renew a {t}"), ("schedule", "Schedule a {t}"),
)  # fmt: skip
PARAMETERS: tuple[Parameter, ...] = (
    Parameter(("city",), "string", "Name of the city"), Parameter(("date",), "string", "The date"),
    Parameter(("name",), "string", "The name"),
    Parameter(("start", "date"), "string", "First day"), Parameter(("end", "date"), "string", "Last day"),
    Parameter(("time",), "string", "Time of day"),
    Parameter(("quantity",), "integer", "How many"), Parameter(("price",), "number", "Price"),
    Parameter(("max", "price"), "number", "At most this price"),
    Parameter(("color",), "string", "Colour", ("red", "blue", "green", "black", "white")),
    Parameter(("size",), "string", "Size", ("small", "medium", "large")),
    Parameter(("language",), "string", "Language"), Parameter(("email",), "string", "Email address"),
    Parameter(("message",), "string", "Text to include"),
    Parameter(("priority",), "string", "How urgent it is", ("low", "normal", "high")),
    Parameter(("category",), "string", "Kind"), Parameter(("country",), "string", "Country"),
    Parameter(("year",), "integer", "Year"), Parameter(("duration",), "string", "How long"),
    Parameter(("customer", "name"), "string", "Full name of the customer"),
    Parameter(("include", "details"), "boolean", "Whether to include details"),
    Parameter(("limit",), "integer", "At most this many results"), Parameter(("reason",), "string", "Why"),
    Parameter(("tags",), "array", "Labels"), Parameter(("rating",), "integer", "From 1 to 10"),
    Parameter(("notify",), "boolean", "Send a notification"), Parameter(("address",), "string", "Where"),
    Parameter(("format",), "string", "Output format", ("pdf", "csv", "json", "text")),
    Parameter(("title",), "string", "Title"), Parameter(("weight",), "number", "Weight in kg"),
    Parameter(("keyword",), "string", "Word to search for"),
    Parameter(("sort", "by"), "string", "Order of results", ("price", "date", "name", "rating")),
    Parameter(("phone", "number"), "string", "Phone number"), Parameter(("distance",), "number", "Distance in km"),
    Parameter(("guests",), "integer", "Number of people"),
)  # fmt: skip
RETURNS: tuple[tuple[Words, str], ...] = (
    (("status",), "string"), (("total",), "number"), (("count",), "integer"), (("success",), "boolean"),
    (("price",), "number"), (("name",), "string"),
    (("date",), "string"), (("reference", "number"), "string"), (("location",), "string"), (("message",), "string"),
    (("success",), "boolean"),
)  # fmt: skip


def composed(rng: Random) -> Blueprint:
    """A made-up tool."""
    area = rng.choice(list(THINGS))
    thing = tuple(rng.choice(THINGS[area].split(",")).split())
    verb, description = rng.choice(ACTIONS)
    own = Parameter((thing[-1], "id"), "string", f"Id of the {' '.join(thing)}")
    pool = [own, *rng.sample(PARAMETERS, 3)] if rng.random() < 0.4 else rng.sample(PARAMETERS, 4)
    count = rng.choice((0, 1, 1, 2, 2, 3, 4))
    chosen = tuple(replace(one, required=index == 0 or rng.random() < 0.6) for index, one in enumerate(pool[:count]))
    return Blueprint(
        (verb, *thing),
        description.format(t=" ".join(thing)),
        chosen,
        tuple(rng.sample(RETURNS, rng.choice((1, 1, 2)))),
        area,
    )
