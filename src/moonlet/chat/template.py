"""Messages to token ids, exactly as each model family was trained.

A message is `<|im_ROLE|>NAME<|im_middle|>BODY<|im_end|>` with nothing between messages. Only the markers written here
become special ids; names and bodies are ordinary text whatever they contain.

K2-Instruct's first release put "You are a helpful assistant" where the present one puts the Kimi sentence and a
newline. The weights are the same and Moonshot replaced the template, so there is one family: the present form. The
first one is had by sending its sentence as the system message; likewise the early form of K2.5, which put in the Kimi
sentence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from moonlet.chat.declare import compact_declaration, json_declaration, typescript_declaration
from moonlet.chat.messages import Message, ToolCall, ToolSpec
from moonlet.chat.spelling import Told, spelled_tools
from moonlet.chat.tokenizer import Tokenizer

Family = Literal["k2-instruct", "k2-thinking", "k2.5", "k2.6", "moonlight", "moonlet"]

_KIMI = "You are Kimi, an AI assistant created by Moonshot AI."
_MOST_DECLARED = 4_000_000  # characters of all tools, which no context holds
_MOONLIGHT = "You are a helpful assistant provided by Moonshot-AI."


class TemplateError(Exception):
    """A conversation or an option that the model's family has no form for."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a rendered conversation."""

    ids: list[int]
    trained: bool  # what the assistant itself must produce: thinking, content, calls, the end mark


@dataclass(frozen=True, slots=True)
class _Form:
    declare: Callable[[Sequence[ToolSpec]], str] | None  # None: not trained to call tools
    system: str | None = None  # put first when a conversation has no system message there
    system_newline: bool = False  # a newline follows that message's end mark, an accident of the template that stayed
    thinks: bool = False
    prefills: bool = False  # the prompt opens the thought; else the model does
    preserves: bool = False  # can be asked to keep all thoughts of the past
    spells: bool = False  # is told the names of tools and parameters in snake_case


_FORMS: Mapping[Family, _Form] = {
    "k2-instruct": _Form(json_declaration, system=_KIMI, system_newline=True),
    "k2-thinking": _Form(json_declaration, system=_KIMI, thinks=True),
    "k2.5": _Form(typescript_declaration, thinks=True, prefills=True),
    "k2.6": _Form(typescript_declaration, thinks=True, prefills=True, preserves=True),
    "moonlight": _Form(None, system=_MOONLIGHT),
    "moonlet": _Form(compact_declaration, spells=True),
}


def family_of(config: Mapping[str, Any], tokenizer_config: Mapping[str, Any]) -> Family:
    """The family of a model, told from its `config.json` and `tokenizer_config.json`. Raises TemplateError.

    K2.6 ends with <|im_end|> where K2.5 has [EOS]; K2-Thinking names its thinking marks or has the larger norm epsilon
    of the later models; Moonlight is the one without a query rank.
    """
    if tokenizer_config.get("moonlet_template") == "moonlet":
        return "moonlet"
    kind = config.get("model_type")
    core = config.get("text_config")
    core = core if isinstance(core, Mapping) else config
    if kind == "kimi_vl":
        return "moonlight"
    if kind not in ("kimi_k25", "kimi_k2", "deepseek_v3") or core.get("vocab_size") != 163_840:
        raise TemplateError(f"no chat template is known for a model of type {kind!r}")
    scaling = core.get("rope_scaling") or {}
    if kind == "kimi_k25" or (scaling.get("beta_fast") or 1) > 1:
        return "k2.6" if config.get("eos_token_id", core.get("eos_token_id")) == 163_586 else "k2.5"
    if core.get("q_lora_rank") is None:
        return "moonlight"
    added = tokenizer_config.get("added_tokens_decoder")
    tokens = added.values() if isinstance(added, Mapping) else ()  # read_tokenizer_config does not look inside
    named = any(isinstance(token, Mapping) and token.get("content") == "<think>" for token in tokens)
    template = tokenizer_config.get("chat_template")
    spelled = isinstance(template, str) and "<think>" in template
    return "k2-thinking" if named or spelled or (core.get("rms_norm_eps") or 1e-6) > 5e-6 else "k2-instruct"


def thinks(family: Family) -> bool:
    """Whether replies of the family can begin with a thought."""
    return _FORMS[family].thinks


def opens_thinking(family: Family, thinking: bool = True) -> bool:
    """Whether the generation prompt ends inside a thought, so that a reply has no opening <think>."""
    return thinking and _FORMS[family].prefills


def calls_tools(family: Family) -> bool:
    """Whether the family was trained to call tools."""
    return _FORMS[family].declare is not None


def told(family: Family, tools: Sequence[ToolSpec]) -> list[Told]:
    """The tools as the family is told of them."""
    return spelled_tools(tools) if _FORMS[family].spells else [Told(tool, tool, {}) for tool in tools]


def render(
    tokenizer: Tokenizer,
    family: Family,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec] = (),
    *,
    thinking: bool = True,
    preserve_thinking: bool = False,
    generate: bool = True,
) -> list[int]:
    """Prompt ids of a conversation. Raises TemplateError.

    `thinking=False` closes the thought beforehand in K2.5 and K2.6, the families that can be told so. `generate` adds
    the header of the reply to come.
    """
    segments = render_segments(
        tokenizer,
        family,
        messages,
        tools,
        thinking=thinking,
        preserve_thinking=preserve_thinking,
        generate=generate,
    )
    return [id for segment in segments for id in segment.ids]


def render_segments(
    tokenizer: Tokenizer,
    family: Family,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec] = (),
    *,
    thinking: bool = True,
    preserve_thinking: bool = False,
    generate: bool = True,
) -> list[Segment]:
    """The ids of `render` in pieces: what the assistant produces apart from what it is given."""
    form = _FORMS[family]
    if preserve_thinking and not form.preserves:
        raise TemplateError(f"{family} cannot preserve the thinking of earlier turns")
    out = _Writer(tokenizer)
    if tools:
        if form.declare is None:
            raise TemplateError(f"{family} was not trained to call tools")
        known = {one.own.name: one for one in told(family, tools)}
        messages = [_respelled(message, known) for message in messages]
        declared = form.declare([one.tool for one in known.values()])
        if len(declared) > _MOST_DECLARED:
            raise TemplateError(f"the tools take {len(declared):,} characters to tell, the most is {_MOST_DECLARED:,}")
        out.message("<|im_system|>", "tool_declare", declared)
    if form.system is not None and (not messages or messages[0].role != "system"):
        out.message("<|im_system|>", "system", form.system)
        if form.system_newline:
            out.text("\n")
    messages, _ = normalise_calls(messages)
    # Thoughts live until the turn has an answer: those of a running tool loop are kept, earlier ones blanked.
    answers = [i for i, message in enumerate(messages) if message.role == "assistant" and not message.calls]
    past = -1 if preserve_thinking or not answers else answers[-1]
    for i, message in enumerate(messages):
        if message.role == "assistant":
            _write_assistant(out, form, message, blank=i <= past)
        elif message.role == "tool":
            out.message("<|im_system|>", message.name or "tool", f"## Return of {message.call_id}\n{message.content}")
        else:
            out.message(f"<|im_{message.role}|>", message.name or message.role, message.content)
    if generate:
        out.header("<|im_assistant|>", "assistant")
        if form.prefills:
            out.special("<think>")
            if not thinking:
                out.special("</think>")
    return out.finish()


def normalise_calls(messages: Sequence[Message]) -> tuple[list[Message], dict[str, str]]:
    """Messages whose calls have the ids that the models were trained on, and the way back to the client's ids.

    Ids become `functions.NAME:IDX`, IDX counting the calls of the whole conversation from 0: a model that sees ids of
    another form imitates them and its calls get lost. A result follows its call: by id, else by order.
    """
    out: list[Message] = []
    back: dict[str, str] = {}
    ours: dict[str, str] = {}  # the client's id -> the latest call that had it
    waiting = _Waiting()
    for message in messages:
        if message.calls:
            waiting = _Waiting()
            calls = []
            for call in message.calls:
                id = f"functions.{call.name}:{len(back)}"
                back[id] = call.id
                ours[call.id] = id
                waiting.add(id, call)
                calls.append(replace(call, id=id))
            message = replace(message, calls=tuple(calls))
        elif message.role == "tool":
            id = _answered(message, ours, waiting)
            waiting.answered.add(id)
            message = replace(message, call_id=id)
        out.append(message)
    return out, back


def count_calls(messages: Sequence[Message]) -> int:
    """Calls of a conversation so far: the IDX of the next one."""
    return sum(len(message.calls) for message in messages)


class _Waiting:
    """The calls of the latest turn that have no result yet."""

    def __init__(self) -> None:
        self.answered: set[str] = set()
        self._lines: dict[tuple[str, str | None], deque[str]] = {}

    def add(self, id: str, call: ToolCall) -> None:
        for key in (("id", call.id), ("name", call.name), ("any", None)):
            self._lines.setdefault(key, deque()).append(id)

    def first(self, kind: str, value: str | None = None) -> str | None:
        """Our id of the first that has this id of the client, or this name."""
        line = self._lines.get((kind, value), deque())
        while line and line[0] in self.answered:
            line.popleft()
        return line[0] if line else None


def _answered(result: Message, ours: Mapping[str, str], waiting: _Waiting) -> str:
    """Our id of the call that a result answers."""
    if (by_id := waiting.first("id", result.call_id)) is not None:  # several where a client repeats ids in a turn
        return by_id
    if result.call_id is not None and result.call_id in ours:
        return ours[result.call_id]
    if (next_one := waiting.first("name", result.name) or waiting.first("any")) is not None:
        return next_one
    if result.call_id:
        return result.call_id  # the client cut the call off its history; the text is still worth reading
    raise TemplateError("a tool result answers no call: give it a tool_call_id, or keep the call in the history")


def _respelled(message: Message, known: Mapping[str, Told]) -> Message:
    """The message with its calls, or the tool that it comes from, as the family is told of them."""
    if message.role == "tool" and message.name is not None and message.name in known:
        return replace(message, name=known[message.name].tool.name)
    if not message.calls:
        return message
    calls = [
        replace(call, name=one.tool.name, arguments=one.told(call.arguments)) if (one := known.get(call.name)) else call
        for call in message.calls
    ]
    return replace(message, calls=tuple(calls))


def _write_assistant(out: _Writer, form: _Form, message: Message, blank: bool) -> None:
    out.header("<|im_assistant|>", message.name or "assistant")
    if form.thinks:
        thought = "" if blank else message.thinking
        # Blanked thoughts and a prefilled mark are given to the model, not produced by it.
        out.special("<think>", trained=bool(thought) and not form.prefills)
        out.text(thought, trained=True)
        out.special("</think>", trained=bool(thought))
    out.text(message.content, trained=True)
    if message.calls:
        out.special("<|tool_calls_section_begin|>", trained=True)
        for call in message.calls:
            out.special("<|tool_call_begin|>", trained=True)
            out.text(call.id, trained=True)
            out.special("<|tool_call_argument_begin|>", trained=True)
            out.text(call.arguments, trained=True)
            out.special("<|tool_call_end|>", trained=True)
        out.special("<|tool_calls_section_end|>", trained=True)
    out.special("<|im_end|>", trained=True)


class _Writer:
    """Collects markers and text. Text between two markers is encoded as one, because merges cross its parts."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._segments: list[Segment] = []
        self._text = ""
        self._text_trained = False

    def message(self, role: str, name: str, body: str) -> None:
        self.header(role, name)
        self.text(body)
        self.special("<|im_end|>")

    def header(self, role: str, name: str) -> None:
        self.special(role)
        self.text(name)
        self.special("<|im_middle|>")

    def special(self, name: str, trained: bool = False) -> None:
        id = self._tokenizer.special(name)
        if id is None and name in ("<think>", "</think>"):
            self.text(name, trained)  # a vocabulary that does not name the marks has them as plain pieces
        elif id is None:
            raise TemplateError(f"the vocabulary has no {name}")
        else:
            self._flush()
            self._add([id], trained)

    def text(self, text: str, trained: bool = False) -> None:
        if text:
            self._text_trained = trained or (self._text_trained and bool(self._text))
            self._text += text

    def finish(self) -> list[Segment]:
        self._flush()
        return self._segments

    def _flush(self) -> None:
        if self._text:
            self._add(self._tokenizer.encode(self._text), self._text_trained)
            self._text = ""

    def _add(self, ids: list[int], trained: bool) -> None:
        if self._segments and self._segments[-1].trained == trained:
            self._segments[-1].ids.extend(ids)
        else:
            self._segments.append(Segment(ids, trained))
