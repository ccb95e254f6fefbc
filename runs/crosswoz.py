"""CrossWOZ packed for training: `runs/crosswoz.py CHECKOUT_OF_CROSSWOZ OUTPUT.jsonl.xz train.json.zip val.json.zip`.

A query of the database is a call wherever the constraints of a domain change; its result is what was selected, with the
fields of the database. A dialogue is kept up to the first query that names what was not said, or reply with a
telephone number that was not found.
"""

import json
import lzma
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FILES = {"景点": "attraction", "餐馆": "restaurant", "酒店": "hotel", "地铁": "metro"}
LISTS = ("酒店设施", "推荐菜")  # several values, parted by spaces
SHOWN, LISTED = 3, 4  # entries of a result; items of a list in it that nobody mentions later

Turn = dict[str, Any]


def main(checkout: Path, output: Path, parts: Sequence[str]) -> None:
    folder = checkout / "data" / "crosswoz"
    entries = {
        domain: dict(json.loads((folder / "database" / f"{name}_db.json").read_text(encoding="utf-8")))
        for domain, name in FILES.items()
    }
    count = calls = 0
    with lzma.open(output, "wt", encoding="utf-8", preset=9 | lzma.PRESET_EXTREME) as file:
        for part in parts:
            with zipfile.ZipFile(folder / part) as packed:
                dialogues = json.loads(packed.read(part.removesuffix(".zip")))
            for dialogue in dialogues.values():
                turns = _turns(dialogue["messages"], entries)
                if found := sum("call" in turn for turn in turns):
                    count, calls = count + 1, calls + found
                    file.write(json.dumps({"turns": turns}, ensure_ascii=False) + "\n")
    print(count, "dialogues,", calls, "calls,", f"{output.stat().st_size:,} bytes")


def _turns(messages: Sequence[Mapping[str, Any]], entries: Mapping[str, Any]) -> list[Turn]:
    """What is kept of a dialogue; it ends with a reply."""
    made: list[Turn] = []
    known: dict[str, dict[str, Any]] = {}
    text = "".join(message["content"] for message in messages)
    said = ""
    for message in messages:
        content = " ".join(message["content"].split())
        if message["role"] == "usr":
            made.append({"who": "U", "text": content})
            said += content
            continue
        for name in ("sys_state_init", "sys_state"):  # as it was asked, and relaxed where nothing was found
            for domain, state in message[name].items():
                wanted = {key: value for key, value in state.items() if value and key != "selectedResults"}
                if not wanted or wanted == known.get(domain):
                    continue
                known[domain] = wanted
                arguments = {key: value.split() if key in LISTS else value for key, value in wanted.items()}
                if not all(_said(value, said) for value in arguments.values()):
                    return _ended(made)
                result = _result(domain, arguments, state.get("selectedResults", []), entries, text)
                made.append({"call": domain, "arguments": arguments, "result": result})
                said += json.dumps(result, ensure_ascii=False)
        if not all(number in said for number in re.findall(r"\d{6,}", content)):
            break  # a number that the result does not have
        made.append({"who": "S", "text": content})
        said += content
    return _ended(made)


def _ended(made: list[Turn]) -> list[Turn]:
    while made and made[-1].get("who") != "S":
        made.pop()
    return made


def _said(value: str | list[str], said: str) -> bool:
    if isinstance(value, list):
        return all(part in said for part in value)
    return value in said


def _result(
    domain: str, arguments: Mapping[str, Any], selected: Sequence[str], entries: Mapping[str, Any], text: str
) -> dict[str, Any]:
    if domain == "出租":
        return {"车型": "#CX", "车牌": "#CP"}
    if domain == "地铁":
        return {key: (entries[domain].get(place) or {}).get("地铁") for key, place in arguments.items()}
    found = [entries[domain][name] for name in selected if name in entries[domain]]
    return {"count": len(found), "results": [_entry(one, text) for one in found[:SHOWN]]}


def _entry(one: Mapping[str, Any], text: str) -> dict[str, Any]:
    """An entry; of its long lists what is mentioned and a few items more."""
    kept: dict[str, Any] = {}
    for key, value in one.items():
        if isinstance(value, list):
            mentioned = [item for item in value if item in text]
            others = [item for item in value if item not in mentioned][: max(0, LISTED - len(mentioned))]
            kept[key] = mentioned + others
        elif value is not None and key != "领域" and not re.match("#", str(value)):
            kept[key] = value
    return kept


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
