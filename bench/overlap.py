"""Do training conversations share text with what models are judged on? 13-grams of words, as is usual.

python -m bench.overlap [--data FOLDER] [--bfcl FILE_OR_FOLDER] [--conversations N] [--worlds N] [--show N]

Looks at the first N conversations of the training mixture and at N lessons of the simulated worlds: what is said in
them, tool results included. FOLDER holds the public sets. Of Seal-Tools the test split is taken where it is there, else
what judges of the dev split, and so of SGD, whose other dialogues have a line of their own: some of their assistant's
sentences are those of the training split. Prints a line for each set and ends with 1 if what judges shares a 13-gram.
Texts of fewer than 13 words have none: how many are there word for word is told besides, and most of those are
courtesies.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from moonlet.simulate import lessons, seal, sgd
from moonlet.train.data import conversations

N = 13
BESIDE = "with services of the training split, judging nothing"
SHORTEST = 6  # words: "what time is it" is nobody's text


def main() -> int:
    asked = _arguments()
    sets = dict(_judged(asked.data, asked.bfcl))
    wanted = {name: [set(grams(text)) for text in texts] for name, texts in sets.items()}
    seen: set[tuple[str, ...]] = set()
    every = set().union(*(one for items in wanted.values() for one in items)) if wanted else set()
    lengths = sorted({len(one) for one in every})
    count = 0
    for text in _trained(asked):
        count += 1
        seen |= {gram for length in lengths for gram in _all_grams(words(text), length)} & every
    print(f"{count} training texts")
    found = 0
    for name, items in wanted.items():
        hit = [i for i, one in enumerate(items) if one & seen]
        long = [i for i in hit if any(len(gram) == N for gram in items[i])]
        found += len(long) if BESIDE not in name else 0
        print(f"{name}: {len(long)} of {len(items)} share a {N}-gram; short and word for word: {len(hit) - len(long)}")
        for i in long or hit[: asked.show]:
            print(f"  {' '.join(next(iter(items[i] & seen)))}")
    for name in {"BFCL", "Seal-Tools", "SGD"} - {name.split(" ")[0] for name in wanted}:
        print(f"{name}: not here, not compared")
    return 1 if found else 0


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def grams(text: str) -> Iterator[tuple[str, ...]]:
    """The 13-grams of a text; of a shorter one the whole."""
    said = words(text)
    if len(said) >= SHORTEST:
        yield from _all_grams(said, min(N, len(said)))


def _all_grams(said: list[str], length: int) -> Iterator[tuple[str, ...]]:
    return (tuple(said[i : i + length]) for i in range(len(said) - length + 1))


def _trained(asked: argparse.Namespace) -> Iterator[str]:
    for one in islice(conversations(asked.seed, asked.data), asked.conversations):
        yield from (message.content for message in one.messages if message.content)
    rng = Random(asked.seed)
    for _ in range(asked.worlds):
        yield from (message.content for message in lessons.conversation(rng).messages if message.content)


def _judged(data: Path | None, bfcl: Path | None) -> Iterator[tuple[str, list[str]]]:
    """The texts of each set that is there."""
    judging = {one.id for one in seal.judging(data)} if data else set()
    for kind in ("test", "dev"):
        path = data / "seal-tools" / f"{kind}.jsonl.xz" if data else None
        if path and path.exists():
            yield f"Seal-Tools {kind}", [one["query"] for one in _lines(path) if kind == "test" or one["id"] in judging]
            break
    if data and (data / "sgd").is_dir():
        judging = {one["id"] for one in sgd.judging(data)}
        every = list(map(json.loads, sgd.dialogues(data, "dev")))
        yield "SGD dev", [turn["text"] for one in every if one["id"] in judging for turn in one["turns"]]
        rest = [turn["text"] for one in every if one["id"] not in judging for turn in one["turns"]]
        yield f"SGD dev, {BESIDE}", rest
    if bfcl:
        files = sorted(bfcl.rglob("BFCL*.json")) if bfcl.is_dir() else [bfcl]
        yield "BFCL", [text for file in files for one in _lines(file) for text in _contents(one.get("question"))]


def _contents(question: Any) -> Iterable[str]:
    """Texts of a BFCL question: messages within turns."""
    if isinstance(question, Mapping):
        return [str(question.get("content", ""))]
    if isinstance(question, list):
        return [text for one in question for text in _contents(one)]
    return []


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.overlap", description=str(__doc__).split("\n")[0])
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="public sets")
    parser.add_argument("--bfcl", type=Path, metavar="PLACE", help="a BFCL file, or a folder of them")
    parser.add_argument("--conversations", type=int, default=3000, metavar="N")
    parser.add_argument("--worlds", type=int, default=500, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--show", type=int, default=3, metavar="N", help="shared texts of each set")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
