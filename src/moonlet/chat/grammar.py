"""JSON schemas as grammars over a vocabulary, and the shortest way to the end of a text under one."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import llguidance
import numpy as np
from llguidance.tiktoken import lltokenizer_from_encoding
from numpy.typing import NDArray

from moonlet.chat.messages import ToolSpec
from moonlet.chat.schema import enforceable, explain
from moonlet.chat.tokenizer import Tokenizer

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions  # exists for the type checker only

Mask = NDArray[np.uint32]

MOST_SAID = 100_000  # characters to quote from: a grammar of so many takes some tenths of a second
LONGEST_END = 512  # ids: a text that cannot be ended within so many is not hurried

# How the JSON is spaced: the small model was trained on Python's own form only, K2 on whatever its tools wrote. Nothing
# is lenient, even where a schema asks llguidance to be.
_SPACED: JsonCompileOptions = {
    "item_separator": ", ",
    "key_separator": ": ",
    "whitespace_flexible": False,
    "lenient": False,
    "coerce_one_of": False,
}
_LOOSE: JsonCompileOptions = {
    "whitespace_flexible": True,
    "whitespace_pattern": " ?",
    "lenient": False,
    "coerce_one_of": False,
}

# Words, numbers, spaces and marks; letters of scripts that set no spaces between words one by one.
_PIECE = re.compile(r"[a-zA-Z\u00c0-\u024f]+|\d+|\s+|.", re.DOTALL)

# What brings JSON to an end, then what goes on shortest, last what opens something new.
_CLOSING = b'}]",:'
_GOING_ON = b"0123456789ntfabcdeghijklmopqrsuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_./@+~!#$%&'()*;<=>?^`|[{ \\"


def tool_grammar(tokenizer: Tokenizer, spaced: bool, tool: ToolSpec) -> llguidance.LLMatcher:
    """The grammar of a tool's arguments, to be copied for each call. Raises SchemaError."""
    return _grammar(tokenizer, spaced, tool.name, json.dumps(dict(tool.parameters)))


def quoting_grammar(tokenizer: Tokenizer, spaced: bool, tool: ToolSpec, said: str) -> llguidance.LLMatcher:
    """The grammar of a tool's arguments in which every property that is declared `"x-verbatim": true` is a piece of
    `said`, whole words of it: names and messages that nobody mentioned cannot come. Other tools: as `tool_grammar`."""
    properties = quoted_properties(tool)
    if not properties or not 0 < len(said) <= MOST_SAID:
        return tool_grammar(tokenizer, spaced, tool)
    source = _quoting(tool, properties, said, _SPACED if spaced else _LOOSE)
    matcher = llguidance.LLMatcher(_vocabulary(tokenizer), source, log_level=0)
    # A value may refer to what lies outside of it, and much may have been said: then the schema alone holds.
    return tool_grammar(tokenizer, spaced, tool) if matcher.is_error() else matcher


def quoted_properties(tool: ToolSpec) -> set[str]:
    """Properties to be quoted from the conversation; only of schemas that are a plain list of properties."""
    schema = enforceable(tool.name, dict(tool.parameters))
    if schema.keys() - {"type", "properties", "required", "additionalProperties"} or schema.get("additionalProperties"):
        return set()
    declared, required = tool.parameters.get("properties"), tool.parameters.get("required", [])
    if not isinstance(declared, dict) or not isinstance(required, list):
        return set()  # refused as a schema
    return {name for name, one in declared.items() if isinstance(one, dict) and one.get("x-verbatim") is True}


def _quoting(tool: ToolSpec, quoted: set[str], said: str, options: JsonCompileOptions) -> str:
    """A grammar in llguidance's Lark: the properties in their order, those that may be left out with their commas."""
    schema = enforceable(tool.name, dict(tool.parameters))
    values = {name: {} if one is True else one for name, one in schema["properties"].items() if one is not False}
    names, required = list(values), set(schema.get("required", ()))
    whole = said.encode("utf-8", "replace").decode()  # half a character cannot be said
    pieces = [json.dumps(piece, ensure_ascii=False)[1:-1] for piece in _PIECE.findall(whole)]
    gap = "" if options is _SPACED else "/ ?/"
    comma, colon = ('", "', '": "') if options is _SPACED else ('"," / ?/', '":" / ?/')
    rules = [f'start: "{{" {gap} first0 {gap} "}}"', f"SAID: %regex {json.dumps({'substring_chunks': pieces})}"]
    for at, name in enumerate(names):
        key = json.dumps(json.dumps(name))
        value = '"\\"" SAID "\\""' if name in quoted else f"value{at}"
        skip = "" if name in required else f" | first{at + 1}"
        rules.append(f"field{at}: {key} {colon} {value}")
        rules.append(f"first{at}: field{at} next{at + 1}{skip}")
        rules.append(f"next{at}: {comma} field{at} next{at + 1}" + skip.replace("first", "next"))
        if name not in quoted:
            rules.append(f"value{at}: %json {json.dumps(values[name] | {'x-guidance': options})}")
    rules += [f'first{len(names)}: ""', f'next{len(names)}: ""']
    return "\n".join(rules) + "\n"


def answer_grammar(tokenizer: Tokenizer, spaced: bool, schema: Mapping[str, Any]) -> llguidance.LLMatcher:
    """The grammar of an answer that is one JSON value, to be copied for each. Raises SchemaError."""
    return _grammar(tokenizer, spaced, None, json.dumps(dict(schema)))


def tool_end(tokenizer: Tokenizer, spaced: bool, tool: ToolSpec) -> int | None:
    """How many ids the arguments of a tool need when they are brought to an end from their beginning."""
    return _end(tokenizer, spaced, tool.name, json.dumps(dict(tool.parameters)))


def answer_end(tokenizer: Tokenizer, spaced: bool, schema: Mapping[str, Any]) -> int | None:
    """How many ids an answer needs when it is brought to an end from its beginning."""
    return _end(tokenizer, spaced, None, json.dumps(dict(schema)))


def way_to_end(tokenizer: Tokenizer, matcher: llguidance.LLMatcher) -> list[int] | None:
    """Ids that make the text whole soon, though not always soonest; None if none are found within LONGEST_END.

    Closes what is open where it may be closed. Where it may not, ids that were not yet used come first, so that no
    pattern keeps it going round; then always the first one, which makes numbers multiples of ten; then any: multiples
    of something are met sooner or later.
    """
    used: Counter[int] = Counter()
    dice = random.Random(0)
    prefers: list[Callable[[int], float]] = [lambda id: used[id], lambda id: 0, *[lambda id: dice.random()] * 4]
    ways = (_way(tokenizer, matcher, used, prefer) for prefer in prefers)
    return next((way for way in ways if way is not None), None)


def _way(
    tokenizer: Tokenizer, matcher: llguidance.LLMatcher, used: Counter[int], prefer: Callable[[int], float]
) -> list[int] | None:
    ahead = matcher.deep_copy()
    order = _bytes_in_order(tokenizer)
    way: list[int] = []
    while not ahead.is_accepting():
        ids = ahead.compute_ff_tokens()
        if not ids:
            mask = np.frombuffer(ahead.compute_bitmask(), np.uint32)
            ids = [_first(mask, order, prefer)]
            used[ids[0]] += 1
        if ahead.is_error() or len(way) + len(ids) > LONGEST_END or not ahead.consume_tokens(ids):
            return None
        way += ids
    return way


@dataclass(frozen=True, slots=True)
class _Order:
    """Ids of single characters, the ones to be tried first in front."""

    quote: int
    letter: int  # one that JSON has only inside its strings
    closing: list[int]
    going_on: list[int]


@lru_cache(maxsize=8)
def _bytes_in_order(tokenizer: Tokenizer) -> _Order:
    closing, going_on = ([tokenizer.encode(chr(byte))[0] for byte in text] for text in (_CLOSING, _GOING_ON))
    return _Order(tokenizer.encode('"')[0], tokenizer.encode("x")[0], closing, going_on)


def _first(mask: Mask, order: _Order, prefer: Callable[[int], float]) -> int:
    """The allowed id that brings the end nearest; where none does, the one with the least `prefer`."""

    def may(id: int) -> bool:
        return bool(mask[id // 32] >> id % 32 & 1)

    in_string = may(order.letter)  # where brackets close nothing
    for id in [order.quote] if in_string else order.closing:
        if may(id):
            return id
    goes_on = [id for id in order.going_on if may(id)]
    if not goes_on:
        goes_on = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")).tolist()
    return min(goes_on, key=prefer, default=0)


@lru_cache(maxsize=8)
def _vocabulary(tokenizer: Tokenizer) -> llguidance.LLTokenizer:
    """The vocabulary as llguidance has it. Takes 0.8 s at 160k tokens, once for a tokenizer. The end of a call is what
    ends its texts."""
    return lltokenizer_from_encoding(
        tokenizer.encoding,
        n_vocab=tokenizer.vocab,
        eos_token=tokenizer.special("<|tool_call_end|>"),
        slices=llguidance.LLTokenizer.json_slices(),
    )


@lru_cache(maxsize=1024)
def _grammar(tokenizer: Tokenizer, spaced: bool, tool: str | None, schema: str) -> llguidance.LLMatcher:
    source = llguidance.LLMatcher.grammar_from_json_schema(
        enforceable(tool, json.loads(schema)), overrides=_SPACED if spaced else _LOOSE
    )
    limits = llguidance.LLParserLimits(verbose_errors=False)
    matcher = llguidance.LLMatcher(_vocabulary(tokenizer), source, log_level=0, limits=limits)
    if matcher.is_error():
        raise explain(tool, matcher.get_error())
    return matcher


@lru_cache(maxsize=1024)
def _end(tokenizer: Tokenizer, spaced: bool, tool: str | None, schema: str) -> int | None:
    way = way_to_end(tokenizer, _grammar(tokenizer, spaced, tool, schema))
    return None if way is None else len(way)
