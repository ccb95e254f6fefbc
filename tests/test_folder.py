"""Model folders: opening, the views that the engine computes from, checksums, golden tokens, where they live."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tiny
from moonlet.model.convert import ConvertOptions, convert
from moonlet.model.folder import FolderError, ModelFolder, default_path, open_folder
from moonlet.model.layout import Formats

SIZES = {
    "vocab_size": 512,
    "hidden_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "kv_lora_rank": 64,
    "qk_nope_head_dim": 32,
    "v_head_dim": 32,
    "n_routed_experts": 16,
    "moe_intermediate_size": 64,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made")
    tiny.write(place / "source", "k2", "int4", changes=SIZES)
    convert(place / "source", place / "model", ConvertOptions(dense="int8"))
    return place


def copy_of(made: Path, to: Path) -> ModelFolder:
    to.mkdir()
    for file in (made / "model").iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return open_folder(to)


def test_opens_with_config_and_formats(made: Path) -> None:
    folder = open_folder(made / "model")
    assert folder.path == made / "model"
    assert (folder.config.layers, folder.config.experts) == (3, 16)
    assert folder.formats == Formats("int8", "int4")
    assert folder.meta["source"] == {"name": "source", "revision": None}
    assert folder.meta["golden"] is None


def test_dense_tensors_are_mapped_in_their_types(made: Path) -> None:
    tensors = open_folder(made / "model").dense()
    shapes = {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}
    assert shapes["embed"] == (np.uint16, (512, 160))
    assert shapes["norm"] == (np.float32, (160,))
    assert shapes["layers.1.router"] == (np.float32, (16, 160))
    assert shapes["head"] == (np.uint8, (16 * 5 * 1088,))
    assert shapes["layers.2.k_up"] == (np.uint8, (4, 2 * 1 * 1088))
    assert shapes["layers.2.v_up"] == (np.uint8, (4, 1 * 2 * 1088))
    for name, tensor in tensors.items():
        assert not tensor.flags.writeable and not tensor.flags.owndata
        assert tensor.ctypes.data % (64 if tensor.dtype == np.uint8 else tensor.itemsize) == 0, name
    with pytest.raises(ValueError, match="read-only"):
        tensors["norm"][0] = 1


def test_experts_file_says_where_each_expert_lies(made: Path) -> None:
    path, begin, rows, row_bytes = open_folder(made / "model").experts_file(2)
    assert path.name == "experts-002.safetensors"
    assert (begin, rows, row_bytes) == (4096, 16, 20480)  # 10 tiles of 576 each for gate, up and down: 17280


def test_checksums_find_one_flipped_bit(made: Path, tmp_path: Path) -> None:
    folder = copy_of(made, tmp_path / "model")
    told: list[tuple[int, int]] = []
    folder.verify_checksums(lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] == sum(entry["bytes"] for entry in folder.meta["files"].values())
    path = tmp_path / "model" / "experts-001.safetensors"
    data = bytearray(path.read_bytes())
    data[-5000] ^= 4
    path.write_bytes(data)
    open_folder(tmp_path / "model")  # the quick look does not read weights
    with pytest.raises(FolderError, match=r"experts-001\.safetensors: its bytes are not those that were written"):
        folder.verify_checksums()


def test_golden_tokens_are_kept(made: Path, tmp_path: Path) -> None:
    folder = copy_of(made, tmp_path / "model")
    golden = {"prompt": [256, 5, 6], "tokens": [7, 8]}
    assert folder.write_golden([256, 5, 6], [7, 8]).meta["golden"] == golden
    again = open_folder(tmp_path / "model")
    assert again.meta["golden"] == golden
    assert {**again.meta, "golden": None} == folder.meta
    again.verify_checksums()
    assert not list((tmp_path / "model").glob("*.part"))


def test_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path))
    assert default_path("moonshotai/Kimi-K2-Thinking") == tmp_path / "models" / "moonshotai" / "Kimi-K2-Thinking"
    monkeypatch.delenv("MOONLET_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert default_path("tiny") == tmp_path / "me" / ".cache" / "moonlet" / "models" / "tiny"


def test_a_folder_made_by_a_later_program_is_still_opened(made: Path, tmp_path: Path) -> None:
    """More fields in moonlet.json, another header of the same tensors: neither is a fault."""
    copy_of(made, tmp_path / "model")
    path = tmp_path / "model" / "experts-001.safetensors"
    data = path.read_bytes()
    header = json.loads(data[8:4096])
    header["__metadata__"] = {"made": "later"}
    text = json.dumps(header).encode()
    text += b" " * (8192 - 8 - len(text))
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[4096:])
    meta_path = tmp_path / "model" / "moonlet.json"
    meta = json.loads(meta_path.read_text())
    meta["files"][path.name]["bytes"] += 4096
    meta["colour"] = "blue"
    meta_path.write_text(json.dumps(meta))
    assert open_folder(tmp_path / "model").experts_file(1)[1] == 8192
