"""`moonlet deploy`: manifests for a plan, printed or written. Nothing is applied."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from moonlet.cli import UsageError, whole
from moonlet.deploy import compose, kubernetes, systemd
from moonlet.deploy.wanted import Wanted
from moonlet.fleet.launch import read_plan
from moonlet.ledger.money import Price


def main(asked: argparse.Namespace) -> int:
    model, shape = read_plan(Path(asked.plan))
    # What YAML, compose ($), systemd (% and ;) and Kubernetes read as something else is in none of these.
    if not re.fullmatch(r"([\w.-]+/)*\w[\w.-]*", model) or len(model) > 200:
        raise UsageError(f"{asked.plan}: {model[:60]!r} is no name that a manifest can hold")
    if not re.fullmatch(r"(/\w[\w.@+-]*)+/?", asked.models):
        raise UsageError(f"--models {asked.models}: give a whole path of letters, digits and . _ @ + -")
    if not re.fullmatch(r"\w[\w.:/@-]*", asked.image):
        raise UsageError(f"--image {asked.image}: give the name of an image, like registry.example.org/moonlet:1")
    price = str(Price.read(asked.price)) if asked.price else None
    wanted = Wanted(model, shape, asked.engine, asked.image, asked.models.rstrip("/"), price)
    several = shape.nodes > 1 or shape.replicas > 1
    made: Mapping[str, Any] = {"compose": compose, "systemd": systemd, "kubernetes": kubernetes}[
        asked.to or ("kubernetes" if several else "compose")
    ].files(wanted)
    texts = {name: content if isinstance(content, str) else _yaml(*content) for name, content in made.items()}
    for name, text in texts.items():
        if asked.write:
            place = Path(asked.write)
            place.mkdir(parents=True, exist_ok=True)
            whole.write(place / name, text)
            print(place / name)
        else:
            print(f"# ---- {name} ----\n{text}" if len(texts) > 1 else text, end="\n" if len(texts) > 1 else "")
    return 0


def _yaml(head: str, documents: list[Any]) -> str:
    return head + "---\n".join(yaml.dump(one, Dumper=_Dumper, sort_keys=False, width=110) for one in documents)


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # it has no types
    """Without references to what was written before: each place is to be read alone."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
