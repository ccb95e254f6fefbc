"""`moonlet serve`: one endpoint for clients that speak OpenAI's protocol, on this machine or, with keys, beyond it."""

from __future__ import annotations

import argparse
import gc
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI
from rich.console import Console
from rich.text import Text as Line

from moonlet.cli import UsageError, clients, engines, page_planner, ray_fronts
from moonlet.cli.article_extra import missing
from moonlet.cli.engines import Wanted
from moonlet.cli.ledger import open_ledger
from moonlet.cli.mcp import offered
from moonlet.cli.open import open_later
from moonlet.cli.page import page_bench
from moonlet.cli.trial import Trial, can_be_tried
from moonlet.evals import kept
from moonlet.fleet.fleet import Fleet
from moonlet.ledger import keys, report
from moonlet.ledger.books import Books
from moonlet.ledger.database import Database, DatabaseError
from moonlet.ledger.energy import find_meter
from moonlet.ledger.money import Price
from moonlet.llm import LLM
from moonlet.llm.loading import Loading
from moonlet.local import NANO, Local
from moonlet.model.folder import default_path
from moonlet.server import mcp
from moonlet.server.app import create_app
from moonlet.server.keys import LOOPBACK, Access
from moonlet.server.watched import Watched
from moonlet.tools.tool import Tool

_log = logging.getLogger("moonlet.server")

_DAY_S = 86400.0
SETTLE_S = 5.0  # for replies that were just ended to write what they took


def main(asked: argparse.Namespace) -> int:
    access = _access(asked)
    price = Price.read(asked.price) if asked.price else None
    if asked.watts is not None and not 0 < asked.watts < 1e6:
        raise UsageError(f"--watts {asked.watts:g}: the power of a machine is between 0 and 1000000 watts")
    _check_tls(asked)
    if asked.a2a_grpc and not asked.a2a:
        raise UsageError("--a2a-grpc offers the agent of --a2a: give both")
    wanted = engines.wanted(asked)
    if asked.ray:
        ray_fronts.check(asked, wanted)
    with closing(open_ledger(asked.ledger, make=True)) as database:
        _check_keys(asked, access, database, wanted)
        if asked.ray and wanted:
            return ray_fronts.main(asked, access, wanted)
        with _bound(asked) as bound, page_bench(asked, access) as bench:
            others = engines.prices(wanted)
            books = Books(database, price, find_meter(asked.watts), asked.keep_prompts, others=others)
            with closing(books), _pruning(database, asked.keep, asked.a2a), _models(asked, wanted, database) as models:
                loading = models[0]
                app = create_app(loading, books, access, bench, models[1:])
                page_planner.offer(asked, app, loading.name, database)
                tools = offered(loading, app.state.accounts, own=not access.keys_needed, ledger=asked.ledger)
                if asked.a2a:
                    _offer(asked, app, loading, books, access, bound.getsockname()[1])
                with _articles(asked, app, loading, database) as makes:
                    mcp.mount(app, mcp.make_server([*tools, *makes]), access)
                    _run(asked, app, models, bound, access, database)
                # Only now: an article whose model is closed before it is told to stop has failed.
                if loading.ready and isinstance(model := loading.wait(), Local):
                    model.close()
                books.wait_settled(SETTLE_S)
                app.state.kept.close()
    return 0


@contextmanager
def _models(asked: argparse.Namespace, wanted: Wanted | None, database: Database) -> Iterator[list[Loading]]:
    """What answers: our own engine, or those of others."""
    if wanted is None:
        yield [open_later(asked)]
        return
    with engines.opened(asked.model, wanted, database, asked.hedge) as models:
        yield models


def _offer(asked: argparse.Namespace, app: FastAPI, loading: Loading, books: Books, access: Access, port: int) -> None:
    try:
        from moonlet.cli import a2a
    except ImportError:  # an extra of the package
        raise UsageError("--a2a needs the A2A SDK: pip install 'moonlet[a2a]'") from None
    a2a.offer(asked, app, loading, books, access, port)


@contextmanager
def _articles(
    asked: argparse.Namespace, app: FastAPI, loading: Loading, database: Database
) -> Iterator[Sequence[Tool]]:
    """Makes articles of recordings in the block, if that is asked for; gives the tool for MCP clients."""
    if not asked.articles:
        yield ()
        return
    if told := missing():
        raise UsageError(f"--articles: {told}")
    from moonlet.cli import article_jobs
    from moonlet.server import page_articles
    from moonlet.server.article_call import article_tool
    from moonlet.server.article_jobs import Jobs
    from moonlet.server.articles import add_articles

    make = article_jobs.maker(lambda: article_jobs.can_write(loading.wait()), asked.whisper)
    with closing(Jobs(default_path("").parent / "articles", make, loading, app.state.accounts, database)) as jobs:
        add_articles(app, jobs, article_jobs.WISHES)
        page_articles.mount(app, jobs, article_jobs.WISHES, database)
        yield [article_tool(jobs, article_jobs.WISHES)]


def _run(
    asked: argparse.Namespace,
    app: FastAPI,
    models: Sequence[Loading],
    bound: socket.socket,
    access: Access,
    database: Database,
) -> None:
    """Answers until it is stopped; before the model is loaded, with 503. Raises what loading it raised."""
    loading = models[0]
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        ssl_certfile=asked.cert,
        ssl_keyfile=asked.key_file,
    )
    server = _Server(config, app.state.watched)
    failed: list[Exception] = []
    trials: list[Trial | None] = []

    def announce() -> None:
        try:
            loading.wait()
            gc.collect()
            gc.freeze()  # what is here stays; looking through it for garbage took 0.08 s, in which no stream moves
            _say(asked, access, loading.wait(), bound.getsockname()[1], database)
            for other in models[1:]:
                _say_engines(other.wait(), named=True)
            trials.append(_trial(asked, loading.wait()))
        except Exception as error:
            failed.append(error)
            server.should_exit = True

    threading.Thread(target=announce, name="moonlet-announce", daemon=True).start()
    with suppress(KeyboardInterrupt):  # uvicorn has shut down in order and passes the signal on
        server.run(sockets=[bound])
    app.state.runs.close()  # nobody is there to hear them, and the model will be closed
    if failed:
        raise failed[0]
    if not server.started:
        raise UsageError("the server could not start; what is above says why")
    for trial in trials:
        if trial:
            trial.close()


class _Server(uvicorn.Server):
    """Told to end, it tells those who look at runs on the page to leave: they would stay as long as it lives."""

    def __init__(self, config: uvicorn.Config, watched: Watched) -> None:
        super().__init__(config)
        self._watched = watched

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._watched.close()
        super().handle_exit(sig, frame)


def _access(asked: argparse.Namespace) -> Access:
    """Beyond this machine, or behind a proxy that speaks for others, nobody comes in without a key, wherever they come
    in. Raises UsageError."""
    local = asked.host in LOOPBACK
    apart = asked.a2a_grpc is not None and asked.a2a_grpc[0] not in LOOPBACK
    needed = not local or apart or asked.require_key or bool(asked.allow_host)
    origins = tuple(origin.rstrip("/") for origin in asked.cors or ())
    if "*" in origins and not needed:
        raise UsageError("--cors '*' without keys would let every web page use this server; name the origin")
    for origin in origins:
        if origin != "*" and not origin.startswith(("http://", "https://")):
            raise UsageError(f"--cors {origin}: an origin is like https://chat.example.org")
    # Who holds a key is no web page under a borrowed name, so beyond this machine names matter only if they are given.
    names = tuple(name.lower() for name in asked.allow_host or ())
    return Access((*LOOPBACK, *names) if local or names else None, needed, origins)


def _check_tls(asked: argparse.Namespace) -> None:
    if bool(asked.cert) != bool(asked.key_file):
        raise UsageError("TLS needs both --cert and --key-file")
    if not asked.cert:
        return

    def no_passphrase() -> str:
        raise UsageError(f"--key-file {asked.key_file}: is encrypted; give one without a passphrase")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(asked.cert, asked.key_file, no_passphrase)
    except ssl.SSLError as error:
        reason = error.reason or "not readable as PEM"
        raise UsageError(
            f"--cert {asked.cert}, --key-file {asked.key_file}: {reason.replace('_', ' ').lower()}"
        ) from None
    except OSError as error:
        raise UsageError(f"--cert {asked.cert}, --key-file {asked.key_file}: {error.strerror}") from None


def _check_keys(asked: argparse.Namespace, access: Access, database: Database, wanted: Wanted | None) -> None:
    usable = [key for key in keys.all_keys(database) if key.usable(time.time())]
    if access.keys_needed and not usable:
        where = f"--host {asked.host}" if asked.host not in LOOPBACK else "with this access"
        raise UsageError(f"{where}: a server for others needs at least one key; `moonlet keys add NAME` makes one")
    priced = asked.price or (wanted is not None and wanted.priced)
    if not priced and (dear := [key.name for key in usable if key.limits.nano_usd_per_month is not None]):
        raise UsageError(f"the key {dear[0]} has a limit of money; state the price with --price PROMPT/CACHED/OUTPUT")


def _bound(asked: argparse.Namespace) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in asked.host else socket.AF_INET
        bound = socket.create_server((asked.host, asked.port), family=family)
        # Whoever is let in inherits it, and asyncio sets it only on sockets of its own making. Without, the second part
        # of an answer waits until the first is acknowledged, which clients put off for 40 ms.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return bound
    except OSError as error:
        raise UsageError(
            f"cannot listen on {asked.host} port {asked.port}: {error.strerror}; choose another --port"
        ) from None


@contextmanager
def _pruning(database: Database, days: int | None, a2a: bool) -> Iterator[None]:
    """Deletes what is older than so many days: now, and every day as long as the server lives."""
    over = threading.Event()

    def prune() -> None:
        while True:
            try:
                before = time.time() - (days or 0) * _DAY_S
                report.prune(database, before)
                if a2a:
                    from moonlet.server import a2a_store  # an extra of the package

                    a2a_store.prune(database, before)
            except DatabaseError as error:  # such as a full disk
                _log.warning("older requests could not be deleted, tomorrow again: %s", error)
            if over.wait(_DAY_S):
                return

    thread = threading.Thread(target=prune, name="moonlet-prune", daemon=True)
    if days is not None:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if days is not None:
            thread.join()


def _tried(asked: argparse.Namespace, model: Local) -> str | None:
    """How the model uses tools, if that was tried, or how that is found out; None if it has none."""
    if not can_be_tried(model):
        return None
    told = kept.kept(model.folder.path)
    if told is not None:
        return kept.line(told)
    if asked.no_trial:
        return f"not tried yet; `moonlet doctor --tools {asked.model or NANO}` tries two dozen questions, and keeps it"
    return "tried now for the first time, with what requests leave; the result comes here, and is kept"


def _trial(asked: argparse.Namespace, loaded: LLM) -> Trial | None:
    """Begins to try a model of ours that was never tried."""
    if asked.no_trial or not isinstance(loaded, Local) or not can_be_tried(loaded) or kept.kept(loaded.folder.path):
        return None
    console = Console(highlight=False)
    return Trial(loaded, lambda line: console.print(f"  tools: {line}", soft_wrap=True, markup=False))


def _say(asked: argparse.Namespace, access: Access, loaded: LLM, port: int, database: Database) -> None:
    model = loaded.name
    host = f"[{asked.host}]" if ":" in asked.host else asked.host
    url = f"{'https' if asked.cert else 'http'}://{host}:{port}/v1"
    console = Console(highlight=False, markup=False)
    root = url.removesuffix("/v1")
    answers = Line.assemble((model, "bold"), " answers at ", (url, "bold"), "   (Ctrl-C stops)")
    console.print(answers, soft_wrap=True)
    console.print(Line.assemble("  its page: ", (f"{root}/", "bold")), soft_wrap=True)
    key = "KEY" if access.keys_needed else "anything"
    context = loaded.engine.context if isinstance(loaded, Local) else None
    for client, how in clients.lines(root, model, key, context):
        console.print(f"  {client}: {how}", soft_wrap=True)
    if asked.a2a:
        grpc = f", over gRPC at {asked.a2a_grpc[0]} port {asked.a2a_grpc[1]}" if asked.a2a_grpc else ""
        console.print(f"  other agents: {root}/a2a{grpc}", soft_wrap=True)
    console.print(f"  ledger: {database.name}", soft_wrap=True)
    if isinstance(loaded, Local) and (tried := _tried(asked, loaded)):
        console.print(f"  tools: {tried}", soft_wrap=True)
    _say_engines(loaded)
    if asked.keep_prompts:
        console.print("  what is asked is kept, word for word, in the ledger", style="yellow", soft_wrap=True)
    if not asked.cert and any(host not in LOOPBACK for host in (asked.host, *(asked.a2a_grpc or ())[:1])):
        warning = "without --cert and --key-file keys and conversations travel unencrypted"
        console.print(f"  {warning}", style="yellow", soft_wrap=True)


def _say_engines(model: LLM, named: bool = False) -> None:
    if isinstance(model, Fleet):
        for line in engines.lines(model, named):
            Console(highlight=False).print(f"  {line}", soft_wrap=True, markup=False)
