"""Calls that cannot be malformed: which ids may come next, from the opening mark of a call section on.

    <section begin> (<call begin> functions.NAME:IDX <argument begin> JSON <call end>)+ <section end>

Marks and ids follow a small automaton here: an id is one of a few known token sequences, so a tree of tokens tells what
may follow. The JSON between the marks is masked by llguidance with the schema of the tool that was named. Outside
sections everything is free but the marks that can stand only inside.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING

import llguidance
import numpy as np
from llguidance.tiktoken import lltokenizer_from_encoding
from numpy.typing import NDArray

from moonlet.chat.messages import ToolSpec
from moonlet.chat.schema import SchemaError, enforceable, explain
from moonlet.chat.template import Family, opens_thinking, thinks
from moonlet.chat.tokenizer import Tokenizer

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions  # exists for the type checker only

__all__ = ["CallConstraint", "ChoiceError", "Mask", "SchemaError"]

Mask = NDArray[np.uint32]

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


class ChoiceError(Exception):
    """A tool choice that the declared tools cannot satisfy."""


class _Place(Enum):
    FREE = auto()
    OPENING = auto()  # before a thought or a section, one of which must come
    FORCED = auto()  # a section must come now
    SECTION = auto()
    HEAD = auto()
    ARGUMENTS = auto()
    DONE = auto()  # the calls asked for are made, the reply must end


class _Marks:
    """Ids of the marks in one vocabulary, and the masks that need nothing else. Raises ChoiceError."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.vocab = tokenizer.vocab
        self.section_begin = _mark(tokenizer, "<|tool_calls_section_begin|>")
        self.section_end = _mark(tokenizer, "<|tool_calls_section_end|>")
        self.call_begin = _mark(tokenizer, "<|tool_call_begin|>")
        self.argument_begin = _mark(tokenizer, "<|tool_call_argument_begin|>")
        self.call_end = _mark(tokenizer, "<|tool_call_end|>")
        self.end = _mark(tokenizer, "<|im_end|>")
        self.think_begin = tokenizer.special("<think>")
        self.think_end = tokenizer.special("</think>")
        strays = [self.section_end, self.call_begin, self.argument_begin, self.call_end]
        stops = [id for name in ("<|im_end|>", "[EOS]", "[EOT]") if (id := tokenizer.special(name)) is not None]
        self.free = self.all_but(strays)
        self.no_calls = self.all_but([*strays, self.section_begin])
        self.no_end = self.all_but([*strays, *stops])

    def only(self, ids: Iterable[int]) -> Mask:
        """The mask that allows these ids and no other."""
        mask = np.zeros(-(-self.vocab // 32), np.uint32)
        for id in ids:
            mask[id // 32] |= np.uint32(1 << id % 32)
        return mask

    def all_but(self, ids: Iterable[int]) -> Mask:
        """The mask that allows every id of the vocabulary except these."""
        mask = ~self.only([*ids, *range(self.vocab, -(-self.vocab // 32) * 32)])
        mask.flags.writeable = False
        return mask


class CallConstraint:
    """What one reply may contain. Ask `mask`, tell `accept` the id that was taken; `forced` looks ahead."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        tools: Sequence[ToolSpec],
        tool_choice: str = "auto",
        *,
        family: Family,
        history_calls: int = 0,
        thinking_open: bool = False,
    ) -> None:
        """`tool_choice`: auto, none, required (one call or more) or the name of the tool to call once; the last two
        after the thought, in families that think. `history_calls` and `thinking_open` as for the parser. Raises
        SchemaError, ChoiceError."""
        names = [tool.name for tool in tools]
        if tool_choice not in ("auto", "none", "required", *names):
            raise ChoiceError(
                f"tool_choice {tool_choice!r} is none of the tools: {', '.join(names) or 'there are none'}"
            )
        if tool_choice == "required" and not tools:
            raise ChoiceError("tool_choice is required, but there are no tools")
        self._tokenizer = tokenizer
        self._marks = _marks(tokenizer)
        self._must = tool_choice not in ("auto", "none")
        self._once = tool_choice in names
        chosen = [tool for tool in tools if tool_choice != "none" and (not self._once or tool.name == tool_choice)]
        self._grammars = {tool.name: _grammar(tokenizer, family == "moonlet", *_key(tool)) for tool in chosen}
        self._next_call = history_calls
        self._calls = 0  # of the open section
        self._node: _Node = {}
        self._tool = ""
        self._matcher: llguidance.LLMatcher | None = None
        self._place = _Place.FREE
        if self._must and not thinking_open:
            opens_itself = thinks(family) and not opens_thinking(family) and self._marks.think_begin is not None
            self._place = _Place.OPENING if opens_itself else _Place.FORCED

    def mask(self) -> Mask:
        """Bit i%32 of word i//32 is set if id i may come next. Shape (ceil(V/32),), not to be written to. Raises
        SchemaError if a schema proves too complex on the way, and so does `accept`."""
        if self._place is _Place.FREE:
            if self._must:
                return self._marks.no_end
            return self._marks.free if self._grammars else self._marks.no_calls
        if self._matcher is None:
            return self._marks.only(self._choices())
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint32)[: len(self._marks.free)]
        self._check_limits(self._matcher)
        return bits

    def accept(self, id: int) -> None:
        """The id was taken. It must be one that the mask allows."""
        marks = self._marks
        if self._place is _Place.FREE:
            if id == marks.section_begin and self._grammars:
                self._place, self._calls = _Place.SECTION, 0
            elif id == marks.think_end and self._must:
                self._place = _Place.FORCED
            return
        if self._matcher is not None:
            ends = id == marks.call_end
            legal = self._matcher.is_accepting() if ends else self._matcher.validate_tokens([id]) == 1
            self._check_limits(self._matcher)
            assert legal, f"id {id} breaks the arguments of {self._tool}"
            self._matcher.consume_token(id)
            self._check_limits(self._matcher)
            if ends:
                self._matcher = None
                self._place = _Place.SECTION
                self._calls += 1
                self._next_call += 1
            return
        assert id in self._choices(), f"id {id} is not allowed in {self._place}"
        if self._place in (_Place.OPENING, _Place.FORCED):
            self._place = _Place.SECTION if id == marks.section_begin else _Place.FREE
        elif self._place is _Place.HEAD:
            node = self._node[id]
            if isinstance(node, str):
                self._place, self._tool = _Place.ARGUMENTS, node
                self._matcher = self._grammars[node].deep_copy()
            else:
                self._node = node
        elif id == marks.call_begin:
            self._place, self._node = _Place.HEAD, self._heads()
        elif id == marks.section_end:
            self._place = _Place.DONE if self._must else _Place.FREE

    def forced(self) -> list[int]:
        """The ids that must come next, in the model's own tokenisation; they need no sampling. Never an id that ends
        the reply."""
        ahead = self.copy()
        out: list[int] = []
        while ids := ahead._forced_step():
            for id in ids:
                ahead.accept(id)
            out += ids
        return out

    def copy(self) -> CallConstraint:
        """An independent constraint in the same state, to try ids on."""
        other = copy.copy(self)
        if self._matcher is not None:
            other._matcher = self._matcher.deep_copy()
        return other

    def _check_limits(self, matcher: llguidance.LLMatcher) -> None:
        """With legal ids only, a matcher fails when a schema takes more states than it may."""
        if matcher.is_error():
            complaint = " ".join(matcher.get_error().removesuffix("<non-verbose/>").split())
            raise SchemaError(self._tool, None, f"it is too complex ({complaint})")

    def _choices(self) -> Sequence[int]:
        """The few ids that may come next outside free text and arguments."""
        marks = self._marks
        if self._place is _Place.OPENING:
            return [marks.section_begin, *([] if marks.think_begin is None else [marks.think_begin])]
        if self._place is _Place.FORCED:
            return [marks.section_begin]
        if self._place is _Place.HEAD:
            return [*self._node]
        if self._place is _Place.SECTION:
            if not self._calls:
                return [marks.call_begin]
            return [marks.section_end] if self._once else [marks.call_begin, marks.section_end]
        return [marks.end]

    def _forced_step(self) -> list[int]:
        if self._place in (_Place.FREE, _Place.DONE):
            return []
        if self._matcher is None:
            choices = self._choices()
            return [*choices] if len(choices) == 1 else []
        if self._matcher.is_stopped():
            return [self._marks.call_end]
        return [*self._matcher.compute_ff_tokens()]

    def _heads(self) -> _Node:
        """The ids that the next call may have, as a tree of tokens whose leaves are tools."""
        root: _Node = {}
        for name in self._grammars:
            node = root
            for id in self._tokenizer.encode(f"functions.{name}:{self._next_call}"):
                deeper = node.setdefault(id, {})
                assert isinstance(deeper, dict)
                node = deeper
            node[self._marks.argument_begin] = name
        return root


_Node = dict[int, "_Node | str"]


@lru_cache(maxsize=8)
def _marks(tokenizer: Tokenizer) -> _Marks:
    return _Marks(tokenizer)


def _mark(tokenizer: Tokenizer, name: str) -> int:
    id = tokenizer.special(name)
    if id is None:
        raise ChoiceError(f"this model's vocabulary has no {name}: it cannot call tools")
    return id


# Schemas to grammars.


@lru_cache(maxsize=8)
def _vocabulary(tokenizer: Tokenizer) -> llguidance.LLTokenizer:
    """The vocabulary as llguidance has it. Takes 0.8 s at 160k tokens, once for a tokenizer. The end of a call is what
    ends its texts."""
    return lltokenizer_from_encoding(
        tokenizer.encoding,
        n_vocab=tokenizer.vocab,
        eos_token=_marks(tokenizer).call_end,
        slices=llguidance.LLTokenizer.json_slices(),
    )


def _key(tool: ToolSpec) -> tuple[str, str]:
    return tool.name, json.dumps(dict(tool.parameters))


@lru_cache(maxsize=1024)
def _grammar(tokenizer: Tokenizer, spaced: bool, tool: str, schema: str) -> llguidance.LLMatcher:
    """The grammar of a tool's arguments, to be copied for each call. Raises SchemaError."""
    source = llguidance.LLMatcher.grammar_from_json_schema(
        enforceable(tool, json.loads(schema)), overrides=_SPACED if spaced else _LOOSE
    )
    limits = llguidance.LLParserLimits(verbose_errors=False)
    matcher = llguidance.LLMatcher(_vocabulary(tokenizer), source, log_level=0, limits=limits)
    if matcher.is_error():
        raise explain(tool, matcher.get_error())
    return matcher
