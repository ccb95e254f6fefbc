"""The model in question: its config and what each part weighs. Sizes are model.anatomy's, or a GGUF header's.

A model can be named as: one of models.toml (no network, no file), a model folder, a checkpoint, a config.json, a GGUF.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from importlib.resources import files
from pathlib import Path

from moonlet.local import ModelNotFoundError, find
from moonlet.model import anatomy
from moonlet.model.anatomy import Anatomy, Format, Formats
from moonlet.model.config import ModelConfig, parse_config, read_config
from moonlet.model.folder import open_folder

from . import gguf

Parts = tuple["Part", ...]


class UnknownModelError(Exception):
    """No model of that name is known, and there is no such file or folder."""


@dataclass(frozen=True, slots=True)
class Part:
    """All matrices of one purpose, over all layers."""

    name: str
    parameters: int
    active: int  # parameters that one token is multiplied with (of the embedding: one row)
    bytes_per_weight: Fraction
    format: str

    @property
    def stored_bytes(self) -> int:
        return round(self.parameters * self.bytes_per_weight)

    @property
    def read_bytes(self) -> int:
        """What one token alone makes the machine read."""
        return round(self.active * self.bytes_per_weight)


@dataclass(frozen=True, slots=True)
class Subject:
    """A model as the planner sees it: everything but the experts is `dense` here, because every token reads it."""

    name: str
    config: ModelConfig
    parts: Parts
    cache_bytes_per_token: int
    origin: str  # where sizes and formats come from

    def part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)

    @property
    def dense(self) -> Parts:
        return tuple(part for part in self.parts if part.name != "experts")

    @property
    def stored_bytes(self) -> int:
        return sum(part.stored_bytes for part in self.parts)

    @property
    def dense_bytes(self) -> int:
        return sum(part.stored_bytes for part in self.dense)

    @property
    def experts_bytes(self) -> int:
        return self.part("experts").stored_bytes

    @property
    def expert_bytes(self) -> float:
        """Bytes of one expert."""
        count = self.config.experts * self.config.sparse_layers
        return self.experts_bytes / count if count else 0.0

    @property
    def active(self) -> int:
        """Parameters a token is multiplied with."""
        return sum(part.active for part in self.parts if part.name != "embedding")

    @property
    def read_bytes(self) -> int:
        """Weights read for one token that is computed alone."""
        return sum(part.read_bytes for part in self.parts)

    @property
    def parameters(self) -> int:
        return sum(part.parameters for part in self.parts)

    @property
    def fp8(self) -> bool:
        """Whether parts are stored as fp8, which cards compute with and our engine does not know."""
        return any(part.format == "fp8" for part in self.parts)

    def as_pulled(self) -> Subject:
        """Of fp8, what `moonlet pull` makes of it unless it is told otherwise (model/recipe.py); others as they are."""
        if not self.fp8:
            return self
        made = anatomy.anatomy(self.config, anatomy.folder_formats("bf16", "int8"))
        return replace(self, parts=_parts(made), origin=f"{self.origin}, as moonlet pull makes it")

    def with_formats(self, dense: Format | None = None, experts: Format | None = None) -> Subject:
        """The same model with parts held in other formats, as `moonlet pull --dense --experts` converts it."""
        wanted = anatomy.folder_formats(dense or "bf16", experts or "int4")
        by_name = {part.name: part for part in _parts(anatomy.anatomy(self.config, wanted))}
        touched = {"experts"} if experts else set()
        touched |= {"attention", "dense layers", "shared experts", "head"} if dense else set()
        parts = tuple(by_name[part.name] if part.name in touched else part for part in self.parts)
        changes = [f"{what} as {format}" for what, format in (("dense parts", dense), ("experts", experts)) if format]
        return replace(self, parts=parts, origin=", ".join([self.origin, *changes]))

    def with_small_cache(self) -> Subject:
        """The same model with its cache in int8, as the engine's option has it (docs/engine.md)."""
        config = self.config
        scales = 8  # bytes of a token and a layer: two float32
        small = config.layers * (config.latent + config.rope + scales)
        return replace(self, cache_bytes_per_token=small, origin=f"{self.origin}, cache as int8")


def subject(name: str) -> Subject:
    """What lies at the path `name`, or the known model that is called so.

    Raises UnknownModelError, ConfigError, FolderError or GgufError, one line each.
    """
    path = Path(name).expanduser()
    known = _known()
    if not path.exists() and (key := _key(name)) in known:
        return known[key]
    if path.suffix == ".gguf":
        return _from_gguf(path)
    if path.is_file():
        return _from_config(path)
    try:
        return _from_folder(find(name))
    except ModelNotFoundError as error:
        if path.exists():
            raise
        names = ", ".join(known_models())
        raise UnknownModelError(f"{name[:80]}: no such file or folder, and no known model ({names})") from error


def known_models() -> list[str]:
    """Names of models.toml."""
    return sorted({each.name for each in _known().values()})


def _key(name: str) -> str:
    return name.rsplit("/", 1)[-1].lower().removesuffix("-instruct").replace("_", "-")


def _from_folder(path: Path) -> Subject:
    if not (path / "moonlet.json").exists():
        return _from_config(path)
    folder = open_folder(path)
    formats = anatomy.folder_formats(folder.formats.dense, folder.formats.experts)
    return of(path.name, folder.config, formats, f"the folder {path}")


def _from_config(path: Path) -> Subject:
    file = path / "config.json" if path.is_dir() else path
    config = read_config(path)
    formats = anatomy.checkpoint_formats(json.loads(file.read_text(encoding="utf-8")))
    return of(path.name if path.is_dir() else path.parent.name or path.name, config, formats, str(file))


def _from_gguf(path: Path) -> Subject:
    config, sums, mixture = gguf.read(path)
    plain = _parts(anatomy.anatomy(config, Formats("f16", "f16", "f16", "f16", "f16")))
    parts = []
    for part in plain:
        weights, size = sums.get(part.name, (0, 0))
        ratio = Fraction(size, weights) if weights else part.bytes_per_weight
        parts.append(replace(part, bytes_per_weight=ratio, format=f"{float(8 * ratio):.2f} bit"))
    cache_bytes = anatomy.anatomy(config, Formats()).cache_bytes_per_token
    return Subject(path.stem, config, tuple(parts), cache_bytes, f"the header of {path.name}: {mixture}")


def of(name: str, config: ModelConfig, formats: Formats, origin: str) -> Subject:
    """A subject from a config and the formats its weights are held in."""
    whole = anatomy.anatomy(config, formats)
    return Subject(name, config, _parts(whole), whole.cache_bytes_per_token, origin)


def _parts(whole: Anatomy) -> Parts:
    parts = []
    for part in whole.parts:
        # A tied head is stored as the embedding; what it reads tells its format.
        stored, counted = (part.stored_bytes, part.parameters) if part.parameters else (part.read_bytes, part.active)
        ratio = Fraction(stored, counted) if counted else Fraction(2)
        parts.append(Part(part.name, part.parameters, part.active, ratio, part.format))
    return tuple(parts)


@cache
def _known() -> dict[str, Subject]:
    """The models of models.toml by key and alias."""
    data = tomllib.loads((files(__package__) / "models.toml").read_text(encoding="utf-8"))
    found: dict[str, Subject] = {}
    for name, entry in data.items():
        raw = {**data[entry["like"]]["config"], **entry.get("config", {})} if "like" in entry else entry["config"]
        formats = Formats(**entry.get("formats", {}))
        it = of(name, parse_config(raw), formats, f"its published config ({entry['source']})")
        for key in (name, *entry.get("aliases", ())):
            found[_key(key)] = it
    return found
