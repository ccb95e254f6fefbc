"""The command `moonlet`: one verb for each thing a person does. A verb's module is imported when the verb is used."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NoReturn

NUMBER_FORMATS = ("bf16", "int8", "int4")


class UsageError(Exception):
    """The command cannot do what its arguments ask for."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line. Returns the exit code: 2 for the user's or the world's fault, told in one line."""
    parser = make_parser()
    asked = parser.parse_args(arguments)
    if asked.verb is None:
        parser.print_help()
        return 0
    try:
        code: int = importlib.import_module(f"moonlet.cli.{asked.verb}").main(asked)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has left; nothing more may be written, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        # Exceptions defined by this package speak of the world and the user; our own mistakes are assertions.
        if not (type(error).__module__.startswith("moonlet.") or isinstance(error, OSError)):
            raise
        print(f"moonlet: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def make_parser() -> argparse.ArgumentParser:
    """All verbs and their flags."""
    parser = _Parser(prog="moonlet", description="Own a Kimi-K2-class agent: run it, serve it, let it act.")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=_Parser)

    run = verbs.add_parser("run", help="talk to a model in the terminal")
    run.add_argument("model", nargs="?", metavar="MODEL", help="a folder, a pulled model or an endpoint's URL")
    run.add_argument("prompt", nargs="?", metavar="PROMPT", help="answer this and leave")
    run.add_argument("--json", action="store_true", help="print one JSON object: message, calls, results, usage")
    run.add_argument("--no-tools", action="store_true", help="only talk")
    run.add_argument("--temperature", type=float, metavar="T", help="0 always takes the likeliest token")
    run.add_argument("--max-tokens", type=_positive, metavar="N", help="of each reply")
    run.add_argument("--seed", type=int, metavar="N", help="makes the sampling repeatable")
    _add_engine(run)

    _add_agent(verbs.add_parser("agent", help="do a task with tools: files, shell, pages, MCP servers"))
    mcp = verbs.add_parser("mcp", help="offer a model to MCP clients, over standard input and output")
    mcp.add_argument("model", nargs="?", metavar="MODEL", help="a folder, a pulled model or an endpoint's URL")
    _add_engine(mcp)

    serve = verbs.add_parser("serve", help="answer OpenAI-style clients on this machine, or with keys those of others")
    serve.add_argument("model", nargs="?", metavar="MODEL", help="a folder or a pulled model")
    serve.add_argument("--host", default="127.0.0.1", help="another than a loopback address needs keys")
    serve.add_argument("--port", type=_port, default=8000, help="0 takes a free one")
    serve.add_argument("--require-key", action="store_true", help="ask for keys on a loopback address too")
    serve.add_argument("--cert", metavar="FILE", help="serve https with this certificate chain (PEM)")
    serve.add_argument("--key-file", metavar="FILE", help="and its private key (PEM)")
    serve.add_argument("--allow-host", action="append", metavar="NAME", help="a name that requests may be addressed to")
    serve.add_argument("--cors", action="append", metavar="ORIGIN", help="web pages from there may ask too")
    serve.add_argument("--price", metavar="P/C/O", help="dollars a million tokens: prompt/cached/output")
    serve.add_argument("--watts", type=float, help="of the machine at work, where it cannot measure them")
    serve.add_argument("--keep", type=_positive, metavar="DAYS", help="delete older requests from the ledger daily")
    serve.add_argument("--keep-prompts", action="store_true", help="keep what is asked, word for word")
    serve.add_argument("--a2a", action="store_true", help="offer an agent to other agents, at /a2a")
    serve.add_argument("--a2a-url", metavar="URL", help="how they reach this server (default: host and port)")
    serve.add_argument("--a2a-sign", metavar="FILE", help="sign its card with this key (PEM), which is made if need be")
    serve.add_argument("--a2a-push", action="append", metavar="HOST", help="may be notified, though it is private")
    _add_ledger_place(serve)
    _add_engine(serve)

    info = verbs.add_parser("info", help="a model's anatomy: parameters, bytes, cache")
    info.add_argument("model", metavar="MODEL", help="a folder, a pulled model or a config.json")
    info.add_argument("--json", action="store_true", help="print one JSON object")

    pull = verbs.add_parser("pull", help="download or take a checkpoint and convert it")
    pull.add_argument("source", metavar="REPO_OR_FOLDER", help="like moonshotai/Kimi-K2-Thinking, or a folder")
    pull.add_argument("--to", metavar="FOLDER", help="where the model folder goes (default: the cache, by its name)")
    pull.add_argument("--dense", choices=NUMBER_FORMATS, help="format of all but routed experts (default: as it is)")
    pull.add_argument("--experts", choices=NUMBER_FORMATS, help="format of the routed experts (default: as they are)")
    pull.add_argument("--keep", action="store_true", help="keep the downloaded files too")

    doctor = verbs.add_parser("doctor", help="check the machine and a model folder")
    doctor.add_argument("model", nargs="?", metavar="MODEL", help="a folder or a pulled model")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")

    _add_keys(verbs.add_parser("keys", help="who may ask the server, for what, and how much"))
    _add_ledger(verbs.add_parser("ledger", help="what was used, by whom, and what it cost"))

    _add_planner(verbs)
    _add_simulate(verbs)
    train = verbs.add_parser("train", help="train a small model, or train one further")
    train.add_argument(
        "stage", choices=("pretrain", "sft", "rl"), help="from nothing, on from a model, or on in simulated worlds"
    )
    train.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file of settings")
    verbs.add_parser("version", help="print the version")
    return parser


def _add_keys(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=_Parser)
    add = actions.add_parser("add", help="make a key and show it once")
    add.add_argument("name", metavar="NAME", help="whose it is, in the books")
    add.add_argument("--owner", help="a person or team with several keys (default: the name)")
    add.add_argument("--scopes", default="chat,models", help="of chat, models, admin (default: chat,models)")
    add.add_argument("--expires", type=_time("future"), metavar="WHEN", help="like 90d or 2027-06-30 (default: never)")
    add.add_argument("--weight", type=float, default=1.0, help="share of the machine when others wait (default: 1)")
    add.add_argument(
        "--priority", choices=("interactive", "batch"), default="interactive", help="batch waits for others"
    )
    add.add_argument("--json", action="store_true", help="print one JSON object")
    listed = actions.add_parser("list", help="show the keys, never their secrets")
    listed.add_argument("--json", action="store_true", help="print a JSON array")
    revoke = actions.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("name", metavar="NAME")
    limit = actions.add_parser("limit", help="change a key's limits; none takes one away")
    limit.add_argument("name", metavar="NAME")
    for one in (add, limit):
        one.add_argument("--tokens-per-minute", type=_limit("count"), metavar="N", help="in any 60 seconds")
        one.add_argument("--tokens-per-day", type=_limit("count"), metavar="N", help="of a day, UTC")
        one.add_argument("--tokens-per-month", type=_limit("count"), metavar="N", help="of a month, UTC")
        one.add_argument("--concurrent", type=_limit("count"), metavar="N", help="requests at once")
        one.add_argument(
            "--usd-per-month", dest="nano_usd_per_month", type=_limit("usd"), metavar="USD", help="at the stated price"
        )
    for one in (add, listed, revoke, limit):
        _add_ledger_place(one)


def _add_ledger(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", choices=("key", "owner", "day", "model", "api"), default="key", help="default: key")
    parser.add_argument("--since", type=_time("past"), metavar="WHEN", help="like 7d, 12h or 2026-11-01")
    parser.add_argument("--until", type=_time("past"), metavar="WHEN")
    parser.add_argument("--rows", action="store_true", help="the requests themselves: JSON lines, or --csv")
    parser.add_argument("--prompts", action="store_true", help="with --rows: what was asked, where it was kept")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--csv", action="store_true", help="print a table for a spreadsheet")
    parser.add_argument("--prune", type=_positive, metavar="DAYS", help="delete requests older than so many days")
    _add_ledger_place(parser)


def _add_ledger_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ledger", metavar="PLACE", help="a file or a postgresql:// URL (default: $MOONLET_LEDGER)")


def _time(direction: str) -> Callable[[str], float]:
    """Reads a time; what reads it is imported when there is one."""

    def read(text: str) -> float:
        return float(getattr(importlib.import_module("moonlet.cli.when"), direction)(text))

    return read


def _limit(kind: str) -> Callable[[str], int | str]:
    def read(text: str) -> int | str:
        value: int | str = getattr(importlib.import_module("moonlet.cli.keys"), kind)(text)
        return value

    return read


def _add_planner(verbs: argparse._SubParsersAction[_Parser]) -> None:
    plan = verbs.add_parser("plan", help="does it fit, how fast is it, does owning pay")
    plan.add_argument("model", nargs="?", metavar="MODEL", help="a name, folder, config.json or .gguf; none: a list")
    plan.add_argument("--machine", metavar="NAME", help="of the catalogue, or a .toml (default: this one, measured)")
    plan.add_argument("--measure", action="store_true", help="measure this machine again")
    plan.add_argument("--compare", nargs="+", default=[], metavar="MACHINE", help="other machines beside it")
    plan.add_argument("--context", type=_positive, metavar="N", help="tokens of a conversation")
    plan.add_argument("--sequences", type=_positive, default=1, metavar="N", help="at the same time")
    plan.add_argument("--dense", choices=NUMBER_FORMATS, help="format of all but routed experts")
    plan.add_argument("--experts", choices=NUMBER_FORMATS, help="format of the routed experts")
    plan.add_argument("--no-stream", action="store_true", help="experts must not stay on disk")
    plan.add_argument("--memory", type=_bytes, metavar="SIZE", help="use no more of it, like 24G")
    plan.add_argument("--skew", type=_amount, default=0.6, metavar="S", help="popularity of experts: rank^-S")
    plan.add_argument("--trace", metavar="FILE", help="measured routing, from moonlet bench --trace")
    plan.add_argument("--team", dest="developers", type=_positive, metavar="N", help="developers")
    plan.add_argument("--tokens-per-day", type=_positive, metavar="N", help="of a developer, reread ones included")
    plan.add_argument("--cached", dest="cached_share", type=_decimal, metavar="SHARE", help="of them, sent before")
    plan.add_argument("--written", dest="output_share", type=_decimal, metavar="SHARE", help="of them, written")
    plan.add_argument("--days", type=_positive, metavar="N", help="worked in a year")
    plan.add_argument("--against", action="append", default=[], metavar="NAME", help="a model or seat of the prices")
    plan.add_argument("--price", type=_decimal, metavar="AMOUNT", help="of the machine")
    plan.add_argument("--watts", type=_amount, metavar="W", help="under load")
    plan.add_argument("--idle-watts", type=_amount, metavar="W")
    for name, what in (
        ("tariff", "of a kWh"), ("pue", "power of the room over the machine's"), ("residual", "share when it is sold"),
        ("interest", "a year, as a share"), ("admin-hours", "a year"), ("admin-wage", "an hour"),
        ("network", "a year"), ("rent", "a year"),
    ):  # fmt: skip
        plan.add_argument(f"--{name}", type=_decimal, metavar="X", help=what)
    plan.add_argument("--on-hours", dest="hours", type=_decimal, metavar="N", help="a year that it is on")
    plan.add_argument("--years", type=_positive, metavar="N", help="that it is kept")
    plan.add_argument("--tax", metavar="COUNTRY-YEAR", help="what writing it off saves, like us-2026")
    plan.add_argument("--simulate", action="store_true", help="a team's day, event by event")
    plan.add_argument("--boxes", type=_positive, metavar="N", help="machines to simulate")
    plan.add_argument("--html", metavar="FILE", help="write a report with charts")
    plan.add_argument("--json", action="store_true", help="print one JSON object")

    prices = verbs.add_parser("prices", help="what tokens and seats cost elsewhere")
    prices.add_argument("what", nargs="?", metavar="PART", help="of a name to look for, or update")
    prices.add_argument("source", nargs="?", metavar="FILE|URL", help="in LiteLLM's or models.dev's format")

    bench = verbs.add_parser("bench", help="measure what plan predicts: predicted, measured, error")
    bench.add_argument("model", nargs="?", metavar="MODEL", help="a folder or a pulled model")
    bench.add_argument("--prompt", type=_positive, default=512, metavar="N", help="tokens of the prompt")
    bench.add_argument("--tokens", type=_positive, default=32, metavar="N", help="written in each run")
    bench.add_argument("--batches", type=_positive, nargs="+", default=[1, 4, 8], metavar="N")
    bench.add_argument("--memory", type=_bytes, metavar="SIZE", help="use no more; experts that do not fit stream")
    bench.add_argument("--trace", metavar="FILE", help="write the experts that were chosen, for moonlet plan --trace")
    bench.add_argument("--keep", action="store_true", help="correct later plans of this machine by what is found")
    bench.add_argument("--json", action="store_true", help="print one JSON object")
    bench.add_argument("--threads", type=_positive, metavar="N", help="default: one for each core")


def _amount(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must be a number that is not negative")
    return value


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
    if not value.is_finite() or value < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, got {text}")
    return value


def _add_agent(agent: argparse.ArgumentParser) -> None:
    agent.add_argument("task", nargs="?", metavar="TASK", help="what to do; - or nothing: from standard input")
    agent.add_argument("--model", metavar="MODEL", help="a folder, a pulled model or an endpoint's URL")
    agent.add_argument("--mcp", action="append", metavar="SOURCE", help="an mcp.json, a URL or a command; repeatable")
    agent.add_argument(
        "--a2a", action="append", metavar="URL", help="another agent as a tool; with a key: VARIABLE=URL"
    )
    agent.add_argument("--tools", default="calculate,time,files", metavar="LIST", help="also shell, fetch; or none")
    agent.add_argument("--folder", default=".", metavar="FOLDER", help="where files and the shell work")
    agent.add_argument("--limits", metavar="LIST", help="steps=50,tokens=...,seconds=...,usd=...,call_s=...")
    agent.add_argument("--price", metavar="IN/OUT", help="dollars for a million tokens, for the limit in usd")
    mode = agent.add_mutually_exclusive_group()
    for name, told in (
        ("ask", "ask before anything that changes or sends something (default)"),
        ("yes", "allow everything"),
        ("read-only", "refuse what can change something"),
    ):
        mode.add_argument(f"--{name}", dest="mode", action="store_const", const=name, help=told)
    agent.set_defaults(mode="ask")
    agent.add_argument("--allow", action="append", metavar="PATTERN", help="tools that need no question; repeatable")
    agent.add_argument("--fetch-allow", action="append", metavar="HOST", help="a host or network that is not public")
    agent.add_argument("--shell-unconfined", action="store_true", help="a shell without a sandbox, as you")
    agent.add_argument(
        "--prompt", nargs="+", metavar="SERVER:NAME", help="begin with a server's prompt, NAME=VALUE after it"
    )
    agent.add_argument("--system", metavar="TEXT", help="instead of our own instructions")
    agent.add_argument("--record", metavar="FILE", help="where the run is recorded (default: under the cache)")
    agent.add_argument("--resume", metavar="FILE", help="go on with a recorded run")
    agent.add_argument("--list", action="store_true", help="only list tools, prompts and resources")
    agent.add_argument("--json", action="store_true", help="one JSON object a line, as things happen")
    agent.add_argument("--temperature", type=float, metavar="T", help="0 always takes the likeliest token")
    agent.add_argument("--max-tokens", type=_positive, metavar="N", help="of each reply")
    agent.add_argument("--seed", type=int, metavar="N", help="makes the sampling repeatable")
    _add_engine(agent)


def _add_simulate(verbs: argparse._SubParsersAction[_Parser]) -> None:
    simulate = verbs.add_parser("simulate", help="try a model in simulated worlds, or on your own MCP tools")
    simulate.add_argument("model", nargs="?", metavar="MODEL", help="a folder, a pulled model, a URL, or: solution")
    simulate.add_argument("--name", metavar="NAME", help="the model to ask for at the endpoint")
    simulate.add_argument("--from-mcp", metavar="CMD", help="mock the tools of the MCP server that this command starts")
    simulate.add_argument(
        "--examples", type=Path, metavar="FILE", help="recorded results of its tools, one JSON a line"
    )
    simulate.add_argument("--record", action="append", metavar="CALL", help="call it once for real: TOOL {ARGUMENTS}")
    simulate.add_argument("-n", type=_positive, default=110, metavar="N", help="tasks (default: 110)")
    simulate.add_argument("--seed", type=int, default=0, metavar="N", help="of the tasks")
    simulate.add_argument("--domains", metavar="A,B", help="only these worlds")
    simulate.add_argument("--kinds", metavar="A,B", help="only these kinds of tasks")
    simulate.add_argument("--languages", metavar="A,B", help="en, th, zh (default: all; with --from-mcp: en)")
    simulate.add_argument("--user", metavar="URL", help="an endpoint that plays the users")
    simulate.add_argument("--judge", metavar="URL", help="an endpoint that judges by rubric what has passed the checks")
    simulate.add_argument("--workers", type=_positive, default=2, metavar="N", help="rollouts at a time (default: 2)")
    simulate.add_argument("--ray", action="store_true", help="run them on Ray")
    simulate.add_argument("--out", type=Path, metavar="FILE", help="write every trajectory as a line of JSON")
    simulate.add_argument("--replay", type=Path, metavar="FILE", help="play recorded trajectories again and compare")
    simulate.add_argument("--temperature", type=float, metavar="T", help="0 always takes the likeliest token")
    simulate.add_argument("--max-tokens", type=_positive, metavar="N", help="of each reply")
    simulate.add_argument("--json", action="store_true", help="print one JSON object")
    _add_engine(simulate)


def _add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--exact", action="store_true", help="compute with float32 activations: slower, for comparing")
    parser.add_argument("--threads", type=_positive, metavar="N", help="default: one for each core")
    parser.add_argument("--cache-tokens", type=_positive, metavar="N", help="kept of all replies together")
    parser.add_argument(
        "--memory",
        type=_bytes,
        metavar="SIZE",
        help="like 12G; experts that do not fit are streamed",
    )
    parser.add_argument(
        "--prefixes",
        type=_bytes,
        metavar="SIZE",
        help="of disk, for conversations that go on after a restart; default: 0",
    )
    parser.add_argument(
        "--also", action="append", metavar="FOLDER", help="a copy on another drive, to stream from too; repeatable"
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _bytes(text: str) -> int:
    """12G, 800M, 1.5T, also as GB or GiB: thousands without the i, as drives are sold; a plain number is bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b)?", text.strip(), re.IGNORECASE)
    if not found:
        raise argparse.ArgumentTypeError(f"must be a size like 12G or 800M, not {text!r}")
    number, unit, binary = found.groups()
    step = 1024 if binary else 1000
    value: float = float(number) * float(step) ** (" kmgt".index(unit.lower()) if unit else 0)
    if not 1 <= value < 1 << 60:
        raise argparse.ArgumentTypeError("must be at least one byte, and less than the world holds")
    return round(value)


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return value
