"""A model that is still being loaded: it is known by its name, and refuses to answer until it is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from moonlet.chat.messages import Message, ToolSpec
from moonlet.llm import LLM, PLAIN, Event, LLMError, LoadingError, Plain, Priority, Queued, ReplyOptions


class Loading:
    """Stands for the model that `load` returns, which it calls in a thread of its own."""

    def __init__(self, name: str, load: Callable[[], LLM]) -> None:
        self.name = name
        self._model: LLM | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._load, args=(load,), name="moonlet-load", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether it answers."""
        return self._model is not None and bool(getattr(self._model, "ready", True))

    @property
    def loaded(self) -> LLM | None:
        """The model; None while it is on its way."""
        return self._model

    def wait(self) -> LLM:
        """The model, once it is there. Raises what loading it raised."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        assert self._model is not None
        return self._model

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        return self._loaded().reply(messages, tools, options)

    def complete(self, prompt: str | Sequence[int], options: ReplyOptions = PLAIN) -> Iterator[Event]:
        """As `moonlet.llm.Plain` says."""
        return self._plain().complete(prompt, options)

    def count(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN) -> int:
        """As `moonlet.llm.Plain` says."""
        return self._plain().count(messages, tools, options)

    def in_line(self) -> tuple[tuple[str, Priority], ...]:
        """As `moonlet.llm.Queued` says; nobody waits for a model that has no line."""
        return self._model.in_line() if isinstance(self._model, Queued) else ()

    def _load(self, load: Callable[[], LLM]) -> None:
        try:
            self._model = load()
        except Exception as failure:
            self._failure = failure

    def _loaded(self) -> LLM:
        if self._failure is not None:
            raise LLMError(f"{self.name} could not be loaded: {self._failure}")
        if self._model is None:
            raise LoadingError(self.name)
        return self._model

    def _plain(self) -> Plain:
        model = self._loaded()
        if not isinstance(model, Plain):
            raise LLMError(f"{self.name} answers conversations only")
        return model
