"""What the page of `moonlet serve` asks that takes the whole house: plans, and what owning has come to."""

from __future__ import annotations

import argparse

from fastapi import FastAPI

from moonlet.cli.open import is_url
from moonlet.local import NANO
from moonlet.planner.sliders import Sliders
from moonlet.server import page_plan


def offer(asked: argparse.Namespace, app: FastAPI, name: str) -> None:
    """Adds them to the application that serves the model `name`."""
    place = asked.model or NANO
    page_plan.mount(app, Sliders(None if is_url(place) else (name, place)))
