"""A reply of a foreign engine, with what is promised of ours: calls that their tools take, ids as the models know them,
an end that says what happened.

Text and thoughts pass as they come. Calls are held until the reply is over: what a client has been sent cannot be taken
back. One that is wrong is asked for again, alone and by its name, which engines that can constrain a reply take as a
grammar; after MOST_AGAIN times, or when the engine fails at that, it is shown as text, and never passed on as a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from moonlet.chat.messages import (
    CHOICES,
    CallArguments,
    CallEnd,
    CallStart,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolSpec,
)
from moonlet.chat.parser import SPELLED, Parser
from moonlet.chat.schema import SchemaError
from moonlet.chat.template import TemplateError, count_calls, normalise_calls
from moonlet.fleet.calls import Fault, Good, Judge, object_of
from moonlet.fleet.counts import Counts
from moonlet.llm import Assembly, Done, Event, Finish, LLMError, RefusedError, ReplyOptions, Usage

MOST_AGAIN = 2  # times that a reply's calls are asked for again, all together


class NoCallError(LLMError):
    """A call was to be made, and the engine made none that can be used. Another engine would hardly do better."""


Ask = Callable[[Sequence[Message], Sequence[ToolSpec], ReplyOptions], Iterator[Event]]


def promised(
    ask: Ask, messages: Sequence[Message], tools: Sequence[ToolSpec], options: ReplyOptions, counts: Counts
) -> Iterator[Event]:
    """What `ask` answers, as events of which the above holds. Raises RefusedError, and what `ask` raises."""
    try:
        judge = Judge(tools)
        asked, _ = normalise_calls(messages)  # ids of another form teach a model to write such
    except (SchemaError, TemplateError) as error:
        raise RefusedError(str(error)) from None
    heard, said = _Heard(asked, tools, counts), Assembly()
    done: Done | None = None
    for event in ask(asked, tools, options):
        if isinstance(event, Done):
            done = event
            continue
        for shown in heard.hear(event):
            said.add(shown)
            yield shown
    assert done is not None, "a reply without its end"
    for shown in heard.rest():
        said.add(shown)
        yield shown
    if done.finish == "cancelled":  # nobody is there to be asked again for
        yield replace(done, message=said.message())
        return
    settling = _Settling(ask, asked, judge, options, counts)
    calls, lost = settling.settle(heard.calls, cut=done.finish == "length")
    for event in [*_as_events(calls, count_calls(asked)), *map(Text, lost)]:
        said.add(event)
        yield event
    finish: Finish = "tool_calls" if calls and done.finish != "length" else done.finish
    finish = "stop" if finish == "tool_calls" and not calls else finish
    yield replace(done, message=said.message(), finish=finish, usage=done.usage + settling.usage)


class _Heard:
    """What comes from the engine: calls out of it, whether they came as such or with their marks in the text."""

    def __init__(self, messages: Sequence[Message], tools: Sequence[ToolSpec], counts: Counts) -> None:
        self.calls: list[ToolCall] = []
        self._counts, self._leaked = counts, False
        # Whose conversation quotes marks may be answered with a quotation, and that must call nothing.
        self._reads = not any(SPELLED.search(message.content) for message in messages)
        self._tools = tools
        self._text = Parser(None, "k2-thinking", tools)
        self._thought: Parser | None = None  # while the engine thinks

    def hear(self, event: Event) -> Iterator[Event]:
        """What of an event can be shown at once."""
        match event:
            case CallEnd(_, call):
                self.calls.append(call)
            case CallStart() | CallArguments():
                pass
            case Text(text) if self._reads:
                yield from self._thought_over()
                yield from self._parsed(self._text.feed_text(text), Text)
            case Thinking(text) if self._reads:
                self._thought = self._thought or Parser(None, "k2-thinking", self._tools, thinking_open=True)
                yield from self._parsed(self._thought.feed_text(text), Thinking)
            case _:
                yield event

    def rest(self) -> Iterator[Event]:
        """What was held back, because it could have become a mark."""
        yield from self._thought_over()
        yield from self._parsed(self._text.finish(), Text)

    def _thought_over(self) -> Iterator[Event]:
        thought, self._thought = self._thought, None
        if thought is not None:
            yield from self._parsed(thought.finish(), Thinking)

    def _parsed(self, events: Sequence[Event], usual: type) -> Iterator[Event]:
        for event in events:
            if not isinstance(event, usual) and not self._leaked:
                self._leaked = True
                self._counts.add("engine_leaks", "text")
            if isinstance(event, CallEnd):
                self.calls.append(event.call)
            elif isinstance(event, Text | Thinking):
                yield event


class _Settling:
    """Makes good calls of those that came."""

    def __init__(
        self, ask: Ask, messages: Sequence[Message], judge: Judge, options: ReplyOptions, counts: Counts
    ) -> None:
        self.usage = Usage()  # of what was asked again
        self._ask, self._messages, self._judge, self._options, self._counts = ask, messages, judge, options, counts
        self._left = MOST_AGAIN
        self._failed: LLMError | None = None  # when it was asked again

    def settle(self, calls: Sequence[ToolCall], cut: bool) -> tuple[list[ToolCall], list[str]]:
        """The good ones, and the text of the others. `cut`: the reply ended at its limit, within the last of them if
        that is broken. Raises LLMError where a call is owed and none can be had."""
        choice = self._options.tool_choice
        if choice == "none":
            return [], list(map(_written, calls))
        good: list[ToolCall] = []
        lost: list[str] = []
        for call in calls if self._options.parallel_calls else calls[:1]:
            found = self._judged(call)
            if isinstance(found, Fault) and not (cut and call is calls[-1]):
                found = self._again(found)
            if isinstance(found, Good):
                good.append(found.call)
            else:
                self._counts.add("engine_calls", "given_up")
                lost.append(_written(found.call))
        owed = choice != "auto" and not good and not cut
        if owed and not calls:
            none = Fault(ToolCall("", "", ""), self._chosen(), "a call was asked for and none came")
            if isinstance(found := self._again(none), Good):
                return [found.call], []
        if owed:
            # Another engine may well do better than one that failed.
            raise self._failed or NoCallError("the engine made no call that can be used, and one was asked for")
        return good, lost

    def _judged(self, call: ToolCall) -> Good | Fault:
        """As the judge says; where one tool is asked for, only that will do."""
        found, chosen = self._judge.judge(call), self._chosen()
        if isinstance(found, Good) and chosen and found.call.name != chosen.name:
            return Fault(call, chosen, f"{chosen.name} was to be called")
        if isinstance(found, Good):
            self._counts.add("engine_calls", "mended" if found.mended else "good")
        return found

    def _chosen(self) -> ToolSpec | None:
        """The one tool that must be called; a tool may well be called as a choice is."""
        choice = self._options.tool_choice
        return None if choice in CHOICES else self._judge.tools.get(choice)

    def _again(self, fault: Fault) -> Good | Fault:
        """The same call asked for again, as long as that is allowed. A failure there is not one of the reply, which
        its client may have heard already."""
        history = list(self._messages)
        while self._left > 0:
            self._left -= 1
            self._counts.add("engine_calls", "asked_again")
            history += _complaint(fault, count_calls(history))
            tools = [fault.tool] if fault.tool else list(self._judge.tools.values())
            options = replace(
                self._options,
                tool_choice=fault.tool.name if fault.tool else "required",
                parallel_calls=False, stop=(), logprobs=False, top_logprobs=0, answer_schema=None,
            )  # fmt: skip
            heard = _Heard(self._messages, tools, self._counts)
            try:
                for event in self._ask(history, tools, options):
                    if isinstance(event, Done):
                        self.usage += event.usage
                        if event.finish == "cancelled":
                            return fault
                    for _ in heard.hear(event):  # words beside the call: the client has those of the first time
                        pass
            except LLMError as error:
                self._failed = error
                return fault
            for _ in heard.rest():
                pass
            if heard.calls:
                found = self._judged(heard.calls[0])
                if isinstance(found, Good):
                    return found
                fault = replace(found, tool=found.tool or fault.tool)
        return fault


def _complaint(fault: Fault, number: int) -> list[Message]:
    """The wrong call and what is wrong with it, as a conversation goes on after a call that failed. Engines refuse a
    history whose arguments are no JSON: such are told in words."""
    call, told = fault.call, f"This call was not run: {fault.why}. Make it again, correctly."
    if not call.name:
        return [Message("user", "A call of a tool is needed now. Make it.")]
    arguments = call.arguments
    if object_of(arguments) is None:
        told += f" Its arguments were: {arguments[:500]}"
        arguments = "{}"
    id = f"functions.{call.name}:{number}"
    wrong = ToolCall(id, call.name, arguments)
    return [Message("assistant", calls=(wrong,)), Message("tool", told, name=call.name, call_id=id)]


def _as_events(calls: Sequence[ToolCall], before: int) -> Iterator[Event]:
    for index, call in enumerate(calls):
        call = replace(call, id=f"functions.{call.name}:{before + index}")
        yield CallStart(index, call.id, call.name)
        yield CallArguments(index, call.arguments)
        yield CallEnd(index, call)


def _written(call: ToolCall) -> str:
    """A call that cannot be one, as what was written."""
    return f"{call.name} {call.arguments}".strip()
