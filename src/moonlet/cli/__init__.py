"""The command `moonlet`: one verb for each thing a person does. A verb's module is imported when the verb is used."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

# In the order of the help. The flags of each are in flags/, what it does in a module of its name.
VERBS = {
    "run": "talk to a model in the terminal",
    "agent": "do a task with tools: files, shell, pages, MCP servers",
    "mcp": "offer a model to MCP clients, over standard input and output",
    "serve": "answer OpenAI-style clients on this machine, or with keys those of others",
    "info": "a model's anatomy: parameters, bytes, cache",
    "pull": "download or take a checkpoint and convert it",
    "doctor": "check the machine and a model folder",
    "keys": "who may ask the server, for what, and how much",
    "ledger": "what was used, by whom, and what it cost",
    "plan": "does it fit, how fast is it, does owning pay",
    "deploy": "manifests for a plan: compose, systemd, Kubernetes",
    "prices": "what tokens and seats cost elsewhere",
    "bench": "measure what plan predicts, and show the error",
    "simulate": "try a model in simulated worlds, or on your own MCP tools",
    "eval": "measure how well models use tools, side by side",
    "train": "train a small model from scratch, or an existing one further",
    "article": "a video becomes an article that can be checked",
}


class UsageError(Exception):
    """The command cannot do what its arguments ask for."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def run() -> NoReturn:
    """The command as a process, which ends with it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - until the end
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that is not UTF-8 cannot show every sign
        sys.stdout.reconfigure(errors="replace")
    code = main()
    if "moonlet.train.sharded" in sys.modules:  # one of several that have trained together
        importlib.import_module("moonlet.train.sharded").leave(code)
    sys.exit(code)


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
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    for verb, what in VERBS.items():
        importlib.import_module(f"moonlet.cli.flags.{verb}").add_flags(verbs.add_parser(verb, help=what))
    verbs.add_parser("version", help="print the version")
    return parser
