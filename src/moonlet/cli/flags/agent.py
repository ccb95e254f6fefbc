"""The flags of `moonlet agent`."""

from __future__ import annotations

import argparse

from moonlet.cli.flags.shared import add_engine, add_sampling


def add_flags(agent: argparse.ArgumentParser) -> None:
    agent.add_argument("task", nargs="?", metavar="TASK", help="what to do; - or nothing: from standard input")
    agent.add_argument("--model", metavar="MODEL", help="a folder, a pulled model or an endpoint's URL")
    agent.add_argument("--mcp", action="append", metavar="SOURCE", help="an mcp.json, a URL or a command; repeatable")
    agent.add_argument(
        "--a2a", action="append", metavar="URL", help="another agent as a tool; with a key: VARIABLE=URL"
    )
    agent.add_argument("--tools", default="calculate,time,files", metavar="LIST", help="also: shell, fetch, article")
    agent.add_argument("--folder", default=".", metavar="FOLDER", help="where files and the shell work")
    agent.add_argument("--limits", metavar="LIST", help="steps=50,tokens=...,seconds=...,usd=...,call_s=120,...")
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
    agent.add_argument(
        "--fetch-allow",
        action="append",
        metavar="HOST",
        help="a host or network that may be read although it is not public",
    )
    agent.add_argument("--shell-unconfined", action="store_true", help="a shell without a sandbox, with your rights")
    agent.add_argument(
        "--prompt", nargs="+", metavar="SERVER:NAME", help="begin with a server's prompt, NAME=VALUE after it"
    )
    agent.add_argument("--system", metavar="TEXT", help="instructions in place of moonlet's own")
    agent.add_argument("--record", metavar="FILE", help="where the run is recorded (default: under the cache)")
    agent.add_argument("--resume", metavar="FILE", help="go on with a recorded run")
    agent.add_argument("--list", action="store_true", help="only list tools, prompts and resources")
    agent.add_argument("--json", action="store_true", help="one JSON object a line, as things happen")
    add_sampling(agent)
    add_engine(agent)
