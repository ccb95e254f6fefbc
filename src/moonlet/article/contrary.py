"""A word in whose place its contrary was said: less for more, first for last, where all else is the same."""

from __future__ import annotations

import re
from collections.abc import Sequence

from moonlet.article.amounts import lower
from moonlet.article.words import alike, clauses, content, denials, tidy

_CONTRARY_WORDS = (
    "more/less more/fewer increased/decreased increase/decrease increases/decreases rose/fell rises/falls rise/fall higher/lower "
    "bigger/smaller larger/smaller longer/shorter faster/slower heavier/lighter stronger/weaker better/worse best/worst most/least "
    "first/last gained/lost won/lost above/below before/after cheaper/dearer largest/smallest highest/lowest fastest/slowest always/never "
    "success/failure succeeded/failed safe/dangerous "
    "增加/减少 增加/減少 提高/降低 上升/下降 更多/更少 最多/最少 最大/最小 最高/最低 高于/低于 更高/更低 更大/更小 成功/失败 成功/失敗 增长/下降 "
    "เพิ่มขึ้น/ลดลง เพิ่ม/ลด มากกว่า/น้อยกว่า สูงกว่า/ต่ำกว่า มากที่สุด/น้อยที่สุด สูงที่สุด/ต่ำที่สุด สำเร็จ/ล้มเหลว"
)
_CONTRARY = tuple(tuple(pair.split("/")) for pair in _CONTRARY_WORDS.split())
_NEARLY = 0.8  # of the smaller one's content is the same


def contrary(claim: str, near: Sequence[str]) -> tuple[str, str] | None:
    """A word of a clause in whose place its contrary was said, and that. With a "than", what follows that must be the same:
    "A is longer than B" is "B is shorter than A"."""
    said = [clause for text in near for clause in clauses(tidy(text))]
    for own in clauses(tidy(claim)):
        for other in said:
            if alike(own, other) < _NEARLY or bool(denials(own)) != bool(denials(other)):
                continue
            for pair in _CONTRARY:
                for one, two in (pair, pair[::-1]):
                    here, there = _has(own, one) and not _has(own, two), _has(other, two) and not _has(other, one)
                    if here and there and _after_than(own, other) and not any(_has(text, one) for text in near):
                        return one, two
    return None


def _has(text: str, word: str) -> bool:
    if word.isascii():
        return re.search(rf"\b{word}\b", lower(text)) is not None
    return word in text


def _after_than(own: str, other: str) -> bool:
    behind = [re.split(r"\bthan\b|กว่า|比|于", lower(text), maxsplit=1)[1:] for text in (own, other)]
    if not behind[0] or not behind[1]:
        return not behind[0] and not behind[1]
    mine, its = (content(text[0]) for text in behind)
    return mine <= its or its <= mine
