"""Groups under way as plain values and back: what a checkpoint keeps of attempts that wait for the next weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from moonlet.chat.constrain import Mask
from moonlet.simulate.rollout import Trajectory
from moonlet.simulate.tasks import Key
from moonlet.train.rollouts import Attempt, Choice, Group, Utterance


def to_state(groups: Sequence[Group]) -> dict[str, Any]:
    """Lists, numbers, text and tensors. Masks, most of which are the same, are kept once each."""
    masks: dict[bytes, int] = {}

    def number(mask: Mask | None) -> int:
        return -1 if mask is None else masks.setdefault(mask.tobytes(), len(masks))

    def utterance(one: Utterance) -> dict[str, Any]:
        drawn = one.drawn
        return {
            "prompt": list(one.prompt),
            "ids": [choice.id for choice in drawn],
            "chances": [choice.chance for choice in drawn],
            "temperatures": [choice.temperature for choice in drawn],
            "allowed": [number(choice.allowed) for choice in drawn],
            "whole": one.whole,
            "stopped": one.stopped,
        }

    def attempt(one: Attempt) -> dict[str, Any]:
        return {
            "number": one.number,
            "said": [utterance(each) for each in one.said],
            "trajectory": one.trajectory.line() if one.trajectory else None,
            "reward": one.reward,
            "cut": one.cut,
        }

    kept = [
        {"key": str(group.key), "budget": group.budget, "attempts": [attempt(one) for one in group.attempts]}
        for group in groups
    ]
    return {"groups": kept, "masks": [torch.from_numpy(np.frombuffer(mask, np.int32).copy()) for mask in masks]}


def from_state(state: dict[str, Any]) -> list[Group]:
    """The groups of `to_state`."""
    masks: list[Mask] = [mask.numpy().view(np.uint32) for mask in state["masks"]]

    def utterance(one: dict[str, Any]) -> Utterance:
        columns = zip(one["ids"], one["chances"], one["temperatures"], one["allowed"], strict=True)
        drawn = (Choice(id, chance, t, None if at < 0 else masks[at]) for id, chance, t, at in columns)
        return Utterance(tuple(one["prompt"]), tuple(drawn), one["whole"], one["stopped"])

    def attempt(one: dict[str, Any]) -> Attempt:
        line = one["trajectory"]
        said = tuple(utterance(each) for each in one["said"])
        return Attempt(one["number"], said, Trajectory.parse(line) if line else None, one["reward"], one["cut"])

    return [
        Group(Key.parse(one["key"]), one["budget"], tuple(attempt(each) for each in one["attempts"]))
        for one in state["groups"]
    ]
