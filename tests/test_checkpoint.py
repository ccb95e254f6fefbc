"""Reading checkpoints: number formats byte by byte, every variant against an independent reader, what is left out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

import tiny
from moonlet.model import decode
from moonlet.model.checkpoint import Checkpoint
from moonlet.model.recipe import make_recipe
from moonlet.model.shards import CheckpointError
from moonlet.model.tensorfile import build_header, read_header

torch.set_num_threads(1)


def test_fp8_bytes() -> None:
    known = {0x00: 0, 0x01: 2**-9, 0x07: 0.013671875, 0x08: 0.015625, 0x38: 1, 0x39: 1.125, 0x40: 2, 0x77: 240}
    known |= {0x7E: 448, 0xB8: -1, 0xFE: -448}
    for code, value in known.items():
        assert decode.E4M3[code] == value
    assert np.isnan(decode.E4M3[[0x7F, 0xFF]]).all()
    theirs = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float().numpy()
    np.testing.assert_array_equal(decode.E4M3, theirs)


def test_fp8_scale_multiplies_and_last_blocks_are_ragged() -> None:
    codes = np.full((130, 200), 0x38, np.uint8)  # ones
    values = decode.fp8_to_float(codes, np.array([[2, 3], [5, 7]], np.float32))
    assert values[0, 0] == values[127, 127] == 2
    assert values[0, 128] == values[127, 199] == 3
    assert values[128, 0] == values[129, 127] == 5
    assert values[128, 128] == values[129, 199] == 7


@pytest.mark.parametrize(
    ("codes", "word"),
    [
        (range(-8, 0), 1985229328),
        (range(8), -19088744),
        ((-7, 7, 0, 3, -3, 1, -1, 5), -678053647),
    ],
)
def test_int4_words(codes: range | tuple[int, ...], word: int) -> None:
    assert decode.int4_codes(np.array([[word]], np.int32), 8).tolist() == [list(codes)]


def test_int4_scale_covers_32_columns() -> None:
    codes = np.full((2, 40), 3, np.int8)
    scales = decode.float_to_bf16(np.array([[1, 0.5], [2, -1]], np.float32))
    values = decode.int4_to_float(codes, scales)
    assert values[0].tolist() == [3.0] * 32 + [1.5] * 8
    assert values[1].tolist() == [6.0] * 32 + [-3.0] * 8


@given(st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**126), max_value=2.0**126))
def test_bf16_rounds_as_torch_does(value: float) -> None:
    bits = decode.float_to_bf16(np.array([value], np.float32))
    assert decode.as_float(bits)[0] == torch.tensor([value]).bfloat16().float().item()


def test_finite_sees_every_kind() -> None:
    for bad in (np.nan, np.inf, -np.inf):
        for dtype in (np.float16, np.float32):
            values = np.ones(100, dtype)
            assert decode.finite(values)
            values[41] = bad
            assert not decode.finite(values)
    bits = np.full(100, 0x7F7F, np.uint16)  # the largest bf16
    assert decode.finite(bits)
    for nonfinite in (0x7F80, 0xFF80, 0x7FC0, 0xFFC1):
        bits[7] = nonfinite
        assert not decode.finite(bits)


@pytest.mark.parametrize(
    ("variant", "dtype"),
    [(variant, dtype) for variant in tiny.VARIANTS for dtype in ("fp8", "int4")]
    + [("k2", dtype) for dtype in ("f32", "bf16", "f16")],
)
def test_every_weight_is_what_another_reader_reads(tmp_path: Path, variant: str, dtype: str) -> None:
    tiny.write(tmp_path, variant, dtype, shards=3)
    expected = tiny.dequantised(tmp_path)
    with Checkpoint(tmp_path) as checkpoint:
        weights = {weight.name: weight for weight in make_recipe(checkpoint, "bf16", None).weights}
        for shard, held in checkpoint.by_shard(weights.values()).items():
            checkpoint.open_shard(shard, held)
        assert weights.keys() == expected.keys()
        for name, weight in weights.items():
            values = decode.as_float(checkpoint.values(weight))
            np.testing.assert_array_equal(values, expected[name].numpy(), err_msg=name)


@pytest.mark.parametrize("dtype", tiny.DTYPES)
def test_a_stretch_of_rows_is_that_stretch_of_the_whole(tmp_path: Path, dtype: str) -> None:
    changes = {"hidden_size": 160, "intermediate_size": 288, "moe_intermediate_size": 64}
    tiny.write(tmp_path, "k2", dtype, changes=changes)
    with Checkpoint(tmp_path) as checkpoint:
        name = (
            "model.layers.1.mlp.experts.3.down_proj.weight" if dtype == "int4" else "model.layers.0.mlp.up_proj.weight"
        )
        weight = checkpoint.weight(name, *((160, 64) if dtype == "int4" else (288, 160)))
        checkpoint.open_shard(checkpoint.shards[0], [weight])
        whole = checkpoint.values(weight)
        for begin, end in [(0, 1), (128, 150), (128, len(whole)), (0, 0)]:
            np.testing.assert_array_equal(checkpoint.values(weight, begin, end), whole[begin:end])


def test_says_what_it_skips(tmp_path: Path) -> None:
    tiny.write(tmp_path / "vision", "k2.5", "int4", shards=2)
    tiny.write(tmp_path / "predicting", "deepseek-v3", "bf16")
    tiny.write(tmp_path / "tied", "moonlight", "bf16")
    config = tiny.config("moonlight", "bf16", {"tie_word_embeddings": True})
    (tmp_path / "tied" / "config.json").write_text(json.dumps(config))
    assert Checkpoint(tmp_path / "vision").skipped == {"vision": 2, "inv_freq": 1}
    assert Checkpoint(tmp_path / "predicting").skipped.keys() == {"prediction layers"}
    assert Checkpoint(tmp_path / "tied").skipped == {"tied head": 1}


def test_links_of_the_hub_cache_are_followed(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "models--a--b" / "blobs", tmp_path / "models--a--b" / "snapshots" / "0123"
    tiny.write(snapshot, "v2-lite", "bf16", shards=2)
    blobs.mkdir()
    for file in snapshot.glob("*.safetensors"):
        file.rename(blobs / file.name[:8])
        file.symlink_to(Path("..", "..", "blobs", file.name[:8]))
        os.stat(file)
    with Checkpoint(snapshot) as checkpoint:
        for shard in checkpoint.shards:
            checkpoint.open_shard(shard, ())


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    tiny.write(tmp_path, "v2-lite", "bf16", changes={"vocab_size": 310, "hidden_size": 64})
    with Checkpoint(tmp_path) as checkpoint:
        weight = checkpoint.weight("model.embed_tokens.weight", 310, 64)
        checkpoint.open_shard("model.safetensors", [weight])
        os.truncate(tmp_path / "model.safetensors", 20_000)
        with pytest.raises(CheckpointError, match=r"model\.safetensors: tensor model\.embed_tokens\.weight is cut off"):
            checkpoint.values(weight)


def test_header_agrees_with_the_safetensors_library(tmp_path: Path) -> None:
    tiny.write(tmp_path, "k2.5", "int4")
    file = tmp_path / "model.safetensors"
    ours = read_header(file)
    with safe_open(file, "np") as theirs:
        assert set(theirs.keys()) == ours.keys()
        for name, tensor in ours.items():
            part = theirs.get_slice(name)
            assert (part.get_dtype(), tuple(part.get_shape())) == (tensor.dtype, tensor.shape)
    data = file.read_bytes()
    with safe_open(file, "pt") as theirs:
        for name, tensor in ours.items():
            raw = theirs.get_tensor(name).reshape(-1).contiguous().view(torch.uint8).numpy().tobytes()
            assert data[tensor.begin : tensor.end] == raw


def test_built_header_is_read_back(tmp_path: Path) -> None:
    head, places = build_header({"b": ("U8", (3, 64)), "a": ("F32", (5,)), "empty": ("BF16", (0, 7))}, 4096)
    assert len(head) == 4096
    (tmp_path / "x.safetensors").write_bytes(head + bytes(range(192)) + bytes(20))
    assert read_header(tmp_path / "x.safetensors") == places
    assert (places["b"].begin, places["a"].begin, places["a"].end) == (4096, 4288, 4308)
    with safe_open(tmp_path / "x.safetensors", "np") as theirs:
        assert theirs.get_tensor("b")[1, 0] == 64
