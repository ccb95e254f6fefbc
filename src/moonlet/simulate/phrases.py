"""What users and the assistant say around the facts, in three languages, and how a fact is recognised in an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from moonlet.simulate.domains.locale import LANGUAGES, SAID, Language, said
from moonlet.simulate.domains.slot import dates, times

# Key -> English, Thai, Chinese; several wordings parted by |.
PHRASES: Mapping[str, tuple[str, str, str]] = {
    "fact": ("The {field} is {value}.", "{field}คือ {value}", "{field}是{value}。"),
    "of": ("{noun} {label}:", "{noun} {label}:", "{noun}{label}："),
    "added": ("Done. I added the {noun} {label}.", "เรียบร้อย เพิ่ม{noun} {label} แล้ว", "好了，已添加{noun}{label}。"),
    "changed": ("Done.", "เรียบร้อยแล้ว", "好了。"),
    "removed": ("Done. The {noun} {label} is removed.", "เรียบร้อย ลบ{noun} {label} แล้ว", "好了，{noun}{label}已删除。"),
    "found": ("I found: {list}.", "พบ: {list}", "找到了：{list}。"),
    "found none": ("I found nothing for {query}.", "ไม่พบ {query}", "没有找到{query}。"),
    "ask": ("What is the {field}?", "{field}คืออะไร?", "{field}是什么？"),
    "which": ("There are several: {list}. Which one do you mean?", "มีหลายรายการ: {list} หมายถึงอันไหน?", "有好几个：{list}。您指的是哪一个？"),
    "no tool": ("I have no tool for that.", "ฉันไม่มีเครื่องมือสำหรับเรื่องนี้", "我没有可以做这件事的工具。"),
    "not found": ("I could not find {label}.", "ไม่พบ {label}", "找不到{label}。"),
    "permission": ("Sorry, that is not possible: permission denied.", "ขออภัย ทำไม่ได้ ไม่มีสิทธิ์", "抱歉，做不到：没有权限。"),
    "timeout": ("Sorry, the service does not answer; please try again later.", "ขออภัย ระบบไม่ตอบสนอง ลองใหม่ภายหลัง", "抱歉，服务没有响应，请稍后再试。"),
    "rate_limit": ("Sorry, there are too many requests; please try again later.", "ขออภัย มีคำขอมากเกินไป ลองใหม่ภายหลัง", "抱歉，请求太多，请稍后再试。"),
    "not possible": ("That is not possible: the {field} is {value}.", "ทำไม่ได้ เพราะ{field}คือ {value}", "做不到：{field}是{value}。"),
    # Users
    "also": ("{a} Also: {b}|{a} And {b}", "{a} แล้วก็ {b}", "{a}，还有{b}"),
    "then": ("{a} After that: {b}|First: {a} Then: {b}", "{a} หลังจากนั้น {b}", "先{a}，然后{b}"),
    "instead": ("Actually, make it {value}|Wait, I changed my mind: {value} instead", "เปลี่ยนใจแล้ว ขอเป็น {value}", "等等，我改主意了，改成{value}"),
    "that one": ("The one with the id {id}|{id}", "อันที่รหัส {id}", "编号{id}的那个"),
    "given": ("{value}", "{value}", "{value}"),
    "by label": ("the {noun} {label}|my {noun} “{label}”", "{noun} {label}|{noun}“{label}”", "{noun}{label}|{noun}“{label}”"),
    "by id": ("{noun} {id}|the {noun} {id}", "{noun} {id}", "{noun}{id}"),
    "some day": ("another day", "วันอื่น", "另一天"),
    "some clock": ("some other time", "เวลาอื่น", "另一个时间"),
    "some number": ("a certain number", "จำนวนหนึ่ง", "某个数"),
    "some choice": ("one of the options", "แบบหนึ่ง", "其中一种"),
    "some text": ("something", "บางอย่าง", "某个内容"),
    "some people": ("somebody", "คนหนึ่ง", "某个人"),
    # Personas
    "chatty": (
        "Hi there! I've had such a long day. {text} Thank you so much, you're a great help.|Hello, hope you're well. So, here is what I need: {text} No hurry!",
        "สวัสดีค่ะ วันนี้ยุ่งมากเลย {text} ขอบคุณมากนะคะ|หวัดดี พอดีมีเรื่องจะรบกวน {text} ไม่รีบนะ",
        "你好呀，今天真是忙坏了。{text} 太感谢了！|您好，有件事想麻烦您：{text} 不着急哦。",
    ),
    "mixed": ("{text} ขอบคุณครับ|麻烦你：{text} 谢谢", "Hi ช่วยหน่อย please: {text} thanks", "Hi，{text} thanks a lot"),
}  # fmt: skip
# What is answered without a tool: what is said, words of which one must be in the answer (none: any answer), the answer.
TALK: Mapping[Language, Sequence[tuple[str, str, str]]] = {
    "en": (
        ("Thanks, that was all!", "", "You're welcome."),
        ("What is the capital of France?", "Paris", "Paris."),
        ("How many days are there in a week?", "7,seven", "A week has seven days."),
        ("Say hello in Spanish", "hola", "Hola!"),
        ("Which is bigger, a cat or an elephant?", "elephant", "An elephant is bigger."),
        ("Good morning!", "", "Good morning! What can I do for you?"),
    ),
    "th": (
        ("ขอบคุณมาก แค่นี้แหละ", "", "ยินดีครับ"),
        ("เมืองหลวงของฝรั่งเศสคืออะไร", "ปารีส,Paris", "ปารีส"),
        ("หนึ่งสัปดาห์มีกี่วัน", "7,เจ็ด", "หนึ่งสัปดาห์มี 7 วัน"),
        ("สวัสดีตอนเช้า", "", "สวัสดีครับ มีอะไรให้ช่วยไหม"),
    ),
    "zh": (
        ("谢谢，没别的事了", "", "不客气。"),
        ("法国的首都是哪里？", "巴黎,Paris", "巴黎。"),
        ("一个星期有几天？", "7,七", "一个星期有七天。"),
        ("早上好！", "", "早上好！有什么可以帮您？"),
    ),
}
# Words of which one is in every answer that owns up to a failure of that sort, in whatever language.
ADMITS: Mapping[str, Sequence[str]] = {
    "no tool": (
        "no tool", "can't", "cannot", "can not", "unable", "not able", "don't have", "do not have", "no way to",
        "ไม่มี", "ไม่สามารถ", "ทำไม่ได้", "没有", "无法", "不能", "做不到",
    ),
    "not found": (
        "not find", "n't find", "not found", "no such", "not exist", "n't exist", "nothing", "there is no", "no record",
        "don't have", "do not have", "ไม่พบ", "ไม่มี", "หาไม่เจอ", "没有", "找不到", "不存在", "未找到", "没找到",
    ),
    "permission": ("permission", "not allowed", "denied", "access", "สิทธิ์", "อนุญาต", "权限", "不允许"),
    "timeout": (
        "time out", "timed out", "timeout", "not answer", "not respond", "n't respond", "n't answer", "again later",
        "unavailable", "ไม่ตอบ", "ภายหลัง", "หมดเวลา", "没有响应", "超时", "稍后",
    ),
    "rate_limit": ("rate", "too many", "again later", "in a moment", "มากเกินไป", "ภายหลัง", "太多", "频繁", "稍后"),
}  # fmt: skip

# Failures that may be claimed only where a tool reported one: words of the claim, words of such a report.
CLAIMS: Sequence[tuple[Sequence[str], Sequence[str]]] = (
    (
        ("permission denied", "not allowed to", "ไม่มีสิทธิ์", "没有权限"),
        ("permission", "denied", "not allowed", "forbidden", "not possible"),
    ),
    (
        (
            "does not answer", "did not answer", "timed out", "too many requests", "again later", "ไม่ตอบสนอง",
            "คำขอมากเกินไป", "ลองใหม่ภายหลัง", "没有响应", "请求太多", "稍后再试",
        ),
        ("did not answer", "rate limit", "timed out", "time-out", "timeout", "too many", "unavailable", "try again"),
    ),
)  # fmt: skip
NO_TOOL: Sequence[str] = ("no tool", "no such tool", "ไม่มีเครื่องมือ", "没有可以做这件事的工具", "没有工具")


def phrase(key: str, language: Language, rng: Random | None = None, **values: Any) -> str:
    """A phrase filled in; with a generator, one of its wordings."""
    wordings = PHRASES[key][LANGUAGES.index(language)].split("|")
    return (rng.choice(wordings) if rng else wordings[0]).format(**values)


def shown(value: Any, language: Language) -> str:
    """How the assistant writes a value of a record."""
    if isinstance(value, str) and _is_day(value):
        return dates(value, language)[0]
    return said(value, language)[0] if isinstance(value, str) else str(value)


def ways(value: Any) -> tuple[str, ...]:
    """Everything that counts as having told this value."""
    if isinstance(value, str) and _is_day(value):
        return tuple(dict.fromkeys(way for language in LANGUAGES for way in dates(value, language)))
    if isinstance(value, str) and re.fullmatch(r"\d\d:\d\d", value):
        return tuple(times(value))
    if isinstance(value, str) and value in SAID:
        return tuple(dict.fromkeys([value, *(word for words in SAID[value] for word in words.split(","))]))
    return (str(value),)


def told(text: str, ways: Sequence[str]) -> bool:
    """Whether a text tells a value in one of the `ways` it has. A day with another year behind or before it, or a time
    of the other half of the day, is another one."""
    day = next((way for way in ways if _is_day(way)), "")
    time = next((way for way in ways if re.fullmatch(r"\d\d:\d\d", way)), "")
    before = after = ""
    if day:
        year = int(day[:4])
        others = "|".join(str(one + era) for era in (0, 543) for one in range(year - 5, year + 6) if one != year)
        before, after = "".join(f"(?<!{one}年)" for one in others.split("|")), rf"(?!,? (?:{others})(?!\d))"
    elif time:
        before = "(?<!下午)(?<!晚上)" if time < "12" else ""
        after = rf"(?! ?{'p' if time < '12' else 'a'}\.?m)"
    return any(_found(text, way, before, after) for way in ways)


def mentioned(text: str, way: str) -> bool:
    """Whether a text contains this, as whole numbers and whole words where it is written with Latin letters."""
    return _found(text, way)


def _found(text: str, way: str, before: str = "", after: str = "") -> bool:
    """Also what must not stand beside it."""
    text, way = _folded(text), _folded(way)
    if not way.isascii():
        digits = r"(?<!\d)" if way[0].isdigit() else ""
        return re.search(digits + before + re.escape(way) + after, text) is not None
    return re.search(rf"(?<![\w.]){before}{re.escape(way)}(?!\w|\.\d){after}", text, re.ASCII) is not None


def _is_day(value: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\d", value) is not None


def _folded(text: str) -> str:
    text = text.casefold().replace("’", "'")
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)  # 1,200, also before 元
    text = re.sub(r"(\d)\.0+(?!\d)", r"\1", text)  # 12.0
    return " ".join(re.sub(r"(\d\.\d*?)0+(?!\d)", r"\1", text).replace("*", "").split())  # 12.50, **12**
