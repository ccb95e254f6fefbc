"""The small vocabulary: learned from conversations, read by tiktoken with the ids that the learner meant."""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from moonlet.chat.tokenizer import Tokenizer
from moonlet.train.data import conversations
from moonlet.train.vocabulary import PIECES, VocabularyError, learn, texts, train_vocabulary


@cache
def samples(seed: int, count: int) -> list[str]:
    return list(texts(islice(conversations(seed), count)))


def learned_from() -> list[str]:
    return samples(5, 300)


def others() -> list[str]:
    return samples(6, 60)


@pytest.fixture(scope="module")
def learner() -> Any:
    return learn(learned_from(), PIECES)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("vocabulary")
    train_vocabulary(learned_from(), folder)
    return Tokenizer.load(folder)


def test_it_has_4096_ids(tokenizer: Tokenizer) -> None:
    assert tokenizer.vocab == 4096
    assert tokenizer.special("[BOS]") == 4064 and tokenizer.special("<|im_end|>") == 4066
    assert tokenizer.special("[PAD]") == 4079
    assert sorted(tokenizer.piece(i) for i in range(PIECES))[0] == b"\x00"
    assert {bytes([byte]) for byte in range(256)} <= {tokenizer.piece(i) for i in range(PIECES)}


def test_tiktoken_gives_the_ids_of_the_learner(tokenizer: Tokenizer, learner: Any) -> None:
    for text in [*others(), "naïve café 12,500.75\r\n\tfoo_bar fooBar  x", "สวัสดีครับ 天气怎么样？🚀👩‍👩‍👧"]:
        assert tokenizer.encode(text) == learner.encode(text).ids


@pytest.mark.parametrize(
    "text",
    [
        "พรุ่งนี้อากาศที่เชียงใหม่เป็นอย่างไร",
        "明天北京的天气怎么样？",
        "🚀👩‍👩‍👧‍👦 é e\u0301",
        "a\n\n b\r\n\tc  ",
        "\x00\x7f\u3000",
    ],
)
def test_any_script_comes_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_value_has_the_same_ids_wherever_it_stands(tokenizer: Tokenizer) -> None:
    for value in ("Lisbon", "2026-11-23", "18:30", "1250"):
        alone = tokenizer.encode(value)
        for before, after in ((" ", " "), ('"', '"'), (": ", "")):
            found = tokenizer.encode(before + value + after)
            start = len(tokenizer.encode(before))
            assert found[start : start + len(alone)] == alone
    assert len(tokenizer.encode("1250")) == 4


def test_conversations_become_short(tokenizer: Tokenizer) -> None:
    ids = sum(len(tokenizer.encode(text)) for text in others())
    assert ids < sum(len(text.encode()) for text in others()) / 2  # four of ten ids are a space or a digit


def test_too_few_samples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match="take more"):
        train_vocabulary(["one two three"], tmp_path / "vocabulary")
    assert not (tmp_path / "vocabulary").exists()
