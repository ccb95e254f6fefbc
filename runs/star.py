"""STAR packed for training: `runs/star.py CHECKOUT_OF_STAR OUTPUT_FOLDER`.

Kept are the complete dialogues up to the first query that cannot be told from what was said, that is no plain one ("at
most 5"), that is of the trivia game, or up to a reply that something is out of scope, or that tells of a result without
a query: what was said, queries, results.
Of queries that the wizard tried one after the other only the last of each API is kept. A file beside says what the APIs
take.
"""

import json
import lzma
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
COMMON = {"hotel", "apartments", "venue", "club", "center", "north", "south", "east", "west"}  # in many names
LEFT_OUT = {"trivia", "movie_search"}  # a game to be judged by the wizard; nobody asked for films
# Labels of replies that tell what a query found: without one they are made up.
TELLING = re.compile(
    r"(?!bank_inform_cannot|trip_inform_simple|ride_inform_search)"
    r".*(?:_inform_|confirm_booking|confirm_rsvp|success|succeeded|failed|available|search_result|doctors_instructions)"
)
ALWAYS = {"True", "False", "Yes", "No", "Check", "Book"}  # may be told in any words
HOUR = re.compile(r"(\d+) ([ap])m")
KINDS = {"Integer": "integer", "Boolean": "boolean"}

Turn = dict[str, Any]


def main(checkout: Path, output: Path) -> None:
    apis: dict[str, Any] = {}
    for path in sorted((checkout / "apis" / "apis").glob("*.json")):
        if path.stem not in LEFT_OUT:
            api = json.loads(path.read_text())
            inputs = {
                one["Name"]: {"kind": KINDS.get(one["Type"], "string"), "closed": one.get("Categories", [])}
                for one in api["input"]
            }
            apis[path.stem] = {"inputs": inputs, "required": api.get("required", [])}
    output.mkdir(parents=True, exist_ok=True)
    (output / "apis.json").write_text(json.dumps(apis, indent=1) + "\n")
    count = calls = 0
    with lzma.open(output / "dialogues.jsonl.xz", "wt", encoding="utf-8", preset=9 | lzma.PRESET_EXTREME) as file:
        for path in sorted((checkout / "dialogues").glob("*.json"), key=lambda path: int(path.stem)):
            dialogue = json.loads(path.read_text(encoding="utf-8"))
            turns = _turns(dialogue["Events"], apis) if dialogue["CompletionLevel"] == "Complete" else []
            if found := sum("call" in turn for turn in turns):
                count, calls = count + 1, calls + found
                file.write(json.dumps({"turns": turns}, ensure_ascii=False) + "\n")
    print(count, "dialogues,", calls, "calls,", f"{(output / 'dialogues.jsonl.xz').stat().st_size:,} bytes")


def _turns(events: list[dict[str, Any]], apis: Mapping[str, Any]) -> list[Turn]:
    """What is kept of a dialogue; it ends with a reply."""
    made: list[Turn] = []
    queries: dict[str, Turn] = {}  # since the last reply
    asked: Turn = {}
    said = ""
    for event in events:
        match event["Agent"], event["Action"]:
            case "User", "utter":
                if queries:
                    break
                _say(made, "U", event["Text"])
            case "Wizard", "pick_suggestion" | "utter":
                label = event.get("ActionLabel", "")
                if label == "out_of_scope" or (not queries and TELLING.match(label)):
                    break
                made += queries.values()
                said += "".join(f" {json.dumps(one['result'], ensure_ascii=False)}" for one in queries.values())
                queries = {}
                _say(made, "S", event["Text"])
            case "Wizard", "query":
                heard = said + " ".join(turn["text"] for turn in made if "text" in turn)
                api = apis.get(event["APIName"])
                last = made[-1].get("text", "") if made else ""
                arguments = _arguments(event["Constraints"], api, heard, last) if api else None
                if arguments is None:
                    break
                asked = {"call": event["APIName"], "arguments": arguments}
            case "KnowledgeBase", "return_item":
                queries.pop(asked["call"], None)
                queries[asked["call"]] = {**asked, "result": _result(event)}
    while made and made[-1].get("who") != "S":
        made.pop()
    return made if made and made[0].get("who") == "U" else made[1:]


def _say(made: list[Turn], who: str, text: str) -> None:
    text = " ".join(text.split())
    if made and made[-1].get("who") == who:
        made[-1]["text"] += " " + text
    else:
        made.append({"who": who, "text": text})


def _result(event: Mapping[str, Any]) -> dict[str, Any]:
    item = {key: value for key, value in (event.get("Item") or {}).items() if key != "APIName"}
    return item if event["TotalItems"] < 0 else {"found": event["TotalItems"], "first": item or None}


def _arguments(
    constraints: list[dict[str, str]], api: Mapping[str, Any], said: str, last: str
) -> dict[str, Any] | None:
    """The arguments that can be told from what was said, as it was spelled; None if one that is needed cannot, or if
    what was said last names another choice."""
    found: dict[str, Any] = {}
    every = " ".join(value for one in constraints for value in one.values())
    for name, value in (pair for one in constraints for pair in one.items()):
        match = re.fullmatch(r'(?:api\.is_equal_to\()?(?:"(.*)"|([\w/]+))\)?', value)
        if name not in api["inputs"] or not match or (match[2] or "").startswith("api."):
            return None
        one, text = api["inputs"][name], " ".join((match[1] or match[2] or "").split())
        others = [other for other in one["closed"] if other not in every and _told(other, one, last.lower())]
        if others and text not in ALWAYS and not _told(text, one, last.lower()):
            return None
        if text in ("", "null") or not _told(text, one, said.lower()):
            if name in api["required"]:
                return None
            continue
        hour = HOUR.fullmatch(text)
        pattern = rf"\b{hour[1]}(?::00)? ?{hour[2]}\.?m\b" if hour else re.escape(text)
        if (hour or not one["closed"]) and (spelled := re.findall(pattern, said, re.IGNORECASE)):
            text = spelled[-1]
        kind = one["kind"]
        if kind == "integer" and not text.isdigit():
            return None
        found[name] = int(text) if kind == "integer" else text == "True" if kind == "boolean" else text
    return found if found and set(api["required"]) <= set(found) else None


def _told(text: str, one: Mapping[str, Any], said: str) -> bool:
    """Whether a value was said: as it stands, as a number in words, a choice by what sets it apart."""
    low = text.lower()
    if re.search(rf"(?<!\w){re.escape(low)}(?!\w)", said) or text in ALWAYS:
        return True
    if low.isdigit():
        return int(low) < len(NUMBERS) and re.search(rf"\b{NUMBERS[int(low)]}\b", said) is not None
    if text not in one["closed"]:
        return False
    if match := HOUR.fullmatch(low):
        noon = {"12 pm": "|noon", "12 am": "|midnight"}.get(low, "")
        return re.search(rf"\b{match[1]}(?::00)? ?{match[2]}\.?m|\b{match[1]} o'clock{noon}", said) is not None
    if match := re.fullmatch(r"(\d+)(?:st|nd|rd|th)", low):
        return re.search(rf"\b{match[1]}\b", said) is not None
    stems = [re.sub(r"(?:ing|[es])$", "", word) for word in re.findall(r"\w{4,}", low) if word not in COMMON]
    return any(re.search(rf"\b{stem}", said) for stem in stems)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
