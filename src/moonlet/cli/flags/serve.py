"""The flags of `moonlet serve`."""

from __future__ import annotations

import argparse

from moonlet.cli.flags.kinds import amount, place, port, positive, span
from moonlet.cli.flags.shared import add_engine, add_ledger_place


def add_flags(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("model", nargs="?", metavar="MODEL", help="a folder or a pulled model; with --engine a name")
    serve.add_argument("--host", default="127.0.0.1", help="where to listen; beyond loopback addresses keys are needed")
    serve.add_argument("--port", type=port, default=8000, help="0 takes a free one")
    serve.add_argument("--require-key", action="store_true", help="ask for keys on a loopback address too")
    serve.add_argument("--cert", metavar="FILE", help="serve https with this certificate chain (PEM)")
    serve.add_argument("--key-file", metavar="FILE", help="and its private key (PEM)")
    serve.add_argument("--allow-host", action="append", metavar="NAME", help="a name that requests may be addressed to")
    serve.add_argument("--cors", action="append", metavar="ORIGIN", help="web pages from there may ask too")
    serve.add_argument(
        "--engine", action="append", metavar="ENGINE", help="start vllm or sglang, or use one: URL[,WORD=...]"
    )
    serve.add_argument("--hedge", type=amount, metavar="S", help="ask a second engine when one is silent for S seconds")
    serve.add_argument("--ray", type=span, metavar="MIN-MAX", help="MIN to MAX fronts on a Ray cluster, by load")
    serve.add_argument("--plan", metavar="FILE", help="output of `moonlet plan --json`: how vllm or sglang is started")
    serve.add_argument("--price", metavar="P/C/O", help="dollars a million tokens: prompt/cached/output")
    serve.add_argument("--watts", type=float, help="power of the machine at work, where it cannot be measured")
    serve.add_argument("--keep", type=positive, metavar="DAYS", help="delete older requests from the ledger daily")
    serve.add_argument("--keep-prompts", action="store_true", help="keep what is asked, word for word")
    serve.add_argument("--tools", default="none", metavar="LIST", help="for the page: from files, shell, fetch")
    serve.add_argument("--folder", default=".", metavar="FOLDER", help="where those files and that shell work")
    serve.add_argument(
        "--mcp", action="append", metavar="SOURCE", help="MCP servers for the page: mcp.json, URL, command"
    )
    serve.add_argument(
        "--fetch-allow",
        action="append",
        metavar="HOST",
        help="a host or network that may be read although it is not public",
    )
    serve.add_argument("--a2a", action="store_true", help="offer an agent to other agents, at /a2a")
    serve.add_argument("--a2a-url", metavar="URL", help="how they reach this server (default: host and port)")
    serve.add_argument("--a2a-grpc", type=place, metavar="HOST:PORT", help="offer it over gRPC too, with the same keys")
    serve.add_argument("--a2a-sign", metavar="FILE", help="sign its card with this key (PEM), which is made if need be")
    serve.add_argument(
        "--a2a-push",
        action="append",
        metavar="HOST",
        help="a host that push notifications may go to although its address is private; repeatable",
    )
    serve.add_argument("--no-trial", action="store_true", help="do not try how the model uses tools when first served")
    serve.add_argument("--articles", action="store_true", help="make articles of recordings, at /v1/articles")
    serve.add_argument("--whisper", default="small", metavar="MODEL", help="their speech model: a name or a folder")
    add_ledger_place(serve)
    add_engine(serve)
