"""Which tasks a suite has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from moonlet.simulate.domains.every import DOMAINS
from moonlet.simulate.domains.locale import LANGUAGES, Language
from moonlet.simulate.making import kinds
from moonlet.simulate.mock.server import Server
from moonlet.simulate.mock.tasks import kinds as mock_kinds
from moonlet.simulate.tasks import HELD_OUT, KINDS, PERSONAS, TRAINING, Key, Persona, TaskError, TaskKind


def suite(
    count: int,
    seed: int = 0,
    domains: Sequence[str] = (),
    only: Sequence[TaskKind] = (),
    languages: Sequence[Language] = LANGUAGES,
    personas: Sequence[Persona] = PERSONAS,
    evolved: float = 0.5,
    held_out: bool = True,
) -> list[Key]:
    """So many tasks, kinds taken in turn; the same for the same seed. Raises TaskError where there are none."""
    return [key for key, _ in zip(stream(seed, domains, only, languages, personas, evolved, held_out), range(count))]


def stream(
    seed: int = 0,
    domains: Sequence[str] = (),
    only: Sequence[TaskKind] = (),
    languages: Sequence[Language] = LANGUAGES,
    personas: Sequence[Persona] = PERSONAS,
    evolved: float = 0.5,
    held_out: bool = False,
) -> Iterator[Key]:
    """Tasks without end. `evolved` is the share with tools declared anew. Raises TaskError where there are none."""
    unknown = [name for name in domains if name not in DOMAINS]
    if unknown:
        raise TaskError(f"there is no domain {unknown[0]!r}; there are: {', '.join(DOMAINS)}")
    having = {kind: [name for name in domains or DOMAINS if kind in kinds(DOMAINS[name])] for kind in only or KINDS}
    having = {kind: names for kind, names in having.items() if names}
    if not having:
        raise TaskError("the domains chosen have no tasks of the kinds chosen")
    rng = Random(f"suite {seed}")
    seeds = HELD_OUT if held_out else TRAINING
    while True:
        for kind, names in having.items():
            yield Key(
                rng.choice(names),
                kind,
                rng.choice(list(languages)),
                rng.choice(list(personas)),
                rng.randrange(seeds.start, seeds.stop),
                rng.random() < evolved,
            )


def mock_suite(
    server: Server, count: int, seed: int = 0, languages: Sequence[Language] = ("en",), held_out: bool = True
) -> list[Key]:
    """So many tasks for a mocked server, kinds taken in turn."""
    rng = Random(f"suite {seed}")
    seeds = HELD_OUT if held_out else TRAINING
    having = mock_kinds(server)
    return [
        Key(
            f"mcp:{server.name}",
            having[place % len(having)],
            rng.choice(list(languages)),
            rng.choice([one for one in PERSONAS if one != "changes_mind"]),
            rng.randrange(seeds.start, seeds.stop),
        )
        for place in range(count)
    ]
