"""A person at the terminal, asked by an agent's run: about calls, about forms of servers, about lending the model.

What is asked about comes from models and servers, so it is shown cleaned and whole: nothing in it can draw over the
question, hide behind the edge of the screen, or answer.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console
from rich.text import Text as Line

from moonlet.agent.approval import Answer, Question
from moonlet.chat.messages import Message

SHOWN = 6000  # characters of one value
_UNSEEN = {
    *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
    *(*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
}  # letters and marks that have no width, whatever their category says


def plain(text: str) -> str:
    """Text that shows what it is: control and direction characters, and all that has no width, as their codes."""

    def shown(letter: str) -> str:
        kind = unicodedata.category(letter)
        hidden = kind in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or ord(letter) in _UNSEEN
        hidden = hidden and letter not in "\n\t"
        return f"\\u{ord(letter):04x}" if hidden else letter

    cut = text if len(text) <= SHOWN else f"{text[:SHOWN]}\n… and {len(text) - SHOWN} more characters"
    return "".join(map(shown, cut))


def _whole(text: str) -> str:
    """The same without a cut: what is approved is seen to its end."""
    return "".join(plain(text[at : at + SHOWN]) for at in range(0, len(text), SHOWN))


class Terminal:
    """Asks on standard error, reads from standard input. Satisfies `tools.mcp.asking.Person`."""

    def __init__(self, console: Console, paused: Callable[[], AbstractContextManager[None]]) -> None:
        """`paused`: in its block nothing else draws on the terminal."""
        self._console = console
        self._paused = paused

    def approve(self, question: Question) -> Answer:
        """About one call. Anything but a clear yes is no."""
        with self._paused():
            self._say(f"\n  May it call {plain(question.call.name)}?  It {question.why}.", "bold yellow")
            for name, value in question.checked.arguments.items():
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                self._say("\n".join(f"    {line}" for line in f"{plain(name)}: {_whole(text)}".split("\n")), "")
            if question.checked.tool.hints:
                self._say(f"    {plain(question.checked.tool.hints)}", "dim")
            answer = self._read(f"  y: yes   a: always ({plain(question.lasting)})   n: no  [n] ")
            return "always" if answer in ("a", "always") else "yes" if answer in ("y", "yes") else "no"

    def fill(self, server: str, message: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Values for a server's form, one line each."""
        with self._paused():
            self._say(f"\n  Server {plain(server)} asks you: {plain(message)}", "bold yellow")
            if self._read("  Answer it? What you type goes to that server. [y/N] ") not in ("y", "yes"):
                return None
            values: dict[str, Any] = {}
            required = schema.get("required") or ()
            for name, field in (schema.get("properties") or {}).items():
                hint = field.get("enum") or field.get("description") or field.get("type", "")
                default = f" [{field['default']}]" if "default" in field else "" if name in required else " [leave out]"
                typed = input(
                    f"    {plain(str(field.get('title') or name))} ({plain(str(hint))}){plain(default)}: "
                ).strip()
                if typed:
                    values[name] = _value(typed, field)
                elif "default" in field:
                    values[name] = field["default"]
            return values

    def visit(self, server: str, message: str, url: str) -> bool:
        """Shows an address; the user opens it."""
        with self._paused():
            self._say(
                f"\n  Server {plain(server)}: {plain(message)}. It wants you to open:\n    {plain(url)}", "bold yellow"
            )
            return self._read("  Open it in your browser and type y, or n: [n] ") in ("y", "yes")

    def lend_model(self, server: str, messages: Sequence[Message]) -> bool:
        """Whether the model may answer a server."""
        with self._paused():
            self._say(f"\n  Server {plain(server)} wants your model to answer:", "bold yellow")
            for message in messages:
                self._say(
                    "\n".join(f"    {line}" for line in f"{message.role}: {_whole(message.content)}".split("\n")), ""
                )
            return self._read("  Let it? The answer goes to that server. [y/N] ") in ("y", "yes")

    def _say(self, text: str, style: str) -> None:
        self._console.print(Line(text, style=style), soft_wrap=True, highlight=False)

    def _read(self, prompt: str) -> str:
        self._console.print(Line(prompt, style="bold"), end="", soft_wrap=True, highlight=False)
        sys.stderr.flush()
        try:
            return input().strip().lower()
        except EOFError:
            return "no"


def _value(typed: str, field: Mapping[str, Any]) -> Any:
    """What was typed, as the form wants it; what does not fit is found by whoever checks the form."""
    kind = field.get("type")
    if kind == "boolean":
        return typed.lower() in ("y", "yes", "true", "1")
    if kind in ("integer", "number"):
        try:
            return int(typed) if kind == "integer" else float(typed)
        except ValueError:
            return typed
    return [one.strip() for one in typed.split(",")] if kind == "array" else typed
