"""How a model is laid over machines with cards by an engine that is made for that: vLLM, SGLang.

Such engines keep all weights in cards. The cards of one machine share each layer, several machines divide the layers;
so a model that one machine cannot hold takes as many as it needs. The plan's machines run the model each by itself,
with what the cards do not hold in memory or on disk; these are the same machines, grouped into engines.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from moonlet.fleet.launch import Shape

from .fit import CARD_RESERVE

if TYPE_CHECKING:
    from .plan import Plan

_SLICE = 128  # widths of an expert's slice must be multiples: fp8's blocks, and four of int4's groups


def cluster(plan: Plan) -> Shape | None:
    """The engine's shape; None where the machine has no cards, or no number of such machines would do."""
    fit, cards = plan.fit, plan.fit.machine.cards
    if cards is None:
        return None
    config = fit.subject.config
    # Every card computes its share of the heads: as many cards as divide them.
    tensor = max(count for count in range(1, cards.count + 1) if config.heads % count == 0)
    context = fit.context or fit.wish.context or min(config.max_positions, 32_768)
    # The latent cache has no heads that could be divided: each card keeps that of its layers whole.
    cache = tensor * fit.wish.sequences * context * fit.subject.cache_bytes_per_token
    room = tensor * cards.bytes * (1 - CARD_RESERVE)
    machines = math.ceil((fit.subject.stored_bytes + cache) / room)
    if machines > config.layers:
        return None
    return Shape(
        tensor=tensor,
        pipeline=machines,
        expert_parallel=tensor > 1 and config.experts > 0 and config.expert_width % (_SLICE * tensor) != 0,
        context=context,
        sequences=fit.wish.sequences if fit.wish.sequences > 1 else None,  # one is what nobody asked for
        replicas=math.ceil(plan.boxes / machines) if plan.speed else 1,  # the machines paid for, in whole engines
    )
