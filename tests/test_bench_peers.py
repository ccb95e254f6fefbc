"""The bench beside peers, as far as it goes without them: shapes, what a row must read, and what the table says."""

import argparse
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench import shapes
from bench.peers import __main__ as peers
from bench.peers import cases, gguf_shape, hf_shape, limited, results
from bench.peers.environments import Environment
from bench.peers.limits import Limits
from bench.peers.run_llama_bench import flags, read
from bench.peers.task import Task

from moonlet.model.anatomy import Formats, anatomy, folder_formats
from moonlet.model.config import parse_config
from moonlet.model.tensorfile import read_header
from moonlet.planner import system

SMALL = {"num_hidden_layers": 3, "vocab_size": 1024, "n_routed_experts": 4, "num_experts_per_tok": 2}


def vectors(shape: tuple[int, ...]) -> bool:
    return len(shape) == 1


@pytest.mark.parametrize("shape", ["moonlight", "k2"])
def test_each_form_has_exactly_the_weights_of_the_shape(shape: str) -> None:
    config = shapes.CONFIGS[shape]
    parameters = anatomy(parse_config(config), Formats()).parameters
    hf = [one for named in hf_shape.files(config).values() for one in named.values()]
    gguf = list(gguf_shape.all_shapes(config).values())
    assert [sum(int(np.prod(one)) for one in form if not vectors(one)) for form in (hf, gguf)] == [parameters] * 2


def test_a_gguf_has_as_many_bytes_as_our_int4() -> None:
    config = shapes.CONFIGS["k2"]
    named = gguf_shape.all_shapes(config)
    matrices = sum(gguf_shape.tensor_bytes(name, one) for name, one in named.items() if not vectors(one))
    ours = anatomy(parse_config(config), replace(folder_formats("int4", "int4"), embedding="int4"))
    assert matrices == ours.stored_bytes


def test_the_same_shape_has_the_same_bytes(tmp_path: Path) -> None:
    config = shapes.CONFIGS["moonlight"] | SMALL | {"intermediate_size": 64, "moe_intermediate_size": 32}
    for name in "ab":
        hf_shape.write(tmp_path / name, config)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 3 + 1 + 2
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    header = read_header(tmp_path / "a" / "model-001.safetensors")
    assert header["model.layers.1.mlp.experts.3.down_proj.weight"].shape == (2048, 32)

    def block() -> bytes:
        random = np.random.default_rng(0)
        return b"".join(gguf_shape.pieces("output.weight", (64, 2048), gguf_shape.random_pool(random), random))

    first = np.frombuffer(block(), np.uint8).reshape(-1, 18)
    assert block() == first.tobytes() and len(first) == 64 * 2048 // 32
    weights = (np.concatenate([first[:, 2:] & 15, first[:, 2:] >> 4]) - 8.0) * first[:, :2].copy().view(np.float16)[0]
    assert abs(weights.mean()) < 1e-3 and weights.std() == pytest.approx(2048**-0.5, rel=0.05)


def test_what_a_row_must_read_and_multiply() -> None:
    config = shapes.CONFIGS["moonlight"]
    whole = anatomy(parse_config(config), cases.INT4.formats())
    bytes_1, operations = cases.least(config, cases.INT4, "decode 1")
    assert bytes_1 == pytest.approx(whole.read_bytes, rel=1e-3) and operations == 2 * whole.active
    bytes_16, _ = cases.least(config, cases.INT4, "decode 16")
    distinct = 64 * (1 - (58 / 64) ** 16)  # of 64 experts, with sixteen tokens that choose six each
    read = whole.read_bytes + (distinct / 6 - 1) * whole.experts.read_bytes
    assert bytes_16 == pytest.approx(read / 16, rel=1e-3)
    bytes_512, operations = cases.least(config, cases.INT4, "prefill 512")
    assert bytes_512 == pytest.approx(whole.stored_bytes / 512, rel=0.1)
    assert 2 * (whole.active - whole.head.active) < operations < 2.02 * (whole.active - whole.head.active)


def test_as_many_layers_as_fit() -> None:
    moonlight, k2, bf16, _ = cases.CASES
    assert moonlight.config(24 << 30, None)["num_hidden_layers"] == 27
    assert moonlight.config(24 << 30, 4)["num_hidden_layers"] == 4
    assert k2.config(24 << 30, None)["num_hidden_layers"] == 2
    assert 6 <= bf16.config(24 << 30, None)["num_hidden_layers"] <= 10
    assert k2.config(8 << 30, None) == {}


def test_the_table_has_ratios_and_says_what_cannot_be(tmp_path: Path) -> None:
    case = replace(cases.CASES[0], rows=("decode 1", "decode 4"))
    record = results.Record("a machine", 2, [Limits(40e9, 1e12)], 1e9, layers={case.name: 27})
    for speeds in ([20.0, 10.0], [22.0, 11.0], [21.0, 12.0]):
        record.add(case, cases.INT4, dict(zip(case.rows, speeds)))
        record.add(case, cases.LLAMA_CPP, {"decode 1": 14.0, "decode 4": 10.0})
    record.add(case, cases.IK, {"decode 1": "is no package: --llama-bench PATH"})
    record.judge(case, shapes.CONFIGS["moonlight"], record.limits[0])
    table = results.table(record)
    assert "| moonlight, 27 layers | decode 1 | int4 | 21 | 20, 22 |" in table
    assert "| decode 1 | llama.cpp | 14 | 14, 14 |" in table and "|  | 1.50 x |" in table
    assert "| decode 1 | ik_llama | is no package: --llama-bench PATH | | | | |" in table
    results.save(record, record.limits[0], tmp_path)
    drawn = ET.parse(tmp_path / "peers.svg").getroot()
    assert "llama.cpp" in "".join(drawn.itertext()) and (tmp_path / "peers.json").exists()


def test_a_peer_that_does_not_run_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task("", {"vocab_size": 8}, ["decode 1"], 0, 1, 1)
    gone = replace(cases.LLAMA_CPP, environment=Environment("not-there", ()))
    rows, about = peers.turn(gone, task, None)
    assert "does not run" in str(rows["decode 1"]) and not about
    broken = replace(cases.LLAMA_CPP, environment=None)  # here the bindings are not installed
    rows, _ = peers.turn(broken, task, None)
    assert "ended with 1: ModuleNotFoundError" in str(rows["decode 1"])


def test_llama_bench_is_asked_for_what_it_can() -> None:
    assert flags("decode 1", 32) == ["-p", "0", "-n", "32"]
    assert flags("prefill 4096", 32) == ["-p", "4096", "-n", "0"]
    assert flags("decode 4", 32) is None
    assert read('warning\n[\n  {"avg_ts": 3.5}\n]\nmore')[0]["avg_ts"] == 3.5


def test_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: argparse.Namespace = peers.parse(["--rows", "decode 1, prefill 512", "--layers", "2"])
    assert asked.rows == ["decode 1", "prefill 512"] and asked.layers == 2
    with pytest.raises(SystemExit, match="2"):
        peers.parse(["--llama-bench", str(tmp_path / "none")])
    assert "is no program" in capsys.readouterr().err


@pytest.mark.long
def test_a_runner_without_any_of_the_rows_is_left_out(tmp_path: Path) -> None:
    record = results.Record("", 2)
    case = replace(cases.CASES[0], runners=(cases.EXPANDED, cases.IK))
    asked = peers.parse(["--rows", "decode 1", "--layers", "2", "--place", str(tmp_path)])
    peers.run(case, asked, record, system.look(), {cases.IK.name: "is no package"})
    assert [(one.row, one.runner, one.why_not) for one in record.entries] == [("decode 1", "ik_llama", "is no package")]


def test_a_turn_can_have_less_memory_than_it_needs() -> None:
    """What is over the limit is killed, or swapped out; where nobody may make a control group there is no such row."""
    taken = [sys.executable, "-c", "held = bytearray(b'x') * 400_000_000; print(len(held))"]
    with limited.group(0) as within:
        assert subprocess.run([*within, *taken], stdout=subprocess.DEVNULL).returncode == 0
    try:
        with limited.group(100_000_000) as within:
            assert subprocess.run([*within, *taken], stdout=subprocess.DEVNULL).returncode != 0
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
