"""The mixture of conversations that the small model is trained on: endless, and the same for the same seed."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

from moonlet.simulate import abroad, demo, drills, lessons, messages, seal, synthetic
from moonlet.simulate.blueprints import Blueprint
from moonlet.simulate.episode import Conversation
from moonlet.simulate.servers import talk as servers
from moonlet.simulate.worded import wordings
from moonlet.train import public

__all__ = ["Conversation", "conversations"]


def conversations(seed: int, data: Path | None = None) -> Iterator[Conversation]:
    """Training conversations without end. `data` is the folder of public sets; without it everything is generated.

    Shares are of conversations: demonstration tools, tools made up anew, invented ones asked for in Thai and Chinese,
    exercises in reading declarations, made-up servers, tasks of simulated worlds, SGD dialogues, messages for several
    public tools, and sets of single requests.
    """
    rng = Random(seed)
    blueprints = [*(seal.blueprints(data) if data else ()), *wordings().blueprints]
    by_field: dict[str, list[Blueprint]] = {}
    for one in blueprints:
        by_field.setdefault(one.field, []).append(one)

    def made_up(rng: Random) -> Conversation:
        return synthetic.conversation(rng, blueprints, by_field)

    def exercises(rng: Random) -> Conversation:
        return drills.conversation(rng, blueprints, by_field)

    by_name = {one.key: one for one in blueprints}
    fitting = messages.fitting(by_name)

    def several(rng: Random) -> Conversation:
        return messages.conversation(rng, fitting, by_name)

    makers: list[tuple[float, public.Maker]] = [
        (0.26, demo.conversation),
        (0.16, made_up),
        (0.07, abroad.conversation),
        (0.25, exercises),
        (0.07, servers.conversation),
        (0.17, lessons.conversation),
    ]
    if data:
        makers += [(0.04, public.sgd(data)), (0.01, public.snips(data)), (0.01, public.clinc(data))]
        makers += [(0.005, public.banking(data)), (0.02, public.metatool(data))]
        makers += [(0.01, public.toolverifier(data)), (0.015, public.seal_requests(data))]
    if fitting:
        makers.append((0.08, several))
    weights, choices = [share for share, _ in makers], [maker for _, maker in makers]
    while True:
        yield rng.choices(choices, weights)[0](rng)
