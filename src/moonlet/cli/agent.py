"""`moonlet agent`: a task, done with tools that act, watched and limited by its owner."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text as Line

from moonlet.agent import Agent, CallResult, CallStarted, Ended, Event, Limits, Notice, Price, Ruling
from moonlet.agent.approval import Approvals
from moonlet.agent.instructions import instructions
from moonlet.agent.record import Past, Record
from moonlet.chat.messages import Message, to_openai
from moonlet.cli import UsageError
from moonlet.cli.article_extra import missing
from moonlet.cli.console import checked, piped
from moonlet.cli.flags.kinds import amount
from moonlet.cli.open import open_any
from moonlet.cli.terminal import Terminal, plain
from moonlet.cli.view import View
from moonlet.llm import LLM, Done, ReplyOptions, Usage
from moonlet.model.folder import default_path
from moonlet.tools.basic import calculator, clock
from moonlet.tools.mcp.asking import Sample
from moonlet.tools.mcp.config import read_servers
from moonlet.tools.mcp.host import Host
from moonlet.tools.tool import Tool, ToolError

BUILT_IN = ("calculate", "time", "files", "shell", "fetch", "article")
PLAIN_TOOLS = "calculate,time,files"


def main(asked: argparse.Namespace) -> int:
    limits, price = parse_limits(asked.limits), _price(asked.price)
    if limits.usd is not None and price is None:
        raise UsageError("a limit in usd needs --price INPUT/OUTPUT, the dollars for a million tokens of each")
    task = _task(asked)
    folder = Path(asked.folder).expanduser()
    servers = [server for source in asked.mcp or () for server in read_servers(source, folder)]
    console = Console(stderr=True, highlight=False)
    view = View(console if asked.json else Console(), console)
    # Who pipes something in, or reads JSON, is no person who could be asked.
    terminal = Terminal(console, view.paused) if sys.stdin.isatty() and not asked.json else None
    with ExitStack() as stack:
        model, can_call = stack.enter_context(open_any(asked))
        if not can_call:
            raise UsageError(f"{model.name} has no format for calling tools")
        agents: list[Agent] = []
        sample = _sampler(model, agents)
        host = stack.enter_context(Host(servers, _state(), terminal, sample, [folder]))
        built = _built_in(asked, folder, model)
        if asked.a2a:
            built += _elsewhere(asked.a2a, built, console)
        if asked.list:
            return _list(host, built)
        record, past = _record(asked, model)
        stack.callback(record.close)
        told = asked.system or instructions(date.today(), folder.resolve().name, bool(servers))
        approvals = Approvals(
            asked.mode, [*(asked.allow or ()), *host.allowed()], terminal.approve if terminal else None
        )
        agent = Agent(
            model,
            _Tools(built, host),
            () if past else [Message("system", told)],
            limits,
            ReplyOptions(temperature=asked.temperature, max_tokens=asked.max_tokens, seed=asked.seed),
            approve=approvals,
            price=price,
            record=record,
            past=past,
            rereadable=True,
        )
        agents.append(agent)
        events = _events(agent, host, asked, task, past)
        ended = _print_json(events) if asked.json else view.show(events)
        console.print(Line(_summary(ended, record.path, price), style="dim"), soft_wrap=True)
        return 0 if ended and ended.reason == "stop" else 1


class _Tools:
    """Our own tools and the servers', as they are just now."""

    def __init__(self, built: Sequence[Tool], host: Host) -> None:
        self._built, self._host = tuple(built), host

    def tools(self) -> Sequence[Tool]:
        return [*self._built, *self._host.tools()]

    def notices(self) -> Sequence[str]:
        return self._host.notices()


def parse_limits(text: str | None) -> Limits:
    """`steps=30,tokens=200000,seconds=600,usd=0.5` with what is left out as by default. Raises UsageError."""
    kinds: dict[str, Callable[[str], Any]] = {field.name: int for field in fields(Limits)}
    kinds |= {"seconds": float, "usd": float, "call_s": float}
    given: dict[str, Any] = {}
    for part in (text or "").split(","):
        name, equals, value = part.strip().partition("=")
        if not part.strip():
            continue
        if name not in kinds or not equals:
            raise UsageError(f"--limits {part.strip()!r}: write NAME=NUMBER with a NAME of {', '.join(kinds)}")
        try:
            given[name] = kinds[name](value)
        except ValueError:
            raise UsageError(f"--limits {name}: {value!r} is not a number") from None
    try:
        return Limits(**{"steps": 50, **given})
    except ValueError as error:
        raise UsageError(f"--limits {error}") from None


def _price(text: str | None) -> Price | None:
    if text is None:
        return None
    try:
        input_usd, output_usd = map(amount, text.split("/"))
    except (ValueError, argparse.ArgumentTypeError):
        raise UsageError(f"--price {text!r}: write INPUT/OUTPUT, such as 0.6/2.5") from None
    return Price(input_usd, output_usd)


def _task(asked: argparse.Namespace) -> str | None:
    """What is to be done; None if a run goes on, a prompt of a server says it, or nothing is done but listing."""
    from_pipe = asked.task == "-" or (asked.task is None and not (asked.resume or asked.prompt or asked.list))
    task = piped() if from_pipe and not sys.stdin.isatty() else asked.task
    if (from_pipe and not task) or task in ("-", ""):
        raise UsageError('say what to do: moonlet agent "..."')
    return None if task is None else checked(task)


def _record(asked: argparse.Namespace, model: LLM) -> tuple[Record, Past | None]:
    if asked.resume:
        record, past = Record.resume(Path(asked.resume).expanduser())
        if past.ended and not asked.task:
            record.close()
            raise UsageError(f"{asked.resume}: that run has ended; give it something more to do")
        return record, past
    name = datetime.now().strftime("%Y%m%d-%H%M%S-%f") + ".jsonl"
    path = Path(asked.record).expanduser() if asked.record else default_path("").parent / "agent" / name
    return Record.create(path, model.name), None


def _state() -> Path:
    return default_path("").parent / "mcp"


def _built_in(asked: argparse.Namespace, folder: Path, model: LLM) -> list[Tool]:
    """The tools that are named. Raises UsageError."""
    from moonlet.tools.fetch import fetch_tool
    from moonlet.tools.files import file_tools
    from moonlet.tools.shell import shell_tool

    names = [name.strip() for name in asked.tools.split(",") if name.strip() not in ("", "none")]
    if unknown := [name for name in names if name not in BUILT_IN]:
        raise UsageError(f"--tools: there is no {unknown[0]}; there are {', '.join(BUILT_IN)} and none")
    made: list[Tool] = []
    try:
        made += [calculator()] if "calculate" in names else []
        made += [clock(lambda: datetime.now().astimezone())] if "time" in names else []
        made += file_tools(folder) if "files" in names else []
        made += [shell_tool(folder, asked.shell_unconfined)] if "shell" in names else []
        made += [fetch_tool(asked.fetch_allow or ())] if "fetch" in names else []
        made += [_article(folder, model)] if "article" in names else []
    except ToolError as error:
        raise UsageError(f"--folder {error}") from None
    return made


def _article(folder: Path, model: LLM) -> Tool:
    if told := missing():
        raise UsageError(f"--tools article: {told}")
    from moonlet.cli import article_jobs

    return article_jobs.tool(folder, model)


def _events(
    agent: Agent, host: Host, asked: argparse.Namespace, task: str | None, past: Past | None
) -> Iterator[Event]:
    if asked.prompt:
        server, _, rest = asked.prompt[0].partition(":")
        arguments = dict(part.split("=", 1) for part in asked.prompt[1:] if "=" in part)
        said = [message.content for message in host.prompt(server, rest, arguments)]
        return agent.ask("\n\n".join([*said, task or ""]).strip())
    return agent.run() if past and task is None else agent.ask(task or "")


def _sampler(model: LLM, agents: Sequence[Agent]) -> Sample:
    """Answers for servers, charged to the run."""

    def sample(messages: Sequence[Message], limit: int) -> tuple[str, str]:
        for event in model.reply(messages, (), ReplyOptions(max_tokens=limit)):
            if isinstance(event, Done):
                for agent in agents:
                    agent.charge(event.usage)
                return event.message.content, model.name
        return "", model.name

    return sample


def _elsewhere(sources: Sequence[str], own: Sequence[Tool], console: Console) -> list[Tool]:
    """Other agents as tools; what each of their tasks cost is told."""
    try:
        from moonlet.cli.a2a import remote_agents
    except ImportError:  # an extra of the package
        raise UsageError("--a2a needs the A2A SDK: pip install 'moonlet[a2a]'") from None
    return remote_agents(
        sources, own, lambda cost: console.print(Line(plain(f"{cost.agent} took {cost}"), style="dim"), soft_wrap=True)
    )


def _list(host: Host, built: Sequence[Tool]) -> int:
    """What can be called, read and asked for."""
    for tool in built:
        print(f"{tool.spec.name}: {tool.spec.description}")
    for name, (connection, offer) in host.offers().items():
        print(f"\nserver {name}" + (f", revision {connection.version}" if connection.version else ": not there"))
        for one in [tool for tool in host.tools() if tool.spec.name.startswith(f"{name}__")]:
            print(f"  {one.spec.name}: {plain(' '.join(one.spec.description.split()))[:200]}")
        for prompt in offer.prompts:
            given = "".join(f" {one.name}=..." for one in prompt.arguments or ())
            print(f"  --prompt {name}:{plain(prompt.name)}{plain(given)}: {plain(prompt.description or '')[:200]}")
        for resource in offer.resources:
            print(f"  {plain(str(resource.uri))}: {plain(resource.name)}")
    for notice in host.notices():
        print(plain(notice), file=sys.stderr)
    return 0


def _print_json(events: Iterator[Event]) -> Ended | None:
    """One JSON object a line, as things happen; replies whole."""
    for event in events:
        told: dict[str, Any]
        match event:
            case Done(message, finish, usage):
                told = {"event": "reply", "message": to_openai(message), "finish": finish, "usage": _usage(usage)}
            case CallStarted(_, call, changes):
                told = {"event": "call", "id": call.id, "name": call.name, "changes": changes}
            case Ruling(_, call, allowed, by):
                told = {"event": "ruling", "id": call.id, "allowed": allowed, "by": by}
            case CallResult():
                told = {"event": "result", "id": event.call.id, "name": event.call.name, "text": event.text}
                told |= {"failed": event.failed, "seconds": round(event.seconds, 6)}
            case Notice(text):
                told = {"event": "notice", "text": text}
            case Ended(reason, _, spent):
                told = {"event": "end", "reason": reason, "spent": asdict(spent)}
            case _:
                continue
        print(json.dumps(told, ensure_ascii=False), flush=True)
        if isinstance(event, Ended):
            return event
    return None


def _usage(usage: Usage) -> dict[str, Any]:
    told = asdict(usage)
    told.pop("experts")
    return told


def _summary(ended: Ended | None, path: Path, price: Price | None) -> str:
    told = f"  record: {path}"
    if ended:
        spent = ended.spent
        money = f", ${spent.usd:.4f}" if price else ""
        told += f"\n  {spent.steps} steps, {spent.calls} calls, {spent.tokens} tokens, {spent.seconds:.1f} s{money}"
        if ended.reason != "stop":
            told += f'; ended by {ended.reason}: moonlet agent --resume {path} "go on" continues'
    return told
