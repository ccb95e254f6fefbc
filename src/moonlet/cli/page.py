"""The tools that `moonlet serve` offers on its page: those that are named, and MCP servers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from moonlet.cli import UsageError
from moonlet.model.folder import default_path
from moonlet.server.keys import Access
from moonlet.server.page_tools import Workbench
from moonlet.tools.mcp.config import read_servers
from moonlet.tools.mcp.host import Host
from moonlet.tools.tool import Tool, ToolError

ACTING = ("files", "shell", "fetch")


@contextmanager
def page_bench(asked: argparse.Namespace, access: Access) -> Iterator[Workbench]:
    """Servers run within the block. Raises UsageError, ConfigError."""
    own, folder = _acting(asked), Path(asked.folder).expanduser()
    servers = [server for source in asked.mcp or () for server in read_servers(source, folder)]
    if not servers:
        yield Workbench(access, own)
        return
    # Nobody sits at this terminal: a server that wants to ask a person is told that there is none.
    with Host(servers, default_path("").parent / "mcp", roots=[folder]) as host:

        def found() -> Mapping[str, Sequence[Tool]]:
            tools = host.tools()
            return {name: [one for one in tools if one.spec.name.startswith(f"{name}__")] for name in host.offers()}

        yield Workbench(access, own, found)


def _acting(asked: argparse.Namespace) -> list[Tool]:
    """What acts on this machine, where its owner names it."""
    from moonlet.tools.fetch import fetch_tool
    from moonlet.tools.files import file_tools
    from moonlet.tools.shell import ShellError, shell_tool

    names = [name.strip() for name in asked.tools.split(",") if name.strip() not in ("", "none")]
    if unknown := [name for name in names if name not in ACTING]:
        raise UsageError(f"--tools: the page can be given {', '.join(ACTING)} or none, not {unknown[0]}")
    folder = Path(asked.folder).expanduser()
    made: list[Tool] = []
    try:
        made += file_tools(folder) if "files" in names else []
        made += [shell_tool(folder, False)] if "shell" in names else []
        made += [fetch_tool(asked.fetch_allow or ())] if "fetch" in names else []
    except ShellError:  # whose advice is for a shell that answers to one person at a terminal
        told = "a shell needs bubblewrap (apt install bubblewrap), which must be allowed to make a sandbox here"
        raise UsageError(f"--tools shell: {told}") from None
    except ToolError as error:
        raise UsageError(f"--folder {error}") from None
    return made
