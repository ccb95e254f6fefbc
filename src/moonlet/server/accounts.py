"""What each request is allowed and what it took: in the books, and in the metrics."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from moonlet.chat.messages import CallArguments, CallStart, Message, Text, Thinking, to_openai
from moonlet.ledger.books import Answered, Books, Entry, OverLimitError, State, Took
from moonlet.ledger.keys import Key, KeyEndedError, Limits, Priority
from moonlet.ledger.quota import most_output
from moonlet.llm import LLM, Done, Event, LLMError, Plain, ReplyOptions, Served, Usage
from moonlet.local import MAX_TOKENS
from moonlet.server.errors import ApiError
from moonlet.server.metrics import Family, Metrics, counter, gauge

if TYPE_CHECKING:
    from moonlet.server.replies import Asked


class Accounts:
    """Opens an account for each request."""

    def __init__(self, models: Sequence[LLM], metrics: Metrics, books: Books | None) -> None:
        self._models = {model.name: model for model in models}
        self._metrics, self._books = metrics, books
        self._under_way: dict[int, Account] = {}  # by id(), oldest first

    def under_way(self) -> list[Account]:
        """Those that are open, in the order in which they were admitted."""
        return list(self._under_way.values())

    def open(self, key: Key | None, api: str, asked: Asked) -> Account:
        """Raises ApiError 429 if the key's limits do not allow it, 401 if the key has ended since; LLMError if its
        prompt cannot be counted."""
        books, options = self._books, asked.options
        if key is not None:
            late = "batch" in (key.priority, options.priority)  # a request may wait where its key need not
            priority: Priority = "batch" if late else "interactive"
            options = replace(options, owner=key.id, weight=key.weight, priority=priority)
        if books is None:
            return self._opened(Account(None, options, self._metrics, None, key, api))
        replies, prompt_tokens = max(len(asked.prompts), 1) * asked.count, 0
        if key is not None and key.limits != Limits():
            prompt_tokens = self._count(asked) * asked.count
            if options.max_tokens is None:  # the reply's limit is ours to choose: one that can be had
                most = most_output(key.limits, books.most_price, prompt_tokens, replies * MAX_TOKENS)
                options = replace(options, max_tokens=max(most // replies, 1))
        output_tokens = replies * (options.max_tokens or MAX_TOKENS)
        words = _words(asked) if books.keep_prompts else None
        try:
            entry = books.admit(key, api, asked.model, prompt_tokens, output_tokens, words)
        except KeyEndedError as error:
            self._metrics.refused("key")
            raise ApiError(str(error), code="invalid_api_key", status=401) from None
        except OverLimitError as error:
            self._metrics.refused(error.refusal.limit)
            retry_s = error.refusal.retry_after_s
            raise ApiError(str(error), code="rate_limit_exceeded", status=429, retry_s=retry_s) from None
        return self._opened(Account(entry, options, self._metrics, books, key, api))

    def _opened(self, account: Account) -> Account:
        self._under_way[id(account)] = account
        account.closed = lambda: self._under_way.pop(id(account), None)
        return account

    def _count(self, asked: Asked) -> int:
        """Tokens of all prompts together, each once."""
        model = self._models[asked.model]
        if not isinstance(model, Plain):
            # A model elsewhere counts for itself; what it counted is charged when the reply is over.
            return len(_words(asked)) // 4
        if not asked.prompts:
            return model.count(asked.messages, asked.tools, asked.options)
        # As a message a text takes a few tokens more than alone.
        return sum(len(p) if isinstance(p, tuple) else model.count([Message("user", p)]) for p in asked.prompts)


class Account:
    """One request, from its admission to its end."""

    def __init__(
        self,
        entry: Entry | None,
        options: ReplyOptions,
        metrics: Metrics,
        books: Books | None,
        key: Key | None,
        api: str,
    ) -> None:
        self.options = options  # as they are allowed
        self.key, self.api, self.since = key, api, time.time()
        self.closed: Callable[[], object] = lambda: None  # called when it is
        self._entry, self._metrics, self._books = entry, metrics, books
        self._lock = threading.Lock()
        self._began = time.perf_counter()
        self._pieces = 0  # events of a reply that may never say how many tokens it had
        self._finishes: list[str] = []
        self._served: Served | None = None  # the last, of several replies
        self._nano_usd: int | None = None  # of those that are over, at the prices of their engines
        metrics.waits()

    @property
    def pieces(self) -> int:
        """Events that have come so far, about one for each token; 0: it waits, or its prompt is read."""
        return self._pieces

    def see(self, event: Event) -> None:
        """An event of the reply passes."""
        if isinstance(event, Served):
            self._served = event
        elif isinstance(event, Done):
            self._finishes.append(event.finish)
            self._charge(event.usage, event.served)
        elif isinstance(event, Text | Thinking | CallStart | CallArguments):
            with self._lock:
                self._pieces += 1
                first = self._pieces == 1
            if first:
                self._metrics.first_token(time.perf_counter() - self._began)

    def failed(self, error: LLMError) -> None:
        """One of its replies fails. What that took is charged, whatever it was worth: at each engine at its price."""
        for served, took in error.tries:
            self._charge(took, served)

    def _charge(self, took: Usage, served: Served | None) -> None:
        """What one of its replies took, at the price of the engine that was asked; without one the tokens decide."""
        if served is None or self._books is None:
            return
        self._served = served  # also of a reply that never came to say so: it was left, or failed, before it began
        if (price := served.price or self._books.price) is not None:
            cost = price.nano_usd(took.prompt_tokens, took.cached_tokens, took.output_tokens)
            with self._lock:
                self._nano_usd = (self._nano_usd or 0) + cost

    def close(self, usage: Usage | None, error: Exception | None = None, left: bool = False) -> None:
        """The request is over. `usage`: None if the reply never came to say it; `left`: its client was gone."""
        self.closed()
        state: State = "error" if error else "cancelled" if left or "cancelled" in self._finishes else "done"
        known = usage or Usage(output_tokens=self._pieces)
        seconds = time.perf_counter() - self._began
        self._metrics.ended(state, self._pieces > 0, seconds, known, self._finishes)
        if self._books and self._entry:
            by = self._served
            answered = Answered(by.engine, by.overflow, by.price, self._nano_usd) if by else None
            closed = self._books.settle(self._entry, state, _took(known), str(error) if error else None, answered)
            self._metrics.energy(closed.joules, closed.joules_from)


def _took(usage: Usage) -> Took:
    return Took(
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        thinking_tokens=usage.thinking_tokens,
        queue_s=usage.queue_s,
        prefill_s=usage.prefill_s,
        decode_s=usage.decode_s,
        expert_hits=usage.expert_hits,
        expert_reads=usage.expert_reads,
        bytes_read=usage.bytes_read,
    )


def books_families(books: Books | None) -> list[Family]:
    """How the ledger itself is."""
    if books is None:
        return []
    return [
        gauge("ledger_rows_waiting", "Rows kept in memory because the ledger cannot be written.", books.waiting),
        counter("ledger_failures", "Attempts to write the ledger that failed.", {(): books.failures}),
        counter("ledger_rows_given_up", "Rows that could not be kept at all.", {(): books.given_up}),
    ]


def _words(asked: Asked) -> str:
    prompts = [list(prompt) if isinstance(prompt, tuple) else prompt for prompt in asked.prompts]
    words = json.dumps(prompts or [to_openai(message) for message in asked.messages], ensure_ascii=False)
    return words.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair is none that can be stored
