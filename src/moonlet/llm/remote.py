"""Any endpoint that speaks OpenAI's chat completions, behind the protocol of `moonlet.llm`."""

from __future__ import annotations

import http.client
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    SSLError,
    TimeoutError,
)

from moonlet.chat.messages import (
    CallArguments,
    CallEnd,
    CallStart,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolSpec,
    to_openai,
    tool_to_openai,
)
from moonlet.llm import (
    PLAIN,
    Assembly,
    Done,
    Event,
    Finish,
    LLMError,
    RefusedError,
    ReplyOptions,
    Scored,
    ScoredToken,
    ToldError,
    TooLongError,
    Usage,
)
from moonlet.llm.characters import one_line, whole_characters
from moonlet.llm.exchange import Exchange, RemoteReply
from moonlet.llm.failure import failure, message_of

# Reasons that engines give for an end; whatever else they say is an end of the model's own.
_CUT = ("length", "max_tokens", "model_length", "max_output_tokens")
_UNSENT = (ConnectTimeoutError, NewConnectionError, ProxyError, SSLError)  # before anything was asked
_CONNECT_S = 10.0
_TOLD = 1 << 16  # bytes of an error that are read
_LONGEST_LINE = 1 << 24  # bytes; whole replies are shorter
_MOST_TOKENS = 1 << 31  # what an endpoint that counts as many has taken is a fault of its own, and no ledger's number
_KEPT = 64  # idle connections; every client under way has one of its own, their number is bounded by who asks
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it warns of each more that it lets go


class Remote:
    """One model of an endpoint. The key is read from the environment."""

    def __init__(
        self, base_url: str, model: str | None = None, key_name: str = "MOONLET_API_KEY", timeout_s: float = 600.0
    ) -> None:
        """`base_url` ends before /chat/completions. Without a model, the first that the endpoint lists. LLMError."""
        self._url = base_url.rstrip("/")
        self._key_name, self._timeout_s = key_name, timeout_s
        if not self._url.startswith(("http://", "https://")):
            raise LLMError(f"{base_url}: not a URL; an endpoint begins with http:// or https://")
        key = os.environ.get(key_name)
        if key and not (key.isascii() and key.isprintable()):
            raise LLMError(f"the key in {key_name} holds characters that no key has")
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._client = _client(self._url, headers)
        self.name = model or self.models()[0]

    def __reduce__(self) -> tuple[type[Remote], tuple[str, str, str, float]]:
        """To another process it goes as an address; the key must be in that one's environment."""
        return Remote, (self._url, self.name, self._key_name, self._timeout_s)

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> RemoteReply:
        """As `moonlet.llm.LLM` says; `close()` on the iterator ends the reply, from any thread."""
        exchange = Exchange()
        return RemoteReply(exchange, self._answered(exchange, _request(self.name, messages, tools, options)))

    def close(self) -> None:
        self._client.clear()

    def models(self, timeout_s: float = 10.0) -> list[str]:
        """What the endpoint lists, at least one. Raises LLMError."""
        try:
            answer = self._client.request("GET", f"{self._url}/models", timeout=_times(timeout_s), retries=False)
            if answer.status == 404 and not self._url.endswith("/v1"):
                raise LLMError(f"{self._url}/models is not found; most such addresses end in /v1")
            if answer.status >= 300:
                raise failure(self._url, answer, answer.data)
            names = [str(card["id"]) for card in answer.json()["data"]]
        except HTTPError as error:
            raise LLMError(f"{self._url}: {_reason(error)}") from None
        except (ValueError, LookupError, TypeError, RecursionError):
            names = []
        if not names:
            raise LLMError(f"{self._url}/models lists no model; is this an OpenAI-style endpoint?")
        return names

    def _answered(self, exchange: Exchange, body: dict[str, Any]) -> Iterator[Event]:
        """A limit of tokens is the most that is wanted, but vLLM and SGLang refuse one that the context has no room for
        after the prompt. Without a limit they take what room there is, which then is less than was asked for."""
        try:
            yield from self._stream(exchange, body)
        except RefusedError as error:
            renamed = "max_completion_tokens" in str(error)  # the limit's later name, the only one at some models
            if "max_tokens" not in body or not (renamed or isinstance(error, TooLongError)):
                raise
            limit = body.pop("max_tokens")
            yield from self._stream(exchange, body | ({"max_completion_tokens": limit} if renamed else {}))

    def _stream(self, exchange: Exchange, body: Mapping[str, Any]) -> Iterator[Event]:
        begun, first_s = time.perf_counter(), 0.0
        reading = _Reading(body.get("stop", ()))
        try:
            for line in self._posted(exchange, body):
                for event in reading.line(line):
                    first_s = first_s or time.perf_counter() - begun
                    yield event
        except HTTPError as error:
            if not exchange.left:
                raise LLMError(f"{self._url}: {_reason(error)}") from None
        except _WireError as error:
            if not exchange.left:  # its last line may be cut
                raise (ToldError if error.told else LLMError)(f"{self._url}: {error}") from None
        if not exchange.left:
            if reading.finish is None and not reading.ended:
                raise LLMError(f"{self._url}: the stream broke off before the reply was finished")
            for event in reading.close_call():
                reading.assembly.add(event)
                yield event
        message = reading.assembly.message()
        finish: Finish = "length" if reading.finish in _CUT else "tool_calls" if message.calls else "stop"
        whole_s = time.perf_counter() - begun
        usage = reading.usage(first_s or whole_s, whole_s)
        yield Done(message, "cancelled" if exchange.left else finish, usage, reading.stop)

    def _posted(self, exchange: Exchange, body: Mapping[str, Any]) -> Iterator[str]:
        """The answer's lines as they come."""
        url, text = f"{self._url}/chat/completions", json.dumps(body).encode()
        times = _times(self._timeout_s)
        if exchange.left:
            return
        exchange.sent, exchange.status = True, None
        try:
            answer = self._client.request("POST", url, body=text, timeout=times, retries=False, preload_content=False)
        except _UNSENT:
            exchange.sent = False
            raise
        with exchange.reading(answer):
            if answer.status >= 300:
                raise failure(self._url, answer, answer.read(_TOLD))
            for line in _lines(iter(answer.read1, b"")):
                if exchange.left:
                    return
                yield line


def _client(url: str, headers: Mapping[str, str]) -> urllib3.PoolManager:
    """Through the proxy that the environment names, if it does. LLMError."""
    try:
        place = urlsplit(url)
    except ValueError as error:
        raise LLMError(f"{url}: not a URL ({error})") from None
    # Reading the certificates of all authorities takes longer than many a request; without TLS none is needed.
    trust = httpx.create_ssl_context() if place.scheme == "https" else None
    settings: dict[str, Any] = {"num_pools": 1, "maxsize": _KEPT, "headers": headers, "ssl_context": trust}
    named = getproxies()
    proxy = "" if proxy_bypass(place.hostname or "") else named.get(place.scheme) or named.get("all") or ""
    if not proxy:
        return urllib3.PoolManager(**settings)
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        who = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
        return urllib3.ProxyManager(
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
            proxy_headers=urllib3.make_headers(proxy_basic_auth=who),
            **settings,
        )
    except (HTTPError, ValueError):  # their words may hold its password
        raise LLMError(f"{url}: the proxy that the environment names for {place.scheme} cannot be used") from None


def _times(seconds: float) -> urllib3.Timeout:
    return urllib3.Timeout(connect=min(_CONNECT_S, seconds), read=seconds)


def _lines(parts: Iterable[bytes]) -> Iterator[str]:
    """Of a server-sent stream. They end with a line feed, and with nothing else that Unicode calls the end of a line:
    models write those, and engines send them as they are."""
    waiting: list[bytes] = []
    held = 0
    for part in parts:
        held += len(part)
        if b"\n" not in part:
            waiting.append(part)
            if held > _LONGEST_LINE:
                raise _WireError(f"sent a line of more than {_LONGEST_LINE >> 20} MB")
            continue
        *lines, rest = b"".join([*waiting, part]).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r")
        waiting, held = [rest], len(rest)
    yield b"".join(waiting).decode("utf-8", "replace")


class _WireError(Exception):
    """The endpoint sent what is not the protocol, or `told` that it failed."""

    def __init__(self, message: str, told: bool = False) -> None:
        super().__init__(message)
        self.told = told


class _Reading:
    """Lines of a server-sent stream, turned into events."""

    def __init__(self, stops: Sequence[str] = ()) -> None:
        """`stops`: the texts that may end the reply."""
        self.assembly = Assembly()
        self.finish: str | None = None
        self.ended = False  # in order, whether a reason was given or not
        self.stop: str | None = None  # the text that did, where the endpoint tells
        self._stops = stops
        self._took = (0, 0, 0, 0)  # prompt, cached, output, thoughts
        self._thoughts = 0  # pieces that came
        self._open: tuple[int, str, str, list[str]] | None = None  # number, id, name, arguments of the call being read
        self._calls = 0

    def usage(self, prefill_s: float, whole_s: float) -> Usage:
        """What the endpoint says of it. Thoughts that it does not count are a token for each piece."""
        prompt, cached, output, thoughts = self._took
        return Usage(
            prompt,
            cached,
            output,
            prefill_s=prefill_s,
            decode_s=whole_s - prefill_s,
            decode_tokens=max(output - 1, 0),
            thinking_tokens=min(thoughts or self._thoughts, output),
        )

    def line(self, line: str) -> Iterator[Event]:
        if not line.startswith(("data:", "{")):  # some send an error, or all, as it is, without a stream
            return
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            self.ended = True
            return
        try:
            chunk = json.loads(data)
            if "\\ud" in data or "\\uD" in data:
                chunk = whole_characters(chunk)
        except (ValueError, RecursionError):
            raise _WireError(f"sent {data[:60]!r}, which is not JSON") from None
        if not isinstance(chunk, dict):
            raise _WireError(f"sent {data[:60]!r}, which is no chunk of a completion")
        if chunk.get("error"):
            raise _WireError(message_of(chunk), told=True)
        try:
            for event in self._chunk(chunk):
                self.assembly.add(event)
                yield event
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError):
            raise _WireError(f"sent {data[:60]!r}, which is no chunk of a completion") from None

    def _chunk(self, chunk: Mapping[str, Any]) -> Iterator[Event]:
        self._count(chunk.get("usage"))
        for choice in chunk.get("choices") or ():
            self._count(choice.get("usage"))  # where Moonshot has it
            ended_by = choice.get("stop_reason") or choice.get("matched_stop")  # vLLM; SGLang
            self.stop = ended_by if ended_by in self._stops else self.stop
            delta = choice.get("delta") or choice.get("message") or {}  # the latter of an endpoint that never streams
            if thought := _text(delta.get("reasoning_content") or delta.get("reasoning")):
                self._thoughts += 1
                yield Thinking(thought)
            text, reason = _text(delta.get("content")), choice.get("finish_reason")
            if tokens := tuple(map(_scored, (choice.get("logprobs") or {}).get("content") or ())):
                if reason and reason not in _CUT and not text.encode().endswith(tokens[-1].text):
                    tokens = tokens[:-1]  # the mark of the end, which vLLM lists and does not say
                yield Scored(tokens)
            if text:
                yield Text(text)
            for part in delta.get("tool_calls") or ():
                yield from self._call_part(part)
            self.finish = reason or self.finish

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        if not usage:
            return
        prompt, output = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
        cached = prompt.get("cached_tokens") or usage.get("cached_tokens")  # vLLM, OpenAI; Moonshot
        self._took = (
            _tokens(usage.get("prompt_tokens")),
            _tokens(cached or usage.get("prompt_cache_hit_tokens")),  # DeepSeek
            _tokens(usage.get("completion_tokens")),
            _tokens(output.get("reasoning_tokens")),
        )

    def _call_part(self, part: Mapping[str, Any]) -> Iterator[Event]:
        function = part.get("function") or {}
        number = None if part.get("index") is None else int(part["index"])
        if self._begins(number, part.get("id"), function.get("name")):
            yield from self.close_call()
            id, name = str(part.get("id") or f"call_{self._calls}"), _text(function["name"])
            self._open = (self._calls if number is None else number, id, name, [])
            self._calls += 1
            yield CallStart(self._calls - 1, id, name)
        assert self._open is not None
        if text := _text(function.get("arguments")):
            self._open[3].append(text)
            yield CallArguments(self._calls - 1, text)

    def _begins(self, number: int | None, id: Any, name: Any) -> bool:
        """Whether this part is of a further call. Some engines number none, some give all of them one number."""
        if self._open is None or number not in (None, self._open[0]):
            return True
        same = str(id) == self._open[1] if id else number is not None
        return bool(name) and not same

    def close_call(self) -> Iterator[Event]:
        """The end of the call that is being read, if there is one."""
        if self._open is not None:
            _, id, name, arguments = self._open
            self._open = None
            yield CallEnd(self._calls - 1, ToolCall(id, name, "".join(arguments)))


def _text(value: Any) -> str:
    """Of a field that may be left out. Raises TypeError for what is no text."""
    if value and not isinstance(value, str):
        raise TypeError
    return value or ""


def _tokens(value: Any) -> int:
    """A count that may be left out. Raises ValueError, TypeError, OverflowError for what is none."""
    if not 0 <= (count := int(value or 0)) < _MOST_TOKENS:
        raise ValueError
    return count


def _scored(token: Mapping[str, Any]) -> ScoredToken:
    def piece(one: Mapping[str, Any]) -> tuple[bytes, float]:
        raw = one.get("bytes")
        logprob = min(max(-9999.0, float(one["logprob"])), 0.0)  # infinities and NaN are no JSON
        return (bytes(raw) if raw is not None else str(one["token"]).encode()), logprob

    return ScoredToken(*piece(token), tuple(piece(one) for one in token.get("top_logprobs") or ()))


def _request(
    model: str, messages: Sequence[Message], tools: Sequence[ToolSpec], options: ReplyOptions
) -> dict[str, Any]:
    """Body of a chat-completions request; what is not wished for is not sent."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [to_openai(message) for message in messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if tools:
        body["tools"] = [tool_to_openai(spec) for spec in tools]
        if options.tool_choice in ("none", "required"):
            body["tool_choice"] = options.tool_choice
        elif options.tool_choice != "auto":
            body["tool_choice"] = {"type": "function", "function": {"name": options.tool_choice}}
        if not options.parallel_calls:
            body["parallel_tool_calls"] = False
    for name in ("max_tokens", "temperature", "top_p", "top_k", "seed"):
        if (value := getattr(options, name)) is not None:
            body[name] = value
    for name in ("presence_penalty", "frequency_penalty"):
        if value := getattr(options, name):
            body[name] = value
    if options.logit_bias:
        body["logit_bias"] = {str(id): bias for id, bias in options.logit_bias.items()}
    if options.stop:
        body["stop"] = list(options.stop)
    if options.logprobs:
        body |= {"logprobs": True, "top_logprobs": options.top_logprobs}
    if options.answer_schema is not None:
        wanted = {"name": "answer", "schema": dict(options.answer_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    if not options.thinking:
        body["chat_template_kwargs"] = {"thinking": False}  # as vLLM and SGLang take it
    return body


def _reason(error: Exception) -> str:
    """A failure of the line in words."""
    if isinstance(error, NewConnectionError | NameResolutionError):
        return f"cannot connect ({error.__cause__ or error}); is the server running?"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ProtocolError) and isinstance(error.args[-1], http.client.IncompleteRead):
        return "the connection was closed within the answer"
    cause = error.args[-1] if isinstance(error, ProtocolError) else error
    return one_line(str(cause)) or type(cause).__name__
