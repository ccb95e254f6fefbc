"""What the page's Plan asks. The planner is given by whoever starts the server; here only who may ask, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fastapi import FastAPI, Request

from moonlet.server.apart import apart
from moonlet.server.body import read_json
from moonlet.server.errors import ApiError
from moonlet.server.fields import as_object


class Planner(Protocol):
    """Answers like `moonlet plan --json`."""

    def choices(self) -> dict[str, Any]:
        """Models, machines and prices that can be chosen."""
        ...

    def answer(self, asked: Mapping[str, Any], sure: bool = False) -> dict[str, Any]:
        """The plan for a position of the sliders; `sure`: with how sure it is, which takes longer. Raises ValueError
        with one line."""
        ...


def mount(app: FastAPI) -> None:
    """The paths below /api/plan. Who knows the planner puts it into the application's state."""
    app.state.planner = None

    @app.get("/api/plan", include_in_schema=False)
    async def choices() -> dict[str, Any]:
        return await _planned(_planner(app).choices) if app.state.planner else {}

    @app.post("/api/plan", include_in_schema=False)
    async def plan(request: Request) -> dict[str, Any]:
        planner, asked = _planner(app), as_object(await read_json(request))
        return await _planned(lambda: planner.answer(asked))

    @app.post("/api/plan/sure", include_in_schema=False)
    async def sure(request: Request) -> dict[str, Any]:
        planner, asked = _planner(app), as_object(await read_json(request))
        return await _planned(lambda: planner.answer(asked, sure=True))


def _planner(app: FastAPI) -> Planner:
    planner: Planner | None = app.state.planner
    if planner is None:
        raise ApiError("this server plans nothing", status=404)
    return planner


async def _planned(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """In a thread of its own: streams of others go on meanwhile."""
    try:
        return await apart(work)
    except ValueError as error:
        raise ApiError(str(error)) from None
