"""Conversion: nothing is lost that should not be, stopping never harms, memory and disk are bounded."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open

import tiny
from moonlet import kernels
from moonlet.local import converted
from moonlet.model import convert as convert_module
from moonlet.model.config import parse_config
from moonlet.model.convert import ConvertError, ConvertOptions, convert
from moonlet.model.decode import as_float, float_to_bf16
from moonlet.model.folder import ModelFolder, open_folder, write_meta
from moonlet.model.journal import Journal, JournalError
from moonlet.model.layout import expert_matrices, expert_row_bytes, slots
from moonlet.model.recipe import make_recipe

torch.set_num_threads(1)


def contents(folder: ModelFolder) -> dict[str, NDArray[np.float32]]:
    """The weights of a folder in float32, by the names of the public layout; kv_b is put together again."""
    config, tensors = folder.config, folder.dense()
    found: dict[str, NDArray[np.float32]] = {}
    for slot in slots(config):
        stored = tensors[slot.name]
        if slot.kind == "packed":
            found[slot.source] = kernels.unpack(np.array(stored), folder.formats.dense, *slot.shape)
        elif slot.kind in ("keys", "values"):
            rows = np.stack([kernels.unpack(np.array(h), folder.formats.dense, *slot.shape[1:]) for h in stored])
            found[slot.name] = rows.swapaxes(1, 2) if slot.kind == "keys" else rows
        else:
            found[slot.source] = np.array(as_float(stored))
    for layer in range(config.layers):
        both = [found.pop(f"layers.{layer}.{name}") for name in ("k_up", "v_up")]
        name = f"model.layers.{layer}.self_attn.kv_b_proj.weight"
        found[name] = np.concatenate(both, axis=1).reshape(-1, config.latent)
    for layer in range(config.dense_layers, config.layers):
        path, begin, rows, row_bytes = folder.experts_file(layer)
        data = np.fromfile(path, np.uint8, offset=begin).reshape(rows, row_bytes)
        for expert, row in enumerate(data):
            at = 0
            for matrix, shape in expert_matrices(config).items():
                size = kernels.packed_bytes(folder.formats.experts, *shape)
                weight = kernels.unpack(row[at : at + size].copy(), folder.formats.experts, *shape)
                found[f"model.layers.{layer}.mlp.experts.{expert}.{matrix}_proj.weight"] = weight
                at += size
            assert not row[at:].any()
    return found


def tree(folder: Path) -> dict[str, str]:
    """sha256 of every file of a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def relative(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.square(found - expected).sum() / np.square(expected).sum()))


@pytest.mark.parametrize("dtype", tiny.DTYPES)
@pytest.mark.parametrize("variant", tiny.VARIANTS)
def test_every_weight_survives(tmp_path: Path, variant: str, dtype: str) -> None:
    tiny.write(tmp_path / "source", variant, dtype, shards=2)
    report = convert(tmp_path / "source", tmp_path / "model")
    plain = "f32" if dtype in ("f32", "f16") else "bf16"
    assert report.folder.formats.dense == plain
    assert report.folder.formats.experts == {"fp8": "int8", "int4": "int4"}.get(dtype, plain)
    report.folder.verify_checksums()
    found, expected = contents(report.folder), tiny.dequantised(tmp_path / "source")
    biases = {name for name in found if name.endswith("e_score_correction_bias")} - expected.keys()
    assert not any(found.pop(name).any() for name in biases), "a router without a bias has one of zeros"
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        exact = weight.numpy()
        if ".mlp.experts." in name and dtype == "fp8":
            assert relative(found[name], exact) < 0.012, name
            continue
        rounded = as_float(float_to_bf16(exact)) if dtype == "fp8" and exact.ndim == 2 else exact
        kept = name.endswith("mlp.gate.weight")
        np.testing.assert_array_equal(found[name], exact if kept else rounded, err_msg=name)
    assert (report.dense_error == 0) == (report.experts_error == 0) == (dtype != "fp8")


def test_int4_experts_lose_nothing_in_int8_either(tmp_path: Path) -> None:
    tiny.write(tmp_path / "source", "k2-thinking", "int4")
    report = convert(tmp_path / "source", tmp_path / "model", ConvertOptions(experts="int8"))
    found = contents(report.folder)
    for name, weight in tiny.dequantised(tmp_path / "source").items():
        if ".mlp.experts." in name:
            np.testing.assert_array_equal(found[name], weight.numpy(), err_msg=name)
    assert report.experts_error == 0


@pytest.mark.parametrize(
    ("dtype", "format", "low", "high"),
    [
        ("fp8", "int4", 0.05, 0.15),
        ("fp8", "bf16", 1e-4, 0.003),
        ("bf16", "int8", 0.002, 0.012),
        ("bf16", "int4", 0.05, 0.15),
        ("int4", "bf16", 1e-4, 0.003),
        ("f16", "f32", 0, 0),
    ],
)
def test_lost_precision_is_measured_and_told(tmp_path: Path, dtype: str, format: str, low: float, high: float) -> None:
    tiny.write(tmp_path / "source", "deepseek-v2", dtype)
    options = ConvertOptions(dense=format, experts=format)  # type: ignore[arg-type]
    report = convert(tmp_path / "source", tmp_path / "model", options)
    found, expected = contents(report.folder), tiny.dequantised(tmp_path / "source")
    experts = [name for name in expected if ".mlp.experts." in name]
    true_error = relative(*(np.concatenate([w[n].ravel() for n in experts]) for w in (found, _arrays(expected))))
    assert low <= report.experts_error <= high
    assert report.experts_error == pytest.approx(true_error, rel=0.1)
    kept = format == "f32" or (format == "bf16" and dtype == "int4")  # all but the experts is bf16 there
    assert report.dense_error == 0 if kept else 0 < report.dense_error <= high
    meta = json.loads((tmp_path / "model" / "moonlet.json").read_text())
    assert meta["error"] == {"dense": report.dense_error, "experts": report.experts_error}


def _arrays(weights: dict[str, torch.Tensor]) -> dict[str, NDArray[np.float32]]:
    return {name: weight.numpy() for name, weight in weights.items()}


def test_files_are_standard_and_aligned(tmp_path: Path) -> None:
    tiny.write(tmp_path / "source", "glm-flash", "int4", changes={"num_hidden_layers": 3, "n_routed_experts": 10})
    folder = convert(tmp_path / "source", tmp_path / "model").folder
    for name in folder.meta["files"]:
        if name.endswith(".safetensors"):
            with safe_open(tmp_path / "model" / name, "np") as tensors:
                assert set(tensors.keys())
    path, begin, rows, row_bytes = folder.experts_file(1)
    assert (begin % 4096, row_bytes % 4096, rows) == (0, 0, 10)
    assert path.stat().st_size == begin + rows * row_bytes
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "config.json",
        "dense.safetensors",
        "experts-001.safetensors",
        "experts-002.safetensors",
        "moonlet.json",
        "tiktoken.model",
        "tokenizer_config.json",
    ]
    assert (tmp_path / "model" / "config.json").read_bytes() == (tmp_path / "source" / "config.json").read_bytes()


def test_an_expert_of_k2_is_one_aligned_read() -> None:
    k2 = parse_config(tiny.config("k2", "int4", {"hidden_size": 7168, "moe_intermediate_size": 2048}))
    assert expert_row_bytes(k2, "int4") == 24_772_608
    assert 24_772_608 % 4096 == 0


def test_result_does_not_depend_on_the_shards(tmp_path: Path) -> None:
    for shards in (1, 7):
        tiny.write(tmp_path / "source", "v2-lite", "fp8", shards=shards)
        convert(tmp_path / "source", tmp_path / f"model{shards}")
        shutil.rmtree(tmp_path / "source")
    metas = [json.loads((tmp_path / name / "moonlet.json").read_text()) for name in ("model1", "model7")]
    assert metas[0].pop("checkpoint") != metas[1].pop("checkpoint"), "it tells which files it was made of, no more"
    assert metas[0] == metas[1]
    assert all(meta["files"].keys() == tree(tmp_path / "model1").keys() - {"moonlet.json"} for meta in metas)


def test_a_second_conversion_finds_the_first(tmp_path: Path) -> None:
    tiny.write(tmp_path / "source", "v2-lite", "bf16")
    first = convert(tmp_path / "source", tmp_path / "model")
    before = (tmp_path / "model" / "dense.safetensors").stat().st_mtime_ns
    assert convert(tmp_path / "source", tmp_path / "model") == first
    assert (tmp_path / "model" / "dense.safetensors").stat().st_mtime_ns == before
    with pytest.raises(ConvertError, match="other number formats"):
        convert(tmp_path / "source", tmp_path / "model", ConvertOptions(dense="int8"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConvertError, match="in the way"):
        convert(tmp_path / "source", tmp_path / "other")
    assert (tmp_path / "other" / "thesis.txt").exists()


def test_one_that_another_process_ends_meanwhile_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write(tmp_path / "source", "v2-lite", "bf16")

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.undo()
        convert(tmp_path / "source", tmp_path / "model")
        return make_recipe(*arguments)

    monkeypatch.setattr("moonlet.model.convert.make_recipe", meanwhile)
    made = convert(tmp_path / "source", tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "source"]
    made.folder.verify_checksums()
    assert convert(tmp_path / "source", tmp_path / "model") == made


def test_another_model_that_another_process_ends_meanwhile_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write(tmp_path / "source", "v2-lite", "bf16")

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.undo()
        convert(tmp_path / "source", tmp_path / "model", ConvertOptions(dense="int8"))
        return make_recipe(*arguments)

    monkeypatch.setattr("moonlet.model.convert.make_recipe", meanwhile)
    with pytest.raises(ConvertError, match="holds another model or other number formats"):
        convert(tmp_path / "source", tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "source"]


def test_what_was_stopped_is_removed_when_the_checkpoint_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path / "home"))
    tiny.write(tmp_path / "source", "v2-lite", "bf16")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        converted(tmp_path / "source", stop)
    (tmp_path / "source" / "notes.txt").write_text("another file")
    made = converted(tmp_path / "source")
    assert list(made.parent.iterdir()) == [made]


def test_another_checkpoint_in_a_folder_of_the_same_name_is_not_taken_for_the_first(tmp_path: Path) -> None:
    tiny.write(tmp_path / "source", "v2-lite", "bf16")
    first = convert(tmp_path / "source", tmp_path / "model")
    tiny.write(tmp_path / "elsewhere" / "source", "v2-lite", "bf16", seed=1)
    for other in ("elsewhere/source", "source"):
        if other == "source":  # trained on
            shutil.rmtree(tmp_path / "source")
            tiny.write(tmp_path / "source", "v2-lite", "bf16", seed=2)
        with pytest.raises(ConvertError, match="holds another model or other number formats; delete it") as caught:
            convert(tmp_path / other, tmp_path / "model")
        assert "\n" not in str(caught.value)
    assert open_folder(tmp_path / "model").meta == first.folder.meta


def test_a_folder_of_an_earlier_version_does_not_tell_its_files_and_is_taken_by_its_name(tmp_path: Path) -> None:
    tiny.write(tmp_path / "source", "v2-lite", "bf16")
    made = convert(tmp_path / "source", tmp_path / "model").folder
    write_meta(made.path, {key: value for key, value in made.meta.items() if key != "checkpoint"})
    os.utime(tmp_path / "source" / "model.safetensors")
    assert convert(tmp_path / "source", tmp_path / "model").folder.path == made.path


def test_unknown_number_format_is_refused() -> None:
    with pytest.raises(ValueError, match="int3"):
        ConvertOptions(dense="int3")  # type: ignore[arg-type]


def test_progress_reaches_its_end_once_and_in_order(tmp_path: Path) -> None:
    tiny.write(tmp_path / "source", "k2", "bf16", shards=3)
    told: list[tuple[int, int]] = []
    convert(tmp_path / "source", tmp_path / "model", progress=lambda done, total: told.append((done, total)))
    assert len({total for _, total in told}) == 1
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1] > 3_000_000


# ---- stopping -------------------------------------------------------------------------------------------------------

_KILLED = """
import os, signal, sys
from pathlib import Path
from moonlet.model import assemble
from moonlet.model.convert import convert
assemble._SYNC_BYTES = 1  # every part its own entry in the journal: the most moments to be killed at
print("begun", flush=True)
convert(Path(sys.argv[1]), Path(sys.argv[2]))
print("done", flush=True)
"""


@pytest.mark.long
def test_killed_at_ten_random_moments(tmp_path: Path) -> None:
    """SIGKILL from outside, whenever; then once more to the end: the same bytes as without."""
    tiny.write(tmp_path / "source", "deepseek-v2", "fp8", shards=4)
    convert(tmp_path / "source", tmp_path / "whole")
    expected = tree(tmp_path / "whole")
    span = _run_to_kill(tmp_path, None)
    moments = random.Random(0)
    unfinished = 0
    for _ in range(10):
        shutil.rmtree(tmp_path / "model", ignore_errors=True)
        _run_to_kill(tmp_path, moments.uniform(0, span))
        unfinished += not (tmp_path / "model").exists()
        convert(tmp_path / "source", tmp_path / "model")
        assert tree(tmp_path / "model") == expected
        assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "source", "whole"]
    assert unfinished >= 3, "most kills came after the end and tested nothing"


def _run_to_kill(tmp_path: Path, after_s: float | None) -> float:
    """Returns the seconds that the conversion ran."""
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "source"), str(tmp_path / "model")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        start = time.monotonic()
        if after_s is None:
            assert process.stdout.readline() == b"done\n"
        else:
            time.sleep(after_s)
            process.kill()
        return time.monotonic() - start


# Kills itself at the n-th call into the system that changes the disk, for many n; each child is a fork.
_KILLED_AT = """
import os, signal, sys
from pathlib import Path
from moonlet.model import assemble
from moonlet.model.convert import convert
assemble._SYNC_BYTES = 1
source, target, first, step = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def count_down(name, left):
    original = getattr(os, name)
    def counted(*arguments, **named):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)
    setattr(os, name, counted)

moment = first
while True:
    child = os.fork()
    if child == 0:
        left = [moment]
        for name in ("pwrite", "write", "fsync", "ftruncate", "rename", "replace", "unlink", "mkdir", "open", "close"):
            count_down(name, left)
        convert(source, Path(f"{target}{moment}"))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(moment, status, flush=True)
    if status == 0:
        break
    moment += step
"""


def test_killed_between_any_two_changes_of_the_disk(tmp_path: Path) -> None:
    changes = {"num_hidden_layers": 2, "n_routed_experts": 3, "num_experts_per_tok": 2}
    tiny.write(tmp_path / "source", "v2-lite", "bf16", shards=3, changes=changes)
    convert(tmp_path / "source", tmp_path / "whole")
    expected = tree(tmp_path / "whole")
    command = [sys.executable, "-c", _KILLED_AT, str(tmp_path / "source"), str(tmp_path / "model"), "1", "11"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) > 10
    for line in lines:
        moment, _ = line.split()
        target = tmp_path / f"model{moment}"
        if target.exists():
            open_folder(target)  # never half under its final name
        convert(tmp_path / "source", target)
        assert tree(target) == expected, f"killed at change {moment}"
        assert not list(tmp_path.glob(f"model{moment}.*"))
        shutil.rmtree(target)


def _interrupted(tmp_path: Path, after: int) -> None:
    """A conversion that stops after so many bytes."""

    def stop(done: int, total: int) -> None:
        if done > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(tmp_path / "source", tmp_path / "model", progress=stop)


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("moonlet.model.assemble._SYNC_BYTES", 1)
    tiny.write(tmp_path / "source", "k2", "bf16", shards=2)
    _interrupted(tmp_path, 1_000_000)
    return tmp_path


def test_finished_parts_are_not_made_again(begun: Path) -> None:
    told: list[int] = []
    finished = len((begun / "model.journal").read_bytes().splitlines()) - 1
    convert(begun / "source", begun / "model", progress=lambda done, total: told.append(done))
    whole: list[int] = []
    convert(begun / "source", begun / "again", progress=lambda done, total: whole.append(done))
    assert finished > 5
    assert told[0] > 500_000, "what was done is counted as done at once"
    assert len(told) < len(whole)
    assert tree(begun / "model") == tree(begun / "again")


def test_a_torn_last_line_of_the_journal_is_no_line(begun: Path) -> None:
    with (begun / "model.journal").open("ab") as journal:
        journal.write(b'{"part": "layers.2.expe')
    convert(begun / "source", begun / "model").folder.verify_checksums()


def test_a_lost_file_is_made_again(begun: Path) -> None:
    (begun / "model.part" / "dense.safetensors").unlink()
    _interrupted(begun, 300_000)  # what was lost stays lost when that is interrupted too
    convert(begun / "source", begun / "model").folder.verify_checksums()
    convert(begun / "source", begun / "again")
    assert tree(begun / "model") == tree(begun / "again")


def test_going_on_with_something_else_is_refused(begun: Path) -> None:
    with pytest.raises(JournalError, match=r"model\.journal: was begun from other files or with other options"):
        convert(begun / "source", begun / "model", ConvertOptions(dense="int8"))
    os.utime(begun / "source" / "model-00002-of-00002.safetensors", (1, 1))
    with pytest.raises(JournalError, match=r"to start over, delete it and .*model\.part"):
        convert(begun / "source", begun / "model")


def test_a_damaged_journal_is_refused(begun: Path) -> None:
    path = begun / "model.journal"
    path.write_bytes(path.read_bytes().replace(b'"part"', b'"prat"', 1))
    with pytest.raises(JournalError, match=r"model\.journal: is damaged"):
        convert(begun / "source", begun / "model")


def test_two_at_once_are_one_too_many(begun: Path) -> None:
    plan = json.loads((begun / "model.journal").read_text().splitlines()[0])
    held = Journal(begun / "model.journal", plan)
    with pytest.raises(JournalError, match="another process is working on this model"):
        convert(begun / "source", begun / "model")
    held.close()
    convert(begun / "source", begun / "model")


# ---- disk and memory ------------------------------------------------------------------------------------------------


def test_free_space_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write(tmp_path / "source", "k2", "bf16")
    monkeypatch.setattr(convert_module.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, 2_000_000))
    with pytest.raises(ConvertError, match=r"needs 0\.0 GB of disk, 0\.0 GB are free; make room") as error:
        convert(tmp_path / "source", tmp_path / "model")
    assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


_SMALL_DISK = """
import resource, sys
from pathlib import Path
from moonlet.model.convert import convert, ConvertError
resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, 700_000))
try:
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
except ConvertError as error:
    print(error)
"""


def test_a_write_that_fails_is_one_line_and_no_folder(tmp_path: Path) -> None:
    tiny.write(tmp_path / "source", "k2", "bf16")
    command = [sys.executable, "-c", _SMALL_DISK, str(tmp_path / "source"), str(tmp_path / "model")]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.stderr == ""
    assert ran.stdout.count("\n") == 1
    assert "dense.safetensors: File too large" in ran.stdout
    assert not (tmp_path / "model").exists()
    convert(tmp_path / "source", tmp_path / "model").folder.verify_checksums()  # the disk was mended


# Not ru_maxrss: that one remembers the process from which this one was started.
_MEASURED = """
import re, sys
from pathlib import Path
from moonlet.model import assemble
from moonlet.model.convert import convert, ConvertOptions
def most_mb():
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
before = most_mb()
convert(Path(sys.argv[1]), Path(sys.argv[2]), ConvertOptions(experts="int4"))
print(most_mb() - before, assemble._MOST_WORKERS)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account of memory")
def test_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    """A checkpoint of 450 MB (a file of zeros that takes no disk), its largest matrix 100 MB."""
    changes = {
        "hidden_size": 2048,
        "num_hidden_layers": 1,
        "first_k_dense_replace": 0,
        "vocab_size": 25_000,
        "n_routed_experts": 2,
        "num_experts_per_tok": 1,
        "moe_intermediate_size": 10_000,
        "n_shared_experts": 0,
    }
    _write_zeros(tmp_path / "source", changes)
    assert (tmp_path / "source" / "model.safetensors").stat().st_size > 450e6
    command = [sys.executable, "-c", _MEASURED, str(tmp_path / "source"), str(tmp_path / "model")]
    used_mb, workers = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert used_mb < 60 + 60 * min(workers, max(2, kernels.cores()))


def _write_zeros(folder: Path, changes: dict[str, int]) -> None:
    config = tiny.config("v2-lite", "bf16", changes)
    header: dict[str, object] = {}
    at = 0
    for name, shape in tiny._shapes(config):
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
