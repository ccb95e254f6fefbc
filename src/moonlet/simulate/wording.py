"""Many wordings from few patterns, and the ways in which people type them.

A pattern is text with choices and slots: "(what's|what is) the weather in {place}( today|)". Choices nest; slots stay
in braces until `fill`, so that style (case, punctuation, slips) never changes a value that an argument copies.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from random import Random
from typing import Any

Node = str | list["Node"] | tuple["Node", ...]  # text, a sequence, a choice
Header = Mapping[str, Any]

ASKING = (
    r"(?:what|how|is|are|do|does|will|can|could|when|who|where|which|should|would|am|did|has|have|any|isn't|was)\b|"
    r"(?:whats|hows|wheres|whens)\b"
)
QUESTION = re.compile(
    r"^(?!do not |don't )(?:(?:hey|hi|so|ok|um|hello|and|also|please|sorry|quick question)\b[,:]? )?(?:" + ASKING + ")"
)
# A statement with a question behind it: "it costs 20 euros, how much is that in yen".
ENDS_ASKING = re.compile(rf"[.,!?-] (?!when you|do not|don't)(?:{ASKING})[^.,!{{}}]*(?:\{{[^.,!]*)?$")
ARTICLE = re.compile(r"(?:^|[ (])an? +$", re.IGNORECASE)
VOWELS = frozenset("aeio8")
OPENERS = ("hey", "hi", "hello", "ok", "so", "um", "hey there", "good morning", "alright", "quick one", "also", "right",
           "hi there", "yo", "bro", "mate", "oi", "well", "listen", "actually", "oh", "ah", "erm", "please",
           "good evening", "sorry", "excuse me", "dear assistant", "hello there", "now", "right then", "oh and", "and",
           "heya", "lol",
           "ok so", "hmm", "guys", "sir", "my friend", "good afternoon", "morning", "evening", "no but", "anyway",
           "hiya", "pls", "dude", "ugh", "argh")  # fmt: skip
POLITE = ("can you", "could you", "would you", "will you", "can you please", "could you please", "please", "pls",
          "i want you to", "i need you to", "i'd like you to", "go ahead and", "help me", "be so kind and", "just",
          "kindly", "i was wondering if you could", "would you be able to", "do you think you could",
          "could you kindly",
          "any chance you could", "if you don't mind,", "if it's not too much trouble,", "be a dear and", "can u",
          "when you get a chance,", "would you be good enough to", "could you possibly", "i'd be glad if you could",
          "do me a favour and", "quickly", "can i get you to", "may i ask you to", "i'd appreciate it if you could",
          "would it be possible to", "yo,", "hey can you", "please could you", "might you")  # fmt: skip
CLOSERS = ("please", "thanks", "thank you", "pls", "for me", "ok", "thx", "if you can", "will you", "now", "cheers",
           "ta", "would you",
           "please and thank you", "mate", "if you would", "asap", "quick", "when you can", "love", "dear",
           "bro", "if that's ok", "right away", "plz", "many thanks", "could you", "can you", "if possible", "lol",
           "straight away")  # fmt: skip
LEAD_INS = (
    "i'm at work", "i'm busy cooking", "my hands are full", "quick question", "sorry to bother you",
    "hope you can help",
    "before i forget", "i'm in a hurry", "we have guests", "it's late", "i just got home", "ok listen",
    "thanks for that",
    "new topic", "next thing", "one more thing", "i'm in the car", "another thing", "hey it's me", "long day today",
    "the kids are asleep", "i'm about to leave", "just woke up", "almost forgot", "my battery is low",
    "i've been thinking",
    "let me think", "i have a favour to ask", "that was quick", "something else",
)  # fmt: skip
REASONS = (
    "i keep forgetting", "it's important", "i'm too lazy to look", "i have no time", "my wife asked", "i'm curious",
    "just to be sure",
    "it's urgent", "no rush", "before i leave", "i'm tired", "if that's ok", "if possible", "when you have a second",
    "as always",
    "like last time", "i'd be grateful", "you know me", "i almost forgot", "my phone is dead", "so i can plan",
    "because i'm late",
    "since i'm busy", "i can't do it myself", "because i asked nicely", "so that we're ready", "it's for work",
    "for a friend",
)  # fmt: skip
SHORT = (("you ", "u "), ("please", "plz"), ("are ", "r "), ("going to ", "gonna "), ("want to ", "wanna "),
("tomorrow", "tmrw"), ("your", "ur"),
         ("what is", "wats"), ("what's", "wats"), ("because", "cuz"), ("thanks", "thx"), ("have to", "gotta"),
         ("okay", "k"), ("tonight", "2nite"), ("before", "b4"), ("message", "msg"), ("appointment", "appt"),
         ("meeting", "mtg"), ("calendar", "cal"), ("delete", "del"), ("cancel", "cxl"), ("forecast", "fcst"),
         ("temperature", "temp"), ("phone number", "phone nr"), ("minutes", "mins"), ("right now", "rn"),
         ("people", "ppl"), ("really", "rly"), ("though", "tho"), ("something", "sth"),
         ("information", "info"), ("order ", "ordr "), ("reminder", "rmdr"))  # fmt: skip
DROPPED = {"the", "a", "an", "my", "is", "to", "of", "me", "in", "for"}
CONTRACTIONS = (("what's", "whats"), ("how's", "hows"), ("i'm", "im"), ("don't", "dont"), ("where's", "wheres"),
                ("i'd", "id"), ("it's", "its"), ("let's", "lets"), ("can't", "cant"),
                ("doesn't", "doesnt"))  # fmt: skip


def compile_pattern(text: str) -> Node:
    """The pattern as nested sequences (lists) and choices (tuples)."""
    node, end = _choice(text, 0)
    assert end == len(text), f"unbalanced pattern: {text!r}"
    return node


def _choice(text: str, at: int) -> tuple[Node, int]:
    options: list[Node] = []
    parts: list[Node] = []
    start = at
    while at < len(text) and text[at] != ")":
        if text[at] == "(":
            if at > start:
                parts.append(text[start:at])
            inner, at = _choice(text, at + 1)
            assert at < len(text), f"unbalanced pattern: {text!r}"
            parts.append(inner)
            at += 1
            start = at
        elif text[at] == "|":
            if at > start:
                parts.append(text[start:at])
            options.append(parts[0] if len(parts) == 1 else parts)
            parts = []
            at += 1
            start = at
        else:
            at += 1
    if at > start:
        parts.append(text[start:at])
    options.append(parts[0] if len(parts) == 1 else parts)
    return (options[0] if len(options) == 1 else tuple(options)), at


def expand(node: Node, rng: Random) -> str:
    """One wording of the pattern, slots still in braces."""
    if isinstance(node, str):
        return node
    if isinstance(node, tuple):
        return expand(node[int(rng.random() * len(node))], rng)
    return "".join([expand(part, rng) for part in node])


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern; a command may be dressed up politely."""

    node: Node
    command: bool = False

    def expand(self, rng: Random) -> str:
        return expand(self.node, rng).strip()


@lru_cache(maxsize=64)
def read(name: str) -> tuple[tuple[Header, tuple[Pattern, ...]], ...]:
    """The groups of a file in `wordings`: each with what its "=" line says and its patterns. See en.txt."""
    text = resources.files("moonlet.simulate").joinpath("wordings", f"{name}.txt").read_text(encoding="utf-8")
    groups: list[tuple[Header, list[Pattern]]] = []
    for line in text.splitlines():
        if line.startswith("= "):
            groups.append((json.loads(line[2:]), []))
        elif line and not line.startswith("# "):
            groups[-1][1].append(Pattern(compile_pattern(line.removeprefix("!")), line.startswith("!")))
    return tuple((header, tuple(patterns)) for header, patterns in groups)


def fill(skeleton: str, values: Mapping[str, str]) -> str:
    """Slots replaced by their surface text, "a" in front of one made "an" as need be; runs of spaces closed up."""
    parts = skeleton.split("{")
    out = [parts[0]]
    for part in parts[1:]:
        name, _, rest = part.partition("}")
        if ARTICLE.search(out[-1]):
            vowel = values[name][:1].lower() in VOWELS or values[name].startswith(("11", "18"))
            out[-1] = f"{out[-1].rstrip().removesuffix('n')}{'n' if vowel else ''} "
        out += (values[name], rest)
    text = " ".join("".join(out).split())
    return text.replace(" ,", ",").replace(" ?", "?").replace(" .", ".")


def slot_names(skeleton: str) -> list[str]:
    """The names of the slots in a wording, in order."""
    return [part.partition("}")[0] for part in skeleton.split("{")[1:]]


def politely(skeleton: str, rng: Random) -> str:
    """An imperative, sometimes with an opening or a closing phrase."""
    dice = rng.random()
    if dice < 0.30:
        skeleton = f"{rng.choice(POLITE)} {skeleton}"
    if rng.random() < 0.12 and not skeleton.endswith("}"):
        skeleton = f"{skeleton} {rng.choice(CLOSERS)}"
    elif rng.random() < 0.06:
        skeleton = f"{skeleton}, {rng.choice(CLOSERS)}"
    return skeleton


def opened(skeleton: str, rng: Random, free_end: bool = False) -> str:
    """Sometimes a greeting or a sentence in front, or a reason behind unless the end is free text."""
    dice = rng.random()
    if dice < 0.10:
        skeleton = f"{rng.choice(OPENERS)}{rng.choice((' ', ', '))}{skeleton}"
    elif dice < 0.14:
        skeleton = f"{rng.choice(LEAD_INS)}{rng.choice((', ', '. ', '. ', ' - '))}{skeleton}"
    if not free_end and dice > 0.95:
        skeleton = f"{skeleton}{rng.choice((', ', ', ', ' - ', '. '))}{rng.choice(REASONS)}"
    return skeleton


def typed(skeleton: str, rng: Random) -> tuple[str, bool]:
    """The wording as somebody types it, and whether everything, values included, is to be lower case.

    Half is written properly, the rest in lower case or without punctuation; a few have slips of the finger.
    """
    dice = rng.random()
    if dice < 0.5:
        text = re.sub(r"\bi\b(?!')|\bi(?=')", "I", skeleton)
        text = re.sub(r"([.!?] )([a-z])", lambda match: match[1] + match[2].upper(), text)
        if text and text[0] != "{":
            text = text[0].upper() + text[1:]
        if QUESTION.match(skeleton) or ENDS_ASKING.search(skeleton):
            text += "?" if rng.random() < 0.9 else ""
        elif text[-1] not in "?!.}" or rng.random() < 0.3:
            text += rng.choice((".", ".", "", "!" if rng.random() < 0.2 else "."))
        return text, False
    text = skeleton
    if rng.random() < 0.5:
        for proper, loose in CONTRACTIONS:
            text = text.replace(proper, loose)
        if rng.random() < 0.7:
            text = text.replace("}'s ", "}s ")  # "need toms number"
    if rng.random() < 0.13:
        parts = re.split(r"(\{\w+\})", text)
        for proper, loose in SHORT:
            if rng.random() < 0.6:
                parts[::2] = [part.replace(proper, loose) for part in parts[::2]]  # not in the names of slots
        text = "".join(parts)
    if rng.random() < 0.08:
        text = " ".join(word for word in text.split(" ") if word not in DROPPED or rng.random() < 0.4)
    if rng.random() < 0.11:
        text = _slip(text, rng)
    if rng.random() < 0.25 and QUESTION.match(skeleton):
        text += "?"
    return text, dice < 0.85


def _slip(text: str, rng: Random) -> str:
    """One letter doubled, dropped or swapped in one longer word outside the slots."""
    words = text.split(" ")
    candidates = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not candidates:
        return text
    index = rng.choice(candidates)
    word, at = words[index], rng.randrange(1, len(words[index]) - 1)
    words[index] = rng.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return " ".join(words)
