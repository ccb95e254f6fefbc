"""Token ids of a reply to text, thinking and tool calls, as they come.

    thinking </think> text <section begin> <call begin> functions.NAME:IDX <argument begin> JSON <call end> ...
    <section end>

is what the models mean to write; what they do write varies, so much is accepted: no section marks or their singular
spelling, ids in other forms, spaces around them, calls inside a thought, marks spelled out in ordinary pieces. Nothing
is lost: whatever turns out to be no call is shown as it was written, marks included.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from moonlet.chat.messages import (
    CallArguments,
    CallEnd,
    CallStart,
    Event,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolSpec,
)
from moonlet.chat.spelling import Told
from moonlet.chat.template import Family, thinks, told
from moonlet.chat.tokenizer import StreamDecoder, Tokenizer


class _Kind(Enum):
    SECTION_BEGIN = auto()
    SECTION_END = auto()
    CALL_BEGIN = auto()
    ARGUMENT_BEGIN = auto()
    CALL_END = auto()
    THINK_BEGIN = auto()
    THINK_END = auto()


_SPELLINGS = {
    "<|tool_calls_section_begin|>": _Kind.SECTION_BEGIN,
    "<|tool_call_section_begin|>": _Kind.SECTION_BEGIN,
    "<|tool_calls_section_end|>": _Kind.SECTION_END,
    "<|tool_call_section_end|>": _Kind.SECTION_END,
    "<|tool_call_begin|>": _Kind.CALL_BEGIN,
    "<|tool_call_argument_begin|>": _Kind.ARGUMENT_BEGIN,
    "<|tool_call_end|>": _Kind.CALL_END,
    "<think>": _Kind.THINK_BEGIN,
    "</think>": _Kind.THINK_END,
}
_THOUGHTS = ("<think>", "</think>")


def _written(spellings: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, spellings)))


SPELLED = _written(_SPELLINGS)  # any mark, written out
_SPELLED_THOUGHTS = _written(_THOUGHTS)
_LONGEST = max(map(len, _SPELLINGS))
_STOPS = ("<|im_end|>", "[EOS]", "[EOT]")
# What stands between the marks of a call's beginning: one word, with spaces around it at most.
_HEAD = re.compile(r"\s{0,16}\S{0,256}\s{0,16}")


@dataclass(frozen=True, slots=True)
class _Mark:
    kind: _Kind
    text: str
    special: bool  # a token of its own, not spelled out in ordinary pieces


class _State(Enum):
    PLAIN = auto()
    SECTION = auto()  # after a section's beginning or a call's end
    HEAD = auto()
    ARGUMENTS = auto()


class Parser:
    """One reply. Feed it ids in pieces of any size; the events differ between cuts only in how text is divided.

    A call that the stream breaks off may have begun in the events: without its CallEnd it is void, its text follows.
    """

    def __init__(
        self,
        tokenizer: Tokenizer | None,
        family: Family,
        tools: Sequence[ToolSpec] = (),
        history_calls: int = 0,
        thinking_open: bool = False,
        spelled: bool = True,
        marks: bool = True,
    ) -> None:
        """`tokenizer`: None where only text is fed. `history_calls`: calls of the conversation so far, where the ids of
        new ones go on. `thinking_open`: the prompt ended inside a thought. `spelled`: marks written out in ordinary
        pieces count too; without it a reply that quotes a foreign text can never call anything, which is safer where
        the model has the marks as tokens. Those of thoughts count even so where the vocabulary does not name them, as
        the prompt has them written out then. `marks`: without them all is text, up to what ends the reply.
        """
        self._tokenizer = tokenizer
        self._told = {one.tool.name: one for one in told(family, tools)}
        self._thinks = thinks(family)
        self._history_calls = history_calls
        unnamed = tokenizer is not None and any(tokenizer.special(name) is None for name in _THOUGHTS)
        thoughts = _SPELLED_THOUGHTS if self._thinks and unnamed else None
        self._spelled = (SPELLED if spelled else thoughts) if marks else None
        names = {id: tokenizer.piece(id).decode() for id in tokenizer.specials.values()} if tokenizer else {}
        self._marks = {
            id: _Mark(_SPELLINGS[name], name, special=True)
            for id, name in names.items()
            if marks and name in _SPELLINGS
        }
        self._stops = {id for id, name in names.items() if name in _STOPS}
        self._decoder = StreamDecoder()
        self._cut = ""  # may be the beginning of a spelled mark
        self._over = False

        self._thinking = thinking_open
        self._thought_special = False  # the model opened the thought with a token, so a token closes it
        self._thought_broken = False  # a call ended the thought; its own end may still come
        self._state = _State.PLAIN
        self._raw: list[str] = []  # since the section or call began, to be shown if no call comes of it
        self._called = False  # a call was made in the open section
        self._head = ""
        self._call_special = False  # the call began with a token, so tokens end its parts
        self._name: str | None = None
        self._arguments: list[str] = []

        self._events: list[Event] = []
        self._content: list[str] = []
        self._spoke = False  # there is more in it than spaces
        self._thought: list[str] = []
        self._calls: list[ToolCall] = []

    def feed(self, ids: Iterable[int]) -> list[Event]:
        """Events that these ids complete. After a stop id everything is ignored."""
        assert self._tokenizer is not None, "a parser of text is fed text"
        for id in ids:
            if self._over:
                break
            if not self._tokenizer.is_special(id):
                self._scan(self._decoder.feed(self._tokenizer.piece(id)))
                continue
            self._flush()
            if id in self._stops:
                self._end()
            elif id in self._marks:
                self._mark(self._marks[id])
            else:
                self._text(self._tokenizer.piece(id).decode())
        return self._take()

    def feed_text(self, text: str) -> list[Event]:
        """The same for a stream that comes as text, whose marks can only be spelled."""
        if not self._over:
            self._scan(text)
        return self._take()

    def finish(self) -> list[Event]:
        """Events of what was held back; the reply is over."""
        if not self._over:
            self._flush()
            self._end()
        return self._take()

    @property
    def message(self) -> Message:
        """The reply as parsed so far; whole after `finish`."""
        return Message("assistant", "".join(self._content), "".join(self._thought), tuple(self._calls))

    @property
    def speaking(self) -> bool:
        """Whether what comes now is text that is shown: no thought, no call."""
        return not self._thinking and self._state is _State.PLAIN

    @property
    def thinking(self) -> bool:
        """Whether what comes now belongs to a thought."""
        return self._thinking

    def _take(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    # Text to text and marks.

    def _scan(self, text: str) -> None:
        """Finds spelled marks; an end that could become one waits."""
        if self._spelled is None:
            self._text(text)
            return
        text = self._cut + text
        done = 0
        for match in self._spelled.finditer(text):
            self._text(text[done : match.start()])
            self._mark(_Mark(_SPELLINGS[match.group()], match.group(), special=False))
            done = match.end()
        start = text.find("<", max(done, len(text) - _LONGEST + 1))
        while start >= 0 and not any(spelling.startswith(text[start:]) for spelling in _SPELLINGS):
            start = text.find("<", start + 1)
        keep = len(text) if start < 0 else start
        self._text(text[done:keep])
        self._cut = text[keep:]

    def _flush(self) -> None:
        """What waited is text: a token of its own, or the end, follows."""
        self._scan(self._decoder.finish())
        cut, self._cut = self._cut, ""
        self._text(cut)

    # Text and marks to events.

    def _text(self, text: str) -> None:
        if not text:
            return
        if self._state is _State.PLAIN:
            self._show(text)
            return
        self._raw.append(text)
        if self._state is _State.ARGUMENTS:
            self._arguments.append(text)
            if self._name is not None and not self._respelled:
                self._emit(CallArguments(len(self._calls), text))
        elif self._state is _State.HEAD:
            self._head += text
            if not _HEAD.fullmatch(self._head):
                self._give_up()
        elif not text.isspace():
            self._give_up()

    def _mark(self, mark: _Mark) -> None:
        if self._state in (_State.HEAD, _State.ARGUMENTS) and self._call_special and not mark.special:
            self._text(mark.text)  # a call written in tokens may well speak of marks
            return
        if self._state is _State.ARGUMENTS:
            if mark.kind is _Kind.CALL_END:
                self._end_call(mark.text)
                return
            last = next((text for text in reversed(self._arguments) if not text.isspace()), "")
            # Most marks are told apart by the bracket before them: reading all arguments at each takes their square.
            if not mark.special and not (last.rstrip().endswith("}") and _object("".join(self._arguments)) is not None):
                self._text(mark.text)
                return
            self._end_call("")  # its own end was forgotten
        elif self._state is _State.HEAD:
            if mark.kind is _Kind.ARGUMENT_BEGIN and self._begin_call():
                self._raw.append(mark.text)
                return
            self._give_up()
        self._mark_between_calls(mark)

    def _mark_between_calls(self, mark: _Mark) -> None:
        """A mark in plain text, or in a section outside its calls."""
        if mark.kind is _Kind.CALL_BEGIN:
            self._state = _State.HEAD
            self._raw.append(mark.text)
            self._head = ""
            self._call_special = mark.special
            return
        if mark.kind is _Kind.SECTION_END and self._called:
            self._state, self._raw, self._called = _State.PLAIN, [], False
            return
        self._give_up()
        if mark.kind is _Kind.SECTION_BEGIN:
            self._state, self._raw, self._called = _State.SECTION, [mark.text], False
        elif not (self._thinks and self._mark_thought(mark)):
            self._show(mark.text)

    def _mark_thought(self, mark: _Mark) -> bool:
        """Whether a mark begins or ends a thought here."""
        if mark.kind is _Kind.THINK_BEGIN:
            if self._thinking:
                return not self._thought  # the prompt had opened it already
            if mark.special or not (self._thought or self._spoke):
                self._thinking, self._thought_special = True, mark.special
                return True
        elif mark.kind is _Kind.THINK_END:
            if self._thinking and (mark.special or not self._thought_special):
                self._thinking = False
                return True
            if self._thought_broken:
                self._thought_broken = False
                return True
        return False

    def _begin_call(self) -> bool:
        """The head is complete. Whether it can be the id of a call."""
        head = self._head.strip()
        if not head:
            return False
        self._state = _State.ARGUMENTS
        self._arguments = []
        self._name = tool_named(head, self._told)
        if self._name is not None:
            self._start(self._name)
        return True

    @property
    def _respelled(self) -> bool:
        """Whether the arguments have to be whole to be told as they are meant."""
        return self._name in self._told and bool(self._told[self._name].keys)

    def _start(self, name: str) -> None:
        index, name = len(self._calls), self._own(name)
        self._emit(CallStart(index, f"functions.{name}:{self._history_calls + index}", name))

    def _own(self, name: str) -> str:
        """The tool's own name."""
        return self._told[name].own.name if name in self._told else name

    def _end_call(self, mark: str) -> None:
        self._raw.append(mark)
        arguments = "".join(self._arguments)
        whole = self._name is None or self._respelled  # nothing of them has been told yet
        if self._name is None:
            self._name = _infer(arguments, self._told) or _word(self._head)
            if self._name is None:
                self._give_up()
                return
            self._start(self._name)
        if self._name in self._told:
            arguments = self._told[self._name].meant(arguments)
        if whole and arguments:
            self._emit(CallArguments(len(self._calls), arguments))
        index, name = len(self._calls), self._own(self._name)
        call = ToolCall(f"functions.{name}:{self._history_calls + index}", name, arguments)
        self._calls.append(call)
        self._emit(CallEnd(index, call))
        self._state, self._raw, self._called = _State.SECTION, [], True
        self._thought_broken |= self._thinking
        self._thinking = False

    def _give_up(self) -> None:
        """What was held is no call."""
        raw, self._raw = "".join(self._raw), []
        self._state = _State.PLAIN
        self._show(raw)

    def _show(self, text: str) -> None:
        if text and self._thinking:
            self._thought.append(text)
            self._emit(Thinking(text))
        elif text:
            self._content.append(text)
            self._spoke = self._spoke or not text.isspace()
            self._emit(Text(text))

    def _emit(self, event: Event) -> None:
        """Adds an event; pieces of one text that come together are one event."""
        match self._events[-1:], event:
            case [Text(before)], Text(text):
                self._events[-1] = Text(before + text)
            case [Thinking(before)], Thinking(text):
                self._events[-1] = Thinking(before + text)
            case [CallArguments(index, before)], CallArguments(_, text):
                self._events[-1] = CallArguments(index, before + text)
            case _:
                self._events.append(event)

    def _end(self) -> None:
        self._over = True
        # Only spaces after a finished call: they were between marks, not said.
        if self._state is not _State.SECTION or "".join(self._raw).strip():
            self._give_up()


def tool_named(head: str, tools: Iterable[str]) -> str | None:
    """The tool that a call's id names; None if only the arguments can tell.

    Meant is `functions.NAME:IDX`. Models also write NAME:IDX, functions_NAME_IDX, NAME or IDX alone, or an id of their
    client's making; of several readings the first that is a declared tool counts.
    """
    stem = re.sub(r":\d+$", "", head)
    name = stem.removeprefix("functions.")
    underscored = re.fullmatch(r"functions?[._:](.+?)(?:[._:]\d+)?", head)
    unprefixed = re.fullmatch(r"(.+?)[._:]\d+", head)
    readings = [name, stem, *(match[1] for match in (underscored, unprefixed) if match)]
    declared = next((reading for reading in readings if reading in tools), None)
    if declared is not None:
        return declared
    prefixed, counted = name != stem, stem != head
    if name and (prefixed or counted) and (not name.isdecimal() or (prefixed and counted)):
        return name
    strict = re.fullmatch(r"functions_(.+)_\d+", head)
    return strict[1] if strict else None


def _word(head: str) -> str | None:
    """An id that names no known tool and has nothing of an id's form but is no number: the name of an unknown tool."""
    word = head.strip()
    return word if re.search(r"[^\W\d]", word.removeprefix("functions.")) else None


def _infer(arguments: str, tools: Mapping[str, Told]) -> str | None:
    """The only tool that could take these arguments."""
    given = _object(arguments)
    if given is None:
        return None
    fitting = [name for name, one in tools.items() if _takes(one.tool, given)]
    return fitting[0] if len(fitting) == 1 else None


def _takes(tool: ToolSpec, arguments: dict[str, Any]) -> bool:
    required, properties = tool.parameters.get("required"), tool.parameters.get("properties")
    needed = required if isinstance(required, list) else []
    known = properties if isinstance(properties, dict) else {}
    return all(key in arguments for key in needed) and all(key in known for key in arguments)


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is, if it is one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
