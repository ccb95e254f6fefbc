"""What the page says of the model and of whoever looks at it: api/about."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request

from moonlet.ledger.books import Books
from moonlet.llm import LLM
from moonlet.llm.loading import Loading
from moonlet.local import Local
from moonlet.model import anatomy
from moonlet.server.keys import Access, key_of


def loaded(model: LLM) -> LLM | None:
    """The model itself; None while it is on its way into memory."""
    if not isinstance(model, Loading):
        return model
    return model.loaded


def mount(app: FastAPI, model: LLM, books: Books | None, access: Access) -> None:
    """Adds api/about to the application."""

    @app.get("/api/about", include_in_schema=False)
    async def about(request: Request) -> dict[str, Any]:
        key = key_of(request)
        here = loaded(model)
        return {
            "model": model.name,
            "ready": here is not None,
            "keys": access.keys_needed,  # whether nobody comes in without
            "key": {"name": key.name, "owner": key.owner, "scopes": list(key.scopes)} if key else None,
            "price": _price(books),
            "anatomy": _anatomy(here) if isinstance(here, Local) else None,
        }


def _price(books: Books | None) -> dict[str, float] | None:
    """Dollars for a million tokens, as the owner stated them."""
    price = books.price if books else None
    names = ("prompt", "cached", "output")
    return {name: float(getattr(price, name)) for name in names} if price else None


def _anatomy(model: Local) -> dict[str, Any]:
    """What a token meets on its way, and what of it works."""
    config, formats = model.config, model.folder.formats
    parts = anatomy.anatomy(config, anatomy.folder_formats(formats.dense, formats.experts))
    memory = model.engine.memory
    return {
        "layers": config.layers,
        "dense_layers": config.dense_layers,
        "sparse_layers": config.sparse_layers,
        "experts": config.experts,
        "chosen": config.experts_per_token,
        "shared": config.shared_experts,
        "parameters": parts.parameters,
        "active": parts.active,
        "bytes": parts.stored_bytes,
        "bytes_per_token": parts.read_bytes,
        "bytes_per_expert": parts.bytes_per_expert,
        "context": model.engine.context,
        "streamed": memory.streamed,
        "parts": [{"name": part.name, "parameters": part.parameters, "active": part.active} for part in parts.parts],
    }
