"""A model as a suite asks it: an endpoint that fails is asked again after a while; what failed for good is noted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from moonlet.chat.messages import Message, ToolSpec
from moonlet.llm import LLM, PLAIN, Done, Event, LLMError, RefusedError, ReplyOptions

WAITS_S = (1.0, 4.0, 15.0)  # a rate limit is mostly over after that


class Patient:
    """One model for the time of one question. `failure` is what ended it, `prompt_tokens` and `output_tokens` what its
    replies took."""

    def __init__(self, model: LLM, waits_s: Sequence[float] = WAITS_S) -> None:
        self.name = model.name
        self.failure: LLMError | None = None
        self.prompt_tokens = self.output_tokens = 0
        self._model = model
        self._waits_s = waits_s

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        """The events of a whole reply, once it is there. Raises LLMError."""
        for wait_s in (*self._waits_s, None):
            try:
                events = list(self._model.reply(messages, tools, options))
            except LLMError as error:
                if wait_s is None or isinstance(error, RefusedError) or "HTTP 401" in str(error):
                    self.failure = error
                    raise
                time.sleep(wait_s)
                continue
            for event in events:
                if isinstance(event, Done):
                    self.prompt_tokens += event.usage.prompt_tokens
                    self.output_tokens += event.usage.output_tokens
                yield event
            return
