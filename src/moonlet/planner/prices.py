"""Dated prices of other people's models and of subscriptions; newer ones are laid over those of the package.

`update` reads two public formats: LiteLLM's model_prices_and_context_window.json (USD per token) and models.dev's
api.json (USD per million tokens), told apart by their shape.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx

from moonlet.model.folder import default_path

from .money import MILLION, Money, TokenPrice

STALE_DAYS = 120  # prices fall by a half within about a year; after a third of one they are marked
_MOST_BYTES = 64 << 20
_PROVIDERS = {"moonshot": "moonshotai", "gemini": "google", "vertex_ai": "google-vertex", "together_ai": "togetherai",
              "fireworks_ai": "fireworks-ai", "novita": "novita-ai", "dashscope": "alibaba"}  # fmt: skip


class PriceError(Exception):
    """No such price, or a file that holds none."""


@dataclass(frozen=True, slots=True)
class ModelPrice:
    name: str  # provider/model
    price: TokenPrice
    source: str
    dated: date

    def age_days(self, today: date) -> int:
        return (today - self.dated).days


@dataclass(frozen=True, slots=True)
class SeatPrice:
    name: str
    title: str
    month: Money
    caps: str  # what it does not allow
    source: str
    dated: date

    def age_days(self, today: date) -> int:
        return (today - self.dated).days


def stale(price: ModelPrice | SeatPrice, today: date) -> str:
    """A mark for what is old: "214 days old"; empty for what is not."""
    age = price.age_days(today)
    return f"{age} days old" if age > STALE_DAYS else ""


@cache
def _packaged() -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "prices.toml").read_text(encoding="utf-8"))


def model_prices() -> dict[str, ModelPrice]:
    """All by name; updated ones replace those of the package."""
    data = _packaged()
    found = {
        name: ModelPrice(
            name, _token_price(entry), entry.get("source", data["source"]), entry.get("date", data["date"])
        )
        for name, entry in data["model"].items()
    }
    return found | _updated()


def seat_prices() -> dict[str, SeatPrice]:
    return {
        name: SeatPrice(
            name, entry["title"], Money(Decimal(entry["month"])), entry["caps"], entry["source"], entry["date"]
        )
        for name, entry in _packaged()["seat"].items()
    }


def _token_price(entry: Mapping[str, Any]) -> TokenPrice:
    prompt, output = Decimal(entry["prompt"]), Decimal(entry["output"])
    return TokenPrice(Money(prompt), Money(Decimal(entry.get("cached", prompt))), Money(output))


def find_price(name: str) -> ModelPrice | SeatPrice:
    """By whole name, or by its last part where that is unambiguous (the publisher's own price wins). PriceError."""
    models, seats = model_prices(), seat_prices()
    if name in models:
        return models[name]
    if name in seats:
        return seats[name]
    same = [price for key, price in models.items() if key.rsplit("/", 1)[-1] == name.rsplit("/", 1)[-1].lower()]
    if same:
        return min(same, key=lambda price: (price.name.split("/")[0] not in _PUBLISHERS, price.name))
    raise PriceError(f"no price of {name[:60]!r}; `moonlet prices` lists {len(models)} models and {len(seats)} seats")


_PUBLISHERS = {"moonshotai", "deepseek", "zai", "minimax", "anthropic", "openai", "google", "xai", "mistral", "alibaba"}


# ---- newer ones -----------------------------------------------------------------------------------------------------


def updates_path() -> Path:
    return default_path("").parent / "prices.json"


def update(source: str, today: date) -> int:
    """Takes all prices of a file or URL; returns how many. PriceError when it holds none, nothing is changed then."""
    found = parse(_load(source), source, today)
    if not found:
        raise PriceError(f"{source}: holds no prices in LiteLLM's or models.dev's format")
    merged = _updated() | found
    raw = {
        price.name: {
            "prompt": str(price.price.prompt.amount), "cached": str(price.price.cached.amount),
            "output": str(price.price.output.amount), "source": price.source, "date": price.dated.isoformat(),
        }
        for price in merged.values()
    }  # fmt: skip
    path = updates_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)
    return len(found)


def _updated() -> dict[str, ModelPrice]:
    try:
        raw = json.loads(updates_path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise PriceError(
            f"{updates_path()}: not readable ({error}); remove it, or run `moonlet prices update`"
        ) from None
    try:
        return {
            name: ModelPrice(name, _token_price(entry), str(entry["source"]), date.fromisoformat(entry["date"]))
            for name, entry in raw.items()
        }
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation):
        raise PriceError(f"{updates_path()}: is not what was written there; remove it") from None


def _load(source: str) -> object:
    try:
        if source.startswith(("https://", "http://")):
            with httpx.stream("GET", source, follow_redirects=True, timeout=30) as answer:
                if answer.status_code != 200:
                    raise PriceError(f"{source}: answered {answer.status_code}")
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > _MOST_BYTES:
                        raise PriceError(f"{source}: more than {_MOST_BYTES >> 20} MB, which no price list has")
            return json.loads(bytes(body), parse_float=Decimal)
        return json.loads(Path(source).expanduser().read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise PriceError(f"{source}: {error.strerror or error}") from None
    except httpx.HTTPError as error:
        raise PriceError(f"{source}: cannot be fetched ({error or type(error).__name__})") from None
    except (ValueError, RecursionError) as error:
        raise PriceError(f"{source}: not readable as JSON ({error})") from None


def parse(raw: object, source: str, today: date) -> dict[str, ModelPrice]:
    """Prices of either format; entries without a price for prompt and output are left out."""
    found: dict[str, ModelPrice] = {}
    if not isinstance(raw, dict):
        return found
    # LiteLLM names regions within keys, azure/eu/gpt-5: of those that are the same without, the shortest key's holds.
    for key, entry in sorted(raw.items(), key=lambda item: len(item[0])):
        if not isinstance(entry, dict):
            continue
        if isinstance(entry.get("models"), dict):  # models.dev: provider -> models
            for name, model in entry["models"].items():
                cost = model.get("cost") if isinstance(model, dict) else None
                if isinstance(cost, dict):
                    _add(found, f"{key}/{name}", cost, ("input", "cache_read", "output"), Decimal(1), source, today)
        elif entry.get("mode", "chat") in ("chat", "responses", "completion"):  # LiteLLM: model -> price of a token
            provider = str(entry.get("litellm_provider", ""))
            name = str(key).rsplit("/", 1)[-1]
            full = f"{_PROVIDERS.get(provider, provider)}/{name}" if provider else str(key)
            fields = ("input_cost_per_token", "cache_read_input_token_cost", "output_cost_per_token")
            _add(found, full, entry, fields, MILLION, source, today)
    return found


def _add(
    found: dict[str, ModelPrice], name: str, entry: Mapping[str, Any], fields: tuple[str, str, str], scale: Decimal,
    source: str, today: date,
) -> None:  # fmt: skip
    prompt, cached, output = (_amount(entry.get(field)) for field in fields)
    if prompt is None or output is None:
        return
    name = name.lower()
    amounts = [amount * scale for amount in (prompt, prompt if cached is None else cached, output)]
    price = TokenPrice(*(Money(amount.normalize()) for amount in amounts))
    found.setdefault(name, ModelPrice(name, price, source, today))


def _amount(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    amount = Decimal(value)
    return amount if amount.is_finite() and 0 <= amount < 1_000_000 else None
