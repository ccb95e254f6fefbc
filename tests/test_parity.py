"""The native engine against transformers: every model, every number format, through a model folder as a user has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import moonlet
import tiny
from moonlet.engine.sampler import Sampling
from moonlet.kernels import reference
from moonlet.model.convert import ConvertOptions, convert
from moonlet.model.folder import ModelFolder
from moonlet.model.layout import expert_matrices, slots

LOSSLESS = ("f32", "f16", "bf16", "int4")  # number formats of a checkpoint that a folder holds as they are


@pytest.fixture(autouse=True)
def own_cache_and_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path / "home"))
    torch.set_num_threads(1)


def prompt(seed: int, tokens: int = 96) -> list[int]:
    ids: list[int] = torch.randint(0, 256, (tokens,), generator=torch.Generator().manual_seed(seed)).tolist()
    return ids


def floats(stored: NDArray[np.uint8], format: reference.Format, rows: int, cols: int) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(reference.unpack(stored, format, rows, cols)))


def weights_of(folder: ModelFolder) -> dict[str, torch.Tensor]:
    """Every weight of a model folder as float32, under the public names: what its engine ought to compute with."""
    return dict(_dense(folder)) | dict(_experts(folder))


def _dense(folder: ModelFolder) -> Iterator[tuple[str, torch.Tensor]]:
    keys: dict[str, torch.Tensor] = {}
    stored = folder.dense()
    for slot in slots(folder.config):
        data, format = stored[slot.name], folder.formats.dense
        if slot.kind == "packed":
            yield slot.source, floats(data, format, *slot.shape)
        elif slot.kind == "keys":
            keys[slot.source] = torch.stack([floats(head, format, *slot.shape[1:]).T for head in data])
        elif slot.kind == "values":
            values = torch.stack([floats(head, format, *slot.shape[1:]) for head in data])
            yield slot.source, torch.cat([keys[slot.source], values], 1).flatten(0, 1)
        elif slot.kind == "table":
            yield (
                slot.source,
                torch.from_numpy(reference.from_bf16(data) if data.dtype == np.uint16 else np.array(data)),
            )
        elif folder.config.router == "sigmoid" or not slot.name.endswith("router_bias"):
            yield slot.source, torch.from_numpy(np.array(data))


def _experts(folder: ModelFolder) -> Iterator[tuple[str, torch.Tensor]]:
    format = folder.formats.experts
    for layer in range(folder.config.dense_layers, folder.config.layers):
        path, begin, experts, row_bytes = folder.experts_file(layer)
        assert begin % 4096 == row_bytes % 4096 == 0
        for expert in range(experts):
            row = np.fromfile(path, np.uint8, row_bytes, offset=begin + expert * row_bytes)
            at = 0
            for part, (rows, cols) in expert_matrices(folder.config).items():
                size = reference.packed_bytes(format, rows, cols)
                name = f"model.layers.{layer}.mlp.experts.{expert}.{part}_proj.weight"
                yield name, floats(row[at : at + size], format, rows, cols)
                at += size
            assert not row[at:].any()


@pytest.mark.parametrize("dtype", tiny.DTYPES)
@pytest.mark.parametrize("variant", tiny.VARIANTS)
def test_the_exact_path_computes_what_transformers_does(tmp_path: Path, variant: str, dtype: str) -> None:
    source = tmp_path / "source"
    tiny.write(source, variant, dtype, shards=2)
    folder = convert(source, tmp_path / "folder").folder
    weights = weights_of(folder)
    if dtype in LOSSLESS:
        plain = tiny.dequantised(source)
        assert weights.keys() == plain.keys()
        assert all(torch.equal(weights[name], plain[name]) for name in plain)
    judge = tiny.transformers_model(source, weights)
    ids = prompt(7)
    with moonlet.load(tmp_path / "folder", exact=True) as model:
        logits = model.logits(ids)
        said = [token.id for token in model.engine.submit(ids, Sampling(max_tokens=64, temperature=0))]
    with torch.no_grad():
        expected = judge(torch.tensor([ids + said])).logits[0].numpy()
    assert logits.dtype == np.float32
    # The promise is 1e-3; float32 sums in another order differ by 1e-6.
    assert np.abs(logits - expected[: len(ids)]).max() < 1e-5 * np.ptp(expected)
    # Row t says what comes after token t: were one token not transformers' choice, it would differ from its row.
    assert len(said) == 64 and expected[len(ids) - 1 : -1].argmax(1).tolist() == said


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        ("bf16", ConvertOptions(dense="int8", experts="int8")),
        ("fp8", ConvertOptions()),
        ("int4", ConvertOptions()),
        ("int4", ConvertOptions(dense="int8")),
    ],
    ids=["int8", "fp8", "int4", "int4-dense-int8"],
)
@pytest.mark.parametrize("variant", tiny.VARIANTS)
def test_the_integer_path_says_nearly_the_same(
    tmp_path: Path, variant: str, dtype: str, options: ConvertOptions
) -> None:
    source = tmp_path / "source"
    tiny.write(source, variant, dtype)
    folder = convert(source, tmp_path / "folder", options).folder
    arrays = tiny.arrays(source, weights_of(folder))
    divergences = []
    with moonlet.load(tmp_path / "folder") as model:
        for seed in range(4):  # now and then rounding sends a token to another expert; no single prompt is typical
            expected = reference.forward(arrays, folder.config, prompt(seed)).astype(np.float64)
            found = model.logits(prompt(seed)).astype(np.float64)
            p, q = reference.softmax(expected), reference.softmax(found)
            divergences.append((p * np.log(p / q)).sum(1).mean())
    assert 1e-9 < np.mean(divergences) < 2e-3


def test_a_checkpoint_in_the_public_layout_is_loaded_as_it_is(tmp_path: Path) -> None:
    tiny.write(tmp_path / "source", "k2.5", "int4", shards=3)
    with torch.no_grad():
        expected = tiny.transformers_model(tmp_path / "source")(torch.tensor([prompt(1)])).logits[0].numpy()
    with moonlet.load(tmp_path / "source", exact=True) as model:
        assert np.abs(model.logits(prompt(1)) - expected).max() < 1e-5 * np.ptp(expected)
