"""The glossary stage: one spelling for each name, through the whole transcript, and a list of what was changed.

A user's glossary wins. Names that nobody gave are unified only where the recogniser was unsure of a spelling and
another one, that sounds the same, is better founded: on a slide, or heard more often and more surely. Two spellings
that were both heard clearly are two names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from moonlet.article.language import SPACELESS, tidy
from moonlet.article.likeness import Spellings, letters
from moonlet.article.sentences import doubtful
from moonlet.article.stages import Stage, StageError, Tell, silent
from moonlet.article.talk import Change, Sentence, Transcript, Word

_UNSURE = 0.8  # a spelling heard more surely than this is not replaced by one that only sounds like it
_MOST_TERMS = 5_000
_WORD = re.compile(r"^(\W*)(.*?)((?:['’]s)?\W*)$", re.DOTALL)


class GlossaryError(StageError):
    """A glossary file that cannot be read."""


@dataclass(frozen=True, slots=True)
class Term:
    """A name as it is to be written, and spellings that are always it."""

    name: str
    heard_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the stage takes: the transcript, and what is written on the slides."""

    transcript: Transcript
    slides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GlossarySettings:
    """The user's terms."""

    terms: tuple[Term, ...] = ()
    unify: bool = True  # names that are not among the terms too


def read_glossary(path: Path) -> tuple[Term, ...]:
    """The terms of a file: a name a line; behind a colon, spellings that are always it, with commas between. Lines that
    begin with # are comments. Raises GlossaryError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise GlossaryError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise GlossaryError(f"{path} is not written in UTF-8") from None
    terms = []
    for number, line in enumerate(lines, 1):
        name, _, rest = line.partition(":")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not letters(name):
            raise GlossaryError(f"{path}, line {number}: there is no name before the colon")
        terms.append(Term(" ".join(name.split()), tuple(one.strip() for one in rest.split(",") if letters(one))))
    if len(terms) > _MOST_TERMS:
        raise GlossaryError(f"{path} holds {len(terms)} terms; {_MOST_TERMS} are the most")
    return tuple(terms)


def glossary(spoken: Spoken, folder: Path, settings: GlossarySettings, tell: Tell = silent) -> Transcript:
    """The transcript with one spelling for each name."""
    given = spoken.transcript
    spaceless = given.language in SPACELESS
    changes: Counter[tuple[str, str]] = Counter()
    terms = tuple(replace(term, name=tidy(term.name, given.language)) for term in settings.terms)
    made = _apply(given.sentences, _Book.of(terms), changes, spaceless)
    names = [] if spaceless else _names(made, spoken.slides)
    if settings.unify and not spaceless:
        made = _apply(made, _unified(names, terms), changes, spaceless)
    found = [name.text for name in names if name.count >= 2 or name.written]
    kept, known = {letters(term.name): term.name for term in terms}, Spellings[str]()
    for key, name in kept.items():
        known.add(key, name)
    for name in found:
        if known.find(letters(name)) is None:
            kept[letters(name)] = name
            known.add(letters(name), name)
    listed = tuple(Change(before, after, count) for (before, after), count in sorted(changes.items()))
    return replace(given, sentences=tuple(made), changes=(*given.changes, *listed), terms=tuple(kept.values()))


STAGE = Stage("glossary", 1, Spoken, GlossarySettings, Transcript, glossary)


@dataclass(slots=True)
class _Book:
    """What is written how. `sure`: by letters, always. `maybe`: for what sounds like it and was not heard surely."""

    sure: dict[str, str] = field(default_factory=dict)
    maybe: Spellings[str] = field(default_factory=Spellings)
    longest: int = 1  # letters
    found: bool = False  # in the transcript, not given by the user

    @classmethod
    def of(cls, terms: Sequence[Term]) -> _Book:
        """Of the user's terms."""
        book = cls()
        for term in terms:
            for spelling in (*term.heard_as, term.name):
                book.sure[letters(spelling)] = term.name
            book.maybe.add(letters(term.name), term.name)
        book.longest = max((len(key) for key in book.sure), default=1)
        return book

    def find(self, key: str, probability: float) -> str | None:
        """How what was heard as `key` is written, if it is a name."""
        if key in self.sure:
            return self.sure[key]
        return None if probability >= _UNSURE else self.maybe.find(key)


@dataclass(frozen=True, slots=True)
class _Name:
    """A spelling that occurs as a name."""

    text: str
    count: int
    probability: float  # mean
    written: bool  # on a slide


def _apply(
    sentences: Sequence[Sentence], book: _Book, changes: Counter[tuple[str, str]], spaceless: bool
) -> list[Sentence]:
    if not book.sure:
        return list(sentences)
    return [_apply_to(sentence, book, changes, spaceless) for sentence in sentences]


def _apply_to(sentence: Sentence, book: _Book, changes: Counter[tuple[str, str]], spaceless: bool) -> Sentence:
    spans = _spans(sentence)
    words: list[Word] = []
    text, done, i = "", 0, 0
    while i < len(sentence.words):
        taken, name = _longest_match(sentence.words, i, book, spaceless)
        run = sentence.words[i : i + taken]
        low, high = spans[i][0], spans[i + taken - 1][1]
        text += sentence.text[done:low]
        if name is None:
            text += sentence.text[low:high]
            words += run
        else:
            before = sentence.text[low:high]
            after = _dressed(before, name)
            if after != before:
                changes[_bare(before), _bare(after)] += 1
            text += after
            words += run if after == before else _rewritten(run, after, spaceless)
        done, i = high, i + taken
    text += sentence.text[done:]
    return replace(sentence, text=text, words=tuple(words), doubtful=doubtful(words))


def _longest_match(words: Sequence[Word], i: int, book: _Book, spaceless: bool) -> tuple[int, str | None]:
    """How many words from the i-th on are a name, and which; 1 and None if they are none."""
    key, chances = "", list[float]()
    best: tuple[int, str | None] = (1, None)
    for j in range(i, len(words)):
        key += letters(words[j].text)
        chances.append(words[j].probability)
        if len(key) > book.longest + 2 or (j > i and not spaceless and j - i > 5):
            break
        chance = sum(chances) / len(chances)
        name = book.find(key, chance) if key else None
        # In small letters it is mostly the common word: `apple`, `open`.
        common = (
            book.found and chance >= _UNSURE and not any(map(str.isupper, "".join(w.text for w in words[i : j + 1])))
        )
        if name is not None and not common:
            best = (j - i + 1, name)
        if re.search(r"[,;:.!?，。！？]$", words[j].text):
            break  # a name does not go on behind a mark
    return best


def _spans(sentence: Sentence) -> list[tuple[int, int]]:
    spans, at = [], 0
    for word in sentence.words:
        low = sentence.text.index(word.text, at)
        at = low + len(word.text)
        spans.append((low, at))
    return spans


def _bare(text: str) -> str:
    found = _WORD.match(text)
    return found[2] if found and found[2] else text


def _dressed(before: str, name: str) -> str:
    """The name with the marks and the possessive that what it replaces had."""
    found = _WORD.match(before)
    return f"{found[1]}{name}{found[3]}" if found else name


def _rewritten(run: Sequence[Word], after: str, spaceless: bool) -> list[Word]:
    """Words for a new spelling, over the time of the old ones."""
    parts = [after] if spaceless else after.split()
    sure = min(word.probability for word in run)
    if len(parts) == len(run):
        return [replace(word, text=part) for word, part in zip(run, parts)]
    start, length, of, at, made = run[0].start, run[-1].end - run[0].start, sum(map(len, parts)), 0, []
    for part in parts:
        times = round(start + length * at / of, 3), round(start + length * (at + len(part)) / of, 3)
        made.append(Word(part, *times, sure))
        at += len(part)
    return made


def _names(sentences: Sequence[Sentence], slides: Sequence[str]) -> list[_Name]:
    """Capitalised words inside sentences, alone and in runs, with how often and how surely they were heard."""
    heard: dict[str, list[float]] = {}
    for sentence in sentences:
        for run in _runs(sentence.words):
            text = _bare(" ".join(word.text for word in run))
            heard.setdefault(text, []).append(sum(word.probability for word in run) / len(run))
    written = {one for slide in slides for one in re.findall(r"\b[A-Z][\w'-]+(?: [A-Z][\w'-]+)*", slide)}
    written |= {word for one in written for word in one.split()}
    return [_Name(text, len(all), sum(all) / len(all), text in written) for text, all in heard.items()] + [
        _Name(text, 0, 1.0, True) for text in sorted(written - set(heard))
    ]


def _runs(words: Sequence[Word]) -> Iterator[list[Word]]:
    run: list[Word] = []
    for word in words[1:]:  # the first is capitalised anyway
        bare = _bare(word.text)
        if bare[:1].isupper() and len(bare) > 1 and bare not in ("I'm", "I'll", "I've", "I'd"):
            run.append(word)
            if word.text.endswith(bare):
                continue
        if run:
            yield run
        run = []
    if run:
        yield run


def _unified(names: Sequence[_Name], terms: Sequence[Term]) -> _Book:
    """Spellings that were not heard surely, and what they are to be: the best founded one that sounds the same."""
    book = _Book(found=True)
    ours = {letters(term.name) for term in terms}
    ranked = sorted(names, key=lambda name: (name.written, name.count * name.probability, name.text), reverse=True)
    standing, known = list[_Name](), Spellings[_Name]()

    def stand(name: _Name) -> None:
        standing.append(name)
        known.add(letters(name.text), name)

    for name in ranked[:_MOST_TERMS]:
        key = letters(name.text)
        if key in ours or not key:
            continue
        better = known.find(key)
        if better is None:
            stand(name)
        elif key == letters(better.text) or (name.probability < _UNSURE and not name.written):
            book.sure[key] = better.text
        else:
            stand(name)
    for one in standing:
        if one.count >= 2 or one.written:
            book.sure.setdefault(letters(one.text), one.text)
    book.sure = {key: text for key, text in book.sure.items() if len(key) >= 4}
    book.longest = max((len(key) for key in book.sure), default=1)
    return book
