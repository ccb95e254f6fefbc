"""The mixture of conversations that the small model is trained on: endless, and the same for the same seed."""

import lzma
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random

from moonlet.simulate import (
    abroad,
    crosswoz,
    demo,
    drills,
    heard,
    lessons,
    massive,
    meanings,
    messages,
    seal,
    star,
    synthetic,
)
from moonlet.simulate.blueprints import Blueprint
from moonlet.simulate.episode import Conversation
from moonlet.simulate.servers import talk as servers
from moonlet.simulate.worded import wordings
from moonlet.train import public

__all__ = ["Conversation", "conversations"]

# What is drawn from, and the shares of conversations of the two parts of a run. A long run begins with what words and
# declarations mean and ends with what the model is for; a short one has the second part only.
SHARES: dict[str, tuple[float, float]] = {
    "demo": (0.10, 0.26),  # the demonstration's tools
    "made_up": (0.14, 0.14),  # tools made up anew
    "abroad": (0.07, 0.09),  # invented ones asked for in Thai and Chinese
    "drills": (0.28, 0.20),  # exercises in reading declarations
    "meanings": (0.28, 0.06),  # exercises in the meaning of words
    "servers": (0.04, 0.07),  # made-up servers
    "lessons": (0.10, 0.20),  # tasks of simulated worlds
    "massive": (0.18, 0.08),  # requests to a voice assistant in three languages
    "heard": (0.05, 0.12),  # the same under the demonstration's tools
    "star": (0.02, 0.01),
    "crosswoz": (0.01, 0.005),
    "sgd": (0.07, 0.08),
    "messages": (0.05, 0.08),  # messages for several public tools
    "snips": (0.01, 0.01),
    "clinc150": (0.03, 0.015),
    "banking77": (0.02, 0.01),
    "metatool": (0.05, 0.03),
    "toolverifier": (0.02, 0.015),
    "seal-tools": (0.015, 0.02),
}

# What draws from a public set, by the folder that it lies in.
SETS: dict[str, Callable[[Path], public.Maker]] = {
    "sgd": public.sgd,
    "snips": public.snips,
    "clinc150": public.clinc,
    "banking77": public.banking,
    "metatool": public.metatool,
    "toolverifier": public.toolverifier,
    "seal-tools": public.seal_requests,
    "massive": massive.maker,
    "star": star.maker,
    "crosswoz": crosswoz.maker,
    "meanings": meanings.maker,
}


class DataError(Exception):
    """A public set that is not what it should be."""


def conversations(seed: int, data: Path | None = None, reading: int = 0) -> Iterator[Conversation]:
    """Training conversations without end. `data` is the folder of public sets, of which those are taken that it has;
    without it everything is generated. reading: so many are of the first part of a long run. Raises DataError."""
    rng = Random(seed)
    made = makers(data)
    choices = list(made.values())
    first, second = ([SHARES[name][part] for name in made] for part in (0, 1))
    for number in count():
        yield rng.choices(choices, first if number < reading else second)[0](rng)


def makers(data: Path | None) -> dict[str, public.Maker]:
    """What draws a conversation, by the names of the shares. Raises OSError, DataError."""
    drawn = {name: _maker(name, make, data) for name, make in SETS.items() if (data / name).exists()} if data else {}
    blueprints = [*(seal.blueprints(data) if data and "seal-tools" in drawn else ()), *wordings().blueprints]
    by_field = _by_field(blueprints)
    made: dict[str, public.Maker] = {
        "demo": demo.conversation,
        "made_up": lambda rng: synthetic.conversation(rng, blueprints, by_field),
        "abroad": abroad.conversation,
        "drills": lambda rng: drills.conversation(rng, blueprints, by_field),
        "servers": servers.conversation,
        "lessons": lessons.conversation,
    }
    by_name = {one.key: one for one in blueprints}
    if fitting := messages.fitting(by_name):
        made["messages"] = lambda rng: messages.conversation(rng, fitting, by_name)
    if data and "massive" in drawn:
        made["heard"] = heard.maker(data)
    return made | drawn


def _maker(name: str, make: Callable[[Path], public.Maker], data: Path) -> public.Maker:
    """What draws from a set, after it has done so once."""
    try:
        found = make(data)
        found(Random(0))
    except (EOFError, lzma.LZMAError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{data / name}: not readable as that set: {error!r}") from None
    return found


def _by_field(blueprints: Sequence[Blueprint]) -> dict[str, list[Blueprint]]:
    found: dict[str, list[Blueprint]] = {}
    for one in blueprints:
        found.setdefault(one.field, []).append(one)
    return found
