"""The conversation of `moonlet run` on a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import HTML
from prompt_toolkit.history import FileHistory
from rich.console import Console
from rich.table import Table
from rich.text import Text as Line

from moonlet.agent import Agent
from moonlet.cli.view import View
from moonlet.llm import LLMError
from moonlet.model.folder import default_path

TRY = (
    "What's the weather in Oslo tomorrow?",
    "Put dentist in my calendar on Friday at 3 pm",
    "What is 17% of 240?",
)
COMMANDS = {
    "/tools": "what the model can call",
    "/reset": "start over: a new conversation in a fresh world",
    "/help": "this list",
    "/quit": "leave (also Ctrl-D, or Ctrl-C twice)",
}


def chat(new_agent: Callable[[], Agent]) -> int:
    """Talk until the user leaves. Ctrl-C stops a reply; at the prompt, the second one leaves."""
    console = Console(highlight=False)
    agent = new_agent()
    history, first = _history_file()
    _greet(console, agent, first)
    session: PromptSession[str] = PromptSession(history=FileHistory(str(history)) if history else None)
    leaving = False
    while True:
        try:
            text = session.prompt(HTML("<b><ansicyan>› </ansicyan></b>")).strip()
            leaving = False
            if text == "/quit":
                return 0
            if text == "/reset":
                agent = new_agent()
                console.print("  a new conversation", style="dim")
            elif text.startswith("/"):
                _command(console, agent, text)
            elif text:
                _turn(console, agent, text)
        except EOFError:
            return 0
        except KeyboardInterrupt:
            if leaving:
                return 0
            leaving = True
            console.print("  Ctrl-C once more leaves", style="dim")


def _turn(console: Console, agent: Agent, text: str) -> None:
    events = agent.ask(text)
    try:
        View(console, console).show(events)
    except KeyboardInterrupt:
        events.close()  # what was said so far stays in the conversation
        console.print("  stopped", style="yellow")
    except LLMError as error:
        console.print(Line(f"  {error}", style="red"))
    console.print()


def _command(console: Console, agent: Agent, text: str) -> None:
    if text == "/help":
        _rows(console, COMMANDS)
    elif text == "/tools":
        _rows(console, {tool.spec.name: tool.spec.description for tool in agent.tools} or {"none": "it can only talk"})
    else:
        console.print(f"  there is no {text.split()[0]}; /help lists what there is", style="yellow", markup=False)


def _rows(console: Console, told: dict[str, str]) -> None:
    table = Table.grid(padding=(0, 2))
    for name, what in told.items():
        table.add_row(Line(f"  {name}", style="cyan"), Line(what))
    console.print(table)


def _greet(console: Console, agent: Agent, first: bool) -> None:
    tools = f"with {len(agent.tools)} tools of a small simulated world" if agent.tools else "without tools"
    console.print(Line.assemble((agent.model.name, "bold"), (f"  {tools}; /help lists the commands", "dim")))
    if first and agent.tools:
        console.print("\n  Three things to try:")
        for one in TRY:
            console.print(Line(f"    {one}", style="cyan"))
    console.print()


def _history_file() -> tuple[Path | None, bool]:
    """Where the lines typed are kept, for their owner alone, and whether this is the first start. None: nowhere."""
    file = default_path("").parent / "history"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return file, False
    except OSError:  # a home that cannot be written to is no reason not to talk
        return None, True
    return file, True
