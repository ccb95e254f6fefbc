"""From recognised pieces of words to words as the language has them, and to sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from moonlet.article.language import SPACELESS, Script, split_words, thai_sentences, tidy, to_script
from moonlet.article.talk import Sentence, Word

_END = re.compile(r"[.!?…。！？][\"'”’»)\]」』）]*$")
_ABBREVIATION = re.compile(
    r"^(\W*)([A-Z]|mr|mrs|ms|dr|prof|st|vs|e\.g|i\.e|fig|u\.s|u\.k|approx)\.$",
    re.IGNORECASE,
)
_LONGEST = {"zh": 80, "ja": 80, "yue": 80, "th": 160}  # letters; elsewhere words:
_LONGEST_WORDS = 60
_SILENCE_S = 4.0  # ends a sentence whatever the punctuation says
_PAUSE_S = 0.7  # ends one where a language or a recogniser writes no punctuation
_THAI_PAUSE_S = 1.0
_SPARSE = 150  # letters without a mark of punctuation, from which on pauses count


@dataclass(frozen=True, slots=True)
class Token:
    """A word, and whether a space stands before it."""

    word: Word
    spaced: bool
    speaker: str | None = None


def tokens(pieces: Sequence[Word], language: str, script: Script | None = None) -> list[Token]:
    """Words from a recogniser's pieces, whose texts begin with a space where there is one. Languages without spaces are
    segmented anew; times within a piece are shared out by letters."""
    if language not in SPACELESS:
        return [Token(replace(one, text=tidy(one.text, language)), True) for one in _whole(pieces)]
    text = "".join(one.text for one in pieces)
    if language in ("zh", "yue") and script:
        text = to_script(text, script)
    letters = [(piece, i) for piece in pieces for i in range(len(piece.text))]
    found, at, spaced = list[Token](), 0, False
    for part in split_words(text, language):
        behind = at + len(part)
        if part.strip():
            own = letters[at:behind]
            start, end = _moment(*own[0], 0), _moment(*own[-1], 1)
            sure = sum(piece.probability for piece, _ in own) / len(own)
            found.append(Token(Word(tidy(part.strip(), language), start, end, sure), spaced or part[0].isspace()))
        spaced = part[-1:].isspace()
        at = behind
    return _join_marks(found)


def _whole(pieces: Sequence[Word]) -> list[Word]:
    """Pieces without a space before them belong to the word before: `ill`, `-disposed`."""
    words: list[Word] = []
    for one in pieces:
        text = one.text.strip()
        if words and text and not one.text[0].isspace():
            last = words[-1]
            sure = min(last.probability, one.probability)
            words[-1] = Word(last.text + text, last.start, max(last.end, one.end), sure)
        elif text:
            words.append(replace(one, text=text))
    return words


def _moment(piece: Word, letter: int, behind: int) -> float:
    return piece.start + (piece.end - piece.start) * (letter + behind) / len(piece.text)


def _join_marks(found: Sequence[Token]) -> list[Token]:
    """Punctuation belongs to the word before it."""
    joined: list[Token] = []
    for token in found:
        if joined and not token.spaced and not re.search(r"\w", token.word.text):
            last = joined[-1]
            word = replace(last.word, text=last.word.text + token.word.text, end=max(last.word.end, token.word.end))
            joined[-1] = replace(last, word=word)
        else:
            joined.append(token)
    return joined


def sentences(found: Sequence[Token], language: str) -> tuple[Sentence, ...]:
    """Sentences by punctuation, else by pauses; in Thai by a model of its sentences too. None is longer than a reader
    can follow: the longest are divided at their longest pause."""
    groups = [part for group in _groups(found, language) for part in _divide(group, language)]
    return tuple(_sentence(i, group) for i, group in enumerate(groups))


def _groups(found: Sequence[Token], language: str) -> Iterator[list[Token]]:
    ends = _thai_ends(found) if language == "th" else _ends(found)
    group: list[Token] = []
    for i, token in enumerate(found):
        group.append(token)
        after = found[i + 1] if i + 1 < len(found) else None
        silent = after is not None and after.word.start - token.word.end >= _SILENCE_S
        if i in ends or silent or after is None or after.speaker != token.speaker:
            yield group
            group = []


def _ends(found: Sequence[Token]) -> set[int]:
    """Places of the last words of sentences."""
    ends = {i for i, token in enumerate(found) if _END.search(token.word.text) and not _goes_on(found, i)}
    # Where no mark is for long, nobody set any: there, pauses count.
    for last, end in pairwise([-1, *sorted(ends), len(found) - 1]):
        if sum(len(token.word.text) for token in found[last + 1 : end + 1]) > _SPARSE:
            ends |= {j for j in range(last + 1, end) if found[j + 1].word.start - found[j].word.end >= _PAUSE_S}
    return ends


def _goes_on(found: Sequence[Token], i: int) -> bool:
    """A full stop that ends no sentence: an abbreviation, or a small letter behind it."""
    text = found[i].word.text
    if not text.endswith("."):
        return False
    if i + 1 < len(found) and found[i + 1].word.text[:1].islower():
        return True
    return bool(_ABBREVIATION.match(text))


def _thai_ends(found: Sequence[Token]) -> set[int]:
    ends = {i for i, (a, b) in enumerate(pairwise(found)) if b.word.start - a.word.end >= _THAI_PAUSE_S}
    ends |= {i for i, token in enumerate(found) if _END.search(token.word.text)}
    text = _joined(found)
    borders, at = set[int](), 0
    for part in thai_sentences(text):
        at += len(part)
        borders.add(len(text[:at].rstrip()))
    at = 0
    for i, token in enumerate(found):
        at += len(token.word.text) + (token.spaced and i > 0)
        # Only where a space is: the model's other borders are often inside a clause.
        if at in borders and i + 1 < len(found) and found[i + 1].spaced:
            ends.add(i)
    return ends


def _divide(group: list[Token], language: str) -> Iterator[list[Token]]:
    size = len(_joined(group)) if language in SPACELESS else len(group)
    if size <= _LONGEST.get(language, _LONGEST_WORDS) or len(group) < 8:
        yield group
        return
    inner = range(len(group) // 4, len(group) - len(group) // 4)

    def fit(i: int) -> float:
        pause = group[i].word.start - group[i - 1].word.end
        return pause + (0.3 if re.search(r"[,;:，；：、]$", group[i - 1].word.text) else 0.0)

    at = max(inner, key=fit)
    yield from _divide(group[:at], language)
    yield from _divide(group[at:], language)


def _sentence(place: int, group: Sequence[Token]) -> Sentence:
    words = tuple(token.word for token in group)
    return Sentence(
        place, words[0].start, max(word.end for word in words), _joined(group), words, group[0].speaker, doubtful(words)
    )


def _joined(group: Sequence[Token]) -> str:
    return "".join((" " if token.spaced and i else "") + token.word.text for i, token in enumerate(group))


def doubtful(words: Sequence[Word]) -> bool:
    """Whether somebody should listen to it: a third of the words are doubtful, or a number or name is."""
    weak = [word for word in words if word.doubtful]
    named = any(re.search(r"\d", word.text) or (word.text[:1].isupper() and word is not words[0]) for word in weak)
    return named or 3 * len(weak) >= max(1, len(words))
