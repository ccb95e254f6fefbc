"""What everyday English words mean, for src/moonlet/simulate/lexicon.py: a choice from the Open English WordNet.

    python runs/meanings.py GIT_DIR_OF_ENGLISH_WORDNET FOLDER TEXT [TEXT ...]

It writes FOLDER/meanings/meanings.jsonl.xz, where FOLDER is that of public sets. The git directory is of
github.com/globalwordnet/english-wordnet (CC BY 4.0, from Princeton WordNet under its own licence). The texts, plain or
packed with xz, tell which words are frequent: everyday ones, such as requests to assistants; WordNet's own glosses and
examples are counted as well. Words with capitals, taxa, insults and what is not for everybody are left out.
"""

from __future__ import annotations

import json
import lzma
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any

import yaml

MOST = 22_000  # words
SECOND = 7_000  # so many of them with a second sense
LONG = 80  # letters of a gloss or an example
WORD = re.compile(r"[a-z]{3,15}(?: [a-z]{2,12})?")
RUDE = re.compile(
    r"(?i)\b(sex\w*|genital\w*|penis|vagina\w*|vulva\w*|breasts?|nipples?|intercourse|copulat\w*|prostitut\w*|whores?|"
    r"orgasm\w*|masturbat\w*|rap(?:e|ed|ist)|erotic\w*|porn\w*|nud(?:e|ity)|naked|bosoms?|bastards?|damn\w*|faggot|"
    r"fuck\w*|shit\w*|turds?|feces|faeces|fecal|excrement|defecat\w*|urin\w*|fart\w*|piss\w*|buttocks|anus|anal|semen|"
    r"testic\w*|scrotum|lust\w*|homosexual\w*|lesbian\w*|negro\w*|jews?|jewish|gyps\w*|nazi\w*|slav(?:e|es|ery)|"
    r"suicid\w*|kill(?:s|ed|ing)?|murder\w*|terroris\w*|massacr\w*|tortur\w*|obscen\w*|vulgar\w*|offensive term|slur|"
    r"disparag\w*|derogat\w*|contempt\w*|insult\w*|stupid|idiot\w*|retard\w*|drunk\w*|heroin|cocaine|narcotic\w*|"
    r"virgin\w*|mistress\w*|concubin\w*|pimp\w*|brothel\w*|incest\w*|lewd\w*|slut\w*|bitch\w*|ass|cock|crap|tits?|boob\w*|"
    r"condom\w*|menstru\w*|castrat\w*|hooker\w*|pussy|dick|hell|crotch|groin|arse|bugger|wench|spic|queer|dyke|"
    r"fags?|coons?|ponce|crippl\w*|spastic|marijuana|cannabis|opium|lsd|hitler|bestial\w*|corpses?|behead\w*|holocaust|bum|"
    r"bonk|chink|hermaphrod\w*|adulter(?:y|ous)|eskimo|squaw|abort(?:ion|ed)\w*|effeminate|fet(?:us|al)|weapon\w*|guns?|"
    r"firearms?|explosives?|bomb(?:s|er|ers|ed|ing|let|shell)?|warheads?|ammunition|tobacco|cigarettes?|seduc\w*|god's|"
    r"street names?|rac(?:e|ist|ial)|ethnic\w*|incontinen\w*|pubic|gametes?|uter\w*)\b"
)
DEAD = re.compile(
    r"(?i)\b(archaic|obsolete|dialect\w*|roman mythology|greek mythology)\b|^(?:type |any .*)?gen(?:us|era)\b"
)
LATIN = re.compile(r"\b(?:genus|genera|family [A-Z]\w+)\b")  # a gloss that tells nobody anything
CUT = re.compile(
    r"(.*\w),? (?:and|or|but|that|which|who|whose|where|when|while|because|so|than|for example) .*|(.*), .*"
)
LOOSE = re.compile(r"[ ,]+(?:and|or|but|if|as|than|that|by|by \w+ing)$")  # what a cut may leave at the end
BANNED = {"ethnic slur", "obscenity", "vulgarism", "dirty word", "disparagement", "slang", "archaism", "trademark",
          "derogation", "depreciation"}  # fmt: skip
KINDS = {"n": "noun", "v": "verb", "a": "adjective", "s": "adjective"}
RARE = ("noun.plant", "noun.animal", "noun.substance")  # fields of which most words are known to few

Synset = dict[str, Any]
Sense = tuple[str, str]  # word, one of n, v, a


def main() -> None:
    wordnet, folder, *texts = sys.argv[1:]
    entries, synsets = read(wordnet)
    scores = scored(entries, synsets, texts)
    rows = list(chosen(entries, synsets, scores))
    out = Path(folder) / "meanings" / "meanings.jsonl.xz"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(lzma.compress("".join(map(line, rows)).encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{len({row['word'] for row in rows})} words, {len(rows)} senses, {out.stat().st_size} bytes")


def read(folder: str) -> tuple[dict[Sense, list[dict[str, Any]]], dict[str, Synset]]:
    """The senses of each word, most frequent first, and the synsets, each with its file as `field`."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ("git", "--git-dir", folder, *arguments), check=True, capture_output=True, text=True
        ).stdout

    entries: dict[Sense, list[dict[str, Any]]] = defaultdict(list)
    synsets: dict[str, Synset] = {}
    for path in git("ls-tree", "--name-only", "HEAD", "src/yaml/").split():
        name = Path(path).stem
        if name == "frames" or path.endswith("adv.all.yaml"):
            continue
        parsed = yaml.load(git("show", f"HEAD:{path}"), yaml.CSafeLoader)
        if not name.startswith("entries"):
            synsets.update({key: {**one, "field": name} for key, one in parsed.items()})
            continue
        for word, by_kind in parsed.items():
            for kind, entry in by_kind.items():
                if kind[0] in KINDS:
                    entries[str(word), kind[0].replace("s", "a")] += entry["sense"]
    return entries, synsets


def scored(entries: Iterable[Sense], synsets: dict[str, Synset], texts: Sequence[str]) -> dict[str, float]:
    """How well known each word is: by its frequency in the texts, and in WordNet's own."""
    asked = Counter[str]()
    for path in texts:
        with (lzma.open if path.endswith(".xz") else open)(path, "rt", encoding="utf-8", errors="replace") as file:
            asked.update(tokens(file.read()))
    written = Counter[str]()
    for one in synsets.values():
        parts = one["definition"] + [example_text(each) for each in one.get("example", ())]
        written.update(tokens(" . ".join(map(str, parts))))
    return {
        word: 1.5 * log(1 + sum(asked[form] for form in forms(word)))
        + log(1 + sum(written[form] for form in forms(word)))
        for word, _ in entries
    }


def tokens(text: str) -> Iterator[str]:
    words = re.findall(r"[a-z]+|[.,;:]", text.lower())
    yield from words
    for one, other in pairwise(words):
        yield f"{one} {other}"


def forms(word: str) -> set[str]:
    """The word as it may occur."""
    if " " in word:
        return {word, word + "s"}
    stem = word[:-1] if word.endswith(("e", "y")) else word
    more = {stem + "ies", stem + "ied"} if word.endswith("y") else {stem + "ed", stem + "ing", stem + "es"}
    return {word, word + "s", word + "ing", *more}


def chosen(
    entries: dict[Sense, list[dict[str, Any]]], synsets: dict[str, Synset], scores: dict[str, float]
) -> Iterator[dict[str, Any]]:
    """A row for each sense that is kept, those of one synset beside one another."""
    ranks = {
        (word, sense["synset"]): place for (word, _), senses in entries.items() for place, sense in enumerate(senses)
    }
    fit = {key for key, one in synsets.items() if decent(one, synsets)}
    below: dict[str, list[str]] = defaultdict(list)
    for key, one in synsets.items():
        for other in one.get("hypernym", ()):
            below[other].append(key)

    def known(key: str, rank: int) -> list[str]:
        """Its words of which it is one of the first senses, best known first."""
        few = [word for word in synsets[key]["members"] if plain(word) and ranks.get((word, key), 9) <= rank]
        return sorted(few, key=lambda word: (-scores[word], word))

    def kinds_of(key: str) -> list[str]:
        near = [other for other in below[key] if other in fit]
        far = [other for one in near for other in below[one] if other in fit]
        found = [known(other, 0)[0] for group in (near, far) for other in group if known(other, 0)]
        near_ones = set(found[: len(near)])
        best = sorted(dict.fromkeys(found), key=lambda word: (word not in near_ones, -scores[word]))
        return [word for word in best if scores[word] > 1.5][:4]

    best: dict[str, float] = {}
    for (word, _), senses in entries.items():
        if plain(word) and senses[0]["synset"] in fit:
            rare = synsets[senses[0]["synset"]]["field"] in RARE and scores[word] < 6
            best[word] = scores[word] - 1.5 * rare - 2 * (" " in word)
    ordered = sorted(best, key=lambda word: (-best[word], word))[:MOST]
    place = {word: index for index, word in enumerate(ordered)}
    taken: dict[str, list[tuple[str, int, dict[str, Any]]]] = defaultdict(list)
    for (word, _), senses in entries.items():
        if word in place:
            for rank, sense in enumerate(senses[: 2 if place[word] < SECOND else 1], 1):
                if sense["synset"] in fit:
                    taken[sense["synset"]].append((word, rank, sense))
    number = {key: index for index, key in enumerate(sorted(taken, key=lambda key: (synsets[key]["field"], key)))}

    def over(key: str) -> list[int]:
        """The nearest synsets above it that are kept."""
        found: list[int] = []
        for other in synsets[key].get("hypernym", ()):
            found += [number[other]] if other in number else over(other)
        return sorted(set(found))

    for key, index in number.items():
        one = synsets[key]
        above = [word for other in one.get("hypernym", ()) if other in fit for word in known(other, 1)[:2]]
        kinds = kinds_of(key)
        for word, rank, sense in sorted(taken[key], key=lambda each: place[each[0]]):
            examples = [text for each in one.get("example", ()) if (text := example(each, word))]
            against = [end.split("%")[0].replace("_", " ") for end in sense.get("antonym", ())]
            row = {
                "word": word, "pos": one["partOfSpeech"].replace("s", "a"), "sense": rank, "id": index,
                "over": over(key),
                "field": one["field"].split(".")[1], "place": place[word], "gloss": gloss(one["definition"][0]),
                "same": [other for other in known(key, 1) if other != word][:5], "kind": above[:3], "kinds": kinds,
                "opposite": [other for other in against if plain(other)][:2],
                "object": any(frame.startswith("vtai") for frame in sense.get("subcat", ())),
                "example": examples[0] if examples else "",
            }  # fmt: skip
            yield row


def decent(one: Synset, synsets: dict[str, Synset]) -> bool:
    """A synset that is no proper name and can be shown to anybody."""
    usage = {word for key in one.get("exemplifies", ()) if key in synsets for word in synsets[key]["members"]}
    text = " ".join((one["definition"][0], *one["members"]))
    return not ("instance_hypernym" in one or usage & BANNED or RUDE.search(text) or DEAD.search(one["definition"][0]))


def plain(word: str) -> bool:
    return WORD.fullmatch(word) is not None and not RUDE.search(word)


def gloss(text: str) -> str:
    """Its first clause, without what stands in parentheses."""
    text = re.sub(r"\s*\([^)]*\)\s*", " ", text)
    text = re.sub(r"\s+", " ", re.split(r"[;:(]| -- |, (?:especially|usually|often|as|such as|e\.g\.)\b", text)[0])
    text = text.strip(" ,.`'\"")
    if LATIN.search(text) or len(text) < 8:
        return ""
    while len(text) > LONG:
        shorter = CUT.sub(lambda match: match[1] or match[2], text)
        if shorter == text:
            return ""
        text = LOOSE.sub("", shorter.strip(" ,"))
    return text if len(text) > 12 else ""


def example(each: Any, word: str) -> str:
    """The example if it is short, decent and holds the word."""
    text = re.sub(r"\s+", " ", example_text(each)).strip(" \"'`")
    return text if len(text) <= LONG and not RUDE.search(text) and set(forms(word)) & set(tokens(text)) else ""


def example_text(each: Any) -> str:
    return str(each.get("text", "")) if isinstance(each, dict) else str(each)


def line(row: dict[str, Any]) -> str:
    kept = {key: value for key, value in row.items() if value not in ("", []) and value is not False}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    main()
