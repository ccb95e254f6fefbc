"""Parameters and bytes of the published models, against the figures that are known of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tiny
from moonlet.model.anatomy import (
    HEADER,
    Anatomy,
    Formats,
    anatomy,
    checkpoint_formats,
    folder_formats,
    rows,
    summary,
    text,
)
from moonlet.model.config import ConfigError, parse_config, read_config
from published import CONFIGS, K2


def of(name: str) -> Anatomy:
    return anatomy(parse_config(CONFIGS[name]), checkpoint_formats(CONFIGS[name]))


@pytest.mark.parametrize("name", ["Kimi-K2-Instruct", "Kimi-K2-Thinking", "Kimi-K2.6"])
def test_kimi_k2(name: str) -> None:
    k2 = of(name)
    assert k2.parameters == 1_026_407_202_816
    assert k2.parameters_per_expert == 44_040_192
    assert k2.attention.parameters == 61 * 101_122_048
    assert round(k2.active / 1e9, 2) == 31.69
    assert round(k2.active_with_embedding / 1e9, 2) == 32.86
    assert k2.cache_bytes_per_token == 70_272


def test_the_number_formats_of_kimi_k2() -> None:
    fp8, int4 = of("Kimi-K2-Instruct"), of("Kimi-K2-Thinking")
    assert [part.format for part in fp8.parts] == ["fp8", "fp8", "bf16", "fp8", "fp8", "bf16", "bf16"]
    assert [part.format for part in int4.parts] == ["bf16"] * 4 + ["int4", "bf16", "bf16"]
    assert of("Kimi-K2.5") == int4
    assert round(fp8.stored_bytes / 2**30, 1) == 958.5
    assert round(int4.stored_bytes / 2**30, 1) == 553.4
    assert int4.bytes_per_expert == 24_772_608
    assert round(int4.experts.read_bytes / 1e9, 1) == 11.9
    assert round((int4.read_bytes - int4.experts.read_bytes) / 1e9, 1) == 21.1
    assert int4.embedding.read_bytes == 2 * 7168  # one row


@pytest.mark.parametrize(
    ("name", "total", "active"),
    [
        ("Moonlight-16B-A3B", 15.96, 2.24),
        ("DeepSeek-V3", 671.0, 36.6),
        ("DeepSeek-V2", 235.7, 20.9),
        ("DeepSeek-V2-Lite", 15.7, 2.4),
    ],
)
def test_models_in_billions(name: str, total: float, active: float) -> None:
    found = of(name)
    embeddings = found.embedding.parameters if name == "Moonlight-16B-A3B" else 0  # its 2.24 leaves both tables out
    assert found.parameters / 1e9 == pytest.approx(total, abs=0.05)
    assert (found.active - embeddings) / 1e9 == pytest.approx(active, abs=0.06)


@pytest.mark.parametrize("variant", tiny.VARIANTS)
@pytest.mark.parametrize("dtype", ["f32", "bf16", "fp8", "int4"])
def test_a_checkpoint_holds_what_the_anatomy_counts(tmp_path: Path, variant: str, dtype: str) -> None:
    tiny.write(tmp_path, variant, dtype)
    raw = tiny.config(variant, dtype)
    found = anatomy(read_config(tmp_path), checkpoint_formats(raw))
    matrices = [tensor for tensor in tiny.dequantised(tmp_path).values() if tensor.ndim == 2]
    assert found.parameters == sum(matrix.numel() for matrix in matrices)
    if variant not in ("k2.5", "deepseek-v3"):  # the files of those hold more than the model
        measured = (tmp_path / "model.safetensors").stat().st_size
        assert measured == pytest.approx(found.stored_bytes, rel=0.2)  # tiny rows leave much filling and many headers


def test_a_tied_head_is_stored_once_and_read_nonetheless() -> None:
    formats = checkpoint_formats(K2)
    free, tied = (anatomy(parse_config(K2 | {"tie_word_embeddings": tie}), formats) for tie in (False, True))
    assert free.parameters - tied.parameters == 163840 * 7168
    assert free.active == tied.active == tied.active_with_embedding
    assert free.read_bytes == tied.read_bytes


def test_a_model_folder_in_smaller_formats() -> None:
    folder = anatomy(parse_config(K2), folder_formats("int8", "int4"))
    assert [part.format for part in folder.parts] == ["int8", "int8", "f32", "int8", "int4", "int8", "bf16"]
    assert round(folder.read_bytes / 1e9, 1) == 23.6


def test_the_rendering() -> None:
    config = parse_config(CONFIGS["Kimi-K2-Thinking"])
    found = anatomy(config, checkpoint_formats(CONFIGS["Kimi-K2-Thinking"]))
    table = rows(found)
    assert all(len(row) == len(HEADER) for row in table)
    assert table[4] == ("experts", "1,014,686,023,680", "int4", "570.8 GB", "11.9 GB")
    assert table[-1] == ("all", "1,026,407,202,816", "", "594.2 GB", "33.0 GB")
    sentences = dict(summary(config, found))
    assert sentences["parameters"] == "1,026,407,202,816"
    assert sentences["active per token"] == "31.69 B, 32.86 B with the embedding table"
    assert "70,272 B per token" in sentences["cache"]
    plain = text(config, found)
    assert "8 of 384 in each of 60 layers, and 1 shared" in plain
    assert max(map(len, plain.splitlines())) <= 80


@pytest.mark.parametrize(
    "quantization",
    [
        {"quant_method": "gptq"},
        {"quant_method": "fp8", "weight_block_size": [1, 128]},
        {"quant_method": "compressed-tensors", "format": "mxfp4-pack-quantized"},
        {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"a": {"weights": None}}},
        ["fp8"],
    ],
)
def test_other_quantisations_are_refused(quantization: Any) -> None:
    with pytest.raises(ConfigError, match="not supported, only fp8"):
        checkpoint_formats(K2 | {"quantization_config": quantization})


def test_other_number_types_are_refused() -> None:
    with pytest.raises(ConfigError, match="float64"):
        checkpoint_formats(K2 | {"quantization_config": None, "torch_dtype": "float64"})
    assert checkpoint_formats({}) == Formats()
