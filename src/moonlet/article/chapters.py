"""Where a talk turns to something else: chapters, cut where words change and where the speaker pauses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from moonlet.article.talk import Sentence
from moonlet.article.words import content

_AROUND = 6  # sentences on each side of a gap that are compared
_PAUSE_S = 4.0  # a pause of so long is as good a sign as no word in common

Stretch = tuple[int, int]  # first and last place, both of it


def cut(sentences: Sequence[Sentence], count: int, least: int = 3) -> list[Stretch]:
    """At most `count` chapters of at least `least` sentences; where none are given, none."""
    if not sentences:
        return []
    contents = [content(sentence.text) for sentence in sentences]
    gaps = sorted(range(1, len(sentences)), key=lambda gap: _held(sentences, contents, gap))
    begins = [0]
    for gap in gaps:
        if len(begins) >= count:
            break
        if all(abs(gap - begin) >= least for begin in [*begins, len(sentences)]):
            begins.append(gap)
    begins.sort()
    return [(begin, end - 1) for begin, end in zip(begins, [*begins[1:], len(sentences)])]


def _held(sentences: Sequence[Sentence], contents: Sequence[frozenset[str]], gap: int) -> float:
    """How much holds the two sides of a gap together: the share of content that both have, less a pause."""
    before = frozenset[str]().union(*contents[max(gap - _AROUND, 0) : gap])
    after = frozenset[str]().union(*contents[gap : gap + _AROUND])
    shared = len(before & after) / max(min(len(before), len(after)), 1)
    pause = sentences[gap].start - sentences[gap - 1].end
    return shared - min(max(pause, 0.0) / _PAUSE_S, 1.0)


def fit(stretches: Sequence[Stretch], tokens: Callable[[int], int], room: int) -> list[Stretch]:
    """The same, those that are too large cut further. `tokens` is of the sentence at a place. A sentence that does not
    fit alone is a chapter alone."""
    fitting: list[Stretch] = []
    for first, last in stretches:
        begin, used = first, 0
        for place in range(first, last + 1):
            size = tokens(place)
            if used + size > room and place > begin:
                fitting.append((begin, place - 1))
                begin, used = place, 0
            used += size
        fitting.append((begin, last))
    return fitting
