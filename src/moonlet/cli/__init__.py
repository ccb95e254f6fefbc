"""The command `moonlet`: one verb for each thing a person does. A verb's module is imported when the verb is used."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
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

    serve = verbs.add_parser("serve", help="answer OpenAI-style clients on this machine")
    serve.add_argument("model", nargs="?", metavar="MODEL", help="a folder or a pulled model")
    serve.add_argument("--host", default="127.0.0.1", help="a loopback address")
    serve.add_argument("--port", type=_port, default=8000, help="0 takes a free one")
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

    verbs.add_parser("version", help="print the version")
    return parser


def _add_agent(agent: argparse.ArgumentParser) -> None:
    agent.add_argument("task", nargs="?", metavar="TASK", help="what to do; - or nothing: from standard input")
    agent.add_argument("--model", metavar="MODEL", help="a folder, a pulled model or an endpoint's URL")
    agent.add_argument("--mcp", action="append", metavar="SOURCE", help="an mcp.json, a URL or a command; repeatable")
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


def _add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--exact", action="store_true", help="compute with float32 activations: slower, for comparing")
    parser.add_argument("--threads", type=_positive, metavar="N", help="default: one for each core")
    parser.add_argument("--cache-tokens", type=_positive, metavar="N", help="kept of all replies together")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return value
