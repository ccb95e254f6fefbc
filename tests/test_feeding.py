"""Rows from processes of their own: which they are, where they go on, and that nothing is left of them."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

import moonlet
from moonlet.chat.tokenizer import Tokenizer
from moonlet.train.data import conversations
from moonlet.train.feeding import Feed
from moonlet.train.rows import Rows

pytestmark = pytest.mark.long

LENGTH = 1500
WORDS = Path(moonlet.__file__).parent / "nano"


def test_every_process_makes_every_second_row_of_its_own_stream() -> None:
    alone = [Rows(conversations(2 * 3 + number), Tokenizer.load(WORDS)) for number in (0, 1)]
    expected = [alone[row % 2].batch(1, LENGTH) for row in range(8)]
    feed = Feed(WORDS, conversations, 3, LENGTH, 2)
    first, second = feed.batch(3, LENGTH), feed.batch(3, LENGTH)
    assert feed.taken == 6
    for row, one in enumerate(expected[:6]):
        batch, at = (first, row) if row < 3 else (second, row - 3)
        assert np.array_equal(batch.ids[at], one.ids[0]) and batch.texts[at] == one.texts[0]
        assert np.array_equal(batch.weights[at], one.weights[0]) and np.array_equal(batch.real[at], one.real[0])
    later = Feed(WORDS, conversations, 3, LENGTH, 2)
    later.skip(6)
    assert np.array_equal(later.batch(2, LENGTH).ids, np.concatenate([one.ids for one in expected[6:]]))


def test_the_processes_end_with_the_feed() -> None:
    feed = Feed(WORDS, conversations, 4, LENGTH, 2)
    feed.batch(2, LENGTH)
    before = multiprocessing.active_children()
    feed.close()
    for one in before:
        one.join(20)
        assert one.exitcode is not None
