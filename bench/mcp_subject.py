"""The agent's MCP host before the client scenarios of the official conformance kit: python -m bench.mcp_subject URL.

It does what the agent does: connects, lists, calls every tool that it is offered, reads, and answers what it is asked.
The kit names the scenario in MCP_CONFORMANCE_SCENARIO and gives what the scenario needs in MCP_CONFORMANCE_CONTEXT.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from moonlet.chat.messages import Message, ToolCall
from moonlet.tools.mcp.config import OAuth, ServerConfig
from moonlet.tools.mcp.host import Host, HostError
from moonlet.tools.tool import call

METADATA_URL = "https://conformance-test.local/client-metadata.json"  # the kit's own


class Robot:
    """Fills forms with their defaults and logs in at once."""

    def fill(self, server: str, message: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return {name: field.get("default", sample(field)) for name, field in schema.get("properties", {}).items()}

    def visit(self, server: str, message: str, url: str) -> bool:
        def browse() -> None:
            answer = httpx.get(url, follow_redirects=False)
            httpx.get(answer.headers["location"])

        threading.Thread(target=browse, daemon=True).start()
        return True

    def lend_model(self, server: str, messages: Sequence[Message]) -> bool:
        return True


def sample(schema: Mapping[str, Any]) -> Any:
    """A value that fits a simple schema."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "string")
    plain = {"string": "text", "integer": 5, "number": 5, "boolean": True, "array": [], "object": {}}
    return plain[kind if isinstance(kind, str) else kind[0]]


def main() -> None:
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    oauth = OAuth(context.get("client_id"), context.get("client_secret"), METADATA_URL)
    config = ServerConfig("kit", url=sys.argv[-1], oauth=oauth)
    with tempfile.TemporaryDirectory() as place, Host([config], Path(place), Robot(), lambda _, n: ("4", "m")) as host:
        tools = {tool.spec.name: tool for tool in host.tools()}
        wanted = [(one["name"], one.get("arguments") or {}) for one in context.get("toolCalls") or ()]
        if not wanted:
            for _, offer in host.offers().values():
                for tool in offer.tools:
                    fields = tool.input_schema.get("properties", {})
                    wanted.append((tool.name, {name: sample(field) for name, field in fields.items()}))
        for name, arguments in wanted:
            told = call(tools.values(), ToolCall("c", f"kit__{name}", json.dumps(arguments)))
            print(name, told[:200])
        for connection, offer in host.offers().values():
            print("revision", connection.version)
            for resource in offer.resources[:1]:
                read = {"uri": str(resource.uri)}
                print(call(tools.values(), ToolCall("c", "kit__read_resource", json.dumps(read)))[:200])
            for prompt in offer.prompts[:1]:
                given = {one.name: "x" for one in prompt.arguments or ()}
                try:
                    print(host.prompt("kit", prompt.name, given))
                except HostError as error:
                    print(error)
        print("\n".join(host.notices()))


if __name__ == "__main__":
    main()
