"""Calls that cannot be malformed: which ids may come next, from the opening mark of a call section on.

    <section begin> (<call begin> functions.NAME:IDX <argument begin> JSON <call end>)+ <section end>

Marks and ids follow a small automaton here: an id is one of a few known token sequences, so a tree of tokens tells what
may follow. The JSON between the marks is masked by llguidance with the schema of the tool that was named. Outside
sections everything is free but the marks that can stand only inside.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum, auto
from functools import lru_cache
from typing import Any

import llguidance
import numpy as np

from moonlet.chat.grammar import (
    LONGEST_END,
    Mask,
    answer_end,
    answer_grammar,
    quoting_grammar,
    tool_end,
    tool_grammar,
    way_to_end,
)
from moonlet.chat.messages import CHOICES, ToolSpec
from moonlet.chat.schema import SchemaError
from moonlet.chat.template import Family, opens_thinking, thinks, told
from moonlet.chat.tokenizer import Tokenizer

__all__ = ["CallConstraint", "ChoiceError", "Mask", "SchemaError"]

_MARKS = 6  # ids around a call's head and arguments: the section's, the call's, and one to end the reply
_SPARE = 8  # ids by which a text is brought to its end early rather than late


class ChoiceError(Exception):
    """A tool choice that the declared tools cannot satisfy."""


class _Place(Enum):
    FREE = auto()
    OPENING = auto()  # before a thought or a section, one of which must come
    FORCED = auto()  # a section must come now
    SECTION = auto()
    HEAD = auto()
    ARGUMENTS = auto()
    ANSWER = auto()  # the text that a schema was given for
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
        self.thought = self.all_but([*strays, *stops, self.section_begin])

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
        parallel: bool = True,
        answer: Mapping[str, Any] | None = None,
        limit: int | None = None,
        said: str = "",
    ) -> None:
        """`tool_choice`: auto, none, required (one call or more) or the name of the tool to call once, which none of
        those words is; the last two after the thought, in families that think. `history_calls` and `thinking_open` as
        for the parser. `parallel`: several calls may be made. `answer`: the JSON schema of the text, in a reply that is
        no call. `limit`: so many ids may come, the one that ends the reply not counted.
        `said`: what arguments may be quoted from. Raises SchemaError, ChoiceError."""
        names = [tool.name for tool in tools]
        if tool_choice not in (*CHOICES, *names):
            raise ChoiceError(
                f"tool_choice {tool_choice!r} is none of the tools: {', '.join(names) or 'there are none'}"
            )
        if tool_choice == "required" and not tools:
            raise ChoiceError("tool_choice is required, but there are no tools")
        self._tokenizer = tokenizer
        self._said = said
        self._marks = _marks(tokenizer)
        self._spaced = family == "moonlet"
        self._must = tool_choice not in ("auto", "none")
        # A tool may have one of these names, too: the word keeps its meaning, which is meant by almost all who say it.
        named = tool_choice in names and tool_choice not in CHOICES
        self._once = named or not parallel
        known = {one.own.name: one.tool for one in told(family, tools)}
        chosen = [name for name in names if tool_choice != "none" and (not named or name == tool_choice)]
        self._spelled = {name: known[name].name for name in chosen}
        # As the model is told of it, but for its name, which complaints tell.
        self._tools = {name: replace(known[name], name=name) for name in chosen}
        self._grammars = {name: tool_grammar(tokenizer, self._spaced, tool) for name, tool in self._tools.items()}
        self._quoting: dict[str, llguidance.LLMatcher] = {}  # those of `said`, as they are needed; copies share them
        self._answer_schema = answer
        self._answer = None if answer is None else answer_grammar(tokenizer, self._spaced, answer)
        self._next_call = history_calls
        self._left = limit
        self._calls = 0  # of the open section
        self._node: _Node = {}
        self._tool = ""
        self._matcher: llguidance.LLMatcher | None = None
        self._usual: llguidance.LLMatcher | None = None  # the same JSON, spaced as it mostly is, while it is
        self._untouched = False  # nothing of the answer has come yet
        self._way: tuple[int, ...] | None = None  # what must still come of the text under way, once it has to be ended
        self._looks_at: int | None = None  # at so few ids left it is looked for again, after it was not found
        if limit is not None:  # here, not in the engine's thread
            self._least_call()
        self._place = _Place.FREE
        self._opens_itself = thinks(family) and not opens_thinking(family) and self._marks.think_begin is not None
        if self._must and not thinking_open:
            self._place = _Place.OPENING if self._opens_itself else _Place.FORCED
        elif self._answer is not None and not thinking_open:
            self._begin_answer()

    @property
    def least(self) -> int | None:
        """About how many ids the reply needs at least for the call or the answer that must come; None if none must."""
        if self._must:
            return self._least_call()
        if self._answer is not None:
            return self._least_answer()
        return None

    def mask(self) -> Mask:
        """Bit i%32 of word i//32 is set if id i may come next. Shape (ceil(V/32),), not to be written to. Raises
        SchemaError if a schema proves too complex on the way, and so does `accept`."""
        marks = self._marks
        if self._place is _Place.FREE:
            return self._free_mask()
        if self._matcher is None:
            return marks.only(self._choices())
        end = marks.end if self._place is _Place.ANSWER else marks.call_end
        self._hurry()
        if self._way is not None:
            return marks.only(self._way[:1] or [end])
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint32)[: len(marks.free)]
        self._check_limits(self._matcher)
        if self._place is _Place.ANSWER:
            bits = bits.copy()
            if bits[marks.call_end // 32] >> marks.call_end % 32 & 1:
                bits &= ~marks.only([marks.call_end])
                bits |= marks.only([end])
            bits |= marks.only(self._instead())
        return bits

    def accept(self, id: int) -> None:
        """The id was taken. It must be one that the mask allows."""
        self._take(id)
        if self._left is not None:
            self._left -= 1

    def _take(self, id: int) -> None:
        marks = self._marks
        if self._place is _Place.FREE:
            if id == marks.section_begin and self._grammars:
                self._place, self._calls = _Place.SECTION, 0
            elif id == marks.think_end and self._must:
                self._place = _Place.FORCED
            elif id == marks.think_end and self._answer is not None:
                self._begin_answer()
            return
        if self._place is _Place.ANSWER and id in self._instead():
            self._matcher = None
            self._place, self._calls = (_Place.SECTION, 0) if id == marks.section_begin else (_Place.FREE, 0)
            return
        if self._matcher is not None:
            self._accept_text(self._matcher, id)
            return
        assert id in self._choices(), f"id {id} is not allowed in {self._place}"
        if self._place in (_Place.OPENING, _Place.FORCED):
            self._place = _Place.SECTION if id == marks.section_begin else _Place.FREE
        elif self._place is _Place.HEAD:
            node = self._node[id]
            if isinstance(node, str):
                self._place, self._tool = _Place.ARGUMENTS, node
                if node not in self._quoting:
                    tool = self._tools[node]
                    self._quoting[node] = quoting_grammar(self._tokenizer, self._spaced, tool, self._said)
                self._matcher = self._quoting[node].deep_copy()
                self._way, self._looks_at = None, None
                if not self._spaced:
                    self._usual = tool_grammar(self._tokenizer, True, self._tools[node]).deep_copy()
            else:
                self._node = node
        elif id == marks.call_begin:
            self._place, self._node = _Place.HEAD, self._heads()
        elif id == marks.section_end:
            over = self._must or self._once or self._answer is not None
            self._place = _Place.DONE if over else _Place.FREE

    def _accept_text(self, matcher: llguidance.LLMatcher, id: int) -> None:
        """An id of a call's arguments or of the answer, or what ends them."""
        answers = self._place is _Place.ANSWER
        ends = id == (self._marks.end if answers else self._marks.call_end)
        legal = matcher.is_accepting() if ends else matcher.validate_tokens([id]) == 1
        self._check_limits(matcher)
        assert legal, f"id {id} breaks {'the answer' if answers else f'the arguments of {self._tool}'}"
        if self._way is not None:
            self._way = self._way[1:] if self._way[:1] == (id,) else None
        self._untouched = False
        if not ends:
            matcher.consume_token(id)
            self._check_limits(matcher)
            if self._usual is not None:
                if self._usual.validate_tokens([id]) == 1:
                    self._usual.consume_token(id)
                else:
                    self._usual = None
            return
        self._matcher = self._usual = None
        self._place = _Place.DONE if answers else _Place.SECTION
        if not answers:
            self._calls += 1
            self._next_call += 1

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

    def likely(self) -> list[int]:
        """The ids that come next if the JSON goes on in the spacing that is usual, of which there is more than one in
        most families; a guess, which holds until something else comes."""
        if self._usual is None or self._usual.is_error() or self._usual.is_stopped():
            return []
        return [*self._usual.compute_ff_tokens()]

    def copy(self) -> CallConstraint:
        """An independent constraint in the same state, to try ids on; it guesses nothing."""
        other = copy.copy(self)
        other._usual = None
        if self._matcher is not None:
            other._matcher = self._matcher.deep_copy()
        return other

    def _check_limits(self, matcher: llguidance.LLMatcher) -> None:
        """With legal ids only, a matcher fails when a schema takes more states than it may."""
        if matcher.is_error():
            complaint = " ".join(matcher.get_error().removesuffix("<non-verbose/>").split())
            whose = None if self._place is _Place.ANSWER else self._tool
            raise SchemaError(whose, None, f"it is too complex ({complaint})")

    def _begin_answer(self) -> None:
        assert self._answer is not None
        self._place, self._matcher = _Place.ANSWER, self._answer.deep_copy()
        self._way, self._looks_at, self._untouched = None, None, True
        if not self._spaced:
            self._usual = answer_grammar(self._tokenizer, True, self._answer_schema or {}).deep_copy()

    def _free_mask(self) -> Mask:
        marks = self._marks
        if self._must or self._answer is not None:  # in a thought, after which something must come
            assert marks.think_end is not None
            if self._short(self._least_call if self._must else self._least_answer):
                return marks.only([marks.think_end])
            return marks.no_end if self._grammars and self._fits_call() else marks.thought
        return marks.free if self._grammars and self._fits_call() else marks.no_calls

    def _instead(self) -> list[int]:
        """What may come in place of an answer that has not begun."""
        if self._place is not _Place.ANSWER or not self._untouched:
            return []
        marks = self._marks
        calls = [marks.section_begin] if self._grammars and self._fits_call() else []
        may_think = self._opens_itself and marks.think_begin is not None and not self._short(self._least_answer)
        return [*calls, *([marks.think_begin] if may_think and marks.think_begin is not None else [])]

    # The limit.

    def _short(self, need: Callable[[], int | None]) -> bool:
        """Whether so many ids, and some to spare, are no longer left. Asks for the need only near the end."""
        if self._left is None or self._left > 2 * LONGEST_END:
            return False
        ids = need()
        return ids is not None and self._left < ids + _SPARE

    def _fits_call(self) -> bool:
        return not self._short(self._least_call)

    def _need(self, name: str) -> int | None:
        """Ids of a section with the shortest call of a tool."""
        end = tool_end(self._tokenizer, self._spaced, self._tools[name])
        return None if end is None else _MARKS + len(self._head(name)) + end

    def _least_call(self) -> int | None:
        return min((need for name in self._tools if (need := self._need(name)) is not None), default=None)

    def _least_answer(self) -> int | None:
        assert self._answer_schema is not None
        return answer_end(self._tokenizer, self._spaced, self._answer_schema)

    def _hurry(self) -> None:
        """Finds the way to the end of the text under way when it is time to take it."""
        left = self._left
        if self._way is not None or self._matcher is None or left is None or left > 2 * LONGEST_END:
            return
        if self._place is _Place.ANSWER:
            whole = self._least_answer()
        else:
            whole = tool_end(self._tokenizer, self._spaced, self._tools[self._tool])
        # An id may open what takes as long to close as the whole text; while there is much room it is looked at seldom.
        spare = _MARKS + _SPARE + (whole or 0)
        if (left > 3 * spare and left % 16) or (self._looks_at is not None and left > self._looks_at):
            return
        way = way_to_end(self._tokenizer, self._matcher)
        # In vain it takes as long as it may, and the next id changes little: a text is not searched at each of them.
        self._looks_at = left - left // 4 if way is None else None
        if way is not None and left <= len(way) + spare:
            self._way = tuple(way)

    def _choices(self) -> Sequence[int]:
        """The few ids that may come next outside free text and arguments."""
        marks = self._marks
        if self._place is _Place.OPENING:
            thinks = marks.think_begin is not None and self._fits_call()
            return [marks.section_begin, *([marks.think_begin] if thinks and marks.think_begin is not None else [])]
        if self._place is _Place.FORCED:
            return [marks.section_begin]
        if self._place is _Place.HEAD:
            return [*self._node]
        if self._place is _Place.SECTION:
            if not self._calls:
                return [marks.call_begin]
            more = not self._once and self._fits_call()
            return [marks.call_begin, marks.section_end] if more else [marks.section_end]
        return [marks.end]

    def _forced_step(self) -> list[int]:
        if self._place in (_Place.FREE, _Place.DONE):
            return []
        if self._matcher is None:
            choices = self._choices()
            return [*choices] if len(choices) == 1 else []
        answers = self._place is _Place.ANSWER
        if self._way is not None:
            return [*self._way] or ([] if answers else [self._marks.call_end])
        if answers:
            return [] if self._matcher.is_stopped() or self._instead() else [*self._matcher.compute_ff_tokens()]
        if self._matcher.is_stopped():
            return [self._marks.call_end]
        return [*self._matcher.compute_ff_tokens()]

    def _head(self, name: str) -> list[int]:
        """The id that the next call has if it is one of this tool."""
        return self._tokenizer.encode(f"functions.{self._spelled[name]}:{self._next_call}")

    def _heads(self) -> _Node:
        """The ids that the next call may have, as a tree of tokens whose leaves are tools."""
        root: _Node = {}
        fitting = [name for name in self._grammars if not self._short(lambda name=name: self._need(name))]  # type: ignore[misc]
        for name in fitting or self._grammars:
            node = root
            for id in self._head(name):
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
