"""What has to be done to turn a checkpoint into a model folder: a list of parts, each made of few tensors.

A part is small (a matrix, or the three of an expert) and independent of all others, so parts can be made in any order,
at the same time, as soon as the files with their tensors are there, and again after an interruption.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from moonlet import kernels
from moonlet.kernels import Format

from .checkpoint import Checkpoint, Weight
from .layout import (
    DENSE_FILE,
    FileLayout,
    Formats,
    Slot,
    expert_matrices,
    expert_row_bytes,
    experts_file,
    file_layouts,
    slots,
)
from .shards import CheckpointError

_KEPT: dict[str, Format] = {"fp8": "int8", "int4": "int4"}


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of work: weights of the checkpoint, and where in a file their bytes begin.

    `kind` and `shape` are those of layout.Slot; an expert is three "packed" weights at three places.
    """

    key: str
    file: str
    kind: Literal["packed", "keys", "values", "table", "f32"]
    format: Format
    weights: tuple[Weight, ...]
    places: tuple[int, ...]
    shape: tuple[int, ...]
    bytes: int  # that it writes


@dataclass(frozen=True, slots=True)
class Recipe:
    """All parts of a folder, in the order of its files, and the files."""

    formats: Formats
    layouts: dict[str, FileLayout]
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Bytes of all tensor files."""
        return sum(layout.size for layout in self.layouts.values())

    @property
    def weights(self) -> list[Weight]:
        return [weight for part in self.parts for weight in part.weights]


def make_recipe(checkpoint: Checkpoint, dense: Format | None, experts: Format | None) -> Recipe:
    """Raises CheckpointError when a tensor is missing, or there is one that the model has no place for.

    None keeps what the checkpoint holds: int4 and bf16 as they are, f32 and f16 as f32; fp8 becomes int8 in experts
    and bf16 elsewhere.
    """
    config = checkpoint.config
    least = config.layers + 3 * config.experts * config.sparse_layers
    if least > len(checkpoint.files):
        count = len(checkpoint.files)
        raise CheckpointError(f"{checkpoint.listing}: lists {count} tensors, the config asks for more than {least}")
    expert_weights = _expert_weights(checkpoint)
    formats = Formats(dense or checkpoint.plain, experts or _kept_format(checkpoint, expert_weights))
    layouts = file_layouts(config, formats)
    parts = [
        _dense_part(checkpoint, slot, formats.dense, layouts[DENSE_FILE])
        for slot in slots(config)
        if _is_stored(checkpoint, slot)
    ]
    used = [kernels.packed_bytes(formats.experts, *shape) for shape in expert_matrices(config).values()]
    starts = (0, used[0], used[0] + used[1])
    row = expert_row_bytes(config, formats.experts)
    for (layer, expert), weights in expert_weights.items():
        file = experts_file(layer)
        begin = layouts[file].tensors["experts"].begin + expert * row
        places = tuple(begin + start for start in starts)
        key = f"layers.{layer}.experts.{expert}"
        parts.append(Part(key, file, "packed", formats.experts, weights, places, (), sum(used)))
    recipe = Recipe(formats, layouts, tuple(parts))
    checkpoint.check_claimed(recipe.weights)
    return recipe


def _expert_weights(checkpoint: Checkpoint) -> dict[tuple[int, int], tuple[Weight, ...]]:
    config = checkpoint.config
    shapes = expert_matrices(config)
    return {
        (layer, expert): tuple(
            checkpoint.weight(f"model.layers.{layer}.mlp.experts.{expert}.{name}_proj.weight", *shape)
            for name, shape in shapes.items()
        )
        for layer in range(config.dense_layers, config.layers)
        for expert in range(config.experts)
    }


def _kept_format(checkpoint: Checkpoint, experts: dict[tuple[int, int], tuple[Weight, ...]]) -> Format:
    found: dict[str, Weight] = {}
    for weights in experts.values():
        for weight in weights:
            found.setdefault(weight.storage, weight)
    if len(found) > 1:
        one, other, *_ = found.values()
        raise CheckpointError(
            f"{checkpoint.listing}: experts are stored in several ways ({one.name} {one.storage}, {other.name} "
            f"{other.storage}); choose one format for them"
        )
    return _KEPT.get(next(iter(found), "plain"), checkpoint.plain)


def _is_stored(checkpoint: Checkpoint, slot: Slot) -> bool:
    """Softmax routers have no bias; its place in the folder then stays zero."""
    optional = slot.name.endswith(".router_bias") and checkpoint.config.router == "softmax"
    return not optional or slot.source in checkpoint.files


def _dense_part(checkpoint: Checkpoint, slot: Slot, format: Format, layout: FileLayout) -> Part:
    shape = slot.shape
    if slot.kind in ("keys", "values"):
        config = checkpoint.config
        shape = config.heads * (config.nope + config.value), config.latent
    weight = checkpoint.weight(slot.source, *shape)
    place = layout.tensors[slot.name]
    size = place.end - place.begin
    return Part(slot.name, DENSE_FILE, slot.kind, format, (weight,), (place.begin,), slot.shape, size)
