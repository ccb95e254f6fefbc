"""Whether words were said, exactly so and at that second; and where, when they were said elsewhere.

Case, punctuation and spaces are not heard and do not count; a number may stand in words or in digits, but it must be
the same number, and no piece of another one.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from moonlet.article.amounts import amounts, lower
from moonlet.article.laid_to import reported
from moonlet.article.piece import Finding, Kind, Quote
from moonlet.article.supposed import supposed
from moonlet.article.talk import Sentence, Transcript
from moonlet.article.words import SUPPOSED, TURN, Token, denials, tidy, tokens

LATE_S = 0.5  # how far a quote's second may be from its first word's
FEWEST = 3  # words, or signs where none are spaced, that make quoted words a quotation


@dataclass(frozen=True, slots=True)
class _Spoken:
    """Some sentences, one after the other, as one run of tokens."""

    text: str
    low: str  # the same in lower case, place for place
    tokens: tuple[Token, ...]
    begins: tuple[int, ...]  # where each sentence's text begins
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where words were said."""

    sentences: tuple[int, ...]
    start: float
    end: float


class Spoken:
    """A transcript in which words are looked for."""

    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript
        self._whole = _join(transcript.sentences)

    def find(self, text: str) -> list[Place]:
        """Everywhere that these words were said."""
        return [place for place, _, _ in _found(self._whole, text)]

    def check(self, quote: Quote, where: str) -> Finding | None:
        """What is wrong with a quote, or None."""
        known = range(len(self.transcript.sentences))
        ids = list(quote.sentences)
        if not ids or any(id not in known for id in ids) or ids != list(range(ids[0], ids[0] + len(ids))):
            return _finding("quote", where, quote, "it names sentences that the transcript does not have in this order")
        named = _join(self.transcript.sentences[ids[0] : ids[-1] + 1])
        found = list(_found(named, quote.text))
        if not found:
            return self._not_there(quote, where, named)
        place, first, last = min(found, key=lambda one: abs(one[0].start - quote.start))
        if cut := _cut(named, first, last):
            return _finding("quote", where, quote, cut)
        if abs(place.start - quote.start) > LATE_S or quote.end < quote.start:
            return _finding("time", where, quote, f"it was said at {clock(place.start)}, not at {clock(quote.start)}")
        return None

    def _not_there(self, quote: Quote, where: str, named: _Spoken) -> Finding:
        elsewhere = self.find(quote.text)
        if elsewhere:
            return _finding("time", where, quote, f"it was said at {clock(elsewhere[0].start)}, in another sentence")
        return _finding("quote", where, quote, _difference(named, quote.text))


def quoted(text: str) -> Iterator[str]:
    """What a sentence of an article sets in quotation marks, if it is long enough to be somebody's words."""
    for match in re.finditer(
        r'“([^“”]+)”|"([^"]+)"|「([^「」]+)」|『([^『』]+)』|«([^«»]+)»|‘([^‘’]{12,})’(?!\w)', text
    ):
        inside = next(group for group in match.groups() if group)
        if len(tokens(tidy(inside))) >= FEWEST + (3 if re.search("[\u0e00-\u9fff]", inside) else 0):
            yield inside


def clock(second: float) -> str:
    """1:02:03 or 2:03."""
    whole = int(second)
    hours, minutes, seconds = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _join(sentences: Sequence[Sentence]) -> _Spoken:
    text, begins, listed = "", [], list[Token]()
    for sentence in sentences:
        begins.append(len(text))
        own = tidy(sentence.text)
        listed += [Token(one.text, one.start + len(text), one.end + len(text)) for one in tokens(own)]
        text += own + "\n"
    return _Spoken(text, lower(text), tuple(listed), tuple(begins), tuple(sentences))


def _found(spoken: _Spoken, text: str) -> Iterator[tuple[Place, int, int]]:
    """Where the tokens of a text stand in a row: the place, the first token and the one after the last."""
    wanted = [token.text for token in tokens(tidy(text))]
    if not wanted:
        return
    said = spoken.tokens
    for first in range(len(said) - len(wanted) + 1):
        if said[first].text == wanted[0] and all(said[first + i].text == word for i, word in enumerate(wanted)):
            last = first + len(wanted)
            begin, end = said[first].start, said[last - 1].end - 1
            ids = range(_sentence_at(spoken, begin).id, _sentence_at(spoken, said[last - 1].start).id + 1)
            yield Place(tuple(ids), _times_at(spoken, begin)[0], _times_at(spoken, end)[1]), first, last


def _sentence_at(spoken: _Spoken, place: int) -> Sentence:
    return spoken.sentences[bisect_right(spoken.begins, place) - 1]


def _times_at(spoken: _Spoken, place: int) -> tuple[float, float]:
    """When the word was said that a place of the text lies in."""
    index = bisect_right(spoken.begins, place) - 1
    sentence, at = spoken.sentences[index], spoken.begins[index]
    for word in sentence.words:
        own = lower(tidy(word.text).strip())
        begin = spoken.low.find(own, at) if own else -1
        if begin < 0:
            continue
        at = begin + len(own)
        if place < at:
            return word.start, word.end
    return sentence.start, sentence.end


def _cut(spoken: _Spoken, first: int, last: int) -> str | None:
    """What a quote leaves out of its sentences that turns its sense: a denial before it with no turn of the thought
    between, or one that follows within the same clause."""
    begin, end = spoken.tokens[first].start, spoken.tokens[last - 1].end
    line_start = spoken.text.rfind("\n", 0, begin) + 1
    line_end = spoken.text.find("\n", end)
    before, after = spoken.text[line_start:begin], spoken.text[end:line_end]
    line, quote = spoken.text[line_start:line_end], spoken.text[begin:end]
    if any(one.condition and _within(quote, one.text) for one in supposed(line)):
        return "it leaves out the condition under which it was said"
    if any((one.doubted or one.denied) and _within(quote, one.text) for one in reported(line)):
        return "it leaves out that others say or believe it"
    turn = max((match.end() for match in TURN.finditer(lower(before))), default=0)
    own = spoken.low[begin:]
    comma = before.rstrip()[-1:]  # a turn may begin with the comma before the quote
    turns_itself = TURN.match(own) or (comma and TURN.match(f"{comma} {own}" if comma == "," else comma + own))
    if denials(before[turn:]) and not turns_itself:
        return "what stands before it in the same sentence denies it"
    if (opened := SUPPOSED.search(before.rstrip())) and not before[opened.end() :].strip():
        return "it stands under a question or a condition"
    if _breaks_amount(quote, after):
        return "it stops in the middle of an amount"
    clause = re.split(r"[,.;:!?，。；：！？、–—]|\s{2,}", after)[0]
    if denials(clause):
        return "what follows it in the same sentence denies it"
    return None


def _within(quote: str, text: str) -> bool:
    """Whether a quote is a piece of a clause; one of fewer than four words or six signs says too little for that."""
    own, its = ([token.text for token in tokens(tidy(one))] for one in (quote, text))
    signs = any(len(one) == 1 and ord(one) > 0xDFF for one in own)
    starts = range(len(its) - len(own) + 1)
    return len(own) >= (6 if signs else 4) and any(its[at : at + len(own)] == own for at in starts)


def _breaks_amount(quote: str, after: str) -> bool:
    """Two hours, of two hours and ten minutes."""
    last, following = amounts(quote)[-1:], amounts(after)[:1]
    if not last or not following or last[0].end < len(quote) or not last[0].unit:
        return False
    return (
        last[0].unit == following[0].unit and re.fullmatch(r"\s*(?:and\s+)?", after[: following[0].start]) is not None
    )


def _difference(named: _Spoken, text: str) -> str:
    """In which respect a text is not what was said."""
    wanted = [token.text for token in tokens(tidy(text))]
    said = [token.text for token in named.tokens]
    matcher = SequenceMatcher(None, said, wanted, autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size]
    if sum(block.size for block in blocks) * 2 < len(wanted):
        return "nobody said that there"
    # Compared within the stretch that it resembles: what stands around that was never meant to be quoted.
    first, last = max(blocks[0].a - blocks[0].b, 0), blocks[-1].a + len(wanted) - blocks[-1].b
    said_there, has = said[first:last], [word for word in wanted if word.startswith("#")]
    spoke = [word for word in said_there if word.startswith("#")]
    if has != spoke and (has or spoke):
        return f"another number was said: {_shown(spoke)}, not {_shown(has)}"
    missing = [word for word in said_there if word not in wanted]
    if denials(" ".join(missing)):
        return "it leaves out a denial"
    return f"other words were said: {' '.join(said_there)[:120]}"


def _shown(marked: Sequence[str]) -> str:
    return ", ".join(word[1:] for word in marked) or "none"


def _finding(kind: Kind, where: str, quote: Quote, told: str) -> Finding:
    return Finding(kind, where, quote.text, told, True)
