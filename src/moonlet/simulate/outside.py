"""Made-up tools as those of MCP servers come to the agent: the server's name before their own, results between marks.

Such results are what the server wrote: JSON, lines, a sentence, or a list of parts in any of these.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

from moonlet.agent.instructions import instructions
from moonlet.agent.results import marked
from moonlet.simulate.declaring import Made, content
from moonlet.simulate.words import NOUNS


def serve(made: Sequence[Made], rng: Random) -> None:
    """Gives the tools to one server, or to two."""
    fields = [one.blueprint.field.split()[0] for one in made if one.blueprint.field.split()]
    words = [*fields, *(word for one in made for word in content(one.blueprint)[:1]), *rng.sample(NOUNS, 2)]
    names = [name.lower() for name in words if name.isascii() and name.isalnum()]
    servers = [rng.choice(names) for _ in range(rng.choice((1, 1, 1, 2)))]
    for one in made:
        one.spec, one.served = replace(one.spec, name=f"{rng.choice(servers)}__{one.spec.name}"), True


def system_text(rng: Random) -> str:
    """The agent's instructions on some day, in some folder."""
    return instructions(date(2025, 1, 1) + timedelta(rng.randrange(1500)), rng.choice(NOUNS), servers=True)


def written(values: Mapping[str, Any], told: str, rng: Random) -> str:
    """A result between its marks, in one of the forms that servers give. `told` says the same in a sentence."""
    form = rng.random()
    if form < 0.3:
        text = json.dumps(values, ensure_ascii=False)
    elif form < 0.55:
        text = json.dumps(values, ensure_ascii=False, indent=2)
    elif form < 0.75:
        text = "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in values.items())
    else:
        text = told
    return marked(text, f"{rng.getrandbits(32):08x}")
