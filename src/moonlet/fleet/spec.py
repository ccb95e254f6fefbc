"""One engine as its owner writes it down: a URL, and what is to be known of it.

http://gpu1:8000/v1
https://api.moonshot.ai/v1,model=kimi-k2-thinking,key=MOONSHOT_API_KEY,price=0.60/0.15/2.50,overflow=50
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from moonlet.ledger.keys import NANO
from moonlet.ledger.money import Price, PriceError

_WORDS = ("model", "name", "key", "price", "slots", "overflow", "as")


class SpecError(Exception):
    """An engine is not written down in a way that can be used; one line says why."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """An engine that answers at a URL."""

    url: str
    name: str  # in the books, in headers and metrics
    model: str | None = None  # as the engine calls it; None: the first that it lists
    key: str | None = None  # the environment variable that holds its key
    price: Price | None = None  # of its tokens; None: the server's
    slots: int | None = None  # from so many requests at once on it counts as busy
    serves: str | None = None  # the model, as clients know it; None: the one that is served first
    overflow_nano_usd: int | None = None  # only when the others are busy or away, up to so much a month

    @property
    def overflow(self) -> bool:
        """Whether it is rented for what the others cannot take."""
        return self.overflow_nano_usd is not None


def read_specs(texts: Sequence[str], beside: Sequence[EngineSpec] = ()) -> list[EngineSpec]:
    """The engines, and those `beside` them, at least one of which is there for every day. Raises SpecError."""
    specs = [*beside, *map(read_spec, texts)]
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise SpecError(f"two engines are called {name}: give them names, like {specs[0].url},name=one")
    for serves, those in by_model(specs).items():
        if all(spec.overflow for spec in those):
            of = f" of {serves}" if serves else ""
            raise SpecError(f"all engines{of} are for overflow; one must be there to flow over")
    return specs


def by_model(specs: Sequence[EngineSpec]) -> dict[str | None, list[EngineSpec]]:
    """The engines of each model that clients know by a name of its own; None: of the one that is served first."""
    found: dict[str | None, list[EngineSpec]] = {}
    for spec in specs:
        found.setdefault(spec.serves, []).append(spec)
    return found


def read_spec(text: str) -> EngineSpec:
    """One engine. Raises SpecError."""
    url, *parts = text.split(",")
    given: dict[str, str] = {}
    for part in parts:
        word, equals, value = part.partition("=")
        if word not in _WORDS or not equals or not value:
            raise SpecError(f"{url}: {part!r} is none of {', '.join(f'{word}=' for word in _WORDS)}")
        if word in given:
            raise SpecError(f"{url}: {word} is given twice")
        given[word] = value
    url, host = _url(url)
    try:
        price = Price.read(given["price"]) if "price" in given else None
    except PriceError as error:
        raise SpecError(f"{url}: {error}") from None
    overflow = _dollars(url, given["overflow"]) if "overflow" in given else None
    if overflow is not None and price is None:
        raise SpecError(f"{url}: a limit of money needs price=PROMPT/CACHED/OUTPUT")
    slots = given.get("slots")
    if slots is not None and not (slots.isdecimal() and 0 < int(slots[:9]) <= 1_000_000):
        raise SpecError(f"{url}: slots={slots} must be a whole number of requests")
    return EngineSpec(
        url=url,
        name=given.get("name", host),
        model=given.get("model"),
        key=given.get("key"),
        price=price,
        slots=None if slots is None else int(slots),
        serves=given.get("as"),
        overflow_nano_usd=overflow,
    )


def _url(text: str) -> tuple[str, str]:
    """The URL up to and with /v1, and its host with the port."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise SpecError(f"{text}: not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SpecError(f"{text}: an engine is a URL like http://127.0.0.1:8001/v1")
    if parts.username is not None or parts.password is not None:
        raise SpecError(f"{parts.hostname}: a key does not belong into a URL; name its variable with key=NAME")
    if parts.query or parts.fragment:
        raise SpecError(f"{text}: a URL ends before /chat/completions")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}", parts.netloc


def _dollars(url: str, text: str) -> int:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not (amount.is_finite() and 0 < amount <= 1_000_000):
        raise SpecError(f"{url}: overflow={text} must be dollars a month")
    return int(amount * NANO)
