"""Amazon MASSIVE packed for training: `runs/massive.py FOLDER_OF_JSONL OUTPUT.jsonl.xz`.

The folder holds en-US, th-TH, zh-CN and zh-TW as they were published (1.1/data). Kept are language, intent and
annotated utterance of the train and dev partitions. Left out are intents that no tool is declared for, requests whose
English wording says another intent (judged by the wordings of the others: "good night" for the lights), and those
whose places cannot be told to be origin or destination where both are asked for; of the translations also those that
mark other slots than the English, or whose own wording says another intent.
"""

import json
import lzma
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import log
from pathlib import Path

from moonlet.simulate.massive import SLOT, tools

UNWANTED = re.compile(
    r"\bunmute\b|^\S*$|\b(?:ass|fuck\w*|isis|nazi|porn\w*|sex\w*|shit\w*|trump|trump's)\b"
)  # or one word
FOLDS = 10
LEAD = 2.0  # how much likelier another intent may be than the one noted
JOURNEYS = ("transport_query", "transport_taxi", "transport_ticket")
FROM = re.compile(r"(?:\bfrom (?:the |my )?|จาก ?|[从從由])$")
TO = re.compile(r"(?:\b(?:to|for|towards|reach) (?:the |my )?|(?:ไปยัง|ไปที่|ไป|ถึง|สู่) ?|[去到往至飞飛])$")
# What was marked with a value and is none of it: put before or behind the mark.
TIDIED = {
    "en": (
        (r"(\[(?:person|relation|place_name|date|artist_name) : [^\]]*)'s\]", r"\1]'s"),
        (r"\[change_amount : (to|by) ", r"\1 [change_amount : "),
    ),
    "th": (),
    "zh": ((r"(\[\w+ : [^\]]{2,})的\]", r"\1]的"), (r"\[(person|relation|business_name) : ([给給])", r"\2[\1 : ")),
}
LEAVING = re.compile(r" ?(?:[到去至飞飛]|出[发發])")  # behind a place in Chinese


def main(folder: Path, output: Path) -> None:
    english = _rows(folder, "en-US")
    kept = {key for key, row in english.items() if row["partition"] != "test" and row["intent"] in tools()}
    kept -= {key for key in kept if UNWANTED.search(english[key]["utt"])}
    intents = {key: english[key]["intent"] for key in kept}
    kept -= set(_unlikely({key: english[key]["utt"] for key in kept}, intents))
    counts: Counter[str] = Counter()
    with lzma.open(output, "wt", encoding="utf-8", preset=9 | lzma.PRESET_EXTREME) as file:
        for name in ("en-US", "th-TH", "zh-CN", "zh-TW"):
            rows = {key: row for key, row in _rows(folder, name).items() if key in kept}
            doubtful = set(_unlikely({key: row["utt"] for key, row in rows.items()}, intents))
            for key, row in rows.items():
                said = _said(row["utt"], row["annot_utt"])
                if not said or key in doubtful or _slots(row) != _slots(english[key]):
                    continue
                if name == "en-US":
                    said = re.sub(r"\b(?:\w\. )+\w\.(?!\w)", lambda match: re.sub(r"[. ]", "", match[0]), said)
                for pattern, put in TIDIED[name[:2]]:
                    said = re.sub(pattern, put, said)
                ways = _ways(said) if intents[key] in JOURNEYS else said
                if ways and re.search(r"\w", SLOT.sub("", ways)):
                    one = {"language": name, "intent": intents[key], "said": ways}
                    file.write(json.dumps(one, ensure_ascii=False) + "\n")
                    counts[name] += 1
    print(dict(counts), f"{output.stat().st_size:,} bytes")


def _slots(row: Mapping[str, str]) -> list[str]:
    return sorted(name for name, _ in SLOT.findall(row["annot_utt"]))


def _rows(folder: Path, name: str) -> dict[str, dict[str, str]]:
    with (folder / f"{name}.jsonl").open(encoding="utf-8") as file:
        return {row["id"]: row for row in map(json.loads, file)}


def _said(text: str, annotated: str) -> str | None:
    """The text with its slots marked where they stand in it (annotating put spaces between); None if one is missing."""
    made, at = "", 0
    for name, value in SLOT.findall(annotated):
        start = text.find(value.strip(), at)
        if start < 0 or not value.strip():
            return None
        made += f"{text[at:start]}[{name} : {value.strip()}]"
        at = start + len(value.strip())
    made += text[at:]
    return made if not re.search(r"[\[\]]", SLOT.sub("", made)) else None


def _ways(said: str) -> str | None:
    """Places named as origin and destination; None if one may be either."""
    made, at = "", 0
    for match in SLOT.finditer(said):
        made += said[at : match.start()]
        at = match.end()
        name = match[1]
        if name == "place_name":
            before = said[: match.start()]
            if FROM.search(before) or LEAVING.match(said, at):
                name = "from_place"
            elif TO.search(before):
                name = "to_place"
            else:
                return None
        made += f"[{name} : {match[2]}]"
    return made + said[at:]


def _unlikely(texts: Mapping[str, str], intents: Mapping[str, str]) -> Iterable[str]:
    """Those for which naive Bayes over `_features`, learned from the others, prefers another intent."""
    for fold in range(FOLDS):
        seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for key, text in texts.items():
            if int(key) % FOLDS != fold:
                seen[intents[key]].update(_features(text))
        size = len({word for counter in seen.values() for word in counter})
        totals = {intent: counter.total() for intent, counter in seen.items()}
        for key, text in texts.items():
            if int(key) % FOLDS == fold:
                words = _features(text)
                score = {
                    intent: sum(log((counter[word] + 0.3) / (totals[intent] + 0.3 * size)) for word in words)
                    for intent, counter in seen.items()
                }
                if max(score.values()) - score[intents[key]] > LEAD:
                    yield key


def _features(text: str) -> list[str]:
    """Words and their pairs; of Thai and Chinese, pairs and triples of signs."""
    if re.search(r"[ก-๛一-鿿]", text):
        text = text.replace(" ", "")
        return [text[i : i + n] for n in (2, 3) for i in range(len(text) - n + 1)]
    words = text.lower().split()
    return [*words, *map(" ".join, pairwise(words))]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
