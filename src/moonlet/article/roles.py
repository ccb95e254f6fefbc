"""Who does what to whom: a sentence that has the words of what was said, with two of them in each other's place.

"Nickel replaced copper" is not "copper replaced nickel". Words get the part that they have beside a verb: before it, after
it, after which preposition; in a passive those are exchanged. There is no grammar here: any word that two clauses share may
be the verb, and a fault needs two words that have exchanged their parts beside the same one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from moonlet.article.amounts import amounts, lower
from moonlet.article.language import split_words
from moonlet.article.words import STOP, clauses, content, denials, tidy


@dataclass(frozen=True, slots=True)
class Frame:
    """A verb and the parts of the words beside it."""

    verb: str
    parts: tuple[tuple[str, str], ...]  # (word, part)


# Parts that two words can exchange so that the sense is another one.
_EXCHANGED = {
    frozenset(pair.split())
    for pair in (
        "subject object", "subject than", "subject to", "subject from", "subject against", "subject over", "object for",
        "object than", "object to", "object into", "from to", "from into", "subject before", "subject after", "object against", "object from",
    )
}  # fmt: skip
_SYMMETRIC_WORDS = (
    "met meet meets meeting married marries marry resembl equal equals face faces match matches differ join joined border "
    "touch fight fought play played mix mixed compar combin connect share shared trade traded swap swapped"
)
_SYMMETRIC = frozenset(_SYMMETRIC_WORDS.split())
_DEGREES = frozenset(("less", "fewer", "more", "better", "worse"))
_PRONOUNS = frozenset(("i", "we", "you", "he", "she", "it", "they"))
_BE_WORDS = "is are was were be been being am got gets get"
_BE = frozenset(_BE_WORDS.split())
_HELPERS = (
    "have has had do does did will would can could may might must shall should not never also already just only still now "
    "even really often always then finally soon to"
)
_SKIP = _BE | frozenset(_HELPERS.split())
_BOUND_WORDS = "and or but who which that whom whose because when while if although though as where since so"
_BOUNDS = frozenset(_BOUND_WORDS.split())
_BEFORE_WORDS = (
    "for from to with against over by into in on at under after before during through about around near behind between "
    "among than without within like per via onto toward towards"
)
_PREPOSITIONS = frozenset(_BEFORE_WORDS.split())
_IRREGULAR = {
    form: base
    for base, forms in {
        "beat": "beats beaten", "win": "won wins", "sell": "sold sells", "buy": "bought buys", "give": "gave given gives",
        "take": "took taken takes", "lead": "led leads", "teach": "taught teaches", "tell": "told tells", "find": "found finds",
        "build": "built builds", "pay": "paid pays", "send": "sent sends", "lend": "lent lends", "lose": "lost loses",
        "eat": "ate eaten eats", "write": "wrote written writes", "drive": "drove driven drives", "break": "broke broken breaks",
        "choose": "chose chosen chooses", "catch": "caught catches", "see": "saw seen sees", "hit": "hits", "hire": "hired hires",
        "hurt": "hurts", "leave": "left leaves", "keep": "kept keeps", "bring": "brought brings", "shoot": "shot shoots",
        "defeat": "defeated defeats", "save": "saved saves", "kill": "killed kills", "replace": "replaced replaces",
    }.items()
    for form in [base, *forms.split()]
}  # fmt: skip
_WORD = re.compile(r"[^\W\d_][\w'-]*|[.,;:!?—–()]")


def exchanged(claim: str, near: Sequence[str], language: str) -> tuple[str, str] | None:
    """Two words of a sentence that stand in each other's place, as far as it can be seen; None if none do, or if
    somewhere near they stand as they do here."""
    said = [frame for text in near for frame in frames(text, language)]
    for own in frames(claim, language):
        if own.verb in _SYMMETRIC:
            continue
        mine, theirs = dict(own.parts), [dict(other.parts) for other in said if other.verb == own.verb]
        for parts in theirs:
            pair = _swapped(mine, parts, own.verb == "replace")
            if pair and not any(all(other.get(word) == mine[word] for word in pair) for other in theirs):
                return pair
    return None


def other_actor(claim: str, near: Sequence[str], proper: Collection[str]) -> tuple[str, str] | None:
    """Of a sentence in English: the name that acts in it, and the one that acted so in what was said."""
    whole = frozenset[str]().union(*(content(text) for text in near))
    for own in frames(claim, "en"):
        mine = _acting(own, claim, proper)
        if not mine or mine & whole:
            continue
        for text in near:
            for other in (frame for frame in frames(text, "en") if frame.verb == own.verb):
                theirs = _acting(other, text, proper)
                if theirs and {word for word, part in own.parts if part == "object"} & dict(other.parts).keys():
                    return min(mine), min(theirs)
    return None


def _acting(frame: Frame, text: str, proper: Collection[str]) -> set[str]:
    """The names among the words that act in a frame of this text."""
    named = {stem for word in re.findall(r"[A-Z][\w'-]+", text) if word in proper and (stem := _stem(word.lower()))}
    return {word for word, part in frame.parts if part == "subject"} & named


def _swapped(own: dict[str, str], other: dict[str, str], replaces: bool) -> tuple[str, str] | None:
    both = [word for word in own if word in other and own[word] != other[word]]
    for one in both:
        for two in both:
            parts = frozenset((own[one], own[two]))
            allowed = parts in _EXCHANGED or (replaces and parts == {"object", "with"})
            if own[one] == other[two] and own[two] == other[one] and allowed:
                return one, two
    return None


@lru_cache(2048)
def frames(text: str, language: str) -> tuple[Frame, ...]:
    """All of a text. In clauses that deny something nobody does anything."""
    cut = [clause for clause in clauses(tidy(text)) if not denials(clause) and "没有" not in clause]
    if language == "zh":
        return tuple(frame for clause in cut for frame in _signs(clause, "zh", _ZH))
    if language == "th":
        return tuple(frame for clause in cut for frame in _signs(clause, "th", _TH))
    return tuple(frame for clause in cut for frame in _english(clause))


def _english(clause: str) -> Iterator[Frame]:
    words = _WORD.findall(lower(clause))
    for at, word in enumerate(words):
        stem = _stem(word)
        if at == 0 or stem is None or word in _SKIP or word in _PREPOSITIONS:
            continue
        head = at - 1
        while head >= 0 and (words[head] in _SKIP or words[head].endswith("ly")):
            head -= 1
        subject = _before(words, head)
        if subject is None:
            continue
        passive = bool(_BE & set(words[head + 1 : at])) and not word.endswith(("ing", "er"))
        parts = _after(words, at + 1)
        if passive:
            turned = {"by": "subject", "object": "object"}
            parts = {one: turned.get(part, part) for one, part in parts.items()}
        before = {one: "object" if passive else "subject" for one in subject}
        both = before.keys() & parts.keys()
        listed = {one: part for one, part in (before | parts).items() if one not in both and one != stem}
        if len(set(listed.values())) > 1:
            yield Frame(_compared(stem, words[at + 1 :]) if "than" in parts.values() else stem, tuple(listed.items()))


def _compared(stem: str, following: Sequence[str]) -> str:
    """A verb of a comparison: "expands faster than" is another one than "expands slower than"."""
    before = following[: following.index("than")] if "than" in following else following
    return " ".join([stem, *(word for word in before if word in _DEGREES or word.endswith("er"))])


def _stem(word: str) -> str | None:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    found = content(word)
    return next(iter(found)) if len(found) == 1 and word not in STOP else None


def _before(words: Sequence[str], head: int) -> list[str] | None:
    """The words of a subject that ends there, none of a pronoun; None if it may be no subject."""
    if head < 0 or words[head] in _PRONOUNS:
        return None if head < 0 else []
    found: list[str] = []
    for place in range(head, max(head - 6, -1), -1):
        word = words[place]
        if word in _BOUNDS or not word[0].isalpha():
            break
        if word in _PREPOSITIONS:
            return None
        stem = _stem(word)
        found += [stem] if stem else []
    return found if _stem(words[head]) else None


def _after(words: Sequence[str], begin: int) -> dict[str, str]:
    """What follows a verb, each word with its part; one that occurs twice has none."""
    parts: dict[str, str] = {}
    part, gone = "object", set[str]()
    for word in words[begin : begin + 12]:
        if word in _BOUNDS or not word[0].isalpha():
            break
        if word in _PREPOSITIONS:
            part = word
        elif (stem := _stem(word)) is not None and parts.setdefault(stem, part) != part:
            gone.add(stem)
    return {word: part for word, part in parts.items() if word not in gone}


@dataclass(frozen=True, slots=True)
class _Marks:
    """What tells the parts in a language that is written without spaces."""

    passive: frozenset[str]  # what stands before is acted on, what follows acts
    object: frozenset[str]  # what follows is acted on, before the verb
    than: frozenset[str]
    to: frozenset[str]
    source: frozenset[str]
    other: frozenset[str]
    function: frozenset[str]


def _marks(**words: str) -> _Marks:
    return _Marks(**{kind: frozenset(listed.split()) for kind, listed in words.items()})


_ZH = _marks(
    passive="被 由 让 讓",
    object="把 将 將",
    than="比",
    to="给 給 向 到",
    source="从 從",
    other="在 对 對 为 為 用 以 跟 同 与 與 和 为了 為了 于 於",
    function="的 了 是 着 過 过 就 也 都 还 還 又 才 再 已经 已經 曾 曾经 我 我们 我們 他 她 他们 她们 它 这 那 这个 那个 一个 很 更 最 会 會 能 可以 要 去年 今年 明年 现在 現在 以前 后来 後來 今天 昨天 明天 时候 地 得 上 下 里 中 来 去 一 两 个 個 年 月 日 说",
)
_TH = _marks(
    passive="ถูก โดน โดย",
    object="",
    than="กว่า",
    to="ให้ แก่ ต่อ",
    source="จาก",
    other="ใน ที่ กับ บน เพื่อ ด้วย สำหรับ ของ ตั้งแต่ และ หรือ",
    function="ก็ ได้ แล้ว จะ ไป มา อยู่ เป็น คือ มี นี้ นั้น เรา ผม ดิฉัน ฉัน เขา เธอ มัน ทุก มาก เคย กำลัง ต้อง วันนี้ ตอนนี้ ปี คน ครับ ค่ะ ว่า การ ความ ตัว อัน ขึ้น ลง",
)


def _signs(clause: str, language: str, marks: _Marks) -> Iterator[Frame]:
    words = [word.strip() for word in split_words(clause, language)]
    words = [word for word in words if word and (word[0].isalnum() or word in marks.function)]
    kinds = {
        **dict.fromkeys(marks.than, "than"),
        **dict.fromkeys(marks.to, "to"),
        **dict.fromkeys(marks.source, "from"),
    }
    kinds |= dict.fromkeys(marks.other, "other")
    pieces = [word for word in words if word not in marks.function and not amounts(word)]
    grammar = marks.passive | marks.object | kinds.keys()
    for at, verb in enumerate(pieces):
        if verb in grammar or not at or pieces.count(verb) > 1:
            continue
        parts: list[tuple[str, str]] = []
        part = "subject"
        for word in pieces[:at]:
            if word in marks.passive:
                parts = [(one, "object" if was == "subject" else was) for one, was in parts]
                part = "subject"
            elif word in marks.object:
                part = "object"
            elif word in kinds:
                part = kinds[word]
            else:
                parts.append((word, part))
        part, degree = "object", ""
        for word in pieces[at + 1 : at + 9]:
            if word.endswith("กว่า"):
                part, degree = "than", word.removesuffix("กว่า").removeprefix("มาก")
            elif word in marks.passive:
                part = "subject"
            elif word in kinds:
                part = kinds[word]
            elif word not in marks.object:
                parts.append((word, part))
        once = {word for word, _ in parts if sum(one == word for one, _ in parts) == 1 and word != verb}
        listed = tuple((word, part) for word, part in parts if word in once)
        if len({part for _, part in listed}) > 1:
            yield Frame(f"{degree}{verb}", listed)
