"""Turns without a tool: small talk with its answers, and requests that no tool of the demonstration can do."""

from random import Random

from moonlet.chat.spelling import spelled
from moonlet.simulate import slots
from moonlet.simulate.contexts import in_context
from moonlet.simulate.wording import Pattern, fill, opened, politely, read, slot_names, typed
from moonlet.simulate.world import World

NO_TOOL = "I have no tool for that."


def small_talk(rng: Random, tools: list[str]) -> tuple[str, str]:
    """What a user says, and the answer; asked what it can do, the assistant names its tools in their order,
    as the small model has their names."""
    header, patterns = rng.choice(read("en_small_talk"))
    text, _ = typed(rng.choice(patterns).expand(rng), rng)
    answer = str(header["answer"])
    return text, f"I can use these tools: {', '.join(map(spelled, tools))}." if answer == "TOOLS" else answer


def beyond(rng: Random, world: World) -> str:
    """A request that none of the demonstration tools can do."""
    groups = read("en_beyond")
    _, patterns = rng.choices(groups, [header.get("weight", 1) for header, _ in groups])[0]
    pattern: Pattern = rng.choice(patterns)
    skeleton = pattern.expand(rng)
    if pattern.command:
        skeleton = politely(skeleton, rng)
    skeleton = in_context(opened(skeleton, rng), "", {}, rng, free_end=False)
    skeleton, lower = typed(skeleton, rng)
    text = fill(skeleton, {name: slots.surface(name, rng, world) for name in slot_names(skeleton)})
    return text.lower() if lower else text
