"""Whose claim it is: what a talk tells as somebody else's words or belief, and who an article lays words and deeds to.

"My neighbour says that the sea is rising" does not say that the sea is rising. Where the speaker only passes on what a
known person said, an article should name that person; where the speaker doubts it, leaving that out is false.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from moonlet.article.amounts import lower
from moonlet.article.words import content, denials, tidy


@dataclass(frozen=True, slots=True)
class Reported:
    """`text` as somebody's words. `doubted`: the speaker keeps away from it; `denied`: nobody says it."""

    who: str
    text: str
    start: int  # in the tidy text: where its `who` begins
    doubted: bool
    denied: bool


_SAYS_EN = re.compile(
    r"\b(?P<neutral>said|says|told (?:me|us|him|her|them|everyone)|tells (?:me|us)|warn(?:s|ed)(?: me| us)?|promise[sd]|announce[sd]|"
    r"suggest(?:s|ed)|swore|report(?:s|ed) that|wrote that|writes that|argue[sd]?|insist(?:s|ed)?|predict(?:s|ed)?)\b|"
    r"\b(?P<far>claim(?:s|ed)?|believe[sd]?|think(?:s)?|thought|assume[sd]?|suspect(?:s|ed)?|hope[sd]?|fear(?:s|ed)?|guess(?:es|ed)?|"
    r"pretend(?:s|ed)?|allege[sd]?|imagined|expected|used to (?:think|believe|say)|say)\b"
)
_NO_SAYS_EN = re.compile(
    r"(?:that|having|is|was|be|being|been) said\b|\bbelieve me\b|\b(?:think|thought|believe[sd]?|say) (?:of|about|in|so|back|through|again|it over|hello|goodbye|thank|yes|no)\b"
)
_ACCORDING_EN = re.compile(r"\baccording to ([^,.;]+)")
_CROWD = re.compile(
    r"\b(?:people|they|some|somebody|someone|many|critics|sceptics|skeptics|everyone|everybody|others|opponents|it is|it was|legend|"
    r"rumou?r|most)\b|有人|人们|人們|大家|很多人|许多人|許多人|他们都|据|據|คนมัก|หลายคน|บางคน|ผู้คน|ใครๆ|ใคร ๆ|เขาว่ากัน"
)
_OWN = re.compile(
    r"(?:\b(?:i|we)|我|我们|我們|ผม|ดิฉัน|ฉัน|เรา|กระผม|ข้าพเจ้า)(?:\s+\w+ly|\s+(?:have|had|also|always|can|do|don't|will|would|already|just|still|never))*\s*(?:一直|都|也|还|還|就|常常|常|从来|從來|ก็|เคย|ได้|จึง)*$"
)
_PAST_BELIEF = re.compile(
    r"thought|believed|assumed|hope|fear|guessed|imagined|expected|pretend|used to|以为|以為|希望|担心|擔心|นึกว่า|หวังว่า|กลัวว่า|เคยคิดว่า|เคยเชื่อว่า"
)
_SAYS_ZH = re.compile(
    "(?P<neutral>告诉(?:我们|我|他|她)?|告訴(?:我們|我|他|她)?|表示|指出|警告|承诺|承諾|(?<![小传傳来來听聽据據再如以该該是按照])(?:说|說)(?![明服法话話实實来來起不谎謊])过?|(?<![名职職简簡])称(?![为為作赞呼])|稱(?![為作讚呼]))|"
    "(?P<far>认为|認為|相信|以为|以為|声称|聲稱|觉得|覺得|据说|據說|听说|聽說|预测|預測|希望|担心|擔心)"
)
_SAYS_TH = re.compile(
    "(?P<neutral>บอก(?:กับ)?(?:ผม|ดิฉัน|ฉัน|เรา)?ว่า|พูดว่า|กล่าวว่า|เล่าว่า|เตือนว่า|รายงานว่า|สัญญาว่า|ยืนยันว่า|ระบุว่า)|"
    "(?P<far>เคยคิดว่า|เคยเชื่อว่า|เชื่อว่า|คิดว่า|อ้างว่า|เห็นว่า|หวังว่า|กลัวว่า|นึกว่า|เข้าใจว่า|คาดว่า|ลือกันว่า|ว่ากันว่า)"
)
# By these a sentence of an article says that it is somebody's claim.
_ATTRIBUTES = re.compile(
    r"\b(?:sa(?:id|ys?|ying)|t(?:old|ells?)|claim\w*|argu\w+|believ\w+|th(?:inks?|ought|inking)|according|report\w*|warn\w*|insist\w*|"
    r"predict\w*|assum\w+|hop(?:e\w*|ing)|fear\w*|suspect\w*|suggest\w*|promis\w+|announc\w+|opinions?|views?|critics?|rumou?r\w*|"
    r"supposed\w*|alleg\w+|reputed\w*|vow\w*|swor?e\w*|wonder\w*|expect\w*|myths?|quot\w+|words|calls?|called|convinced|consider\w*|"
    r"perceiv\w*|impression|guess\w*|imagin\w+|pretend\w*|wrote|writes?|seem\w*|apparent\w*)\b|"
    "说|說|认为|認為|觉得|覺得|告诉|告訴|表示|称|稱|指出|相信|以为|以為|据|據|声称|聲稱|看来|看來|希望|担心|擔心|预测|預測|承诺|承諾|警告|看法|传言|傳言|"
    "ว่า|ตามที่|ตามคำ|เชื่อ|อ้าง|ความเห็น|หวัง|กลัว|เตือน|ทัศนะ|ข่าวลือ"
)


def attributes(text: str) -> bool:
    """Whether a sentence says that it tells somebody's words or belief."""
    return _ATTRIBUTES.search(lower(text)) is not None


@lru_cache(4096)
def reported(text: str) -> tuple[Reported, ...]:
    """What a text tells as somebody else's, or as what the speaker once believed or only hopes."""
    text = tidy(text)
    low, found = lower(text), list[Reported]()
    free = {place for match in _NO_SAYS_EN.finditer(low) for place in range(*match.span())}
    for pattern in (_SAYS_EN, _SAYS_ZH, _SAYS_TH):
        found += [one for match in pattern.finditer(low) if match.start() not in free and (one := _one(text, match))]
    for match in _ACCORDING_EN.finditer(low):
        before = re.split(r"[.;!?]", text[: match.start()])[-1].strip(" ,")
        after = re.split(r"[.;!?]", text[match.end() :])[0].strip(" ,")
        found.append(Reported(match[1], before or after, match.start(), False, False))
    return tuple(found)


_WHO_BEGINS = re.compile(r"[.;:!?,。；：！？，\n]|\b(?:but|because|so|that|which)\b|แต่|เพราะ|และ")
_OPENS = re.compile(r"[\s,，：:“\"]*(?:that\b)?")
_ENDS = re.compile(r"[.;!?。；！？\n]|, (?:but|yet|although|though)\b|\bbut\b|，(?:但|可是|然而)|แต่")
_DENIES = re.compile(r"\b(?:do|did|does) not\b|\b(?:don't|didn't|doesn't|never|not)\b|不|没|沒|从来|從來|ไม่|เคย")
_PRONOUN = r"(?:he|she|they|他|她|他们|她们|เขา|เธอ)"
_SELF = re.compile(rf"{_PRONOUN}(?![a-z])")  # of oneself: nobody else's word is passed on
# Not somebody, but what nobody doubts that it says so.
_THINGS = re.compile(
    r"\b(?:data|figures?|numbers?|this|that|which|it|results?|studies|study|research|evidence|measurements?|experiments?|"
    r"signs?|law|rules?)\b|数据|數據|研究|结果|結果|实验|實驗|证据|證據|ข้อมูล|ผลการ|งานวิจัย|ตัวเลข"
)


def _one(text: str, match: re.Match[str]) -> Reported | None:
    """One that is opened by a verb; None if the speaker says so, or something that is nobody."""
    start = max((one.end() for one in _WHO_BEGINS.finditer(lower(text[: match.start()]))), default=0)
    who, far = text[start : match.start()].strip(), match.lastgroup == "far"
    opened = _OPENS.match(text, match.end())
    rest = _ENDS.split(text[opened.end() if opened else match.end() :])[0].strip()
    if not rest or not (who or far):
        return None
    low, denied = lower(who), bool(denials(f"{who} {match[0]}"))
    # "He came back and said": whoever did the one thing says the other.
    own = re.match(r"(?:i|we)\b", low) if low.endswith(" and") else _OWN.search(_DENIES.sub("", low).strip())
    if own and not denied and not _PAST_BELIEF.search(match[0]):
        return None
    crowd = _CROWD.search(low) is not None
    if (not own and not crowd and _THINGS.search(low)) or (re.fullmatch(_PRONOUN, low) and _SELF.match(lower(rest))):
        return None
    return Reported(who or match[0], rest, start, far or crowd, denied)


_NAMED = re.compile(
    r"(?:\b[Mm]y name is|\bI'm|\bI am|\bthis is|我叫|我是|我的名字是|(?:ผม|ดิฉัน|ฉัน)(?:ชื่อ)?)\s*(?:Dr\.? |Professor )?(?P<name>[A-ZÀ-Þ][\w'-]+(?: [A-ZÀ-Þ][\w'-]+)*|[\u3400-\u9fff]{2,4}|[\u0e00-\u0e7f]+(?: [\u0e00-\u0e7f]+)?)"
)
_SEVERAL = re.compile(
    r"\b(?:welcome|guests?|joined by|joins (?:me|us)|interview\w*|with me|podcast|host|moderator|introduce)\b|欢迎|歡迎|嘉宾|嘉賓|有请|有請|主持|ต้อนรับ|แขกรับเชิญ|พิธีกร|สัมภาษณ์"
)
_FIRST = re.compile(
    r"^(?:(?:so|and|then|eight|\w+ (?:years?|days?|months?) ago|in \S+(?: \S+)?|last year|yesterday|today),? )*(?:i|i've|i'd)\b|^(?:[^，]{0,6}，)?我(?!们|們)|^(?:ผม|ดิฉัน|ฉัน|กระผม)"
)
_OTHER = re.compile(r"\b(?:he|she|him|her|his|hers|they|them|their)\b|他|她|เขา|เธอ|แก(?!้|่)|หล่อน")


def speaker(texts: Sequence[str]) -> str | None:
    """The one speaker of a talk, where he or she says a name and nothing tells of a second one."""
    whole = tidy("\n".join(texts))
    if _SEVERAL.search(lower(whole)):
        return None
    found = {match["name"] for match in _NAMED.finditer(whole)}
    return found.pop() if len(found) == 1 else None


def is_first_person(clause: str) -> bool:
    """Whether the speaker alone acts in a clause."""
    return _FIRST.search(lower(clause.strip())) is not None


def speaks_of_others(text: str) -> bool:
    """Whether pronouns in a text point to somebody else."""
    return _OTHER.search(lower(text)) is not None


def subject(text: str, terms: Sequence[str], proper: Collection[str]) -> str | None:
    """The name that a sentence begins with, or that it gives as whose words these are; `proper` are a talk's names."""
    text = tidy(text).strip()
    for name in terms:
        if text.startswith(name):
            return name
    first = re.match(r"(?:[A-ZÀ-Þ][\w'-]+ )*[A-ZÀ-Þ][\w'-]+(?= [a-z])", text)
    told = re.search(r"\b(?:according to|says|said) ((?:[A-ZÀ-Þ][\w'-]+ ?)+)", text)
    for found in (told[1] if told else "", first[0] if first else ""):
        if set(found.split()) & set(proper):
            return found.strip()
    return None


def shares(one: str, other: str) -> bool:
    """Whether two names, or words for somebody, have a word in common."""
    return bool(content(one) & content(other)) or one in other or other in one


def as_one(text: str, speaker: str | None) -> str:
    """A text in which the speaker is one word, whether it says "I" or a name."""
    if not speaker or not speaker.isascii():
        return text
    names = "|".join(re.escape(name) for name in (speaker, *speaker.split()))
    return re.sub(rf"\b(?:{names}|I|me)\b(?!')", "Thespeaker", text)


def unattributed(claim: str, near: Sequence[str]) -> Iterator[Reported]:
    """What the sentences near report, where a claim says of nobody that it is theirs."""
    if attributes(claim):
        return
    own = content(claim)
    for text in near:
        for one in reported(text):
            if not one.denied and not content(one.who) & own:
                yield one
