"""The tools that conversations on the page can be given, in groups: a demonstration world for each conversation, a
calculator and a clock, and what the server's owner offers besides: files, a shell, pages, MCP servers.

What acts outside of this process acts as the owner. So where keys are needed, only a key with the scope admin has it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from moonlet.agent.results import TRUST_NOTE
from moonlet.ledger.keys import Key
from moonlet.local import NANO
from moonlet.server.keys import Access
from moonlet.simulate.demo import demonstration, system_text
from moonlet.tools.basic import calculator, clock
from moonlet.tools.tool import Tool

WORLDS = 256  # conversations whose demonstration world is remembered
DEMO, BASIC = "demo", "basic"


@dataclass(frozen=True, slots=True)
class Group:
    """Tools that are chosen together."""

    id: str  # demo, basic, own, or mcp:NAME
    tools: tuple[Tool, ...]
    chosen: bool  # as long as nobody chooses


class Workbench:
    """What tools there are, for whom."""

    def __init__(
        self,
        access: Access = Access(),
        own: Sequence[Tool] = (),
        servers: Callable[[], Mapping[str, Sequence[Tool]]] = dict,
    ) -> None:
        """`own`: tools that act on this machine; `servers`: those of each MCP server, as they are now."""
        self._access, self._own, self._servers = access, tuple(own), servers
        self._worlds: OrderedDict[tuple[str, str], tuple[tuple[Tool, ...], date]] = OrderedDict()
        self._lock = threading.Lock()

    def groups(self, key: Key | None, owner: str, conversation: str, model: str) -> list[Group]:
        """What this key can choose from, in this conversation."""
        small = model == NANO  # it was trained on the demonstration's tools, and knows hardly any others
        groups = [Group(BASIC, (calculator(), clock(lambda: datetime.now().astimezone())), not small)]
        if not self._access.keys_needed or (key is not None and "admin" in key.scopes):
            groups += [Group("own", self._own, not small)] if self._own else []
            groups += [Group(f"mcp:{name}", tuple(tools), not small) for name, tools in self._servers().items()]
        groups.append(Group(DEMO, self._world(owner, conversation)[0], small))
        return groups

    def chosen(
        self, key: Key | None, owner: str, conversation: str, model: str, names: Collection[str] | None
    ) -> tuple[list[Tool], str]:
        """The tools of these names, or those that come chosen, each name once; and what the model is told first."""
        tools: dict[str, Tool] = {}
        demo = False
        for group in self.groups(key, owner, conversation, model):
            for tool in group.tools:
                wanted = group.chosen if names is None else tool.spec.name in names
                if wanted and tool.spec.name not in tools:
                    tools[tool.spec.name] = tool
                    demo = demo or group.id == DEMO
        if demo or not tools:
            return list(tools.values()), system_text(self._world(owner, conversation)[1])
        now = datetime.now().astimezone()
        told = f"Today is {now:%A, %d %B %Y}. You have tools; call them when they help. {TRUST_NOTE}"
        return list(tools.values()), told

    def _world(self, owner: str, conversation: str) -> tuple[tuple[Tool, ...], date]:
        """The world of a conversation: what was changed in it stays changed, as long as the server lives."""
        with self._lock:
            place = (owner, conversation)
            if place not in self._worlds:
                tools, today = demonstration()
                self._worlds[place] = tuple(tools), today
                while len(self._worlds) > WORLDS:
                    self._worlds.popitem(last=False)
            self._worlds.move_to_end(place)
            return self._worlds[place]
