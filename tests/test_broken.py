"""Broken checkpoints and model folders: each is refused with one clear line that names the file."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny
from moonlet.model.config import ConfigError
from moonlet.model.convert import convert
from moonlet.model.folder import FolderError, open_folder
from moonlet.model.shards import CheckpointError
from moonlet.model.tensorfile import TensorFileError, read_header

INDEX = "model.safetensors.index.json"
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
Break = Callable[[Path], object]

_SIZES = {"hidden_size": 160, "num_hidden_layers": 2, "n_routed_experts": 4, "num_experts_per_tok": 2}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of each kind and a model folder, to be copied and broken."""
    place = tmp_path_factory.mktemp("sound")
    for dtype in ("bf16", "fp8", "int4"):
        tiny.write(place / dtype, "k2", dtype, shards=2, changes=_SIZES)
    tiny.write(place / "single", "k2", "bf16", changes=_SIZES)
    convert(place / "int4", place / "model")
    return place


# ---- ways to break --------------------------------------------------------------------------------------------------


def read(path: Path) -> tuple[dict[str, Any], bytes]:
    """Header and data of a safetensors file."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write(path: Path, header: Any, data: bytes) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def headers(change: Callable[[dict[str, Any]], object], files: str = "*.safetensors") -> Break:
    """Changes the header of every file."""

    def apply(folder: Path) -> None:
        for path in sorted(folder.glob(files)):
            header, data = read(path)
            change(header)
            write(path, header, data)

    return apply


def entry(name: str, **fields: Any) -> Break:
    """Changes what the header says of a tensor."""

    def change(header: dict[str, Any]) -> None:
        if name in header:
            header[name] |= fields

    return headers(change)


def numbers(name: str, dtype: str, change: Callable[[Any], object], files: str = "*.safetensors") -> Break:
    """Changes the numbers of a tensor."""

    def apply(folder: Path) -> None:
        for path in sorted(folder.glob(files)):
            header, data = read(path)
            if name in header:
                begin, end = header[name]["data_offsets"]
                values = np.frombuffer(data[begin:end], dtype).copy()
                change(values)
                write(path, header, data[:begin] + values.tobytes() + data[end:])

    return apply


def set_at(place: int, value: Any) -> Callable[[Any], None]:
    def change(values: Any) -> None:
        values[place] = value

    return change


def js(file: str, change: Callable[[dict[str, Any]], object]) -> Break:
    """Changes a JSON file."""

    def apply(folder: Path) -> None:
        raw = json.loads((folder / file).read_text())
        change(raw)
        (folder / file).write_text(json.dumps(raw))

    return apply


def text(file: str, content: str | bytes) -> Break:
    return lambda folder: (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)


def cut(file: str, size: int) -> Break:
    """Shortens a file to `size` bytes, or by that many if negative."""
    return lambda folder: os.truncate(folder / file, size if size >= 0 else (folder / file).stat().st_size + size)


def head_length(file: str, length: int) -> Break:
    return lambda folder: (folder / file).write_bytes(length.to_bytes(8, "little") + (folder / file).read_bytes()[8:])


def renamed(old: str, new: str, file: str = FIRST) -> Break:
    """A tensor's bytes under another name, in the file and in the index."""

    def change(header: dict[str, Any]) -> None:
        if old in header:
            header[new] = header.pop(old)

    def index(raw: dict[str, Any]) -> None:
        raw["weight_map"][new] = raw["weight_map"].pop(old)

    return both(headers(change), js(INDEX, index))


def both(*breaks: Break) -> Break:
    return lambda folder: [one(folder) for one in breaks]


def mapped(name: str, file: Any) -> Break:
    return js(INDEX, lambda raw: raw["weight_map"].update({name: file}))


def dropped(name: str) -> Break:
    return js(INDEX, lambda raw: raw["weight_map"].pop(name))


def linked_out(folder: Path) -> None:
    (folder / FIRST).rename(folder.parent / "elsewhere.safetensors")
    (folder / FIRST).symlink_to(Path("..", "elsewhere.safetensors"))


def linked_to_itself(folder: Path) -> None:
    (folder / FIRST).unlink()
    (folder / FIRST).symlink_to(FIRST)


EMBED = "model.embed_tokens.weight"
NORM = "model.layers.0.input_layernorm.weight"
Q_A = "model.layers.0.self_attn.q_a_proj.weight"
ROUTER = "model.layers.1.mlp.gate.weight"
EXPERT = "model.layers.1.mlp.experts.2.up_proj.weight"

# what it is, kind of checkpoint, how it is broken, what the line says
CHECKPOINTS: list[tuple[Any, ...]] = [
    ("no config", "bf16", lambda f: (f / "config.json").unlink(), r"config\.json: not found"),
    ("config no json", "bf16", text("config.json", "{'a': 1}"), r"config\.json: not readable as JSON"),
    ("config empty", "bf16", text("config.json", ""), r"config\.json: not readable as JSON"),
    ("config no text", "bf16", text("config.json", b"\xff\xfe{}"), r"config\.json: not readable as JSON"),
    ("config deep", "bf16", text("config.json", "[" * 100_000), r"config\.json: not readable as JSON"),
    ("config a list", "bf16", text("config.json", "[]"), r"config\.json: holds list, not an object"),
    (
        "other graph",
        "bf16",
        js("config.json", lambda c: c.update(model_type="llama")),
        r"model_type 'llama'",
    ),
    ("no width", "bf16", js("config.json", lambda c: c.pop("hidden_size")), r"config\.json: hidden_size is missing"),
    ("half a layer", "bf16", js("config.json", lambda c: c.update(num_hidden_layers=1.5)), "must be a whole number"),
    (
        "endless layers",
        "bf16",
        js("config.json", lambda c: c.update(num_hidden_layers=2**31 - 1)),
        rf"{INDEX}: lists \d+ tensors, the config asks for more than \d+",
    ),
    (
        "endless experts",
        "bf16",
        js("config.json", lambda c: c.update(n_routed_experts=2**31 - 1)),
        rf"{INDEX}: lists \d+ tensors, the config asks for more than \d+",
    ),
    ("wider config", "bf16", js("config.json", lambda c: c.update(hidden_size=192)), rf"{FIRST}: tensor .* has shape"),
    ("more layers", "bf16", js("config.json", lambda c: c.update(num_hidden_layers=3)), r"layers\.2\..* is missing"),
    ("fewer experts", "bf16", js("config.json", lambda c: c.update(n_routed_experts=3)), r"has shape|has no place"),
    (
        "no weights",
        "bf16",
        lambda f: [p.unlink() for p in f.glob("model*")],
        r"holds neither .*index\.json nor",
    ),
    ("index no json", "bf16", text(INDEX, "nonsense"), rf"{INDEX}: not readable as JSON"),
    ("index empty", "bf16", text(INDEX, ""), rf"{INDEX}: not readable as JSON"),
    ("index without map", "bf16", text(INDEX, '{"metadata": {}}'), rf"{INDEX}: has no weight_map"),
    ("index a list", "bf16", text(INDEX, "[1]"), rf"{INDEX}: has no weight_map"),
    ("index deep", "bf16", text(INDEX, '{"weight_map":' * 50_000), rf"{INDEX}: not readable as JSON"),
    ("shard no name", "bf16", mapped(EMBED, 7), rf"{INDEX}: tensor {EMBED}: its file is 7, not a name"),
    ("shard above", "bf16", mapped(EMBED, f"../bf16/{FIRST}"), rf"{INDEX}: '\.\./bf16/{FIRST}' is not the name"),
    ("shard absolute", "bf16", mapped(EMBED, "/etc/passwd"), rf"{INDEX}: '/etc/passwd' is not the name"),
    ("shard other", "bf16", mapped(EMBED, "config.json"), r"'config\.json' is not the name of a safetensors file"),
    ("shard backslash", "bf16", mapped(EMBED, "..\\x.safetensors"), "is not the name of a safetensors file"),
    ("shard nul", "bf16", mapped(EMBED, "x\0.safetensors"), "is not the name of a safetensors file"),
    ("shard link out", "bf16", linked_out, rf"{FIRST}: is a link that leaves the folder"),
    ("shard link loop", "bf16", linked_to_itself, rf"{FIRST}: not readable"),
    ("shard missing", "bf16", lambda f: (f / SECOND).unlink(), rf"{SECOND}: not found"),
    ("shard a folder", "bf16", lambda f: [(f / SECOND).unlink(), (f / SECOND).mkdir()], rf"{SECOND}: not readable"),
    ("shard empty", "bf16", cut(SECOND, 0), rf"{SECOND}: has 0 bytes"),
    ("shard of 7 bytes", "bf16", cut(SECOND, 7), rf"{SECOND}: has 7 bytes"),
    ("cut in header", "bf16", cut(SECOND, 500), rf"{SECOND}: its header claims \d+ bytes, the file has 500"),
    ("cut in data", "bf16", cut(SECOND, -1), rf"{SECOND}: tensor .* ends at byte \d+, the file at \d+ \(cut off\?\)"),
    ("bytes appended", "bf16", lambda f: (f / FIRST).open("ab").write(b"!!!"), r"its last 3 bytes belong to"),
    ("huge header", "bf16", head_length(FIRST, 2**63), rf"{FIRST}: its header claims 9223372036854775808 bytes"),
    (
        "long header",
        "bf16",
        head_length(FIRST, 90_000_000),
        rf"{FIRST}: its header claims 90000000 bytes, the",
    ),
    ("no header", "bf16", head_length(FIRST, 0), rf"{FIRST}: its header is damaged"),
    ("header cut", "bf16", head_length(FIRST, 100), rf"{FIRST}: its header is damaged"),
    ("header a list", "bf16", lambda f: write(f / FIRST, [], b""), rf"{FIRST}: its header is damaged \(no object\)"),
    ("header deep", "bf16", lambda f: write(f / FIRST, b'{"a":' * 90_000, b""), "damaged .nested too deeply"),
    (
        "name twice",
        "bf16",
        lambda f: write(f / FIRST, b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":1}', b""),
        r"its header is damaged \('a' appears twice\)",
    ),
    (
        "entry a number",
        "bf16",
        headers(lambda h: h.update({NORM: 3})),
        rf"tensor {NORM}: its entry in the header",
    ),
    ("unknown dtype", "bf16", entry(NORM, dtype="BF17"), rf"{FIRST}: tensor {NORM}: unknown number format 'BF17'"),
    ("dtype a list", "bf16", entry(NORM, dtype=["F32"]), rf"tensor {NORM}: unknown number format"),
    ("shape negative", "bf16", entry(NORM, shape=[-160]), rf"tensor {NORM}: impossible shape \[-160\]"),
    ("shape a string", "bf16", entry(NORM, shape="160"), rf"tensor {NORM}: impossible shape '160'"),
    ("shape of floats", "bf16", entry(NORM, shape=[160.0]), rf"tensor {NORM}: impossible shape"),
    ("shape too large", "bf16", entry(NORM, shape=[2**40, 2**40]), rf"tensor {NORM}: BF16 .* takes \d+ bytes"),
    ("shape too small", "bf16", entry(NORM, shape=[80]), rf"tensor {NORM}: BF16 \[80\] takes 160 bytes"),
    ("offsets reversed", "bf16", entry(NORM, data_offsets=[320, 0]), rf"tensor {NORM}: impossible data_offsets"),
    ("offsets negative", "bf16", entry(NORM, data_offsets=[-320, 0]), rf"tensor {NORM}: impossible data_offsets"),
    ("offsets missing", "bf16", entry(NORM, data_offsets=None), rf"tensor {NORM}: impossible data_offsets"),
    ("offsets outside", "bf16", entry(NORM, data_offsets=[2**50, 2**50 + 320]), rf"tensor {NORM}: ends at byte \d+"),
    ("overlap", "bf16", entry(NORM, data_offsets=[0, 320]), rf"{FIRST}: (tensors .* and .* overlap|.* belong to no)"),
    ("gap", "bf16", headers(lambda h: h.pop(NORM, 0)), rf"{FIRST}: 320 bytes before tensor .* belong to no tensor"),
    ("not listed", "bf16", dropped(EMBED), rf"{INDEX}: tensor {EMBED} is missing"),
    ("in another file", "bf16", mapped(EMBED, SECOND), rf"{SECOND}: tensor {EMBED} is missing, although the"),
    ("renamed", "bf16", renamed(Q_A, Q_A.replace("q_a_proj", "q_proj")), rf"{INDEX}: tensor {Q_A} is missing"),
    (
        "one too many",
        "bf16",
        mapped("model.layers.0.self_attn.q_a_proj.bias", FIRST),
        r"bias has no place in this",
    ),
    (
        "wrong shape",
        "bf16",
        entry(Q_A, shape=[160, 96]),
        rf"{FIRST}: tensor {Q_A} has shape \[160, 96\], the config",
    ),
    ("wrong rank", "bf16", entry(NORM, shape=[160, 1]), rf"{FIRST}: tensor {NORM} has shape \[160, 1\]"),
    ("wrong dtype", "bf16", entry(NORM, dtype="I16"), rf"{FIRST}: tensor {NORM} is I16, expected BF16 or F16 or F32"),
    (
        "fp8 unscaled",
        "bf16",
        entry(Q_A, dtype="F8_E4M3", shape=[96, 320]),
        rf"{Q_A} is F8_E4M3 without a weight_scale_inv",
    ),
    ("weight nan", "bf16", numbers(Q_A, "<u2", set_at(-1, 0x7FC0)), rf"{FIRST}: tensor {Q_A} holds NaN or infinity"),
    ("norm infinite", "bf16", numbers(NORM, "<u2", set_at(3, 0xFF80)), rf"{FIRST}: tensor {NORM} holds NaN or inf"),
    ("single cut", "single", cut("model.safetensors", -100), r"model\.safetensors: tensor .* ends at byte"),
    ("single link out", "single", lambda f: _link_single(f), r"model\.safetensors: is a link that leaves the folder"),
    ("fp8 scale dropped", "fp8", dropped(f"{Q_A}_scale_inv"), rf"{Q_A} is F8_E4M3 without a weight_scale_inv"),
    (
        "fp8 scale nan",
        "fp8",
        numbers(f"{Q_A}_scale_inv", "<f4", set_at(0, np.nan)),
        r"weight_scale_inv holds NaN",
    ),
    (
        "fp8 scale inf",
        "fp8",
        numbers(f"{Q_A}_scale_inv", "<f4", set_at(1, np.inf)),
        r"_scale_inv holds NaN or inf",
    ),
    ("fp8 code nan", "fp8", numbers(Q_A, "u1", set_at(-1, 0x7F)), rf"tensor {Q_A} holds NaN or infinity"),
    (
        "fp8 scale shape",
        "fp8",
        entry(f"{Q_A}_scale_inv", shape=[2, 1]),
        r"_scale_inv has shape \[2, 1\], the config",
    ),
    ("fp8 scale dtype", "fp8", entry(f"{Q_A}_scale_inv", dtype="I32"), r"_scale_inv is I32, expected F32 or BF16"),
    ("int4 scale dropped", "int4", dropped(f"{EXPERT}_scale"), rf"{EXPERT}_scale is missing beside {EXPERT}_packed"),
    ("int4 codes dropped", "int4", dropped(f"{EXPERT}_packed"), rf"{EXPERT}_packed is missing beside {EXPERT}_scale"),
    ("int4 scale nan", "int4", numbers(f"{EXPERT}_scale", "<u2", set_at(5, 0x7F81)), rf"{EXPERT}_scale holds NaN"),
    (
        "int4 other shape",
        "int4",
        numbers(f"{EXPERT}_shape", "<i4", set_at(1, 128)),
        rf"{EXPERT}_shape says \[64, 128",
    ),
    ("int4 codes dtype", "int4", entry(f"{EXPERT}_packed", dtype="F32"), rf"{EXPERT}_packed is F32, expected I32"),
    ("int4 scale dtype", "int4", entry(f"{EXPERT}_scale", dtype="F16"), rf"{EXPERT}_scale is F16, expected BF16"),
    ("int4 scale shape", "int4", entry(f"{EXPERT}_scale", shape=[32, 10]), rf"{EXPERT}_scale has shape \[32, 10\]"),
    ("mixed experts", "int4", lambda f: _one_expert_in_bf16(f), r"experts are stored in several ways"),
]


def _link_single(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "elsewhere.safetensors")
    (folder / "model.safetensors").symlink_to(Path("..", "elsewhere.safetensors"))


def _one_expert_in_bf16(folder: Path) -> None:
    raw = json.loads((folder / INDEX).read_text())
    for suffix in ("_packed", "_scale", "_shape"):
        raw["weight_map"].pop(EXPERT + suffix)
    raw["weight_map"][EXPERT] = FIRST
    (folder / INDEX).write_text(json.dumps(raw))


def rows(table: list[tuple[Any, ...]]) -> list[Any]:
    return [pytest.param(*row[1:], id=row[0]) for row in table]


@pytest.mark.parametrize(("kind", "break_it", "says"), rows(CHECKPOINTS))
def test_broken_checkpoint(sound: Path, tmp_path: Path, kind: str, break_it: Break, says: str) -> None:
    shutil.copytree(sound / kind, tmp_path / kind)
    break_it(tmp_path / kind)
    with pytest.raises((CheckpointError, ConfigError), match=says) as error:
        convert(tmp_path / kind, tmp_path / "model")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(tmp_path))
    assert not (tmp_path / "model").exists()


META = "moonlet.json"
DENSE = "dense.safetensors"
EXPERTS = "experts-001.safetensors"


def meta(**fields: Any) -> Break:
    return js(META, lambda raw: raw.update(fields))


def files(change: Callable[[dict[str, Any]], object]) -> Break:
    return js(META, lambda raw: change(raw["files"]))


def resized(file: str) -> Break:
    """moonlet.json agrees with the file's size, whatever that is."""

    def apply(folder: Path) -> None:
        size = (folder / file).stat().st_size
        files(lambda listed: listed[file].update(bytes=size))(folder)

    return apply


def dense_header(change: Callable[[dict[str, Any]], object]) -> Break:
    def pad(folder: Path) -> None:
        header, data = read(folder / DENSE)
        text = json.dumps(header).encode()
        write(folder / DENSE, text + b" " * (-(8 + len(text)) % 4096), data)

    return both(headers(change, DENSE), pad, resized(DENSE))


FOLDERS: list[tuple[Any, ...]] = [
    ("no folder", lambda f: shutil.rmtree(f), r"model: there is no such folder"),
    ("no meta", lambda f: (f / META).unlink(), r"model: is no model folder, it has no moonlet\.json"),
    ("meta empty", text(META, ""), rf"{META}: not readable as JSON"),
    ("meta no json", text(META, "{"), rf"{META}: not readable as JSON"),
    ("meta deep", text(META, "[" * 100_000), rf"{META}: not readable as JSON"),
    ("meta a list", text(META, "[]"), rf"{META}: holds no object"),
    ("later format", meta(format=2), rf"{META}: is of format 2, this program reads format 1"),
    ("no files", meta(files=None), rf"{META}: has no list of files"),
    ("file outside", files(lambda f: f.update({"../x": f[DENSE]})), rf"{META}: '\.\./x' is not the name of a file"),
    ("file without size", files(lambda f: f[DENSE].pop("bytes")), rf"{META}: its entry of {DENSE} lacks bytes or sha"),
    ("no formats", meta(formats=None), rf"{META}: unknown number format None"),
    ("unknown format", meta(formats={"dense": "bf16", "experts": "int3"}), rf"{META}: unknown number format 'int3'"),
    (
        "format a list",
        meta(formats={"dense": ["bf16"], "experts": "int4"}),
        rf"{META}: unknown number format \['bf16",
    ),
    ("other format", meta(formats={"dense": "int8", "experts": "int4"}), rf"{DENSE}: tensor head is U8 .* asks for U8"),
    ("golden a number", meta(golden=5), rf"{META}: golden must hold the token ids"),
    ("golden of nothing", meta(golden={"prompt": [], "tokens": [5]}), rf"{META}: golden has an empty prompt"),
    ("golden of texts", meta(golden={"prompt": ["a"], "tokens": [1]}), rf"{META}: golden must hold the token ids"),
    ("no source", meta(source=None), rf"{META}: does not say of which source"),
    ("no error", meta(error={"dense": "small"}), rf"{META}: does not say what its number formats lost"),
    ("no config", lambda f: (f / "config.json").unlink(), r"config\.json: not found"),
    ("config no json", text("config.json", "?"), r"config\.json: not readable as JSON"),
    ("config changed", text("config.json", "{}"), "config\\.json: model_type"),
    (
        "endless layers",
        js("config.json", lambda c: c.update(num_hidden_layers=2**31 - 1)),
        "has 2147483646 layers with",
    ),
    (
        "endless dense layers",
        js("config.json", lambda c: c.update(num_hidden_layers=2**31 - 1, first_k_dense_replace=2**31 - 2)),
        rf"lists {EXPERTS}, for which the config has no place|does not list experts-2147483646|for 2147483647 layers",
    ),
    ("another width", js("config.json", lambda c: c.update(hidden_size=192)), r"config\.json: has \d+ bytes|is U8"),
    ("dense missing", lambda f: (f / DENSE).unlink(), rf"{DENSE}: not found"),
    ("experts missing", lambda f: (f / EXPERTS).unlink(), rf"{EXPERTS}: not found"),
    ("experts unlisted", files(lambda f: f.pop(EXPERTS)), r"layers with experts, moonlet\.json lists 0 files"),
    ("tokenizer missing", lambda f: (f / "tiktoken.model").unlink(), r"tiktoken\.model: not found"),
    ("experts cut", cut(EXPERTS, -1), rf"{EXPERTS}: has \d+ bytes, \d+ were written"),
    ("experts empty", cut(EXPERTS, 0), rf"{EXPERTS}: has 0 bytes"),
    (
        "experts cut, listed so",
        both(cut(EXPERTS, -4096), resized(EXPERTS)),
        rf"{EXPERTS}: tensor experts: ends at",
    ),
    ("experts of 0 bytes, listed so", both(cut(EXPERTS, 0), resized(EXPERTS)), rf"{EXPERTS}: has 0 bytes"),
    ("header damaged", lambda f: _flip(f / DENSE, 8), rf"{DENSE}: its header is damaged"),
    ("header huge", head_length(DENSE, 2**64 - 1), rf"{DENSE}: its header claims 18446744073709551615 bytes"),
    ("tensor renamed", dense_header(lambda h: h.update(nrom=h.pop("norm"))), rf"{DENSE}: tensor norm is missing"),
    ("tensor of another dtype", dense_header(lambda h: h["norm"].update(dtype="I32")), rf"{DENSE}: tensor norm is I32"),
    (
        "tensor reshaped",
        dense_header(lambda h: h["embed"].update(shape=h["embed"]["shape"][::-1])),
        rf"{DENSE}: tensor embed is BF16 \[160, \d+\], the config asks for BF16 \[\d+, 160\]",
    ),
    (
        "tensor too many",
        dense_header(lambda h: h.update(extra={"dtype": "U8", "shape": [0], "data_offsets": [0, 0]})),
        rf"{DENSE}: tensor extra has no place in this model",
    ),
    (
        "experts not aligned",
        both(headers(lambda h: None, EXPERTS), resized(EXPERTS)),
        rf"{EXPERTS}: tensor experts begins at byte \d+, which is not aligned",
    ),
]


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x20
    path.write_bytes(data)


@pytest.mark.parametrize(("break_it", "says"), rows(FOLDERS))
def test_broken_folder(sound: Path, tmp_path: Path, break_it: Break, says: str) -> None:
    shutil.copytree(sound / "model", tmp_path / "model")
    open_folder(tmp_path / "model")
    break_it(tmp_path / "model")
    with pytest.raises(FolderError, match=says) as error:
        open_folder(tmp_path / "model")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(tmp_path))


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_is_never_a_crash(sound: Path, tmp_path: Path, seed: int) -> None:
    """Bits flipped, pieces cut or doubled anywhere in the small files and headers: a model, or one line."""
    chance = random.Random(seed)
    kind = chance.choice(["bf16", "fp8", "int4", "single", "model"])
    shutil.copytree(sound / kind, tmp_path / "broken")
    path = chance.choice(sorted((tmp_path / "broken").iterdir()))
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 1, 3])):
        place = chance.randrange(min(len(data), 5000))
        match chance.randrange(4):
            case 0:
                data[place] ^= 1 << chance.randrange(8)
            case 1:
                del data[place : place + chance.randrange(1, 50)]
            case 2:
                data[place:place] = data[place : place + chance.randrange(1, 50)]
            case 3:
                del data[place:]
    path.write_bytes(data)
    try:
        open_folder(tmp_path / "broken") if kind == "model" else convert(tmp_path / "broken", tmp_path / "out")
    except (CheckpointError, ConfigError, FolderError) as error:
        assert "\n" not in str(error) and str(error).startswith(str(tmp_path))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["F32", "BF16", "I4", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["dtype", "shape", "a"]), inner),
    max_leaves=6,
)
_ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "U8", "F4", "BOOL"]) | _JSON,
        "shape": st.lists(st.integers(-1, 9), max_size=3) | _JSON,
        "data_offsets": st.lists(st.integers(-1, 40), max_size=3) | _JSON,
    }
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=st.dictionaries(st.text(max_size=3), _ENTRY | _JSON, max_size=3), data=st.binary(max_size=40))
def test_any_header_is_sound_or_refused(tmp_path: Path, header: dict[str, Any], data: bytes) -> None:
    write(tmp_path / "any.safetensors", header, data)
    try:
        tensors = read_header(tmp_path / "any.safetensors")
    except TensorFileError as error:
        assert "\n" not in str(error)
        return
    size = (tmp_path / "any.safetensors").stat().st_size
    assert sum(tensor.end - tensor.begin for tensor in tensors.values()) == len(data)
    assert all(size - len(data) <= tensor.begin <= tensor.end <= size for tensor in tensors.values())
