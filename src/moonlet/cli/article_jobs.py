"""How the server and the agent make articles: listening and looking in a process of its own, writing in this one.

What decodes somebody's video may crash or be made to; then a process ends, and the server tells so.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, get_args

from moonlet.article.ask import CONTEXT
from moonlet.article.check import CheckSettings, Unsupported
from moonlet.article.compose import Composing, compose
from moonlet.article.outline import Length, OutlineSettings
from moonlet.article.piece import LANGUAGES
from moonlet.article.prepare import Prepared, Preparing, locked, prepare, prepared
from moonlet.article.stages import StageError, Tell
from moonlet.article.tool import Wanted, article_tool
from moonlet.article.transcript import TranscriptSettings
from moonlet.article.write import Tone, WriteSettings
from moonlet.cli.article_extra import missing
from moonlet.llm import LLM
from moonlet.local import Local
from moonlet.model.anatomy import Formats, anatomy
from moonlet.server.article_jobs import Order, Outcome
from moonlet.tools.tool import Tool

POLITE = 10  # niceness: whoever sits at the machine, or asks the server, comes first
ABLE_PARAMETERS = 10**9  # a model below this does not write prose worth reading
_POLL_S = 0.2

# Options of an article and the values that each may have; none: any text.
WISHES: Mapping[str, tuple[str, ...]] = {
    "language": LANGUAGES,
    "tone": get_args(Tone),
    "length": get_args(Length),
    "audience": (),
    "unsupported": get_args(Unsupported),
    "spoken": (),
}


def composing(wish: Mapping[str, str], context: int = CONTEXT) -> Composing:
    """The settings that a wish stands for; `context` is tokens. Raises ValueError."""
    given: dict[str, Any] = {name: wish[name] for name in ("language", "tone", "length", "audience") if name in wish}
    check: Any = wish.get("unsupported", "drop")
    length: Any = wish.get("length", "medium")
    return Composing(
        OutlineSettings(length=length, context=context), WriteSettings(**given, context=context), CheckSettings(check)
    )


def can_write(model: LLM) -> bool:
    """Whether a model can be asked for prose. The small ones can not, of which we know the size."""
    return not isinstance(model, Local) or anatomy(model.config, Formats()).parameters >= ABLE_PARAMETERS


def maker(able: Callable[[], bool], whisper: str = "small") -> Callable[[Order], Outcome]:
    """Makes articles of orders. `able`: whether the model can write; one that cannot is not asked."""

    def make(order: Order) -> Outcome:
        if told := missing():
            raise StageError(told)
        try:  # before hours of work
            preparing = Preparing(transcript=TranscriptSettings(model=whisper, language=order.wish.get("spoken")))
            settings = composing(order.wish)
        except ValueError as error:
            raise StageError(str(error)) from None
        with locked(order.folder):
            said = prepare_apart(order.source, order.folder, preparing, order.tell, order.stopped)

            def watch(stage: str) -> Tell:
                order.tell(stage, 0.0, 1.0)
                return lambda done, of: order.tell(stage, done, of)

            llm = order.llm if able() else None
            made = compose(said, order.folder, settings, llm, watch, (), order.stopped)
        article = made.checked.article
        return Outcome(article.title, made.checked.report.score, article.mode, article.language, made.rendered.files)

    return make


def tool(root: Path, model: LLM) -> Tool:
    """`make_article` for the agent and for MCP clients, written by this model if it can write. Raises ToolError."""
    make = maker(lambda: can_write(model))

    def run(wanted: Wanted) -> Mapping[str, Any]:
        def tell(stage: str, done: float, of: float) -> None:
            wanted.tell(f"{stage} {done / of if of else 0:.0%}")

        made = make(Order(wanted.folder, wanted.source, wanted.options, model, tell, wanted.stopped))
        report = {"title": made.title, "mode": made.mode, "language": made.language, "score": made.score}
        return {**report, "files": list(made.files)}

    return article_tool(root, run)


def prepare_apart(
    source: str,
    folder: Path,
    settings: Preparing,
    tell: Callable[[str, float, float], None],
    stopped: Callable[[], bool],
) -> Prepared:
    """As `prepare`, but what decodes and listens runs in a process of its own. Raises StageError."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(theirs, source, folder, settings), daemon=True)
    with _deaf():
        process.start()
    atexit.register(process.kill)  # the end of this process would only ask it to end
    theirs.close()
    failure, done = None, False
    try:
        while True:
            if stopped():
                raise StageError("it was stopped")
            try:
                if not ours.poll(_POLL_S):
                    continue
                kind, *told = ours.recv()
            except (EOFError, OSError):
                process.join(5)
                break
            if kind == "tell":
                tell(*told)
                continue
            done, failure = kind == "done", told[0] if told else None
            break
    finally:
        process.kill()
        process.join()
        atexit.unregister(process.kill)
        ours.close()
    if failure is not None:
        raise StageError(failure)
    if not done:  # nothing is decoded in this process, whatever ended the other
        raise StageError(f"the recording ended the process that read it (code {process.exitcode})")
    made = prepared(folder)
    if made is None:
        raise StageError(f"what was heard cannot be read in {folder}")
    return made


@contextmanager
def _deaf() -> Iterator[None]:
    """What is started in the block hears neither Ctrl-C nor a stop of the service, which reach all processes at once:
    it ends when the one that started it says so, and what it worked on goes on with the next server."""
    resource_tracker.ensure_running()  # it would let them through again if it were started in the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _child(told: Connection, source: str, folder: Path, settings: Preparing) -> None:
    os.nice(POLITE)

    def watch(stage: str) -> Tell:
        told.send(("tell", stage, 0.0, 1.0))
        return lambda done, of: told.send(("tell", stage, done, of))

    try:
        prepare(source, folder, settings, watch)
        told.send(("done",))
    except Exception as error:
        if not (type(error).__module__.startswith("moonlet.") or isinstance(error, OSError)):
            raise
        told.send(("failed", " ".join(str(error).split())[:500]))
