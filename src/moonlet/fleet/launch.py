"""How the server of an engine is started: its command line, from a plan.

The flags are those of vLLM 0.33 and SGLang 0.5.23; `python -m bench.engine_flags` checks each against the
help of the engine that is installed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

Kind = Literal["vllm", "sglang"]
KINDS: tuple[Kind, ...] = ("vllm", "sglang")
PROGRAM: Mapping[Kind, tuple[str, ...]] = {
    "vllm": ("vllm", "serve"),
    "sglang": (sys.executable, "-m", "sglang.launch_server"),
}
UNTOLD = {"VLLM_NO_USAGE_STATS": "1"}  # vLLM tells its makers what runs where, unless it is told not to
MEETING_PORT = 20_000  # where the nodes of one engine meet


class PlanError(Exception):
    """A plan that no engine can be started by."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a model lies on cards. One engine is `nodes` machines."""

    tensor: int = 1  # cards that share each layer: those of one machine
    pipeline: int = 1  # parts of the layers, one after another: one for each machine
    expert_parallel: bool = False  # whole experts on each card, not a slice of each
    context: int | None = None  # tokens of one conversation; None: the model's own
    sequences: int | None = None  # at the same time; None: as the engine has it
    replicas: int = 1  # engines of this kind

    @property
    def nodes(self) -> int:
        """Machines of one engine."""
        return self.pipeline

    @property
    def cards(self) -> int:
        """Of one machine."""
        return self.tensor

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "expert_parallel":
                if not isinstance(value, bool):
                    raise PlanError(f"expert_parallel must be true or false, got {value!r}")
            elif value is not None and (
                not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 31
            ):
                raise PlanError(f"{field.name} must be a whole number from 1 on, got {value!r}")


def read_plan(path: Path) -> tuple[str, Shape]:
    """Name of the model and its shape, from what `moonlet plan --json` printed. Raises PlanError."""
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise PlanError(f"{path}: is no JSON; `moonlet plan ... --json > {path}` makes one") from None
    if not isinstance(plan, dict) or not isinstance(plan.get("model"), dict) or "cluster" not in plan:
        raise PlanError(f"{path}: is no plan; `moonlet plan ... --json > {path}` makes one")
    cluster, name = plan["cluster"], plan["model"].get("name")
    if cluster is None:
        raise PlanError(
            f"{path}: that machine has no cards, which vLLM and SGLang need; serve it with moonlet's engine"
        )
    if not isinstance(cluster, dict) or not isinstance(name, str):
        raise PlanError(f"{path}: is no plan; `moonlet plan ... --json > {path}` makes one")
    known = {field.name for field in fields(Shape)}
    return name, Shape(**{key: value for key, value in cluster.items() if key in known})


def command(
    kind: Kind, model: str, name: str, shape: Shape, host: str, port: str, node: str = "0", leader: str = ""
) -> list[str]:
    """The words that start it. `name`: under which it lists the model. `node`, `leader`: this machine's number among
    several, and the first one's address; numbers are words because in a manifest they are variables. Without a leader
    vLLM finds several machines by itself, those of the Ray cluster that this one belongs to."""
    values = _vllm(model, shape) if kind == "vllm" else _sglang(model, shape)
    values |= {"--served-model-name": name, "--host": host, "--port": port}
    if shape.nodes > 1 and kind == "vllm" and not leader:
        values["--distributed-executor-backend"] = "ray"
    elif shape.nodes > 1:
        values |= {"--nnodes": str(shape.nodes), "--node-rank": node}
        if kind == "vllm":
            values |= {"--master-addr": leader, "--master-port": str(MEETING_PORT)}
            if node != "0":
                values["--headless"] = None  # it only computes
        else:
            values |= {"--dist-init-addr": f"{leader}:{MEETING_PORT}"}
    words = [*PROGRAM[kind], *([model] if kind == "vllm" else ["--model-path", model])]
    for flag, value in values.items():
        words += [flag] if value is None else [flag, value]
    return words


def _vllm(model: str, shape: Shape) -> dict[str, str | None]:
    values: dict[str, str | None] = {
        "--tensor-parallel-size": str(shape.tensor),
        "--pipeline-parallel-size": str(shape.pipeline),
        "--trust-remote-code": None,  # K2's tokenizer is code of its repository
        "--enable-auto-tool-choice": None,
        "--tool-call-parser": "kimi_k2",
        "--tool-strict-level": "parameter",  # calls are written under their tools' schemas
        "--structured-outputs-config.backend": "xgrammar",
        "--structured-outputs-config.disable_any_whitespace": "true",  # or a reply may be white space to its limit
        "--enable-prompt-tokens-details": None,  # tokens that were cached have a price of their own
    }
    if shape.expert_parallel:
        values["--enable-expert-parallel"] = None
    if thinks(model):
        values["--reasoning-parser"] = "kimi_k2"
    if shape.context is not None:
        values["--max-model-len"] = str(shape.context)
    if shape.sequences is not None:
        values["--max-num-seqs"] = str(shape.sequences)
    return values


def _sglang(model: str, shape: Shape) -> dict[str, str | None]:
    values: dict[str, str | None] = {
        "--tp-size": str(shape.tensor),
        "--pp-size": str(shape.pipeline),
        "--trust-remote-code": None,
        "--tool-call-parser": "kimi_k2",
        "--enable-cache-report": None,
    }
    if shape.expert_parallel:
        values["--ep-size"] = str(shape.tensor)
    if thinks(model):
        values["--reasoning-parser"] = "kimi_k2"
    if shape.context is not None:
        values["--context-length"] = str(shape.context)
    if shape.sequences is not None:
        values["--max-running-requests"] = str(shape.sequences)
    return values


def thinks(model: str) -> bool:
    """Whether a model of the K2 family thinks before it answers, by its name or its folder's files."""
    name = Path(model).name.lower()
    if any(word in name for word in ("thinking", "k2.5", "k2.6")):
        return True
    return "<think>" in _template(Path(model))


def _template(folder: Path) -> str:
    """The chat template of a checkpoint: a file of its own, or a field of the tokenizer's; empty if there is none."""
    try:
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    except (OSError, ValueError):
        pass
    try:
        template = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("chat_template")
    except (OSError, ValueError, AttributeError):
        return ""
    return template if isinstance(template, str) else ""


def shown(words: list[str]) -> dict[str, Any]:
    """The flags of a command with their values, for who compares."""
    flags: dict[str, Any] = {}
    for word, after in zip(words, [*words[1:], "--"]):
        if word.startswith("--"):
            flags[word] = None if after.startswith("--") else after
    return flags
