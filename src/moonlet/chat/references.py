"""How far the references of a JSON schema lead.

llguidance compiles what a `$ref` leads to by recursion and keeps no count: a long enough chain overflows its stack,
which ends the process. It compiles every target once, so what goes round in circles ends.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

# Levels of objects and lists. A stack of 8 MB takes some 2,000 at least; this leaves room for smaller ones.
FURTHEST = 400

# What is written of /, ~ and % by number could be read in two ways; nobody needs it.
_TWO_WAYS = re.compile("%(2f|7e|25)", re.IGNORECASE)


def leads_too_far(schema: Any) -> bool:
    """Whether the longest way through a schema, its references followed, may have more than FURTHEST levels.

    In time linear in the schema. Where references go round in circles the longest way is not to be had in that time: a
    bound is, which counts each target there once.
    """
    nodes, inner = _nodes(schema)
    height = [1] * len(nodes)  # levels without references
    for i in reversed(range(len(nodes))):  # what is inside comes after what it is in
        height[i] += max((height[child] for child in inner[i]), default=0)
    references = [(i, node["$ref"]) for i, node in enumerate(nodes) if _states(node, "$ref")]
    if (1 + len(references)) * height[0] <= FURTHEST:  # each reference followed at most once
        return False
    names = ["$id"] + ["id"] * any(_states(node, "$schema") and "draft-04" in node["$schema"] for node in nodes)
    if any(_states(node, name) for node in nodes[1:] for name in names):
        return True  # below a name of its own a pointer means something else
    numbers = {id(node): i for i, node in enumerate(nodes)}
    targets = set()
    for i, reference in references:
        target = _target(schema, reference)
        if target is None:
            return True  # by a name, or to what is not there, which is refused with its own words where it is alone
        if id(target) in numbers:
            inner[i].append(numbers[id(target)])
            targets.add(numbers[id(target)])
    after, before = _ways(inner), _ways(_turned(inner))
    levels = max(after)
    if not all(after):  # before the circles, from there to the first reference, among them
        levels += max((before[i] for i, way in enumerate(after) if not way), default=0) + height[0]
        levels += sum(height[i] for i in targets if not (after[i] or before[i]))
    return levels > FURTHEST


def _nodes(schema: Any) -> tuple[list[Any], list[list[int]]]:
    """The objects and lists of a schema, and which of them lie directly in each."""
    nodes: list[Any] = [schema]
    inner: list[list[int]] = []
    for node in nodes:  # grows meanwhile
        values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        children = [value for value in values if isinstance(value, dict | list)]
        inner.append([*range(len(nodes), len(nodes) + len(children))])
        nodes += children
    return nodes, inner


def _states(node: Any, keyword: str) -> bool:
    return isinstance(node, dict) and isinstance(node.get(keyword), str)


def _target(schema: Any, reference: str) -> Any:
    """What a pointer leads to; None if the reference is none, or leads to nothing."""
    if not f"{reference}/".startswith("#/") or _TWO_WAYS.search(reference):
        return None
    found = schema
    for step in unquote(reference).split("/")[1:]:
        if isinstance(found, dict):
            found = found.get(step.replace("~1", "/").replace("~0", "~"))
        elif isinstance(found, list) and step.isdecimal() and len(step) < 9 and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def _ways(inner: list[list[int]]) -> list[int]:
    """The levels of the longest way on from each; 0 where one goes round in circles."""
    outer = _turned(inner)
    far, waiting = [1] * len(inner), [len(following) for following in inner]
    ready = [i for i, count in enumerate(waiting) if not count]
    while ready:
        i = ready.pop()
        for j in outer[i]:
            far[j] = max(far[j], far[i] + 1)
            waiting[j] -= 1
            if not waiting[j]:
                ready.append(j)
    return [0 if count else levels for count, levels in zip(waiting, far, strict=True)]


def _turned(inner: list[list[int]]) -> list[list[int]]:
    """What leads to each."""
    outer: list[list[int]] = [[] for _ in inner]
    for i, following in enumerate(inner):
        for j in following:
            outer[j].append(i)
    return outer
