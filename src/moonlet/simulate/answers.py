"""What the assistant says once a tool has answered: every figure and name is taken from the result."""

from collections.abc import Callable, Mapping
from typing import Any

Result = Mapping[str, Any]
Teller = Callable[[Result, Mapping[str, Any], str], str]


def tell(tool: str, arguments: Mapping[str, Any], result: Result, flavour: str = "") -> str:
    """The sentence that answers the user. An error is passed on in the tool's own words."""
    if "error" in result:
        return f"Sorry, {result['error']}."
    return TELLERS[tool](result, arguments, flavour)


def _weather(result: Result, arguments: Mapping[str, Any], flavour: str) -> str:
    told = (
        f"{result['place']} on {result['day']}: {result['sky']}, {result['low_c']} to {result['high_c']} °C, "
        f"{result['rain_percent']}% chance of rain."
    )
    if flavour == "rain":
        return f"{'Yes' if result['rain_percent'] >= 50 else 'No'}. {told}"
    return told


def _when(event: Result) -> str:
    return f"on {event['day']}" + (f" at {event['time']}" if "time" in event else "")


def _events(result: Result, arguments: Mapping[str, Any], flavour: str) -> str:
    if not result["events"]:
        return "You have nothing in your calendar" + (f" {arguments['day']}." if arguments.get("day") else ".")
    return "You have: " + "; ".join(f"{event['title']} {_when(event)}" for event in result["events"]) + "."


def _added(result: Result, arguments: Mapping[str, Any], flavour: str) -> str:
    told = f"Added: {result['added']['title']} {_when(result['added'])}."
    return f"{told} It is at the same time as {result['same_time_as']}." if "same_time_as" in result else told


def _notes(result: Result, arguments: Mapping[str, Any], flavour: str) -> str:
    if not result["notes"]:
        return f"You have no note about {arguments['query']}."
    return "Your notes say: " + "; ".join(result["notes"]) + "."


def _status(result: Result, arguments: Mapping[str, Any], flavour: str) -> str:
    if "orders" in result:
        return (
            "Your orders: " + "; ".join(f"{o['order']} ({o['item']}) is {o['status']}" for o in result["orders"]) + "."
        )
    told = f"Order {result['order']} ({result['item']}) is {result['status']}"
    if "arrives" in result:
        return f"{told} and should arrive on {result['arrives']}."
    return f"{told} since {result['delivered']}." if "delivered" in result else f"{told}."


def _light(result: Result, arguments: Mapping[str, Any], flavour: str) -> str:
    room = "The lights are all" if result["room"].lower() == "all" else f"The light in the {result['room']} is"
    return f"{room} {result['light']}" + (f" at {result['brightness']}%." if "brightness" in result else ".")


def _heating(result: Result, arguments: Mapping[str, Any], flavour: str) -> str:
    return f"The heating is set to {result['degrees']} °C" + (f" in the {result['room']}." if "room" in result else ".")


def _clock(result: Result, arguments: Mapping[str, Any], flavour: str) -> str:
    where = f" in {result['place']}" if "place" in result else ""
    return f"It is {result['time']}{where} on {result['weekday']}, {result['date']}."


TELLERS: Mapping[str, Teller] = {
    "get_weather": _weather,
    "convert": lambda r, a, f: f"{a['amount']} {a['from_unit']} is {r['result']} {r['unit']}.",
    "list_events": _events,
    "add_event": _added,
    "cancel_event": lambda r, a, f: f"Cancelled: {r['cancelled']['title']} {_when(r['cancelled'])}.",
    "add_note": lambda r, a, f: f"Noted: {r['saved']}.",
    "search_notes": _notes,
    "order_status": _status,
    "cancel_order": lambda r, a,
    f: f"Order {r['cancelled']} ({r['item']}) is cancelled. You get {r['refund_eur']} euros back.",
    "return_order": lambda r, a,
    f: f"The return of {r['returned']} ({r['item']}) is started. You get {r['refund_eur']} euros back.",
    "find_contact": lambda r, a, f: f"{r['name']}: phone {r['phone']}, email {r['email']}.",
    "send_message": lambda r, a, f: f"Sent to {r['sent_to']}: {r['text']}.",
    "set_reminder": lambda r, a, f: f"I will remind you on {r['at']}: {r['reminder']}.",
    "set_timer": lambda r, a, f: f"Timer set for {r['timer']}. It ends at {r['ends']}.",
    "set_light": _light,
    "set_temperature": _heating,
    "calculate": lambda r, a, f: f"{a['expression']} = {r['result']}.",
    "current_time": _clock,
}  # fmt: skip
