"""Beginnings of conversations on disk: found again after a restart, never a wrong answer, and no trouble of the disk
ends a reply."""

from __future__ import annotations

import errno
import logging
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import engines
from moonlet.engine.engine import Engine, EngineOptions
from moonlet.engine.sampler import Sampling
from moonlet.engine.sequence import Reply
from moonlet.engine.spill import Spill
from moonlet.kernels import PAGE

PROMPT = engines.ids(5 * PAGE + 7, 1)
SAMPLING = Sampling(max_tokens=20, temperature=0, logprobs=True)
SIZE = 1000  # bytes of a page in tests of the files alone


def options(path: Path, **changes: object) -> EngineOptions:
    return replace(EngineOptions(2048, threads=1, spill_bytes=1 << 30, spill_path=path), **changes)  # type: ignore[arg-type]


def ask(options: EngineOptions, prompt: list[int] = PROMPT) -> tuple[engines.Said, Reply]:
    """A reply of an engine that lives for it alone."""
    with Engine(engines.folder(), options) as engine:
        reply = engine.submit(prompt, SAMPLING)
        return engines.said(reply), reply


def files(path: Path) -> list[Path]:
    return sorted(path.glob("*/*.pages"))


def test_a_restart_finds_what_was_said_and_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    first, reply = ask(options(tmp_path))
    assert reply.stats.restored_tokens == 0
    second, reply = ask(options(tmp_path))
    assert second == first
    assert reply.stats.restored_tokens == reply.stats.cached_tokens == 5 * PAGE
    longer = [*PROMPT, *(id for id, _ in first), *engines.ids(100, 2)]
    third, reply = ask(options(tmp_path), longer)
    assert reply.stats.restored_tokens == 5 * PAGE  # the reply filled no page
    assert third == ask(options(tmp_path / "other"), longer)[0]
    assert oct(files(tmp_path)[0].stat().st_mode)[-3:] == "600"


def test_what_is_in_memory_is_not_read_from_disk(tmp_path: Path) -> None:
    ask(options(tmp_path))
    with Engine(engines.folder(), options(tmp_path)) as engine:
        for restored in (5 * PAGE, 0):
            reply = engine.submit(PROMPT, SAMPLING)
            list(reply)
            assert (reply.stats.restored_tokens, reply.stats.cached_tokens) == (restored, 5 * PAGE)


def damage_data(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        file.write(b"\x55")


def damage_head(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(60)
        file.write(b"\x55\xaa")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def replace_by_noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [damage_data, damage_head, cut, replace_by_noise, empty])
def test_a_damaged_file_is_a_miss_and_goes(tmp_path: Path, harm: object) -> None:
    first, _ = ask(options(tmp_path))
    assert len(files(tmp_path)) == 1
    harm(files(tmp_path)[0])  # type: ignore[operator]
    again, reply = ask(options(tmp_path))
    assert again == first
    assert reply.stats.restored_tokens < 5 * PAGE
    third, reply = ask(options(tmp_path))  # it was written anew
    assert third == first and reply.stats.restored_tokens == 5 * PAGE


def test_a_file_that_vanishes_while_it_is_indexed_is_a_miss(tmp_path: Path) -> None:
    first, _ = ask(options(tmp_path))
    with Engine(engines.folder(), options(tmp_path)) as engine:
        files(tmp_path)[0].unlink()
        reply = engine.submit(PROMPT, SAMPLING)
        assert engines.said(reply) == first and reply.stats.restored_tokens == 0


def test_another_instruction_set_or_exactness_finds_nothing(tmp_path: Path) -> None:
    ask(options(tmp_path))
    for changes in ({"isa": "plain"}, {"exact": True}):
        assert ask(options(tmp_path, **changes))[1].stats.restored_tokens == 0
    assert ask(options(tmp_path))[1].stats.restored_tokens == 5 * PAGE


def test_other_weights_in_the_same_folder_find_nothing_and_the_old_pages_go(tmp_path: Path) -> None:
    ask(options(tmp_path))
    dense = engines.folder().path / "dense.safetensors"
    os.utime(dense)
    assert ask(options(tmp_path))[1].stats.restored_tokens == 0
    assert len([*tmp_path.iterdir()]) == 1


def test_a_second_process_reads_but_does_not_write(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, _ = ask(options(tmp_path))
    other = [*reversed(PROMPT)]
    with Engine(engines.folder(), options(tmp_path)):
        assert ask(options(tmp_path))[0] == first
        assert ask(options(tmp_path))[1].stats.restored_tokens == 5 * PAGE
        ask(options(tmp_path), other)
    assert "in use by another process" in caplog.text
    assert ask(options(tmp_path), other)[1].stats.restored_tokens == 0


# ---- the files alone ------------------------------------------------------------------------------------------------


@pytest.fixture
def spill(tmp_path: Path) -> Iterator[Spill]:
    made = Spill(tmp_path, b"i" * 32, SIZE, 100 * SIZE)
    yield made
    made.close()


def keys(count: int, branch: int = 0, common: int = 0) -> list[bytes]:
    return [(at if at < common else at + 1000 * branch).to_bytes(16, "big") for at in range(count)]


def page_of(key: bytes) -> np.ndarray:
    return np.frombuffer((key * SIZE)[:SIZE], np.uint8)


def write(spill: Spill, keys: list[bytes]) -> None:
    spill.write(keys, lambda first, count: np.stack([page_of(key) for key in keys[first : first + count]]))


def read(spill: Spill, keys: list[bytes]) -> int:
    """How many came, each compared."""
    blocks: list[np.ndarray] = []

    def put(first: int, block: np.ndarray) -> None:
        assert first == sum(len(b) for b in blocks)
        blocks.append(block.copy())

    count = spill.read(keys, put)
    assert sum(len(b) for b in blocks) == count
    for key, page in zip(keys, [page for block in blocks for page in block]):
        np.testing.assert_array_equal(page, page_of(key))
    return count


def test_a_long_conversation_lies_in_few_files(spill: Spill, tmp_path: Path) -> None:
    for turn in range(1, 41):
        write(spill, keys(2 * turn))
        assert read(spill, keys(90)) == 2 * turn
    assert len([*tmp_path.glob("*.pages")]) <= 7  # about log2 of its pages
    assert spill.kept < 40 * 10  # each page was written a few times


def test_conversations_that_part_keep_what_they_share_once(spill: Spill) -> None:
    write(spill, keys(20))
    write(spill, keys(24, branch=1, common=20))
    write(spill, keys(10))
    assert spill.kept == 24
    assert read(spill, keys(20)) == 20 and read(spill, keys(24, 1, 20)) == 24


def test_the_budget_holds_and_what_was_used_last_stays(spill: Spill, tmp_path: Path) -> None:
    for branch in range(12):
        write(spill, keys(10, branch))
        assert sum(path.stat().st_size for path in tmp_path.glob("*.pages")) == spill.bytes <= 100 * SIZE
        read(spill, keys(10))
    assert read(spill, keys(10)) == read(spill, keys(10, 11)) == 10
    assert read(spill, keys(10, 1)) == 0


def test_a_smaller_budget_is_kept_to_at_the_start(spill: Spill, tmp_path: Path) -> None:
    for branch in range(5):
        write(spill, keys(10, branch))
    spill.close()
    smaller = Spill(tmp_path, b"i" * 32, SIZE, 30 * SIZE)
    assert 0 < smaller.bytes <= 30 * SIZE
    smaller.close()


def test_more_than_the_budget_is_kept_as_far_as_it_goes(spill: Spill, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        write(spill, keys(200))
    assert 0 < read(spill, keys(200)) < 100
    assert caplog.text.count("longer than the 100000 bytes") == 1


def test_a_file_system_that_cannot_sync_folders_keeps_to_the_budget(
    spill: Spill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def of_files_alone(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(file)

    monkeypatch.setattr(os, "fsync", of_files_alone)
    for branch in range(15):
        write(spill, keys(10, branch))
        spill._rests_until = 0.0
        assert read(spill, keys(10, branch)) == 10
    assert sum(path.stat().st_size for path in tmp_path.glob("*.pages")) == spill.bytes <= 100 * SIZE


def test_what_cannot_be_removed_at_the_start_stays(spill: Spill, tmp_path: Path) -> None:
    write(spill, keys(10))
    spill.close()
    (tmp_path / "other.part").mkdir()
    again = Spill(tmp_path, b"i" * 32, SIZE, 100 * SIZE)
    assert again.writable and read(again, keys(10)) == 10
    again.close()


@pytest.mark.parametrize("problem", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_in_trouble_is_told_once_and_used_again_later(
    spill: Spill, tmp_path: Path, problem: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(spill, keys(8))

    def fails(*_: object) -> None:
        raise OSError(problem, os.strerror(problem))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        for branch in range(1, 4):
            write(spill, keys(8, branch))
            spill._rests_until = 0.0
    assert caplog.text.count(os.strerror(problem)) == 1
    assert spill.lost == 24 and not [*tmp_path.glob("*.part")]
    assert read(spill, keys(8)) == 8  # what was committed is there
    write(spill, keys(8, 5))
    assert read(spill, keys(8, 5)) == 8


@pytest.mark.parametrize(("call", "problem"), [("open", errno.EMFILE), ("preadv", errno.EIO)])
def test_a_file_that_cannot_be_read_now_is_told_once_and_found_later(
    spill: Spill, call: str, problem: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(spill, keys(8))

    def fails(*_: object) -> None:
        raise OSError(problem, os.strerror(problem))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fails)
        assert [read(spill, keys(8)) for _ in range(2)] == [0, 0]
    assert caplog.text.count(os.strerror(problem)) == 1
    assert read(spill, keys(8)) == 8


def test_a_file_that_cannot_be_read_at_one_start_is_found_at_the_next(
    spill: Spill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(spill, keys(8))
    spill.close()

    def fails(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    for found in (0, 8):
        with monkeypatch.context() as patch:
            if not found:
                patch.setattr(Path, "open", fails)
            again = Spill(tmp_path, b"i" * 32, SIZE, 100 * SIZE)
        assert read(again, keys(8)) == found
        again.close()


def test_a_folder_that_cannot_be_made_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    caplog.set_level(logging.WARNING)
    _, reply = ask(options(tmp_path / "file"))
    assert reply.finish == "length" and caplog.text.count("are kept on disk") == 1


def test_a_full_disk_does_not_end_replies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with Engine(engines.folder(), options(tmp_path)) as engine:
        for seed in range(3):
            assert len(list(engine.submit(engines.ids(400, seed), SAMPLING))) == 20
    assert caplog.text.count("No space left") == 1


_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
from test_spill import SIZE, keys, write
from moonlet.engine.spill import Spill
spill = Spill(Path(sys.argv[1]), b"i" * 32, SIZE, 1 << 30)
for turn in range(1, 100000):
    write(spill, keys(3 * turn % 300 + 1, turn // 100))
    print(turn, flush=True)
"""


@pytest.mark.long
def test_kill_9_while_writing_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    for round_ in range(3):
        at = tmp_path / str(round_)
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(at)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
        )
        assert writer.stdout is not None
        for _ in range(5 + 17 * round_):
            told = int(writer.stdout.readline())
        time.sleep(0.003 * round_)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        spill = Spill(at, b"i" * 32, SIZE, 1 << 30)
        for turn in range(1, told + 1):
            assert read(spill, keys(3 * turn % 300 + 1, turn // 100)) == 3 * turn % 300 + 1
        assert not [*at.glob("*.part")]
        spill.close()
