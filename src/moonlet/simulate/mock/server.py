"""What an MCP server offers: read from a running one, with results recorded where some are at hand."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from moonlet.chat.messages import ToolSpec

WAIT_S = 60.0  # for a server to start and to say what it offers
MAX_TOOLS = 200
LAST_WORDS = 2000  # characters of a server's complaints that are looked at
MAX_DEPTH = 4  # of definitions within definitions


class ServerError(Exception):
    """The server does not answer, or what is said of it cannot be read."""


@dataclass(frozen=True, slots=True)
class Example:
    """A call that was really made, and its result."""

    tool: str
    arguments: Mapping[str, Any]
    result: Any


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool as its server declares it. `reads` if the server says that it changes nothing."""

    spec: ToolSpec
    output: Mapping[str, Any]
    reads: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    tools: tuple[Offered, ...]
    examples: tuple[Example, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """All that the mock is made from."""
        return {
            "name": self.name,
            "tools": [
                {
                    "name": one.spec.name,
                    "description": one.spec.description,
                    "inputSchema": dict(one.spec.parameters),
                    "outputSchema": dict(one.output),
                    "readOnlyHint": one.reads,
                }
                for one in self.tools
            ],
            "examples": [{"tool": one.tool, "arguments": one.arguments, "result": one.result} for one in self.examples],
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Server:
        """The server of `as_json`. Raises ServerError."""
        try:
            tools = tuple(
                Offered(
                    ToolSpec(one["name"], one["description"], one["inputSchema"]),
                    one["outputSchema"],
                    one["readOnlyHint"],
                )
                for one in raw["tools"]
            )
            examples = tuple(Example(one["tool"], one["arguments"], one["result"]) for one in raw["examples"])
            return cls(raw["name"], tools, examples)
        except (LookupError, TypeError) as error:
            raise ServerError(f"no description of a server: {type(error).__name__}: {error}") from None


def read_server(command: str, examples: Path | None = None, record: Sequence[Mapping[str, Any]] = ()) -> Server:
    """Start the server, read its tools, make the calls of `record`, and stop it. Raises ServerError.

    `examples`: a file of lines {"tool", "arguments", "result"}. The server is started as any MCP client starts one:
    what it is allowed to do, it can do. Its tools are listed; nothing is called but what `record` says.
    """
    words = shlex.split(command)
    if not words:
        raise ServerError("the command is empty")
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints:
        try:
            tools, made = asyncio.run(asyncio.wait_for(_ask(words, record, complaints), WAIT_S))
        except TimeoutError:
            raise ServerError(f"{words[0]} did not answer within {WAIT_S:.0f} s") from None
        except ServerError:
            raise
        except Exception as error:  # of a program that is not ours, through a library's group of tasks
            complaints.seek(0)
            last = complaints.read()[-LAST_WORDS:].strip().split("\n")[-1]
            raise ServerError(f"{command}: {_reason(error)}" + (f"; it said: {last}" if last else "")) from None
    if not tools:
        raise ServerError(f"{words[0]} offers no tools")
    name = re.sub(r"\W+", "-", next((word for word in reversed(words) if "server" in word), words[0]).split("/")[-1])
    return Server(name, tuple(tools[:MAX_TOOLS]), (*_read_examples(examples), *made))


def _read_examples(path: Path | None) -> list[Example]:
    if path is None:
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            raw = json.loads(line)
            found.append(Example(str(raw["tool"]), dict(raw["arguments"]), raw["result"]))
        except (ValueError, LookupError, TypeError):
            raise ServerError(f'{path}, line {number}: not {{"tool": ..., "arguments": ..., "result": ...}}') from None
    return found


async def _ask(
    words: Sequence[str], record: Sequence[Mapping[str, Any]], complaints: TextIO
) -> tuple[list[Offered], list[Example]]:
    try:
        from mcp import Client, StdioServerParameters, stdio_client
    except ImportError:
        raise ServerError("the package mcp is not installed: pip install mcp") from None
    # Without `env` it gets PATH, HOME and the like: the keys of this process are none of its business.
    start = StdioServerParameters(command=words[0], args=list(words[1:]))
    async with Client(stdio_client(start, errlog=complaints)) as client:
        listed = await client.list_tools()
        tools = []
        for tool in listed.tools:
            raw = tool.model_dump(by_alias=True, exclude_none=True)
            hints = raw.get("annotations") or {}
            spec = ToolSpec(raw["name"], raw.get("description", ""), inlined(raw.get("inputSchema") or {}))
            output = inlined(raw.get("outputSchema") or {})
            tools.append(Offered(spec, output, bool(hints.get("readOnlyHint"))))
        made = []
        for wanted in record:
            answer = await client.call_tool(wanted["tool"], dict(wanted["arguments"]))
            raw = answer.model_dump(by_alias=True, exclude_none=True)
            texts = [part.get("text", "") for part in raw.get("content", ())]
            made.append(
                Example(wanted["tool"], wanted["arguments"], raw.get("structuredContent") or _parsed("".join(texts)))
            )
        return tools, made


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with the definitions that it refers to in their places."""
    definitions = {**(schema.get("definitions") or {}), **(schema.get("$defs") or {})}

    def walk(value: Any, depth: int) -> Any:
        if isinstance(value, list):
            return [walk(one, depth) for one in value]
        if not isinstance(value, Mapping):
            return value
        if "properties" in value and isinstance(value["properties"], Mapping):  # whose names are no words of schemas
            # true is a schema that everything fits, and false one that nothing does.
            given = {name: {} if one is True else one for name, one in value["properties"].items() if one is not False}
            inner = {name: walk(one, depth) for name, one in given.items()}
            return {**walk({key: one for key, one in value.items() if key != "properties"}, depth), "properties": inner}
        name = str(value.get("$ref", "")).split("/")[-1]
        if name in definitions and depth < MAX_DEPTH:
            return walk(definitions[name], depth + 1)
        return {key: walk(one, depth) for key, one in value.items() if key not in ("$defs", "definitions", "$schema")}

    made: dict[str, Any] = walk(schema, 0)
    return made


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _reason(error: BaseException) -> str:
    """The first cause within groups of exceptions, on one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(f"{type(error).__name__}: {error}".split())
