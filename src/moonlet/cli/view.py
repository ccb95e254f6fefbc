"""An agent at work, shown on a terminal as it happens; elsewhere plain: the answer on stdout, the rest on stderr."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import reduce
from operator import add

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markdown import Markdown
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text as Line

from moonlet.agent import CallResult, CallStarted, Ended, Event, Notice, Progress, Ruling
from moonlet.chat.messages import CallArguments, CallEnd, CallStart, Text, Thinking
from moonlet.cli.stars import Stars
from moonlet.llm import Done, Look, Usage

_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)]) | {ord("\n"): "\n", ord("\t"): "\t"}
_RESULT_CHARS = 240
_MAP_LINES = 16
REDRAW_S = 1 / 12


def clean(text: str) -> str:
    """Text without control characters: what a model or a tool says must not steer the terminal."""
    return text.translate(_CONTROLS)


def split_blocks(text: str) -> tuple[list[str], str]:
    """The finished Markdown blocks of a text that is being written, and its unfinished rest. A block ends at an empty
    line outside a code fence."""
    blocks, block, fence = [], "", ""
    *lines, last = text.split("\n")
    for line in lines:
        mark = line.strip()[:3]
        if mark in ("```", "~~~") and (not fence or mark == fence):
            fence = "" if fence else mark
        if line.strip() or fence:
            block += line + "\n"
        elif block:
            blocks.append(block)
            block = ""
    return blocks, block + last


def compact(text: str, limit: int = _RESULT_CHARS) -> str:
    """JSON for a reader, in one line: `place: Oslo · sky: sunny`. Other text as it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if isinstance(value, dict):
        told = " · ".join(f"{name}: {_inner(item)}" for name, item in value.items())
    else:
        told = _inner(value)
    told = " ".join(clean(told).split())
    return told if len(told) <= limit else told[: limit - 1] + "…"


def _inner(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def show(table: Table) -> None:
    """A table on the terminal; into a file or a pipe as wide as it is."""
    console = Console(markup=False)
    console.print(table) if console.is_terminal else Console(width=200, markup=False).print(table)


def status(usage: Usage) -> str:
    """Speed, and which part of the model worked."""
    told = f"{usage.output_tokens} tokens" + (f", {usage.tokens_per_s:,.0f}/s" if usage.tokens_per_s else "")
    if use := usage.experts:
        told += f" · {use.chosen} of {use.of} experts per token and layer, {use.share:.0%} in this reply"
    if usage.expert_hits is not None and usage.expert_reads:
        share, gigabytes = usage.expert_hits / (usage.expert_hits + usage.expert_reads), (usage.bytes_read or 0) / 1e9
        told += f" · {share:.0%} of them from memory, {gigabytes:.1f} GB from disk, {usage.read_wait_s:.1f} s waited"
    return told


class View:
    """Shows events and hands them on."""

    def __init__(self, out: Console, err: Console) -> None:
        self._out, self._err = out, err
        self._live = out.is_terminal
        self._rest = ""  # of the text, not yet a finished block; elsewhere than on a terminal, the line end it lacks
        self._thought = ""
        self._call = ""  # the call that is being written
        self._stars: Stars | None = None  # of a model that is looked into
        self._experts = 0  # of a layer
        self._spinner = Spinner("dots", style="cyan")
        self._lock = threading.Lock()
        self._display: Live | None = None

    def show(self, events: Iterator[Event]) -> Ended | None:
        """All events of a run; None if it was stopped. Raises what the events raise, after showing what there was."""
        ended = None
        try:
            with self._moving() if self._live else nullcontext():
                for event in events:
                    with self._lock:
                        ended = self._take(event)
        finally:
            self._finish_text()
        if self._stars and self._stars.tokens:
            if self._live:
                self._out.print(self._stars.map(self._out.width, _MAP_LINES, self._experts))
            self._note(Line("  " + self._stars.sentence(self._experts), style="dim"))
        if ended and ended.usages:
            self._note(Line("  " + status(reduce(add, ended.usages)), style="dim"))
        return ended

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is drawn in the block, from any thread: somebody is asked something there."""
        with self._lock:
            if self._display:
                self._display.stop()
            try:
                yield
            finally:
                if self._display:
                    self._display.start()

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """Redraws what is not finished, below what is, until the end of the block."""
        over = threading.Event()
        with Live(console=self._out, transient=True, auto_refresh=False, get_renderable=self._tail) as live:
            self._display = live

            # rich's own thread for this may draw in the middle of a print, one line off.
            def redraw() -> None:
                while not over.wait(REDRAW_S):
                    with self._lock:
                        live.refresh()

            thread = threading.Thread(target=redraw, daemon=True)
            thread.start()
            try:
                yield
            finally:
                self._display = None
                over.set()
                thread.join()

    def _take(self, event: Event) -> Ended | None:
        match event:
            case Text(text):
                self._close_thought()
                self._add_text(text)
            case Thinking(text):
                self._thought += text
            case CallStart(_, _, name):
                self._finish_text()
                self._call = f"{name} "
            case CallArguments(_, text):
                self._call += text
            case CallEnd(_, call):
                self._call = f"{call.name} {call.arguments}"
            case CallStarted(_, call):
                self._call = f"{call.name} {call.arguments}"
            case Progress(call, text):
                self._call = f"{call.name}: {text}"
            case CallResult():
                self._call = ""
                self._card(event)
            case Look():
                self._stars = self._stars or Stars()
                self._stars.add(event)
            case Done(_, _, usage) if usage.experts:
                self._experts = usage.experts.of
                self._finish_text()
            case Notice(text):
                self._note(Line(f"  {clean(text)}", style="yellow"))
            case Ruling(_, call, allowed, by):
                if by != "user":  # who answered knows it
                    self._note(Line(f"  {clean(call.name)}: {'allowed' if allowed else 'refused'} ({by})", style="dim"))
            case Ended(reason):
                self._finish_text()
                if reason not in ("stop", "cancelled"):
                    why = "tokens" if reason == "length" else reason
                    self._note(Line(f"  stopped at the limit of {why}", style="yellow"))
                return event
            case _:
                self._finish_text()
        return None

    def _add_text(self, text: str) -> None:
        if not self._live:
            self._out.file.write(text)
            self._out.file.flush()
            self._rest = "\n" if not text.endswith("\n") else ""
            return
        blocks, self._rest = split_blocks(self._rest + clean(text))
        for block in blocks:
            self._print_block(block)
            self._out.print()

    def _finish_text(self) -> None:
        self._close_thought()
        if self._rest and not self._live:
            self._out.file.write(self._rest)
        elif self._rest.strip():
            self._print_block(self._rest)
        self._rest = ""

    def _print_block(self, text: str) -> None:
        """Markdown without the empty lines that rich puts around some kinds of blocks."""
        lines = self._out.render_lines(Markdown(text), pad=False)
        full = [i for i, line in enumerate(lines) if any(segment.text.strip() for segment in line)]
        for line in lines[full[0] : full[-1] + 1] if full else ():
            self._out.print(*(Line(segment.text, segment.style or "") for segment in line), sep="", soft_wrap=True)

    def _close_thought(self) -> None:
        """A thought is shown while it is thought; what stays is how long it was."""
        if self._thought:
            self._note(Line(f"  thought: {len(self._thought.split())} words", style="dim italic"))
        self._thought = ""

    def _card(self, result: CallResult) -> None:
        """A call and its result, two lines."""
        mark = Line("✗", style="red") if result.failed else Line("✓", style="green")
        call = Line.assemble("  ", mark, " ", (clean(result.call.name), "bold cyan"), "  ")
        self._note(call.append(compact(result.call.arguments)), indent=4)
        style = "red" if result.failed else "dim"
        self._note(Line(f"    {compact(result.text)}  ({result.seconds * 1000:.0f} ms)", style=style), indent=4)

    def _note(self, line: Line, indent: int = 2) -> None:
        """A line of ours; on a terminal its continuation is indented."""
        if not self._live:
            self._err.print(line, highlight=False, soft_wrap=True)
            return
        first, *rest = line.wrap(self._out, self._out.width)
        self._out.print(first)
        if rest:
            more = Line(" ").join(rest)
            self._out.print(Padding(more, (0, 0, 0, indent)))

    def _tail(self) -> RenderableType:
        """What is not finished: the last lines of the text, the thought, the call that is being written."""
        room = max(self._out.height - 4, 3)
        parts: list[RenderableType] = []
        if self._thought:
            parts += [Line("\n".join(clean(self._thought).splitlines()[-3:]), style="dim italic")]
        if self._rest:
            parts += [Line("\n".join(self._rest.splitlines()[-room:]))]
        if self._call:
            self._spinner.update(text=Line(clean(self._call)[-2 * self._out.width :], style="cyan"))
            parts += [self._spinner]
        elif not parts:
            self._spinner.update(text="")
            parts += [self._spinner]
        if self._stars:
            parts += [self._stars.map(self._out.width, min(_MAP_LINES, max(room // 2, 2)), self._experts)]
        return Group(*parts)
