"""What servers send, as text for a model that reads text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import llguidance
import mcp_types as types

from moonlet.chat.messages import ToolSpec
from moonlet.chat.schema import SchemaError, enforceable

MAX_DESCRIPTION, MAX_SCHEMA = 4_000, 40_000  # characters
MAX_DEPTH = 32  # of a schema


def text_of(blocks: Iterable[types.ContentBlock]) -> str:
    """Content blocks as text; what cannot be shown is named with its kind and size."""
    return "\n".join(_block(block) for block in blocks)


def result_text(result: types.CallToolResult) -> str:
    """A tool's result: its content, or the structured form where there is no other."""
    if not result.content and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return text_of(result.content)


def resource_text(contents: Iterable[types.TextResourceContents | types.BlobResourceContents]) -> str:
    """The contents of a resource."""
    return "\n".join(_contents(one) for one in contents)


def _block(block: types.ContentBlock) -> str:
    match block:
        case types.TextContent(text=text):
            return text
        case types.ImageContent() | types.AudioContent():
            return f"[{block.type}, {block.mime_type}, {len(block.data) * 3 // 4} bytes: not shown]"
        case types.ResourceLink():
            return f"[resource {block.uri}: {block.title or block.name}]"
        case types.EmbeddedResource(resource=resource):
            return _contents(resource)
    return f"[{getattr(block, 'type', 'content')}: not shown]"


def _contents(one: types.TextResourceContents | types.BlobResourceContents) -> str:
    if isinstance(one, types.TextResourceContents):
        return one.text
    return f"[{one.uri}, {one.mime_type or 'binary'}, {len(one.blob) * 3 // 4} bytes: not shown]"


def spec_of(name: str, tool: types.Tool) -> ToolSpec:
    """A server's tool under our name for it. A schema that is too large, or that calls cannot be held to, is shown in
    the description instead: the server checks for itself."""
    description = _cut(tool.description or tool.title or "", MAX_DESCRIPTION)
    schema: dict[str, Any] = dict(tool.input_schema)
    written = json.dumps(schema, ensure_ascii=False)
    if len(written) <= MAX_SCHEMA and _depth(schema) <= MAX_DEPTH and _usable(name, schema):
        return ToolSpec(name, description, schema)
    return ToolSpec(
        name,
        f"{description}\nArguments: {_cut(written, MAX_DESCRIPTION)}",
        {"type": "object", "additionalProperties": True},
    )


def hints_of(tool: types.Tool) -> str:
    """What the server says of the tool's effects."""
    notes = tool.annotations
    if notes is None:
        return ""
    named = {
        "reads only": notes.read_only_hint,
        "may destroy": notes.destructive_hint,
        "may be repeated": notes.idempotent_hint,
        "reaches the outside": notes.open_world_hint,
    }
    told = [name if value else f"not: {name}" for name, value in named.items() if value is not None]
    return f"its server says: {', '.join(told)}" if told else ""


def _usable(name: str, schema: Mapping[str, Any]) -> bool:
    try:
        grammar = llguidance.LLMatcher.grammar_from_json_schema(enforceable(name, schema))
        return not llguidance.LLMatcher.validate_grammar(grammar)
    except (SchemaError, ValueError, TypeError, RecursionError):
        return False


def _depth(value: Any, limit: int = MAX_DEPTH + 1) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 0 if limit <= 0 else 1 + max((_depth(one, limit - 1) for one in inner), default=0)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + " …"
