"""How long prompts and tokens take: counted in bytes and operations, part by part, where `fit` has placed them.

A step computes T tokens of S sequences: each weight of the dense parts is read once, each expert that any token chose
is read once, each token attends over its own cache. What one machine takes for a weight and a token is a `Rates`:
measured with our kernels, or a share of the peaks of a data sheet. The shares are assumptions, stated with their range
in `SHARES`; evaluating the range gives the error bars. `docs/plan-evidence.md` compares with published measurements.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from moonlet.model.config import ModelConfig

from .fit import Fit, Place
from .rates import MeasuredRates, Rates, Roofline
from .routing import Popularity, zipf
from .said import Said

CARD_STEP_TOKENS = 8192  # engines for cards take larger chunks


@dataclass(frozen=True, slots=True)
class Share:
    """What an engine reaches of a peak: low, usual, high."""

    low: float
    usual: float
    high: float

    def at(self, mood: int) -> float:
        return (self.low, self.usual, self.high)[mood + 1]


# Shares of data-sheet peaks. Usual values lie in the middle of the published field measurements of plan-evidence.md.
SHARES = {
    "processor, bandwidth": Share(0.30, 0.48, 0.68),
    "processor, operations": Share(0.08, 0.16, 0.30),
    "unified, bandwidth": Share(0.36, 0.50, 0.66),
    "unified, operations": Share(0.14, 0.25, 0.38),
    "cards, bandwidth": Share(0.38, 0.55, 0.70),
    "cards, operations": Share(0.14, 0.28, 0.45),
    "disk": Share(0.50, 0.75, 0.92),
}
# Seconds in every layer of every step that neither bytes nor operations explain: launches, waits between devices.
LAYER_S = {
    "processor": Share(150e-6, 60e-6, 25e-6),
    "one card": Share(120e-6, 60e-6, 30e-6),
    "cards and processor": Share(400e-6, 200e-6, 100e-6),  # each layer goes to the processor and back
    "cards that share layers": Share(190e-6, 140e-6, 90e-6),  # two reductions over all cards
}
# Of a measured machine: how far our own predictions lie from our own measurements.
MEASURED_SPREAD = Share(1.15, 1.0, 0.87)


@dataclass(frozen=True, slots=True)
class Bars:
    """A number with its range, low <= value <= high."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        assert 0 <= self.low <= self.value <= self.high, (self.low, self.value, self.high)

    def scaled(self, factor: float) -> Bars:
        return Bars(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Load:
    """What is computed: sequences that write at the same time, each with so long a context behind it."""

    sequences: int = 1
    context: int = 4096

    def __post_init__(self) -> None:
        if self.sequences < 1 or self.context < 0:
            raise ValueError(f"sequences must be at least 1 and context at least 0, got {self}")


@dataclass(frozen=True, slots=True)
class Step:
    """One step's seconds and bytes. `seconds` is the sum of the parts; reading from disk hides behind computing."""

    parts: dict[str, float]  # seconds
    read_bytes: dict[Place, float]
    distinct: float  # different experts met in each layer
    hit_rate: float  # of the experts, found in memory (1 when none is on disk)

    @property
    def seconds(self) -> float:
        return sum(self.parts.values())

    @property
    def read_once(self) -> float:
        """Bytes that are read; what comes from disk is read again, from memory, and counts once."""
        return sum(bytes_ for place, bytes_ in self.read_bytes.items() if place != "disk")


@dataclass(frozen=True, slots=True)
class Correction:
    """Measured over predicted seconds on this machine, as `moonlet bench` found them."""

    decode: float = 1.0
    prefill: float = 1.0


NONE = Correction()


@dataclass(frozen=True, slots=True)
class Speed:
    """The speeds of a model on a machine. `step` is a predictor: decode and prefill are asked of it."""

    fit: Fit
    popularity: Popularity
    correction: Correction = NONE
    decode_memo: dict[tuple[int, int], Bars] = field(default_factory=dict, compare=False)
    placed_memo: dict[int, Speed | None] = field(default_factory=dict, compare=False)

    def placed_for(self, sequences: int) -> Speed | None:
        """The same placed with the caches of so many at a time, None if they do not fit. It stays as it is for no more
        than were asked for."""
        if sequences <= self.fit.wish.sequences:
            return self
        if sequences not in self.placed_memo:
            placed = self.fit.for_sequences(sequences)
            self.placed_memo[sequences] = Speed(placed, self.popularity, self.correction) if placed.fits else None
        return self.placed_memo[sequences]

    def decode(self, load: Load = Load()) -> Bars:
        """Tokens per second of all sequences together."""
        key = (load.sequences, load.context)
        if key not in self.decode_memo:
            self.decode_memo[key] = _rate(
                [
                    load.sequences / (self.step(load.sequences, load, mood).seconds * self.correction.decode)
                    for mood in _MOODS
                ]
            )
        return self.decode_memo[key]

    def each(self, load: Load) -> Bars:
        """Tokens per second that one of the sequences sees."""
        return self.decode(load).scaled(1 / load.sequences)

    def prefill(self, tokens: int, before: int = 0) -> Bars:
        """Tokens per second of a prompt of `tokens` after `before` that are cached already."""
        return _rate([tokens / self._prompt_s(tokens, before, mood) for mood in _MOODS])

    def first_token(self, tokens: int, before: int = 0) -> Bars:
        """Seconds until the first token of an idle machine's answer."""
        times = sorted(self._prompt_s(tokens, before, mood) for mood in _MOODS)
        return Bars(times[1], times[0], times[2])

    def served(self, load: Load, prompt: float, output: float) -> Bars:
        """Tokens written per second, all together, when every `output` tokens follow `prompt` that must be computed."""
        values = []
        for mood in _MOODS:
            writing = self.step(load.sequences, load, mood).seconds * self.correction.decode / load.sequences
            size = max(round(prompt), 1)
            reading = prompt / output * self._prompt_s(size, max(load.context - size, 0), mood) / size
            values.append(1 / (writing + reading))
        return _rate(values)

    def _prompt_s(self, tokens: int, before: int, mood: int) -> float:
        chunk = self.fit.step_tokens
        if self.fit.dense_place == "cards" and not self.fit.streams:
            chunk = CARD_STEP_TOKENS
        total, done = 0.0, 0
        whole, rest = divmod(tokens, chunk)
        for count, size in ((whole, chunk), (1 if rest else 0, rest)):
            if count:
                middle = before + done + (count * size) // 2
                total += count * self.step(size, Load(1, middle), mood).seconds
                done += count * size
        return total * self.correction.prefill

    def step(self, tokens: int, load: Load, mood: int = 0) -> Step:
        """One step of `tokens` tokens. mood: -1 pessimistic, 0 usual, 1 optimistic."""
        return _step(self.fit, self.popularity, tokens, load, mood)


_MOODS = (-1, 0, 1)


def _rate(values: list[float]) -> Bars:
    low, middle, high = sorted(values)
    return Bars(middle, low, high)


def speed(fit: Fit, popularity: Popularity | None = None, correction: Correction = NONE) -> Speed:
    """Speeds of a placed model; AssertionError if it does not fit."""
    assert fit.fits, fit.why
    config = fit.subject.config
    return Speed(fit, popularity or zipf(config.experts, config.experts_per_token), correction)


def _step(fit: Fit, popularity: Popularity, tokens: int, load: Load, mood: int) -> Step:
    subject, config = fit.subject, fit.subject.config
    rates = {place: _rates(fit, place, mood) for place in ("cards", "memory")}
    dense = rates["cards" if fit.dense_place == "cards" else "memory"]
    layers, sparse = config.layers, config.sparse_layers
    decoding = tokens <= load.sequences
    drawn = min(tokens, load.sequences) if decoding else 1  # rows of the head: only last tokens are drawn

    parts: dict[str, float] = {}
    read: dict[Place, float] = {"cards": 0.0, "memory": 0.0, "disk": 0.0}
    for part in subject.dense:
        if part.name == "embedding":
            continue
        count = drawn if part.name == "head" else tokens
        weights = float(part.active)  # a tied head has no parameters of its own
        parts[part.name] = dense.seconds(weights, float(part.bytes_per_weight), count)
        read[fit.dense_place] += weights * float(part.bytes_per_weight)

    distinct = popularity.distinct(tokens) if sparse else 0.0
    hit_rate = 1.0
    if sparse:
        meeting = tokens * config.experts_per_token / distinct  # tokens that one expert computes
        seconds, hit_rate = _experts(fit, popularity, rates, (distinct, meeting, tokens), mood, read)
        parts["experts"] = seconds
    numbers = tokens * load.context * layers * config.heads * (config.latent + config.rope)
    cache_bytes = (tokens if decoding else 1) * load.context * subject.cache_bytes_per_token
    parts["attention over the cache"] = _cache_seconds(fit, dense, numbers, 1 if decoding else tokens, cache_bytes)
    read[fit.dense_place] += cache_bytes
    parts["overhead"] = _overhead(fit, tokens, drawn, mood)
    return Step(parts, read, distinct, hit_rate)


def _experts(
    fit: Fit, popularity: Popularity, rates: dict[str, Rates], met: tuple[float, float, int], mood: int,
    read: dict[Place, float],
) -> tuple[float, float]:  # fmt: skip
    """Seconds of all sparse layers' routed experts, and the hit rate. Bytes go into `read`.

    met: different experts in a layer, tokens that each of them computes, tokens in all.
    """
    distinct, meeting, tokens = met
    subject, config = fit.subject, fit.subject.config
    part = subject.part("experts")
    weights = distinct * config.sparse_layers * part.parameters / (config.experts * config.sparse_layers)
    width = float(part.bytes_per_weight)
    on_cards, on_disk = fit.share("cards"), fit.share("disk")
    seconds = 0.0
    if on_cards:
        seconds += rates["cards"].seconds(weights * on_cards, width, meeting)
        read["cards"] += weights * on_cards * width
    rest = 1 - on_cards
    if rest <= 0:
        return seconds, 1.0
    computing = rates["memory"].seconds(weights * rest, width, meeting)
    hit_rate = 1.0
    if on_disk:
        held = 1 - on_disk / rest
        hit_rate = popularity.hit_rate(config.experts * held, tokens)
        missing = weights * rest * width * (1 - hit_rate)
        read["disk"] += missing
        reading = missing / (fit.machine.disk_read_bytes_s * _disk_share(fit, mood))
        computing = max(computing, reading)
    read["memory"] += weights * rest * width
    return seconds + computing, hit_rate


def _disk_share(fit: Fit, mood: int) -> float:
    # A measured disk was read as the engine reads it; a data sheet promises more than that.
    return (Share(0.85, 1.0, 1.1) if fit.machine.rates else SHARES["disk"]).at(mood)


def _cache_seconds(fit: Fit, rates: Rates, numbers: float, together: int, cache_bytes: float) -> float:
    computing = rates.attend(numbers, together)
    if isinstance(rates, Roofline):
        # The latent cache is read whole by every card that shares a layer: it cannot be split by heads.
        alone = rates.read_bytes_s / (fit.machine.cards.count if fit.tensor_parallel and fit.machine.cards else 1)
        return max(computing, cache_bytes / alone)
    return computing


def numbers(config: ModelConfig) -> int:
    """Numbers that stand for one token between the matrices of all layers: written, rounded, summed, read again."""
    attention = config.heads * (config.head + 2 * config.latent + config.rope + config.value) + 4 * config.width
    sparse = config.experts_per_token * 2 * (config.expert_width + config.width) + 2 * config.shared_width
    dense = 2 * config.dense_width
    return config.layers * attention + config.sparse_layers * sparse + config.dense_layers * dense


def _overhead(fit: Fit, tokens: int, drawn: int, mood: int) -> float:
    config = fit.subject.config
    measured = fit.machine.rates
    if measured and fit.dense_place == "memory":
        spread = MEASURED_SPREAD.at(mood)
        whole = config.layers * (measured.layer_s + tokens * measured.token_layer_s)
        whole += tokens * numbers(config) * measured.number_s
        return spread * (whole + measured.step_s + drawn * (measured.token_s + config.vocab * measured.logit_s))
    kind = "processor"
    if fit.dense_place == "cards":
        kind = "one card" if fit.share("cards") == 1 else "cards and processor"
        if fit.tensor_parallel:
            kind = "cards that share layers"
    return config.layers * LAYER_S[kind].at(mood)


@dataclass(frozen=True, slots=True)
class _Spread:
    """Measured rates, made a little slower or faster for the error bars."""

    rates: MeasuredRates
    factor: float

    def seconds(self, weights: float, bytes_per_weight: float, tokens: float) -> float:
        return self.factor * self.rates.seconds(weights, bytes_per_weight, tokens)

    def attend(self, numbers: float, tokens: float) -> float:
        return self.factor * self.rates.attend(numbers, tokens)


def _rates(fit: Fit, place: str, mood: int) -> Rates:
    machine = fit.machine
    if place == "memory":
        if machine.rates:
            return _Spread(machine.rates.for_model(fit.subject.stored_bytes), MEASURED_SPREAD.at(mood))
        kind = "unified" if machine.unified else "processor"
        return Roofline(
            machine.read_bytes_s * SHARES[f"{kind}, bandwidth"].at(mood),
            machine.ops * SHARES[f"{kind}, operations"].at(mood),
        )
    cards = machine.cards
    if cards is None:
        return Roofline(1.0, 1.0)  # nothing lies there
    together = cards.count if fit.tensor_parallel else 1
    return Roofline(
        cards.read_bytes_s * together * SHARES["cards, bandwidth"].at(mood),
        cards.flops * together * SHARES["cards, operations"].at(mood),
    )


def assumptions(speed: Speed) -> list[Said]:
    """Everything that the numbers rest on and that was not measured, as sentences."""
    fit, machine = speed.fit, speed.fit.machine
    said = []
    if machine.rates:
        told = "rates of this machine's kernels, memory and disk were measured; range -13 to +15 %"
        said.append(Said("measured_rates", told))
        if speed.correction != NONE:
            by = {"decode": speed.correction.decode, "prefill": speed.correction.prefill}
            told = f"seconds corrected by {by['decode']:.2f} (decode) and {by['prefill']:.2f} (prompts)"
            said.append(Said("corrected", f"{told}, from `moonlet bench`", **by))
    said += _shares(fit)
    said.append(speed.popularity.origin)
    told = "tokens of a batch choose their experts independently; every expert of a step is read once"
    said.append(Said("independent", told))
    if fit.streams:
        told = "streamed experts: a cache of the last used ones; reading hides behind computing or the reverse"
        said.append(Said("streamed", told))
    said += _engines(fit)
    if machine.estimates:
        told = f"estimated figures of the machine: {', '.join(machine.estimates)}"
        said.append(Said("estimates", told, figures=machine.estimates))
    said.append(Said("alone", "no speculative decoding; nothing else runs on the machine"))
    return said


def _shares(fit: Fit) -> list[Said]:
    """What of the peaks is taken to be reached, where it was not measured."""
    kinds = []
    if fit.dense_place == "cards":
        kinds.append("cards")
    if (fit.dense_place == "memory" or fit.share("memory") or fit.share("disk")) and not fit.machine.rates:
        kinds.append("unified" if fit.machine.unified else "processor")
    said = []
    for kind in kinds:
        band, ops = SHARES[f"{kind}, bandwidth"], SHARES[f"{kind}, operations"]
        told = (
            f"{kind}: {band.usual:.0%} of the peak bandwidth ({band.low:.0%} to {band.high:.0%}) and {ops.usual:.0%} "
            f"of the peak operations ({ops.low:.0%} to {ops.high:.0%}) are reached"
        )
        values = {"read": band.usual, "read_low": band.low, "read_high": band.high}
        values |= {"ops": ops.usual, "ops_low": ops.low, "ops_high": ops.high}
        said.append(Said(f"shares_{kind}", told, **values))
    return said


def _engines(fit: Fit) -> list[Said]:
    """Which engine that would be, where it is not ours on the processor."""
    if fit.dense_place == "cards":
        told = "on cards an engine like vLLM, SGLang or KTransformers runs; moonlet's own engine does not use cards"
        said = [Said("card_engine", told)]
        if fit.tensor_parallel:
            said.append(Said("cards_share", "cards share each layer and each holds the whole latent cache"))
        elif fit.machine.cards and fit.machine.cards.count > 1:
            said.append(Said("cards_turns", "cards take turns, layer by layer"))
        return said
    if fit.machine.unified:
        told = "the graphics part computes; moonlet's own engine uses the processor's cores"
        return [Said("graphics", told)]
    return []
