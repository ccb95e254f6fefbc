"""Which shapes are run, by whom, and what a row must read or multiply at the least."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import shapes
from bench.peers import environments, hf_shape
from bench.peers.environments import Environment
from bench.peers.task import here, parts
from moonlet.model.anatomy import Formats, anatomy, folder_formats
from moonlet.model.config import parse_config
from moonlet.model.layout import Formats as FolderFormats

DECODE = ("decode 1", "decode 4", "decode 8", "decode 16")
PREFILL = ("prefill 512", "prefill 4096")
EXPERTS = ("experts 1", "experts 4", "experts 8", "experts 16", "experts 512")

# As large a share of the memory as a model's bytes may be: the rest is for caches, workspaces, and weights that a peer
# holds twice while it repacks them.
SHARE = {"int4": 0.45, "bf16": 0.5}


@dataclass(frozen=True)
class Runner:
    """Somebody who runs a shape. `dense` and `experts`: formats of what it reads."""

    name: str  # at most nine letters, for the chart
    module: str
    form: str  # of the weights: ours, gguf, hf; none: made by the runner from the config
    dense: str
    experts: str
    environment: Environment | None = None  # None: our own
    expanded: bool = False  # prompts in the expanded form, see docs/engine.md
    only: tuple[str, ...] = ()  # rows that are of interest; none: all

    @property
    def ours(self) -> bool:
        return self.form == "ours"

    def formats(self) -> Formats:
        if self.ours:
            return folder_formats(self.dense, self.experts)  # type: ignore[arg-type]
        router = "f32" if self.form == "gguf" else "bf16"
        return Formats(self.experts, self.dense, router, self.dense, self.dense)  # type: ignore[arg-type]


MIXED = Runner("int8/int4", "run_ours", "ours", "int8", "int4")
INT4 = Runner("int4", "run_ours", "ours", "int4", "int4")
EXPANDED = Runner("expanded", "run_ours", "ours", "int4", "int4", expanded=True, only=("prefill 4096",))
LLAMA_CPP = Runner("llama.cpp", "run_llama_cpp", "gguf", "int4", "int4", environments.LLAMA_CPP)
IK = Runner("ik_llama", "run_llama_bench", "gguf", "int4", "int4")
TORCH = Runner("torch", "run_transformers", "hf", "bf16", "bf16", environments.TRANSFORMERS)
KT = Runner("kt-kernel", "run_kt_kernel", "none", "int4", "int4", environments.KT_KERNEL)


@dataclass(frozen=True)
class Case:
    """A shape with as many of its layers as fit into `SHARE` of the memory in the format `fit`."""

    name: str
    shape: str
    runners: tuple[Runner, ...]
    rows: tuple[str, ...] = DECODE + PREFILL
    fit: str = "int4"
    changes: dict[str, int] = field(default_factory=dict)

    def config(self, memory: int, layers: int | None) -> dict[str, Any]:
        """The config with what fits, and not more than `layers`; fewer than a sparse layer: {}."""
        raw: dict[str, Any] = shapes.CONFIGS[self.shape] | self.changes
        formats = FORMATS[self.fit]
        most = min(raw["num_hidden_layers"], layers or raw["num_hidden_layers"])
        for count in range(most, raw["first_k_dense_replace"], -1):
            raw["num_hidden_layers"] = count
            if anatomy(parse_config(raw), formats).stored_bytes <= SHARE[self.fit] * memory:
                return raw
        return {}


FORMATS = {"int4": folder_formats("int8", "int4"), "bf16": Formats()}
# kt-kernel has no shared experts, and copies the weights it is given: a third of K2's experts, held twice, fit.
_EXPERTS = {"num_hidden_layers": 2, "n_routed_experts": 128, "n_shared_experts": 0}
# A vocabulary that is to K2's about as these layers are to its 61: else the head would be most of what is read.
_K2 = {"vocab_size": 32_768}
CASES = (
    Case("moonlight", "moonlight", (MIXED, INT4, EXPANDED, LLAMA_CPP, IK)),
    Case("k2", "k2", (MIXED, INT4, EXPANDED, LLAMA_CPP, IK), changes=_K2),
    Case("moonlight as bf16 fits", "moonlight", (MIXED, INT4, TORCH), fit="bf16"),
    Case("k2 experts", "k2", (INT4, KT), EXPERTS, changes=_K2 | _EXPERTS),
)


def write(runner: Runner, config: dict[str, Any], shape: str, place: Path) -> Path:
    """The weights in the runner's form; already there: as they are. Nothing of them stays in the page cache."""
    target = place / (f"ours-{runner.dense}-{runner.experts}" if runner.ours else runner.form)
    if target.exists():
        return target
    if runner.ours:
        formats = FolderFormats(runner.dense, runner.experts)  # type: ignore[arg-type]
        shapes.write(target, shape, formats, **config)
    elif runner.form == "none":
        return target
    elif runner.form == "hf":
        hf_shape.write(target, config)
    elif runner.form == "gguf":
        described = place / "config.json"
        described.write_text(json.dumps(config))
        command = [environments.GGUF.python, "-m", "bench.peers.gguf_shape", described, target]
        subprocess.run(command, cwd=here(), check=True, stdout=sys.stderr)
    forget(place)
    return target


def forget(place: Path) -> None:
    """Written out, and out of the page cache: whoever opens a file next reads it, in the pages that it asks for."""
    for path in (path for path in place.rglob("*") if path.is_file()):
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def least(config: dict[str, Any], runner: Runner, row: str) -> tuple[float, float]:
    """Bytes to read from memory and operations to compute, for a token of a row.

    Each weight that is used is read once a step, of experts those that so many tokens choose with even routing.
    Operations are those of the matrices; attention's own are not counted, nor are the cache's bytes, few here.
    """
    model = parse_config(config)
    whole = anatomy(model, runner.formats())
    kind, count = parts(row)
    distinct = 1 - (1 - model.experts_per_token / model.experts) ** count  # share of a layer's experts
    experts = whole.experts.stored_bytes * distinct
    if kind == "experts":
        return experts / model.sparse_layers / count, 2.0 * whole.experts.active / model.sparse_layers
    always = [part for part in whole.parts if part.name not in ("experts", "embedding")]
    read = sum(part.stored_bytes for part in always) + experts
    if kind == "decode":
        return read / count + whole.embedding.read_bytes, 2.0 * whole.active
    return read / count + whole.embedding.read_bytes, 2.0 * (whole.active - whole.head.active * (1 - 1 / count))
