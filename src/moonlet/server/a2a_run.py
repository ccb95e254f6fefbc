"""An agent at work in a thread, which can be stopped from outside: its reply, its calls, then its loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from moonlet import llm
from moonlet.agent import Event, Toolbox
from moonlet.chat.messages import Message, ToolSpec
from moonlet.llm import LLM, PLAIN, ReplyOptions
from moonlet.tools.running import Running, here
from moonlet.tools.tool import Tool


class StoppableModel:
    """The same model; stopping the run ends its reply."""

    def __init__(self, model: LLM, run: Running) -> None:
        self.name = model.name
        self._model, self._run = model, run

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[llm.Event]:
        """As the model's own."""
        events = self._model.reply(messages, tools, options)
        self._run.on_stop(lambda: llm.close(events))
        return events


class StoppableTools:
    """The same tools and more; stopping the run stops their calls."""

    def __init__(self, given: Sequence[Tool] | Toolbox, more: Sequence[Tool], run: Running) -> None:
        self._given, self._more, self._run = given, more, run

    def tools(self) -> Sequence[Tool]:
        given = self._given if isinstance(self._given, Sequence) else self._given.tools()
        return [self._stoppable(tool) for tool in (*given, *self._more)]

    def notices(self) -> Sequence[str]:
        return () if isinstance(self._given, Sequence) else self._given.notices()

    def _stoppable(self, tool: Tool) -> Tool:
        def run(arguments: Mapping[str, Any]) -> Any:
            self._run.on_stop(here().stop)
            return tool.run(arguments)

        return replace(tool, run=run)


def work(
    events: Generator[Event, None, None],
    run: Running,
    tell: Callable[[Event | Exception | None], None],
    pauses: Callable[[Event], bool],
) -> None:
    """Tells every event from a thread of its own, at the end None, or the exception that ended it. After an event that
    `pauses`, and once the run is stopped, nothing more is begun."""

    def read() -> None:
        try:
            for event in events:
                if run.stopped:
                    break
                tell(event)
                if pauses(event):
                    break
            events.close()
            tell(None)
        except Exception as error:
            tell(error)

    threading.Thread(target=read, name="moonlet-a2a", daemon=True).start()
