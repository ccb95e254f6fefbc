"""`moonlet doctor`: what this machine offers, whether a model folder is what it was when it was made, and how the model
uses tools."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from moonlet import kernels
from moonlet.chat.template import calls_tools
from moonlet.cli import UsageError
from moonlet.cli.open import is_url
from moonlet.cli.progress import bytes_progress, count_progress
from moonlet.engine.engine import EngineOptions
from moonlet.evals import kept, short
from moonlet.evals.asking import Candidate, ask
from moonlet.evals.report import report
from moonlet.llm.remote import Remote
from moonlet.local import NANO, Local, find, golden_gap, load
from moonlet.model.anatomy import size
from moonlet.model.folder import FolderError, default_path, open_folder

# Of the logits' range: rounding of another instruction set stays far below, wrong arithmetic far above.
GOLDEN_TOLERANCE = 0.02


def main(asked: argparse.Namespace) -> int:
    found: dict[str, Any] = {"machine": machine()}
    model = asked.model or (NANO if asked.tools else None)
    if model is not None and not is_url(model):
        found["model"] = check(find(model))
    elif model is not None and not asked.tools:
        raise UsageError(f"{model}: a model folder is checked, not an endpoint; --tools tries one")
    if asked.tools and found.get("model", {}).get("good", True):
        found["tools"] = tools(model or NANO)
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        _show(found)
    return 0 if found.get("model", {}).get("good", True) else 1


def machine() -> dict[str, Any]:
    """What matters for running a model; bytes where a name ends so."""
    memory = _meminfo()
    limit = _cgroup_limit()
    place = default_path("").parent
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    return {
        "moonlet": version("moonlet"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": kernels.cores(),
        "instruction_set": kernels.isa(),
        "instruction_sets": kernels.isas(),
        "memory_bytes": min(memory.get("MemTotal", limit or 0), limit or memory.get("MemTotal", 0)),
        "memory_free_bytes": min(memory.get("MemAvailable", 0), limit or memory.get("MemAvailable", 0)),
        "memory_limit_bytes": limit,
        "models_folder": str(place / "models"),
        "disk_free_bytes": shutil.disk_usage(there).free,
    }


def check(path: Path) -> dict[str, Any]:
    """A model folder, tested: parts, checksums, golden tokens. `fault` is the one line that says what is wrong."""
    result: dict[str, Any] = {"path": str(path), "good": False, "checksums": None, "golden_gap": None, "fault": None}
    try:
        folder = open_folder(path)
        with bytes_progress("checksums") as progress:
            folder.verify_checksums(progress)
    except FolderError as error:
        return {**result, "checksums": "bad", "fault": str(error)}
    result |= {"checksums": "good", "bytes": sum(entry["bytes"] for entry in folder.meta["files"].values())}
    with Local(folder, EngineOptions(cache_tokens=1024)) as model:
        gap = golden_gap(model)
    good = gap is None or gap <= GOLDEN_TOLERANCE
    fault = (
        None if good else f"{path}: computes other tokens here than when it was made (off by {gap:.3f} of the range)"
    )
    return {**result, "golden_gap": gap, "good": good, "fault": fault}


def tools(model: str) -> dict[str, Any]:
    """How a model uses tools, in two dozen questions; of a model of this machine it is kept for `moonlet serve`."""
    asked = short.questions()
    with ExitStack() as opened, count_progress("tools", 0, len(asked)) as tell:
        if is_url(model):
            candidate = Candidate(model, opened.enter_context(closing(Remote(model))))
        else:
            local = opened.enter_context(load(model, cache_tokens=16384))
            if not calls_tools(local.family):
                raise UsageError(f"{local.name} cannot call tools")
            candidate = Candidate(local.name, local, "constrained", short.options(local.family))
        outcomes = ask(candidate, asked, {}, 4, lambda question, outcome: tell())
        told = short.result(report("short", {}, asked, [(candidate, outcomes)]))
        if not is_url(model):
            try:
                kept.keep(local.folder.path, told)
            except OSError as error:  # a home that cannot be written to is no reason not to tell it
                print(f"the result is not kept: {error}", file=sys.stderr)
    return told


def _show(found: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)

    def line(name: str, told: str) -> None:
        console.print(f"{name:<16} {told}", markup=False)

    it = found["machine"]
    line("moonlet", f"{it['moonlet']} on Python {it['python']}, {it['system']}")
    line("processor", f"{it['processor']}, {it['cores']} cores for us")
    others = [isa for isa in it["instruction_sets"] if isa != it["instruction_set"]]
    line("instructions", f"{it['instruction_set']} in use, {', '.join(others) or 'nothing else'} also possible")
    limited = " (limit of this container)" if it["memory_limit_bytes"] == it["memory_bytes"] else ""
    line("memory", f"{size(it['memory_bytes'])}{limited}, {size(it['memory_free_bytes'])} free")
    line("disk", f"{size(it['disk_free_bytes'])} free for {it['models_folder']}")
    if "model" in found:
        _show_model(found["model"], it["memory_bytes"], line)
    for i, row in enumerate(found.get("tools", {}).get("rows", ())):
        line("" if i else "tools", f"{row['row']:<28} {row['right']} of {row['total']}")
    if refused := found.get("tools", {}).get("refused"):
        line("", f"no reply to some questions: {refused}")


def _show_model(model: dict[str, Any], memory_bytes: int, line: Callable[[str, str], None]) -> None:
    if model["fault"]:
        line("model", f"BAD: {model['fault']}")
        return
    line("model", model["path"])
    fits = "fits into memory" if model["bytes"] < memory_bytes else "is more than the memory holds"
    line("weights", f"{size(model['bytes'])}, which {fits}; checksums good")
    gap = model["golden_gap"]
    if gap is None:
        line("golden tokens", "none were written for this model")
    else:
        line(
            "golden tokens", "the same as when the model was made" + (f" (a near tie apart: {gap:.4f})" if gap else "")
        )


def _meminfo() -> dict[str, int]:
    """Fields of /proc/meminfo in bytes; empty where there is none."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return {}
    return {name: int(rest.split()[0]) * 1024 for name, rest in (line.split(":", 1) for line in lines)}


def _cgroup_limit() -> int | None:
    """Bytes that the control group of this process allows (version 2, then 1), None without a limit."""
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(file).read_text().strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < 1 << 60:  # version 1 writes a huge number for none
            return int(text)
    return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or f"{os.cpu_count()} processors")
