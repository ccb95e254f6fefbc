"""How tools are told to a model: as JSON (K2), as TypeScript (K2.5 on), or in few words (the small model)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from moonlet.chat.messages import ToolSpec, tool_to_openai

Schema = Mapping[str, Any]


def json_declaration(tools: Sequence[ToolSpec]) -> str:
    """The OpenAI list of tools with sorted keys, no spaces, non-ASCII kept."""
    listed = [tool_to_openai(tool) for tool in tools]
    return json.dumps(listed, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def typescript_declaration(tools: Sequence[ToolSpec]) -> str:
    """One TypeScript function type per tool. Tools whose schemas cannot be said that way make the whole list JSON, as
    in the tokenizer that K2.5 ships, whose quirks are kept because the models were trained on its output."""
    try:
        functions = [_Function(tool).declaration() for tool in tools]
    except _NotTypeScript:
        return json_declaration(tools)
    return "# Tools\n\n## functions\nnamespace functions {\n" + "\n".join(functions) + "\n}\n"


def compact_declaration(tools: Sequence[ToolSpec]) -> str:
    """`## name`, the description, a line `param: type - description` per parameter (`param?` when optional)."""
    return "\n\n".join(_compact_tool(tool) for tool in tools)


def _compact_tool(tool: ToolSpec) -> str:
    lines = [f"## {tool.name}"]
    if tool.description:
        lines.append(" ".join(tool.description.split()))
    for field, schema in _fields(tool.parameters):
        description = " ".join(str(schema.get("description", "")).split()) if isinstance(schema, Mapping) else ""
        lines.append(f"{field}: {_compact_type(schema)}" + (f" - {description}" if description else ""))
    return "\n".join(lines)


def _fields(schema: Schema) -> list[tuple[str, Any]]:
    """Properties of an object as (`name` or `name?`, schema), in their own order."""
    required, properties = schema.get("required"), schema.get("properties")
    needed = _names(required) if isinstance(required, list) else set()
    listed = properties.items() if isinstance(properties, Mapping) else ()
    return [(name if name in needed else f"{name}?", inner) for name, inner in listed]


def _names(values: Iterable[Any]) -> set[str]:
    """What of these is a name: looked up for each property, of which there may be thousands."""
    return {value for value in values if isinstance(value, str)}


def _compact_type(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "any"
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(values, list):
        return "|".join(json.dumps(value, ensure_ascii=False) for value in values)
    union = schema.get("anyOf", schema.get("oneOf"))
    if isinstance(union, list):
        return "|".join(dict.fromkeys(_compact_type(inner) for inner in union))
    kind = schema.get("type", "object" if "properties" in schema else "any")
    if isinstance(kind, list):
        # Each once: what is named twice would be told twice on every level, which no memory holds.
        return "|".join(_compact_kind(schema, one) for one in dict.fromkeys(map(str, kind)))
    return _compact_kind(schema, kind)


def _compact_kind(schema: Schema, kind: Any) -> str:
    if kind == "array":
        item = _compact_type(schema.get("items"))
        return f"({item})[]" if "|" in item else f"{item}[]"
    if kind == "object":
        return "{" + ", ".join(f"{field}: {_compact_type(inner)}" for field, inner in _fields(schema)) + "}"
    return str(kind)


class _NotTypeScript(Exception):
    """A schema that the TypeScript form has no words for, or that is no schema."""


_UNION_NAMES = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "null": "null",
    "object": "{}",
    "array": "Array<any>",
}
_LIMITS = {
    "string": ("maxLength", "minLength", "pattern"),
    "number": ("maximum", "minimum"),
    "integer": ("maximum", "minimum"),
    "array": ("maxItems", "minItems"),
}
_ENUM_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float),
    "integer": lambda value: isinstance(value, int),
    "boolean": lambda value: isinstance(value, bool),
}


class _Function:
    """One tool. Objects met on the way leave their `$defs` here, which become interfaces before the function."""

    def __init__(self, tool: ToolSpec) -> None:
        self.tool = tool
        self.definitions: dict[str, Any] = {}
        self.refers_to_itself = False

    def declaration(self) -> str:
        root = _sorted_keys(self.tool.parameters)
        arguments = self._object(root, "")
        lines = []
        if self.refers_to_itself:
            required = _names(_part(root, "required", list))
            properties = _part(root, "properties", dict)
            body = ",\n".join(self._property(one, name, name in required, "  ") for name, one in properties.items())
            lines.append(f"interface parameters {{\n{body}\n}}" if body else "interface parameters {}")
            arguments = "parameters"
        for name, schema in [*self.definitions.items()]:
            comment = _comment(_part(schema, "description", str), "") if isinstance(schema, dict) else ""
            lines.append(f"{comment}interface {name} {self._type(schema, '')}")
        described = _comment(self.tool.description, "")
        return "\n".join([*lines, f"{described}type {self.tool.name} = (_: {arguments}) => any;"])

    def _type(self, schema: Any, indent: str) -> str:
        """The type of a schema; lines after the first start with `indent`."""
        if isinstance(schema, bool):
            return "any" if schema else "null"
        if not isinstance(schema, dict):
            raise _NotTypeScript
        if "$ref" in schema:
            return self._reference(_part(schema, "$ref", str))
        if "anyOf" in schema:
            return " | ".join(self._type(inner, indent) for inner in _part(schema, "anyOf", list))
        if "enum" in schema:
            # Python's spelling of what is no string, here and in defaults, as in the shipped tokenizer.
            return " | ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in _enum(schema))
        if not schema:
            return "any"
        if isinstance(schema.get("type"), list):
            return " | ".join(_named(kind) for kind in schema["type"])
        kind = _part(schema, "type", str)
        if kind == "object":
            return self._object(schema, indent)
        if kind == "array":
            return self._array(schema, indent)
        if not kind:
            raise _NotTypeScript
        return "number" if kind == "integer" else kind

    def _reference(self, target: str) -> str:
        if target == "#":
            self.refers_to_itself = True
            return "parameters"
        name = target.removeprefix("#/$defs/")
        if name == target or name not in self.definitions:
            raise _NotTypeScript
        return name

    def _object(self, schema: Schema, indent: str) -> str:
        self.definitions.update(_part(schema, "$defs", dict))
        deeper = indent + "  "
        required = _names(_part(schema, "required", list))
        properties = _part(schema, "properties", dict)
        names = sorted(properties, key=lambda name: (name not in required, name))
        lines = [self._property(properties[name], name, name in required, deeper) for name in names]
        rest = schema.get("additionalProperties")
        if rest is not None:
            lines.append(f"{deeper}[k: string]: " + ("never" if rest is False else self._type(rest, deeper)))
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}" if lines else "{}"

    def _property(self, schema: Any, name: str, required: bool, indent: str) -> str:
        field = name if required else f"{name}?"
        comments = _comments(schema, indent) + _default(schema, indent)
        return f"{comments}{indent}{field}: {self._type(schema, indent)}"

    def _array(self, schema: Schema, indent: str) -> str:
        items = schema.get("items") or True
        deeper = indent + "  "
        comments = _comments(items, deeper)
        if comments:
            return f"Array<\n{comments}{deeper}{self._type(items, deeper)}\n{indent}>"
        return f"Array<{self._type(items, indent)}>"


_Part = TypeVar("_Part", str, list[Any], dict[str, Any])


def _part(schema: Schema, key: str, kind: type[_Part]) -> _Part:
    """A field of a schema, empty if absent; what is of another kind has no TypeScript."""
    value = schema.get(key, kind())
    if not isinstance(value, kind):
        raise _NotTypeScript
    return value


def _comment(text: str, indent: str) -> str:
    """Lines of a description; an empty one stays empty."""
    return "".join(f"{indent}// {line}\n" if line else "\n" for line in text.split("\n")) if text else ""


def _comments(schema: Any, indent: str) -> str:
    """Description and limits of a schema, each on lines of their own."""
    if not isinstance(schema, dict):
        return ""
    text = _comment(_part(schema, "description", str), indent)
    kind = schema.get("type")
    # References, unions and enumerations show no limits.
    keys = _LIMITS.get(kind, ()) if isinstance(kind, str) and not {"$ref", "anyOf", "enum"} & schema.keys() else ()
    limits = [f"{key}: {schema[key]}" for key in keys if key in schema]
    return text + (f"{indent}// {', '.join(limits)}\n" if limits else "")


def _default(schema: Any, indent: str) -> str:
    value = schema.get("default") if isinstance(schema, dict) else None
    if value is None:
        return ""
    text = repr(value) if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False)
    return f"{indent}// Default: {text}\n"


def _named(kind: Any) -> str:
    if not isinstance(kind, str) or kind not in _UNION_NAMES:
        raise _NotTypeScript
    return _UNION_NAMES[kind]


def _enum(schema: Schema) -> list[Any]:
    """Values of an enumeration, which must be of the declared type; that may be a pair with null."""
    values = _part(schema, "enum", list)
    kind = schema.get("type")
    if isinstance(kind, list):
        if len(kind) > 2 or (len(kind) == 2 and "null" not in kind):
            raise _NotTypeScript
        kind = next((one for one in kind if one != "null"), "null")
    fits = _ENUM_TYPES.get(str(kind))
    if fits is not None and not all(value is None or fits(value) for value in values):
        raise _NotTypeScript
    return values


def _sorted_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted_keys(value[key]) for key in sorted(value)}
    return [_sorted_keys(item) for item in value] if isinstance(value, list) else value
