"""`moonlet serve --ray MIN-MAX`: fronts on a Ray cluster, as many as there is work for, behind Ray Serve's own proxy.

Each front is a process of the cluster with the APIs of a usual one. What they share is the ledger, a PostgreSQL that
each of them finds in its environment: no secret travels through the cluster.
"""

from __future__ import annotations

import argparse
import os
import threading
from contextlib import ExitStack
from typing import Any

from fastapi import FastAPI

from moonlet.cli import UsageError, engines
from moonlet.cli.engines import Wanted
from moonlet.ledger.books import Books
from moonlet.ledger.database import open_database
from moonlet.ledger.money import Price
from moonlet.on_ray import connected
from moonlet.server.app import create_app
from moonlet.server.keys import Access

BUSY = 32  # requests that a front is to have on the average; with more of them one is added
MOST = 1024  # that one takes before others wait in the proxy
STOP_S = 60.0  # for replies under way, when one is taken away
LEDGER = "MOONLET_LEDGER"
# Flags of what lives in one process, or that would do nothing.
_ALONE = ("a2a", "a2a_grpc", "articles", "mcp", "keep", "watts", "cert", "ledger")


def check(asked: argparse.Namespace, wanted: Wanted | None) -> None:
    """Raises UsageError where such fronts cannot be."""
    if wanted is None or wanted.command:
        raise UsageError("--ray spreads fronts, and engines stay where they are: name those with --engine URL")
    if stray := [name for name in _ALONE if getattr(asked, name)] + ["tools"] * (asked.tools != "none"):
        raise UsageError(f"--{stray[0].replace('_', '-')} is not for fronts that come and go: leave it or --ray out")
    if not os.environ.get(LEDGER, "").startswith(("postgresql://", "postgres://")):
        raise UsageError(f"fronts share a ledger: {LEDGER}=postgresql://... here and in the environment of all nodes")


def main(asked: argparse.Namespace, access: Access, wanted: Wanted) -> int:
    """Runs them until it is stopped. Raises RayMissingError, ClusterError, UsageError."""
    least, most = asked.ray
    connected()
    try:
        from ray import serve
    except ImportError:
        raise UsageError("Ray Serve is not installed: pip install 'moonlet[ray]'") from None
    serve.start(http_options={"host": asked.host, "port": asked.port})
    made: Any = serve.deployment(
        serve.ingress(lambda: front(asked, access, wanted))(),
        name="front",
        autoscaling_config={"min_replicas": least, "max_replicas": most, "target_ongoing_requests": BUSY},
        max_ongoing_requests=MOST,
        graceful_shutdown_timeout_s=STOP_S,
    )
    try:
        serve.run(made.bind(), name="moonlet", route_prefix="/")
        where = f"http://{asked.host}:{asked.port}/v1"
        print(f"{least} to {most} fronts answer at {where}   (Ctrl-C stops them)", flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        serve.delete("moonlet")
    return 0


def front(asked: argparse.Namespace, access: Access, wanted: Wanted) -> FastAPI:
    """One of them, in its own process."""
    database, stack = open_database(os.environ[LEDGER]), ExitStack()
    price = Price.read(asked.price) if asked.price else None
    books = Books(database, price, None, asked.keep_prompts, others=engines.prices(wanted))
    first, *others = stack.enter_context(engines.opened(asked.model, wanted, database, asked.hedge))
    app = create_app(first, books, access, others=others)
    app.state.opened = stack  # until the process ends
    return app
