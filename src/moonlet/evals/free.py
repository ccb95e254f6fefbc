"""A model of this machine left to itself: no mask holds its calls to their schemas. What it is worth alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from moonlet.chat.messages import Message, ToolSpec
from moonlet.chat.parser import Parser
from moonlet.chat.template import TemplateError, count_calls, opens_thinking, render
from moonlet.engine.engine import EngineError
from moonlet.engine.sampler import Sampling
from moonlet.llm import PLAIN, Done, Event, Finish, LLMError, RefusedError, ReplyOptions, TooLongError, Usage
from moonlet.local import Local

TOKENS = 1024  # of a reply that states no limit


class Free:
    """`Local` without its constraint."""

    def __init__(self, model: Local) -> None:
        self.name = model.name
        self._model = model
        named = (model.tokenizer.special(name) for name in ("<|im_end|>", "[EOS]", "[EOT]"))
        self._stops = tuple(sorted({*model.config.stops, *(id for id in named if id is not None)}))

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        """As `moonlet.llm.LLM` says; of the options temperature, seed and max_tokens count."""
        model = self._model
        try:
            prompt = render(model.tokenizer, model.family, messages, tools, thinking=options.thinking)
        except TemplateError as error:
            raise RefusedError(str(error)) from None
        room = model.engine.context - len(prompt)
        if room < 1:
            raise TooLongError(len(prompt), model.engine.context)
        parser = Parser(
            model.tokenizer,
            model.family,
            tools,
            history_calls=count_calls(messages),
            thinking_open=opens_thinking(model.family, options.thinking),
        )
        limit = min(options.max_tokens or TOKENS, room)
        sampling = Sampling(limit, options.temperature or 0.0, seed=options.seed, stop_ids=self._stops)
        try:
            running = model.engine.submit(prompt, sampling)
        except EngineError as error:
            raise RefusedError(str(error)) from None
        count = 0
        try:
            for token in running:
                count += 1
                yield from parser.feed([token.id])
        except EngineError as error:
            raise LLMError(f"{self.name}: {error}") from None
        yield from parser.finish()
        message = parser.message
        finish: Finish = "tool_calls" if message.calls else "length" if running.finish == "length" else "stop"
        yield Done(message, finish, Usage(len(prompt), output_tokens=count))
