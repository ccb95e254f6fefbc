"""What Prometheus reads at /metrics: gauges, counters and histograms of this server's life, in the text format 0.0.4.

Names begin with `moonlet_`. Those that mean exactly what vLLM's of the same ending mean are given a second time as
`vllm:...`, so that dashboards made for vLLM show this server too.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from moonlet.llm import Usage

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640)
_LONG = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
_TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5)
_TOKEN_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)

Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]  # ending of the name, labels, value


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with its samples."""

    name: str  # without a prefix
    kind: str  # counter, gauge or histogram
    told: str
    samples: Sequence[Sample]
    also_vllm: bool = False


@dataclass(slots=True)
class Histogram:
    """Counts of what was seen, by upper bounds."""

    bounds: Sequence[float]
    counts: list[int] = field(default_factory=list)  # of each bound alone, and of what lies above all
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def see(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def samples(self) -> Iterator[Sample]:
        below = 0
        for bound, count in zip([*map(_number, self.bounds), "+Inf"], self.counts):
            below += count
            yield "_bucket", (("le", bound),), below
        yield "_sum", (), self.total
        yield "_count", (), below


class Metrics:
    """Counts as requests come and go. Safe to use from any thread."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._waiting = self._running = 0
        self._counts: dict[str, float] = {}
        self._finished: dict[str, int] = {state: 0 for state in ("done", "cancelled", "error")}
        self._refused: dict[str, int] = {}
        self._joules: dict[str, float] = {}
        self._reasons: dict[str, int] = {}
        self._histograms = {
            "time_to_first_token_seconds": Histogram(_SECONDS),
            "time_per_output_token_seconds": Histogram(_TOKEN_S),
            "request_time_per_output_token_seconds": Histogram(_TOKEN_S),
            "inter_token_latency_seconds": Histogram(_TOKEN_S),
            "e2e_request_latency_seconds": Histogram(_LONG),
            "request_queue_time_seconds": Histogram(_LONG),
            "request_prefill_time_seconds": Histogram(_LONG),
            "request_decode_time_seconds": Histogram(_LONG),
            "request_prompt_tokens": Histogram(_TOKENS),
            "request_generation_tokens": Histogram(_TOKENS),
        }

    def waits(self) -> None:
        """A request was admitted."""
        with self._lock:
            self._waiting += 1

    def first_token(self, seconds: float) -> None:
        """Its first token came, so long after it was admitted."""
        with self._lock:
            self._waiting -= 1
            self._running += 1
            self._histograms["time_to_first_token_seconds"].see(seconds)

    def ended(self, state: str, answered: bool, seconds: float, usage: Usage, finishes: Sequence[str] = ()) -> None:
        """It is over: whether a first token had come, how long it took, and what."""
        with self._lock:
            if answered:
                self._running -= 1
            else:
                self._waiting -= 1
            self._finished[state] += 1
            for reason in finishes:
                self._reasons[reason] = self._reasons.get(reason, 0) + 1
            self._see(seconds, usage)

    def energy(self, joules: float | None, origin: str | None) -> None:
        """What a request took, and how that is known."""
        if joules is not None and origin is not None:
            with self._lock:
                self._joules[origin] = self._joules.get(origin, 0.0) + joules

    def refused(self, why: str) -> None:
        """A request was not admitted: a key (401), a scope (403) or a limit (429)."""
        with self._lock:
            self._refused[why] = self._refused.get(why, 0) + 1

    def _see(self, seconds: float, usage: Usage) -> None:
        see = self._histograms
        see["e2e_request_latency_seconds"].see(seconds)
        if not usage.prompt_tokens:
            return  # nothing is known of it
        for name, value in (
            ("request_queue_time_seconds", usage.queue_s),
            ("request_prefill_time_seconds", usage.prefill_s),
            ("request_decode_time_seconds", usage.decode_s),
            ("request_prompt_tokens", usage.prompt_tokens),
            ("request_generation_tokens", usage.output_tokens),
        ):
            if value is not None:
                see[name].see(value)
        if usage.decode_tokens and usage.decode_s:
            each = usage.decode_s / usage.decode_tokens
            see["time_per_output_token_seconds"].see(each)
            see["request_time_per_output_token_seconds"].see(each)
            see["inter_token_latency_seconds"].see(each, usage.decode_tokens)
        for name, count in (
            ("prompt_tokens", usage.prompt_tokens),
            ("generation_tokens", usage.output_tokens),
            ("prefix_cache_queries", usage.prompt_tokens),
            ("prefix_cache_hits", usage.cached_tokens),
            ("expert_hits", usage.expert_hits or 0),
            ("expert_reads", usage.expert_reads or 0),
            ("bytes_read", usage.bytes_read or 0),
        ):
            self._counts[name] = self._counts.get(name, 0) + count

    def text(self, extra: Sequence[Family] = ()) -> str:
        """The whole page; `extra` are families that somebody else counts."""
        with self._lock:
            families = [*self._families(), *extra]
        lines: list[str] = []
        for family in families:
            lines += _lines(f"moonlet_{family.name}", family, (("model_name", self._model),))
            if family.also_vllm:
                lines += _lines(f"vllm:{family.name}", family, (("model_name", self._model),))
        return "\n".join(lines) + "\n"

    def _families(self) -> Iterator[Family]:
        yield gauge("num_requests_running", "Requests whose first token has come.", self._running, also_vllm=True)
        yield gauge("num_requests_waiting", "Admitted requests without a first token.", self._waiting, also_vllm=True)
        for name, told in _COUNTED.items():
            yield counter(name, told, {(): self._counts.get(name, 0)}, also_vllm=True)
        asked, hit = (self._counts.get(f"prefix_cache_{name}", 0) for name in ("queries", "hits"))
        yield gauge(
            "prefix_cache_hit_ratio", "Share of all prompt tokens found in the cache.", hit / asked if asked else 0
        )
        for name, told in _READ.items():
            yield counter(name, told, {(): self._counts.get(name, 0)})
        joules = _by("origin", self._joules)
        yield counter("energy_joules", "Energy of requests, by how it is known.", joules)
        reasons = _by("finished_reason", self._reasons)
        yield counter("request_success", "Replies by the reason of their end.", reasons, also_vllm=True)
        states = _by("state", self._finished)
        yield counter("requests", "Requests by how they ended.", states)
        refused = _by("reason", self._refused)
        yield counter("requests_refused", "Requests that were not admitted.", refused)
        for name, told in _SEEN.items():
            yield Family(name, "histogram", told, [*self._histograms[name].samples()], also_vllm=True)


_COUNTED: Mapping[str, str] = {
    "prompt_tokens": "Tokens of prompts.",
    "generation_tokens": "Tokens written.",
    "prefix_cache_queries": "Tokens of prompts that were looked for in the cache.",
    "prefix_cache_hits": "Of those, found.",
}
_READ: Mapping[str, str] = {
    "expert_hits": "Experts that were in memory when they were needed.",
    "expert_reads": "Experts that had to be read.",
    "bytes_read": "Bytes of experts that were read.",
}
_SEEN: Mapping[str, str] = {
    "time_to_first_token_seconds": "From admission to the first token.",
    "time_per_output_token_seconds": "Of each token after the first, a request's mean.",
    "request_time_per_output_token_seconds": "The same, by the name that vLLM has for it now.",
    "inter_token_latency_seconds": "A request's mean once more, counted for each of its tokens.",
    "e2e_request_latency_seconds": "From admission to the end.",
    "request_queue_time_seconds": "In the queue.",
    "request_prefill_time_seconds": "Reading the prompt.",
    "request_decode_time_seconds": "Writing.",
    "request_prompt_tokens": "Tokens of a prompt.",
    "request_generation_tokens": "Tokens of a reply.",
}


def gauge(name: str, told: str, value: float, also_vllm: bool = False) -> Family:
    """A value that goes up and down."""
    return Family(name, "gauge", told, [("", (), value)], also_vllm)


def counter(name: str, told: str, values: Mapping[Labels, float], also_vllm: bool = False) -> Family:
    """A value, or one for each label, that only goes up."""
    return Family(name, "counter", told, [("_total", labels, value) for labels, value in values.items()], also_vllm)


def _by(label: str, values: Mapping[str, float]) -> dict[Labels, float]:
    return {((label, text),): value for text, value in values.items()}


def _lines(name: str, family: Family, common: Labels) -> Iterator[str]:
    ending = "_total" if family.kind == "counter" else ""
    yield f"# HELP {name}{ending} {family.told}"
    yield f"# TYPE {name}{ending} {family.kind}"
    for suffix, labels, value in family.samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in (*common, *labels))
        yield f"{name}{suffix}{{{shown}}} {_number(value)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
