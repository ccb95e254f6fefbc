"""A text as the check compares it: its words, what it denies, what it is about, whom it names.

English and its like are read by words. Thai and Chinese are read by signs, so that nothing depends on where a segmenter
cuts: what is verbatim there is a run of the same signs, and content is compared by pairs and triples of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from moonlet.article.amounts import amounts, lower, numbers
from moonlet.article.language import UNSPACED

_SIGN = re.compile(f"[{UNSPACED}]")
_TOKEN = re.compile(
    rf"เปอร์เซ็นต์|เปอร์เซนต์|per cent\b|[{UNSPACED}]|(?:(?![{UNSPACED}])\w)(?:(?![{UNSPACED}])(?:[\w\u0300-\u036f\u0900-\u0dff]|'(?=\w)))*|[%$€£¥฿°=+]"
)
_PERCENT = ("percent", "per cent", "เปอร์เซ็นต์", "เปอร์เซนต์")
_HIDDEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad]")
_SAME = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "‐": "-", "‑": "-", "％": "%", "￥": "¥", "\u00a0": " "}
)


@dataclass(frozen=True, slots=True)
class Token:
    """`text[start:end]` of a tidy text; a number is a token of its own, `#` and its value."""

    text: str
    start: int
    end: int


def tidy(text: str) -> str:
    """The text with one spelling for what readers see as the same; places may move."""
    text = unicodedata.normalize("NFC", _HIDDEN.sub("", text)).translate(_SAME)
    return text.replace("\u0e4d\u0e32", "\u0e33").replace("เเ", "แ")  # sara am in two pieces, sara ae as two sara e


@lru_cache(4096)
def tokens(text: str) -> tuple[Token, ...]:
    """The tokens of a tidy text."""
    low, listed, at = lower(text), list[Token](), 0
    for number in numbers(text):
        percent = re.search(r"(?:百分之|ร้อยละ)\s*$", low[at : number.start])
        listed += _plain(low, at, at + percent.start() if percent else number.start)
        value = f"{number.value} or {number.also}" if number.also else str(number.value)
        listed.append(Token(f"#{value}", at + percent.start() if percent else number.start, number.end))
        listed += [Token("%", number.end - 1, number.end)] if percent else []  # as it stands in "67%"
        at = number.end
    return (*listed, *_plain(low, at, len(low)))


def _plain(low: str, start: int, end: int) -> Iterator[Token]:
    for match in _TOKEN.finditer(low, start, end):
        word = "%" if match[0] in _PERCENT else match[0]
        yield Token(word, match.start(), match.end())


_NOT_EN = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|nowhere|neither|nor|cannot|without|hardly|scarcely|barely|rarely|seldom)\b|n't\b"
)
# What denies without a "not": beside it a paraphrase with one is no contradiction.
_SOFT = re.compile(
    r"\b(?:unable|impossible|lack(?:s|ed|ing)?|fail(?:s|ed|ing)?|refus(?:e|es|ed|ing)|den(?:y|ies|ied)|stop(?:s|ped)?|"
    r"avoid(?:s|ed)?|false|untrue|wrong|un(?:likely|safe|necessary|changed|clear|known)|rather than|instead of|gave out|gives out)\b|"
    "拒绝|拒絕|停止|失败|失敗|缺乏|禁止|ปฏิเสธ|ยกเลิก|เลิก|หยุด|ล้มเหลว"
)
_FREE_EN = re.compile(
    r"\bnot (?:only|just|to mention|least)\b|\bno (?:doubt|longer than|matter)\b|\bwhy not\b|\bor not\b|\bnon[- ]?stop\b"
)
_NOT_TH = re.compile("ไม่|มิได้|มิใช่|มิอาจ|ไร้|ห้าม(?!ล้อ)|อย่า(?!ง)|ปราศจาก")
_FREE_TH = re.compile("ไม่เพียง|ไม่ใช่แค่|ไม่ใช่เพียง|ไม่ว่า|หรือไม่|ไม่กี่|ไม่นาน|ไม่แพ้|ไม่เกิน|ไม่น้อย|อย่างไม่")
_NOT_ZH = re.compile("不|没|沒|無|无|未|非|别|別|勿|莫|否")
_FREE_ZH = re.compile(
    "不仅|不僅|不但|不只|不光|不同|不过|不過|不断|不斷|不少|不错|不錯|差不多|不得不|不管|不论|不論|不久|不如|不足|没错|沒錯|非常|无论|無論|"
    "无人机|無人機|无线|無線|除非|非洲|特别|特別|分别|分別|区别|區別|个别|個別|级别|級別|类别|類別|性别|性別|别人|別人|别的|別的|未来|未來|"
    "是否|能否|(.)不\\1|并非易事|是非|无数|無數|不一样|不一樣|不可思议|不可思議|告别|告別|识别|識別|"
    "没有(?!这么|那么|[^，。]*[很太])[^，。；]{2,12}(?:高|大|快|重|长|贵|强|远|早|久)(?=[，。；！]|$)"  # not as high as: compares
)


def denials(text: str) -> list[int]:
    """Where a tidy text denies something: places in it, each after the word that denies."""
    low = lower(text)
    found: list[int] = []
    for negation, free in ((_NOT_EN, _FREE_EN), (_NOT_TH, _FREE_TH), (_NOT_ZH, _FREE_ZH)):
        skipped = {place for match in free.finditer(low) for place in range(*match.span())}
        found += [match.end() for match in negation.finditer(low) if match.start() not in skipped]
    return sorted(found)


def doubts(text: str) -> bool:
    """Whether a tidy text may deny something in other words than those of `denials`."""
    return _SOFT.search(lower(text)) is not None


def denied(text: str) -> frozenset[str]:
    """What a tidy text denies: the first word of content after each denial, or pairs and triples of the next signs."""
    found: set[str] = set()
    for place in denials(text):
        following = [token for token in tokens(text) if token.start >= place]
        if following and _SIGN.fullmatch(following[0].text):
            found |= content(text[place : following[min(6, len(following)) - 1].end])
        else:
            told = (content(text[token.start : token.end]) for token in following if token.text not in _LIGHT)
            found |= next(filter(None, told), frozenset())
    return frozenset(found)


_LIGHT = frozenset(("single", "even", "ever", "quite", "really", "longer", "yet", "always", "simply"))
_STOP_WORDS = (
    "a an the and or but if then than that this these those there here it its is are was were be been being am do does "
    "did done have has had having will would can could shall should may might must of in on at by for from to into "
    "onto with about as so such not no nor only very just also too more most much many some any all each every both "
    "few other another own same we us our you your he him his she her they them their i me my who whom whose which "
    "what when where why how because while during before after above below over under again further once up down out "
    "off between through says said say according speaker talk explains explained describes described notes noted adds added points one"
)
STOP = frozenset(_STOP_WORDS.split())
_ENDINGS = re.compile(r"(?:ations?|ing|edly|ed|ies|es|e|s|ly|y|'s|n't|ments?|ers?|ity|al)$")


@lru_cache(4096)
def content(text: str) -> frozenset[str]:
    """What a text is about, as pieces that can be counted in another: stems of words; pairs of Chinese signs, triples
    of Thai ones. Numbers are left out, which are compared by themselves."""
    found: set[str] = set()
    run = ""
    for token in (*tokens(tidy(text)), Token("", 0, 0)):
        if _SIGN.fullmatch(token.text):
            run += token.text
            continue
        found |= _grams(run)
        run = ""
        if len(token.text) > 1 and token.text[0] != "#" and token.text not in STOP:
            found.add(_ENDINGS.sub("", token.text) if len(token.text) > 4 else token.text)
    return frozenset(found)


def _grams(run: str) -> set[str]:
    width = 3 if run and "\u0e00" <= run[0] <= "\u0e7f" else 2
    return {run[i : i + width] for i in range(len(run) - width + 1)}


@lru_cache(8192)
def alike(one: str, other: str) -> float:
    """How much two clauses speak of the same: the share of the smaller one's content that the other has too, and half
    as much again where a number occurs in both."""
    own, its = content(one), content(other)
    shared = len(own & its)
    if shared < min(2, len(own), len(its)) or not shared:
        return 0.0
    numbers = any(a.same(b) for a in amounts(one) for b in amounts(other))
    return shared / min(len(own), len(its)) + (0.5 if numbers else 0.0)


_CLAUSE = re.compile(
    r"(?<=[\u0e00-\u0e7f]{15}) +(?=[\u0e00-\u0e7f]{15})|[.;:!?。；：！？\n]|,\s|，|、|\s[–—-]\s|—|\b(?:but|yet|although|though|whereas|while|because|however|and then|so that)\b|"
    "แต่|เพราะ|อย่างไรก็ตาม|ทั้งนี้|但是|可是|然而|不过|不過|因为|因為|所以|但|而且"
)
TURN = re.compile(
    r"\b(?:but|yet|however|instead|rather)\b|[;；]|, (?:because|since|so|as|although|though|while|whereas|and)\b|"
    "แต่|ทว่า|但|可是|然而|不过|不過|而是|，也|，并"
)


def clauses(text: str) -> list[str]:
    """The pieces of a sentence that each say one thing; a rough cut at punctuation and conjunctions."""
    pieces = [piece.strip() for piece in _CLAUSE.split(text)]
    return [piece for piece in pieces if piece]


# What is asked or supposed is not said.
SUPPOSED = re.compile(
    r"\b(?:whether|if|unless)\b|如果|假如|要是|除非|只要|一旦|是否|能否|会不会|會不會|能不能|ถ้า|หาก|เว้นแต่|ต่อเมื่อ|ไหม|หรือไม่|หรือเปล่า"
)


_NAME = re.compile(r"[^\W\d_][\w'’-]*(?:\.\w+)*")
_NO_NAMES = (
    "i i'm i've i'll i'd monday tuesday wednesday thursday friday saturday sunday january february march april may "
    "june july august september october november december english thai chinese ok okay mr mrs ms dr prof"
)
_OPEN = (
    "yesterday today tomorrow meanwhile later now soon then once instead still perhaps maybe unlike like despite besides "
    "nowadays today's afterwards earlier next last since until every"
)
_OPENERS = frozenset(_OPEN.split())
_NOT_NAMES = frozenset(_NO_NAMES.split())


def names(text: str) -> list[str]:
    """Words that are written like names: in Latin letters with capitals, not only because a sentence begins; in a text
    of another script, every word in Latin letters."""
    text = tidy(text)
    foreign = _SIGN.search(text) is not None
    listed, begins = list[str](), True
    at = 0
    for match in _NAME.finditer(text):
        gap = text[at : match.start()]
        begins = at == 0 or re.search(r"[.!?:\n]\s*[\"'(]?\s*$", gap) is not None
        word, at = match[0], match.end()
        if not re.match("[A-Za-zÀ-ɏ]", word) or word.lower() in _NOT_NAMES or len(word) < 2:
            continue
        following = re.match(r" [A-ZÀ-Þ][a-zà-ÿ]+", text[match.end() :])  # Ada Lovelace, at the beginning
        plain = word.lower() in STOP | _OPENERS or word.endswith(("ly", "ing", "ed"))
        begins = begins and not (following and not plain)
        inner = any(sign.isupper() for sign in word[1:])  # iPhone, NASA: a name wherever it stands
        if inner or foreign or (word[0].isupper() and not begins):
            listed.append(re.sub(r"'s$", "", word))
    return listed
