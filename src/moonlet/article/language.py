"""What differs between languages: where words end, which spellings are the same, which language a text is in."""

from __future__ import annotations

import logging
import re
import unicodedata
from functools import cache
from typing import Any, Literal

SPACELESS = frozenset(("zh", "yue", "ja", "th", "lo", "km", "my"))  # written without spaces between words
# Signs of scripts without spaces between words, as ranges of a class of a pattern.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
SCRIPTS = (
    ("th", re.compile(r"[\u0e01-\u0e5b]")),
    ("ja", re.compile(r"[\u3041-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7a3]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
)

Script = Literal["Hans", "Hant"]


def split_words(text: str, language: str) -> list[str]:
    """The text in pieces whose concatenation is the text: words, and what stands between them."""
    if language == "th":
        from pythainlp.tokenize import word_tokenize

        return [str(one) for one in word_tokenize(text, engine="newmm", keep_whitespace=True)]
    if language in ("zh", "yue"):
        return list(_jieba().cut(text))
    if language in SPACELESS:
        return re.findall(r"\s+|[A-Za-z0-9]+|.", text, re.DOTALL)
    return re.findall(r"\s+|\S+", text)


def thai_sentences(text: str) -> list[str]:
    """A Thai text, which marks no ends of sentences, in pieces whose concatenation is the text."""
    from pythainlp.tokenize import sent_tokenize

    return [str(one) for one in sent_tokenize(text, engine="crfcut")]


def tidy(word: str, language: str) -> str:
    """One way to write what looks the same: composed letters; in Thai, vowels and tone marks in their order."""
    word = unicodedata.normalize("NFC", word)
    if language == "th":
        from pythainlp.util import normalize

        return str(normalize(word))
    return word


def comparable(text: str, language: str) -> str:
    """A text for comparing: what differs only in case, spaces, width of letters, variant of script or order of Thai
    marks is equal. Numbers, negations and punctuation inside words stay."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    if language == "th":
        text = tidy(text, language)
    if language in ("zh", "yue"):
        text = to_script(text, "Hans")
    return re.sub(r"\s+", "" if language in SPACELESS else " ", text).strip()


def to_script(text: str, script: Script) -> str:
    """Chinese in one variant of its script, as many characters as before."""
    converted = str(_opencc("t2s" if script == "Hans" else "s2t").convert(text))
    if len(converted) == len(text):
        return converted
    return "".join(str(_opencc("t2s" if script == "Hans" else "s2t").convert(one))[:1] or one for one in text)


def script_of(text: str) -> Script | None:
    """The variant that most of a Chinese text is in; None if nothing tells."""
    simple = sum(a != b for a, b in zip(text, to_script(text, "Hant")))
    traditional = sum(a != b for a, b in zip(text, to_script(text, "Hans")))
    if simple == traditional == 0:
        return None
    return "Hans" if simple >= traditional else "Hant"


def guess(text: str) -> str:
    """The language of a text by its letters; English for all that is written in Latin ones."""
    counts = [(len(pattern.findall(text)), name) for name, pattern in SCRIPTS]
    most, name = max(counts)
    japanese = dict((name, count) for count, name in counts)["ja"]
    if name == "zh" and japanese * 10 > most:
        name = "ja"
    return name if most * 4 > len(re.findall(r"[A-Za-z]", text)) else "en"


@cache
def _jieba() -> Any:
    import jieba

    jieba.setLogLevel(logging.ERROR)
    # Its own file in the temporary folder is a pickle that anybody on the machine could have written.
    segmenter = jieba.Tokenizer()
    segmenter.cache_file = None
    return segmenter


@cache
def _opencc(table: str) -> Any:
    import opencc

    return opencc.OpenCC(table)
