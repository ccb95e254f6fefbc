"""OpenAI's older completions: a text, or token ids, that the model goes on with."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moonlet.chat.messages import Text
from moonlet.llm import Done, Event, Scored, ScoredToken, Usage
from moonlet.server import openai
from moonlet.server.errors import ApiError
from moonlet.server.fields import as_object, short, typed
from moonlet.server.replies import Asked

MAX_PROMPTS = 16
_DEFAULT_TOKENS = 16  # as OpenAI has it

Prompt = str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A request, understood."""

    asked: Asked
    stream: bool
    include_usage: bool
    echo: bool  # the answer begins with the prompt


def read(body: Any) -> CompletionRequest:
    """The request in a JSON body. Raises ApiError."""
    body = as_object(body)
    if body.get("suffix"):
        raise ApiError("suffix is not supported by this server", "suffix")
    if body.get("best_of") not in (None, 1, body.get("n")):
        raise ApiError(f"best_of {short(body['best_of'])} is not supported by this server", "best_of")
    prompts = _prompts(body.get("prompt"))
    logprobs = typed(body, "logprobs", int)
    if logprobs is not None and not 0 <= logprobs <= 5:
        raise ApiError(f"logprobs must be from 0 to 5, got {logprobs}", "logprobs")
    echo = bool(typed(body, "echo", bool))
    if echo and logprobs is not None:
        raise ApiError("echo cannot be had with logprobs", "echo")
    if echo and not all(isinstance(prompt, str) for prompt in prompts):
        raise ApiError("echo needs prompts that are text", "echo")
    limit = typed(body, "max_tokens", int)
    options = openai.read_options(
        body,
        max_tokens=_DEFAULT_TOKENS if limit is None else limit,
        logprobs=logprobs is not None,
        top_logprobs=logprobs or 0,
    )
    model = typed(body, "model", str) or ""
    return CompletionRequest(
        Asked(model, options=options, prompts=prompts, count=openai.read_count(body)),
        stream=bool(typed(body, "stream", bool)),
        include_usage=openai.read_include_usage(body),
        echo=echo,
    )


def _prompts(raw: Any) -> tuple[Prompt, ...]:
    """A text, ids, or a list of either."""
    listed = raw if isinstance(raw, list) and raw and not _ids(raw) else [raw]
    if len(listed) > MAX_PROMPTS:
        raise ApiError(f"prompt holds {len(listed)} prompts, at most {MAX_PROMPTS} are taken", "prompt")
    if not all((isinstance(one, str) and one) or (_ids(one) and one) for one in listed):
        raise ApiError("prompt must be a text that is not empty, a list of token ids, or a list of those", "prompt")
    return tuple(one if isinstance(one, str) else tuple(one) for one in listed)


def _ids(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(id, int) and not isinstance(id, bool) for id in value)


@dataclass(slots=True)
class Pieces:
    """Turns the events of one answer into `text_completion` objects."""

    model: str
    prompts: tuple[Prompt, ...]
    include_usage: bool = False
    count: int = 1  # replies to each prompt
    echo: bool = False
    id: str = field(default_factory=lambda: f"cmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))
    named: bool = False
    closing: str = "data: [DONE]\n\n"
    _waiting: dict[int, list[ScoredToken]] = field(default_factory=dict)
    _said: dict[int, int] = field(default_factory=dict)  # characters of the tokens sent
    _usages: dict[int, Usage] = field(default_factory=dict)  # by the number of the reply

    def begin(self) -> Iterator[dict[str, Any]]:
        for number in range(self.count * len(self.prompts)):
            prompt = self.prompts[number // self.count]
            if self.echo and isinstance(prompt, str):
                yield self._piece(number, prompt)

    def next(self, number: int, event: Event) -> Iterator[dict[str, Any]]:
        match event:
            case Scored(tokens):
                self._waiting.setdefault(number, []).extend(tokens)
            case Text(text):
                yield self._piece(number, text, tokens=self._waiting.pop(number, []))
            case Done(_, finish, usage, stop):
                self._usages[number] = usage
                rest = self._waiting.pop(number, []) if stop is None else []
                yield self._piece(number, "", "length" if finish == "length" else "stop", rest)
            case _:
                pass

    def end(self) -> Iterator[dict[str, Any]]:
        if self.include_usage:
            usages = [self._usages[number] for number in sorted(self._usages)]
            yield {**self._head(), "choices": [], "usage": openai.usage_of(usages, len(self.prompts))}

    def failed(self, error: ApiError) -> Iterator[dict[str, Any]]:
        yield openai.error_body(error)

    def alive(self) -> None:
        return None

    def whole(self, frames: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """The sum of the pieces."""
        choices: dict[int, dict[str, Any]] = {}
        usage = None
        for frame in frames:
            usage = frame.get("usage") or usage
            for part in frame["choices"]:
                _add(choices, part)
        return {**self._head(), "choices": [choices[number] for number in sorted(choices)], "usage": usage}

    def _head(self) -> dict[str, Any]:
        return {"id": self.id, "object": "text_completion", "created": self.created, "model": self.model}

    def _piece(
        self, number: int, text: str, finish: str | None = None, tokens: Iterable[ScoredToken] = ()
    ) -> dict[str, Any]:
        choice = {
            "text": text,
            "index": number,
            "logprobs": self._logprobs(number, list(tokens)),
            "finish_reason": finish,
        }
        return {**self._head(), "choices": [choice], **({"usage": None} if self.include_usage else {})}

    def _logprobs(self, number: int, tokens: list[ScoredToken]) -> dict[str, Any] | None:
        if not tokens:
            return None
        texts = [token.text.decode(errors="replace") for token in tokens]
        offsets = []
        for text in texts:
            offsets.append(self._said.get(number, 0))
            self._said[number] = offsets[-1] + len(text)
        return {
            "tokens": texts,
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [{text.decode(errors="replace"): value for text, value in token.top} for token in tokens],
            "text_offset": offsets,
        }


def _add(choices: dict[int, dict[str, Any]], part: Mapping[str, Any]) -> None:
    empty = {"text": "", "index": part["index"], "logprobs": None, "finish_reason": None}
    choice = choices.setdefault(part["index"], empty)
    choice["text"] += part["text"]
    choice["finish_reason"] = part["finish_reason"] or choice["finish_reason"]
    if part["logprobs"]:
        before = choice["logprobs"] or {key: [] for key in part["logprobs"]}
        choice["logprobs"] = {key: before[key] + part["logprobs"][key] for key in before}
