"""Which sentences of a talk carry most of it, and which words: without a model.

Sentences are ranked as pages are by links: one matters that shares content with others that matter (TextRank, Mihalcea
and Tarau 2004). Phrases are runs of words that occur more often here than elsewhere in the talk.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np

from moonlet.article.language import UNSPACED
from moonlet.article.talk import Sentence
from moonlet.article.words import STOP, content, tidy

_EDGES = ".,;:!?()[]\"'“”‘’。，、；：！？「」《》…-"
_DAMPING = 0.85
_ROUNDS = 40
_SPACELESS = re.compile(f"[{UNSPACED}]")
# Words that no heading is made of.
_FUNCTION_WORDS = (
    "last year years day days week weeks month months today yesterday tomorrow ago time times people thing things new old "
    "good evening morning way lot kind make made take took get got go went come came know think thought say never ever let "
    "ที่ และ ของ ใน เป็น มี ได้ ให้ ว่า จะ ไม่ กับ ก็ นี้ นั้น แต่ หรือ จาก โดย ซึ่ง คือ เรา เขา มัน ผม ฉัน ดิฉัน คุณ ครับ ค่ะ คะ นะ แล้ว "
    "อยู่ ไป มา ถ้า เพราะ เมื่อ ต้อง ทำ การ ความ อย่าง ทุก มาก กว่า ยัง อีก ๆ ถึง เพื่อ ด้วย แล้วก็ คน ปี วัน ครั้ง ตัว สิ่ง บาง หลาย ไหม "
    "的 了 是 在 我 我们 我們 你 你们 他 他们 她 它 们 这 這 那 这个 這個 那个 一个 一個 和 与 與 也 就 都 而 及 或 不 没有 沒有 有 很 会 會 能 "
    "可以 但 但是 因为 因為 所以 如果 从 從 到 对 對 把 被 让 讓 给 給 上 下 中 里 裡 说 說 去 来 來 什么 什麼 怎么 自己 人 年 个 個 已经 "
    "现在 現在 需要 为了 為了 知道 这么 這麼 那么 不是 正在 只有 只 而是 以前 以后 以後 今年 去年 明年 第一次 一些 一直 "
    "今天 大家 时候 時候 其实 其實 就是 还 還 还是 要 用 为 為 以 之 其 得 地 着 著 过 過"
)
_FUNCTION = frozenset(_FUNCTION_WORDS.split())


def ranks(sentences: Sequence[Sentence]) -> list[float]:
    """A rank for each sentence; they sum to 1. Doubtful and very short sentences rank half."""
    if not sentences:
        return []
    contents = [content(sentence.text) for sentence in sentences]
    links = np.zeros((len(sentences), len(sentences)))
    for i, own in enumerate(contents):
        for j in range(i + 1, len(contents)):
            if shared := len(own & contents[j]):
                links[i, j] = links[j, i] = shared / (1 + math.log(len(own)) + math.log(len(contents[j])))
    sums = links.sum(axis=0)
    shares = np.divide(links, sums, out=np.full_like(links, 1 / len(sentences)), where=sums > 0)
    rank = np.full(len(sentences), 1 / len(sentences))
    for _ in range(_ROUNDS):
        rank = (1 - _DAMPING) / len(sentences) + _DAMPING * shares @ rank
    weak = [sentence.doubtful or len(own) < 4 for sentence, own in zip(sentences, contents)]
    rank = rank * np.where(weak, 0.5, 1.0)
    return [float(value) for value in rank / rank.sum()]


def phrases(own: Sequence[Sentence], whole: Sequence[Sentence], most: int) -> list[str]:
    """The phrases that are most particular to some sentences of a talk, as they were said, most particular first."""
    inner = {word.text.strip(_EDGES) for sentence in whole for word in sentence.words[1:]}
    proper_names = {word for word in inner if word[:1].isupper()}  # not only because a sentence begins
    here, everywhere = _grams(own, proper_names), _grams(whole, proper_names)
    scored: list[tuple[float, str]] = []
    for gram, (count, said) in here.items():
        elsewhere = everywhere[gram][0] - count
        length = 1 + 0.4 * (len(gram) - 1)
        particular = math.log(2 + len(whole) / (1 + elsewhere))
        proper = 1.5 if any(word[0].isupper() for word in said.split()) else 1.0
        weak = 0.4 if len(gram) == 1 and count < 2 else 1.0
        scored.append((count * length * particular * proper * weak, said))
    chosen: list[str] = []
    for _, said in sorted(scored, key=lambda one: (-one[0], one[1])):
        if not any(said.lower() in other.lower() or other.lower() in said.lower() for other in chosen):
            chosen.append(said)
        if len(chosen) == most:
            break
    return chosen


def _grams(sentences: Sequence[Sentence], proper: Collection[str]) -> dict[tuple[str, ...], tuple[int, str]]:
    """Runs of one to three words without function words or punctuation between: how often, and as first said."""
    counts: Counter[tuple[str, ...]] = Counter()
    first: dict[tuple[str, ...], str] = {}
    for sentence in sentences:
        for run in _runs(sentence, proper):
            for width in (1, 2, 3):
                for i in range(len(run) - width + 1):
                    words = run[i : i + width]
                    gram = tuple(word.lower() for word in words)
                    counts[gram] += 1
                    first.setdefault(gram, _said(words))
    return {gram: (count, first[gram]) for gram, count in counts.items()}


def _runs(sentence: Sentence, proper: Collection[str]) -> list[list[str]]:
    runs: list[list[str]] = [[]]
    for place, word in enumerate(sentence.words):
        text = tidy(word.text).strip()
        bare = text.strip(_EDGES)
        if place == 0 and bare not in proper:
            bare = bare[:1].lower() + bare[1:]
        if text != text.lstrip("([\"'“‘「《-") and runs[-1]:
            runs.append([])
        if _tells(bare):
            runs[-1].append(bare)
        elif runs[-1]:
            runs.append([])
        if text != text.rstrip('.,;:!?)]"”。，、；：！？」》…') and runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _tells(word: str) -> bool:
    if not word or word.lower() in STOP or word in _FUNCTION or not any(sign.isalpha() for sign in word):
        return False
    return len(word) > (1 if _SPACELESS.search(word) else 2)


def _said(words: Sequence[str]) -> str:
    text = words[0]
    for before, word in pairwise(words):
        text += ("" if _SPACELESS.match(word[0]) and _SPACELESS.match(before[-1]) else " ") + word
    return text
