"""Prepared replies, given in their order: a model for tests and rehearsals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from moonlet.chat.messages import CallArguments, CallEnd, CallStart, Message, Text, Thinking, ToolSpec
from moonlet.llm import (
    PLAIN,
    Assembly,
    Done,
    Event,
    Finish,
    LLMError,
    ReplyOptions,
    Scored,
    ScoredToken,
    StopText,
    Usage,
    until_stop,
)

Prepared = Message | str | Callable[[Sequence[Message], Sequence[ToolSpec]], "Message | str"]


class Scripted:
    """A reply that is a function is called with the messages and tools, so it can look at them, and may raise.

    Text comes in pieces of `piece` characters with `pause_s` between; a piece counts as a token.
    """

    def __init__(
        self, replies: Iterable[Prepared], name: str = "scripted", piece: int = 4, pause_s: float = 0.0
    ) -> None:
        self.name = name
        self.asked: list[tuple[tuple[Message, ...], tuple[ToolSpec, ...], ReplyOptions]] = []
        self.closed = 0  # replies that were ended by whoever listened
        self._replies = iter(replies)
        self._piece, self._pause_s = piece, pause_s
        self._lock = threading.Lock()

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        with self._lock:
            self.asked.append((tuple(messages), tuple(tools), options))
            prepared = next(self._replies, None)
        if prepared is None:
            raise LLMError(f"{self.name} has no reply left")
        if callable(prepared):
            prepared = prepared(messages, tools)
        message = Message("assistant", prepared) if isinstance(prepared, str) else prepared
        return self._stream(message, options, self.count(messages))

    def complete(self, prompt: str | Sequence[int], options: ReplyOptions = PLAIN) -> Iterator[Event]:
        """As a reply to a message of the user."""
        text = prompt if isinstance(prompt, str) else " ".join(map(str, prompt))
        return self.reply([Message("user", text)], (), options)

    def count(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN) -> int:
        """Pieces of the messages' texts."""
        return sum(len(self._cut(message.content)) for message in messages)

    def _stream(self, message: Message, options: ReplyOptions, prompt_tokens: int) -> Iterator[Event]:
        begun, output, thought, assembly, length = time.perf_counter(), 0, 0, Assembly(), False
        stop = StopText(options.stop)

        def counted() -> Iterator[Event]:
            nonlocal output, thought, length
            for event in self._events(message):
                if output == options.max_tokens:
                    length = True
                    return
                output += isinstance(event, Text | Thinking | CallArguments)
                thought += isinstance(event, Thinking)
                yield event

        try:
            for event in until_stop(counted(), stop):
                if self._pause_s:
                    time.sleep(self._pause_s)
                assembly.add(event)
                if isinstance(event, Text) and options.logprobs:
                    yield Scored((self._scored(event.text, options),))
                yield event
        except GeneratorExit:
            self.closed += 1
            raise
        whole = assembly.message()
        decode_s = time.perf_counter() - begun
        usage = Usage(prompt_tokens, 0, output, decode_s=decode_s, decode_tokens=output, thinking_tokens=thought)
        finish: Finish = "length" if length else "tool_calls" if whole.calls and not stop.hit else "stop"
        yield Done(whole, finish, usage, stop.found)

    def _events(self, message: Message) -> Iterator[Event]:
        yield from (Thinking(piece) for piece in self._cut(message.thinking))
        yield from (Text(piece) for piece in self._cut(message.content))
        for index, call in enumerate(message.calls):
            yield CallStart(index, call.id, call.name)
            yield from (CallArguments(index, piece) for piece in self._cut(call.arguments))
            yield CallEnd(index, call)

    def _scored(self, text: str, options: ReplyOptions) -> ScoredToken:
        piece = text.encode()
        return ScoredToken(piece, 0.0, ((piece, 0.0),) if options.top_logprobs else ())

    def _cut(self, text: str) -> list[str]:
        return [text[i : i + self._piece] for i in range(0, len(text), self._piece)]
