"""`moonlet serve`: one endpoint on this machine for every client that speaks OpenAI's protocol."""

from __future__ import annotations

import argparse
import socket
from contextlib import suppress

import uvicorn
from rich.console import Console

from moonlet.cli import UsageError
from moonlet.cli.mcp import offered
from moonlet.cli.open import open_local
from moonlet.server import mcp
from moonlet.server.app import LOOPBACK, create_app


def main(asked: argparse.Namespace) -> int:
    if asked.host not in LOOPBACK:
        raise UsageError(
            f"--host {asked.host}: this version serves this machine only ({', '.join(LOOPBACK)}), because it has no "
            "keys yet; to serve others, put a proxy that asks for keys in front"
        )
    try:
        bound = socket.create_server(
            (asked.host, asked.port), family=socket.AF_INET6 if ":" in asked.host else socket.AF_INET
        )
    except OSError as error:
        raise UsageError(
            f"cannot listen on {asked.host} port {asked.port}: {error.strerror}; choose another --port"
        ) from None
    with bound, open_local(asked) as model:
        host = f"[{asked.host}]" if ":" in asked.host else asked.host
        url = f"http://{host}:{bound.getsockname()[1]}/v1"
        console = Console(highlight=False)
        console.print(f"[bold]{model.name}[/bold] answers at [bold]{url}[/bold]   (Ctrl-C stops)", soft_wrap=True)
        console.print(f"  OpenAI clients: base_url={url} model={model.name} api_key=anything", soft_wrap=True)
        app = create_app(model)
        mcp.mount(app, mcp.make_server(offered(model)))
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
        with suppress(KeyboardInterrupt):  # uvicorn has shut down in order and passes the signal on
            uvicorn.Server(config).run(sockets=[bound])
    return 0
