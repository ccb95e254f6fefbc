"""Chinese dialogues of CrossWOZ as conversations with tools: its domains are tools, its database queries the calls.

Source: CrossWOZ (Zhu et al. 2020), Apache-2.0. Packed by runs/crosswoz.py, the dialogues lie in the folder of public
sets. How the domains are declared is ours (wordings/public/crosswoz.txt), as are models and plates of the taxis.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from moonlet.simulate.declaring import spell
from moonlet.simulate.episode import Conversation, Episode
from moonlet.simulate.packed import lines
from moonlet.simulate.star import declared, given, played, wordings

APIS: Mapping[str, Mapping[str, Any]] = {
    domain: {
        "inputs": {
            key: {"kind": "array" if key in ("酒店设施", "推荐菜") else "string", "closed": []} for key in one.keys
        },
        "required": ("出发地", "目的地") if domain in ("地铁", "出租") else (),
    }
    for domain, one in wordings("crosswoz").items()
}
FIELDS = {
    "名称": "name", "地址": "address", "地铁": "metro", "电话": "phone", "门票": "ticket", "游玩时间": "visit_time",
    "评分": "rating", "营业时间": "opening_hours", "推荐菜": "dishes", "人均消费": "cost_per_person",
    "酒店类型": "type", "酒店设施": "facilities", "价格": "price", "周边景点": "nearby_attractions",
    "周边餐馆": "nearby_restaurants", "周边酒店": "nearby_hotels", "出发地": "metro_near_origin",
    "目的地": "metro_near_destination", "车型": "model", "车牌": "plate",
}  # fmt: skip
MODELS = ("比亚迪秦", "北京现代伊兰特", "大众帕萨特", "丰田卡罗拉", "红旗E-QM5", "吉利几何A", "别克英朗", "本田雅阁")


def maker(data: Path) -> Callable[[Random], Conversation]:
    """Draws conversations of the dialogues in the folder of public sets."""
    dialogues = lines(data / "crosswoz" / "dialogues.jsonl.xz")

    def make(rng: Random) -> Conversation:
        plate = f"京B{rng.randrange(100000):05}"
        text = rng.choice(dialogues).replace("#CX", rng.choice(MODELS)).replace("#CP", plate)
        return rendered(json.loads(text)["turns"], rng)

    return make


def rendered(turns: Sequence[Mapping[str, Any]], rng: Random) -> Conversation:
    """One dialogue, under the tools that it calls and perhaps others."""
    style = rng.choice(("snake", "snake", "camel", "Pascal", "kebab"))
    chosen = list(dict.fromkeys(turn["call"] for turn in turns if "call" in turn))
    chosen += [name for name in APIS if name not in chosen and rng.random() < 0.6]
    declaring = wordings("crosswoz")
    made = {name: declared(declaring[name], APIS[name], given(turns, name), style, rng) for name in chosen}
    specs = [spec for spec, _ in made.values()]
    episode = Episode(rng.sample(specs, len(specs)))
    english = rng.random() < 0.7
    return played(turns, made, episode, (lambda result: _named(result, style)) if english else lambda result: result)


def _named(value: object, style: str) -> object:
    """A result with English names for its fields."""
    if isinstance(value, list):
        return [_named(item, style) for item in value]
    if not isinstance(value, dict):
        return value
    spelling = "camel" if style in ("camel", "Pascal") else "snake"
    named = {str(FIELDS.get(key, key)): _named(item, style) for key, item in value.items()}
    return {spell(tuple(key.split("_")), spelling): item for key, item in named.items()}
