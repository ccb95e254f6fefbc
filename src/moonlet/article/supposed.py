"""What a talk says only under a condition, only asks, or names as what was not the reason.

"If it rains, the harvest fails" does not say that the harvest fails. Pieces of sentences are found by the words that
open them; what cannot be cut apart safely (a condition without a comma behind it) is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from moonlet.article.amounts import lower
from moonlet.article.words import clauses, content, tidy


@dataclass(frozen=True, slots=True)
class Supposed:
    """`text` is what a sentence does not say outright; `condition` under which it holds, "" if it is only asked."""

    text: str
    condition: str
    told: str


_EN = re.compile(r"\b(?:if|unless|provided(?: that)?|as long as|so long as|on condition that|assuming(?: that)?)\b")
_ZH = re.compile("如果|假如|要是|倘若|假使|除非|只要|一旦|只有(?=[^。；]{1,40}才)")
_TH = re.compile("ถ้าหากว่า|ถ้าหาก|ถ้า|หากว่า|หาก(?!แต่)|เว้นแต่|ต่อเมื่อ|ตราบใดที่")
# An "if" that sets no condition: a concession, an afterthought, a way to begin a sentence.
_FRAME_EN = re.compile(
    r"\b(?:even|as|what) if\b|\bif (?:not|any|anything|ever|so|at all|necessary|possible|only)\b|"
    r"\bif (?:you|we|one|i) (?:will|like|may|can|could|just|ask|look|think|want|wanted|consider|compare|remember|go|take|"
    r"see|read|listen|know|say|put|imagine|recall|ever|have ever|add|count)\b"
)
_FRAME_ZH = re.compile(
    "(?:如果|要是|假如)(?:你|我们|我們|您|大家|我)?(?:仔细|仔細|再|去|来|來)?(?:看|想|比较|比較|问|問|说|說|算)"
)
_FRAME_TH = re.compile("(?:ถ้าหาก|ถ้า|หาก)(?:เรา|คุณ|ท่าน|ใคร)?(?:ลอง)?(?:ดู|มอง|คิด|ถาม|เทียบ|พูด|จำ|อยาก|สังเกต|นับ|ไม่เชื่อ)")
_ASKED_EN = re.compile(
    r"\b(?:ask(?:s|ed|ing)?|know[ns]?|knew|wonder(?:s|ed|ing)?|see|sure|clear|certain|tell|told|doubt(?:s|ed|ful)?|"
    r"question|decide[ds]?|check(?:s|ed)?|test(?:s|ed)?|out|learn|understand)(?: (?:me|us|him|her|them|you|is|was))? (?:whether|if)\b"
)
_ASKED_ZH = re.compile("是否|能否|会不会|會不會|能不能|是不是|可不可以")
_ASKED_TH = re.compile("หรือไม่|หรือเปล่า|หรือยัง")
_TURN = re.compile(r",? \b(?:but|yet|although|though|because|whereas|while)\b|，?(?:但|可是|然而|因为|因為)|แต่|เพราะ")
# A condition stands first behind these, and what holds under it behind those.
_LEADS = re.compile(r"(?:^|[,，]|\b(?:and|but|so|that|because|then|well)|但|但是|所以|แต่|และ|ว่า)\s*$")
_THEN = re.compile(r", (?:then )?|\bthen\b|，|就(?!是)|那么|那麼")
_THEN_TH = re.compile(r"\s+(?:ก็)?|ก็")
_BOUND = re.compile(r"[.;:!?。；：！？\n]")
# By these a sentence of an article leaves open what the talk leaves open.
_OPEN = re.compile(
    r"\b(?:if|unless|when(?:ever)?|once|provided|as long as|so long as|in case|otherwise|depend\w*|would|could|might|may|"
    r"should|without|only (?:if|when|after|with|once|then)|assuming|suppos\w*|whether|possibl\w*|perhaps|maybe|question\w*|ask\w*|wonder\w*|unknown|"
    r"unclear|uncertain|unsure|sure|certain|doubt\w*|hypothe\w*|scenario|risk\w*|threat\w*|condition\w*)\b|"
    "如果|要是|假如|一旦|只要|除非|只有|的话|的話|时候|時候|时[，,]|時[，,]|可能|或许|或許|也许|也許|取决|取決|否则|否則|是否|能否|会不会|會不會|能不能|不知道|不清楚|不确定|疑问|疑問|问题|問題|条件|條件|"
    "ถ้า|หาก|เมื่อ|อาจ|กรณี|เว้นแต่|ขึ้นอยู่|ขึ้นกับ|ตราบ|หรือไม่|หรือเปล่า|คงจะ|สงสัย|ไม่แน่|คำถาม|เงื่อนไข"
)
# The reason that was not one: "not because Q" with the real one, or an end, behind it.
_NOT_REASON = re.compile(
    r"\bnot because (?P<en>[^.;,?!]+)|(?:\bnot|n't|\bnever)\b[^.;,?!]{1,60}?\bbecause (?P<contrast>[^.;,?!]+)(?=[.;,][^.?!]*\bbecause\b)|不是因为(?P<zh>[^，。；]+)|不是因為(?P<hant>[^，。；]+)|"
    r"ไม่ใช่เพราะ(?:ว่า)?(?P<th>[^ ]+)"
)
_REASON = re.compile(
    r"\b(?:because of|because|due to|thanks to|owing to|as a result of)\b ?|(?<!不是)(?:因为|因為|由于|由於)|(?<!ไม่ใช่)(?:เพราะว่า|เพราะ|เนื่องจาก)"
)


def leaves_open(text: str) -> bool:
    """Whether a sentence states nothing outright."""
    return _OPEN.search(lower(text)) is not None


@lru_cache(4096)
def supposed(text: str) -> tuple[Supposed, ...]:
    """All that a text supposes or asks."""
    text = tidy(text)
    return (*_conditions(text), *_asked(text))


@lru_cache(4096)
def outright(text: str) -> str:
    """A text without its sentences that suppose or ask something, but for what follows a "but" in them."""
    kept = []
    for piece in re.split(r"(?<=[.;!?。；！？\n])", tidy(text)):
        if supposed(piece):
            marks = [match.end() for match in _TURN.finditer(lower(piece))]
            last = max(match.end() for match in _marks(lower(piece)))
            kept.append(piece[min((mark for mark in marks if mark > last), default=len(piece)) :])
        else:
            kept.append(piece)
    return " ".join(kept)


def _marks(low: str) -> Iterator[re.Match[str]]:
    for pattern in (_EN, _ZH, _TH, _ASKED_EN, _ASKED_ZH, _ASKED_TH):
        yield from pattern.finditer(low)


def _conditions(text: str) -> Iterator[Supposed]:
    low = lower(text)
    free = {
        place
        for frame in (_FRAME_EN, _FRAME_ZH, _FRAME_TH, _ASKED_EN)
        for m in frame.finditer(low)
        for place in range(*m.span())
    }
    for marker, is_thai in ((_EN, False), (_ZH, False), (_TH, True)):
        for match in marker.finditer(low):
            if match.start() in free:
                continue
            cut = _cut(text, match.start(), match.end(), is_thai)
            if cut is None or not content(cut[0]):
                continue
            condition, rest = cut
            rest = _TURN.split(rest)[0]
            told = f"the talk says so only under a condition: {match[0]} {condition.strip()}"
            yield from (Supposed(one, condition, told[:200]) for one in clauses(rest))


def _cut(text: str, start: int, end: int, is_thai: bool) -> tuple[str, str] | None:
    """The condition, and what holds under it; None where they cannot be told apart."""
    begins = max((match.end() for match in _BOUND.finditer(text, 0, start)), default=0)
    ending = _BOUND.search(text, end)
    lead, after = text[begins:start], text[end : ending.start() if ending else len(text)].strip()
    leads = _LEADS.search(lower(lead)) or "\u3400" <= text[start] <= "\u9fff"  # 蜂王一旦死亡: its subject comes first
    if leads and (parted := (_THEN_TH if is_thai else _THEN).search(after)):
        return lead + after[: parted.start()], after[parted.end() :]
    if _LEADS.search(lower(lead)) and not re.search(r"[,，]\s*$", lead):
        return None
    parts = re.split(r"\s+" if is_thai else r"[,，]", lead.strip(" ,，"))
    return re.split(r"[,，]", after)[0], parts[-1]


def _asked(text: str) -> Iterator[Supposed]:
    low = lower(text)
    for match in _ASKED_EN.finditer(low):
        ending = re.compile(r"[,.;:!?\n]|\band i\b|\bbut\b").search(low, match.end())
        yield Supposed(
            text[match.end() : ending.start() if ending else len(text)], "", "the talk only asks whether it is so"
        )
    for clause in re.split(r"[,，。；;.!?！？\n]", text):
        if _ASKED_ZH.search(clause) or _ASKED_TH.search(clause):
            yield Supposed(clause, "", "the talk only asks whether it is so")


@lru_cache(4096)
def no_reasons(text: str) -> tuple[str, ...]:
    """What a text says was not the reason."""
    text = tidy(text)
    return tuple(
        text[match.start(name) : match.end(name)]
        for match in _NOT_REASON.finditer(lower(text))
        if (name := match.lastgroup)
    )


def reasons(text: str) -> tuple[str, ...]:
    """What a text gives as a reason. A reason that it denies is none."""
    text = tidy(text)
    denied = {
        match.end() for match in re.finditer(r"(?:\bnot|n't|\bnever)\b[^.;,?!]{0,60}?\b(?=because )", lower(text))
    }
    found = [match for match in _REASON.finditer(lower(text)) if match.start() not in denied]
    return tuple(re.split(r"[,.;:!?，。；！？]", text[match.end() :])[0] for match in found)
