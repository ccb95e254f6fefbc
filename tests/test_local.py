"""Our engine behind the protocol that everything else speaks, on a tiny checkpoint with random weights."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import moonlet
import speaking
import tiny
from moonlet import llm
from moonlet.chat.messages import CallEnd, CallStart, Message, Text, ToolSpec
from moonlet.chat.tokenizer import SMALL_PATTERN, Tokenizer
from moonlet.engine.engine import EngineOptions, QueueFullError, Terms
from moonlet.engine.sequence import EngineError, Reply, Stats
from moonlet.llm import BusyError, Done, Event, LLMError, RefusedError, ReplyOptions
from moonlet.local import Local, ModelNotFoundError, find, golden_gap, make_golden
from moonlet.model.config import ConfigError
from moonlet.model.convert import convert
from moonlet.model.folder import open_folder

WEATHER = ToolSpec(
    "get_weather",
    "Weather",
    {
        "type": "object",
        "properties": {
            "place": {"type": "string", "maxLength": 4},
            "day": {"type": "string", "enum": ["today", "later"]},
        },
        "required": ["place", "day"],
        "additionalProperties": False,
    },
)
NOTHING = ToolSpec("nothing", "", {})
HELLO = [Message("user", "hello")]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    speaking.write(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOONLET_HOME", str(tmp_path_factory.mktemp("home")))
        yield Path(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def model(checkpoint: Path, home: Path) -> Iterator[Local]:
    with moonlet.load(checkpoint, threads=1, cache_tokens=4096) as loaded:
        yield loaded


def _done(events: list[Event]) -> Done:
    assert isinstance(events[-1], Done)
    return events[-1]


def test_streamed_equals_generated_and_a_seed_repeats(model: Local) -> None:
    events = list(model.stream("hello", max_tokens=30, temperature=1.0, seed=7))
    text = "".join(event.text for event in events if isinstance(event, Text))
    assert len([e for e in events if isinstance(e, Text)]) > 3
    assert model.generate("hello", max_tokens=30, temperature=1.0, seed=7).content == text
    assert model.generate(HELLO, max_tokens=30, temperature=1.0, seed=8).content != text
    assert _done(events).finish == "length"


def test_usage_says_what_worked(model: Local) -> None:
    usage = _done(list(model.stream("hello there", max_tokens=10, temperature=1.0, seed=1))).usage
    assert usage.output_tokens == 10 and usage.decode_tokens == 9 and usage.prompt_tokens > len("hello there")
    assert usage.tokens_per_s and usage.tokens_per_s > 0
    assert usage.experts and (usage.experts.chosen, usage.experts.of) == (
        model.config.experts_per_token,
        model.config.experts,
    )
    # The first token was chosen by the prompt's last step; nine were computed, each with K experts in every layer.
    low = model.config.experts_per_token / model.config.experts
    assert low <= usage.experts.share <= min(9 * low, 1)
    both = usage + usage
    assert both.output_tokens == 20 and both.experts == usage.experts
    assert both.tokens_per_s == pytest.approx(usage.tokens_per_s)


def test_a_longer_conversation_reuses_the_shorter_one(model: Local) -> None:
    first = _done(list(model.stream([Message("user", "x" * 300)], max_tokens=2)))
    again = [Message("user", "x" * 300), first.message, Message("user", "and now?")]
    assert _done(list(model.stream(again, max_tokens=2))).usage.cached_tokens >= 256


@pytest.mark.parametrize("choice", ["required", "get_weather"])
def test_a_wanted_call_is_made_and_valid(model: Local, choice: str) -> None:
    for seed in range(4):
        options = ReplyOptions(tool_choice=choice, max_tokens=600, temperature=1.0, seed=seed)
        events = list(model.reply(HELLO, [WEATHER, NOTHING], options))
        done = _done(events)
        assert done.finish == "tool_calls"
        starts = [event for event in events if isinstance(event, CallStart)]
        ends = [event.call for event in events if isinstance(event, CallEnd)]
        assert tuple(ends) == done.message.calls and len(starts) == len(ends) >= 1
        for index, call in enumerate(ends):
            spec = {tool.name: tool for tool in (WEATHER, NOTHING)}[call.name]
            jsonschema.validate(json.loads(call.arguments), dict(spec.parameters))
            assert call.id == f"functions.{call.name}:{index}"
        assert choice == "required" or [call.name for call in ends] == ["get_weather"]


@pytest.mark.parametrize("tools", [[], [WEATHER]])
def test_no_call_where_none_may_be(model: Local, tools: list[ToolSpec]) -> None:
    bias = {id: 100.0 for name, id in model.tokenizer.specials.items() if name.startswith("<|tool_call")}
    options = ReplyOptions(tool_choice="none", max_tokens=20, temperature=1.0, seed=3, logit_bias=bias)
    done = _done(list(model.reply(HELLO, tools, options)))
    assert not done.message.calls and "<|tool" not in done.message.content


def test_a_stop_string_ends_the_reply(model: Local) -> None:
    text = model.generate("hello", max_tokens=400, temperature=1.0, seed=7).content
    stop = text[len(text) // 8 : len(text) // 8 + 2]
    done = _done(list(model.stream("hello", max_tokens=400, temperature=1.0, seed=7, stop=(stop,))))
    assert done.message.content == text[: text.index(stop)]
    assert done.finish == "stop" and done.usage.output_tokens < 400


def test_a_reply_can_be_ended_from_another_thread(model: Local) -> None:
    never_end = {id: -100.0 for id in (*model.config.stops, *model.tokenizer.specials.values())}
    events = model.stream("hello", max_tokens=3000, temperature=1.0, seed=5, logit_bias=never_end)
    next(events)
    threading.Timer(0.05, llm.close, [events]).start()
    begun = time.monotonic()
    done = _done(list(events))
    assert done.finish == "cancelled" and done.usage.output_tokens < 3000
    assert time.monotonic() - begun < 10


def test_a_reply_that_nobody_listens_to_is_not_computed(model: Local) -> None:
    running = model.stream("hello", max_tokens=3000, temperature=1.0)
    reply = running._reply  # type: ignore[attr-defined]
    del running
    for _ in reply:
        pass
    assert reply.finish == "cancelled"


@pytest.mark.parametrize(
    ("messages", "options", "told"),
    [
        ([Message("user", "x" * 9000)], {}, "the context holds 4096"),
        (HELLO, {"logit_bias": {5000: 1.0}}, "outside the vocabulary"),
        (HELLO, {"tool_choice": "missing"}, "missing"),
        ([Message("tool", "5")], {}, "answers no call"),
    ],
)
def test_what_cannot_be_answered_is_refused_at_once(
    model: Local, messages: list[Message], options: dict[str, object], told: str
) -> None:
    with pytest.raises(RefusedError, match=told):
        model.reply(messages, [WEATHER], ReplyOptions(**options))  # type: ignore[arg-type]


def test_a_schema_that_cannot_be_enforced_is_refused_by_name(model: Local) -> None:
    odd = ToolSpec("odd", "", {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}})
    with pytest.raises(RefusedError, match=r"'odd'.*uniqueItems"):
        model.reply(HELLO, [odd])


def test_a_model_that_only_gives_logits_refuses_texts(tmp_path: Path) -> None:
    """It has no chat format that is known, or no tokenizer."""
    tiny.write(tmp_path / "strange", "k2", changes={"vocab_size": 256 + 32})
    speaking.write(tmp_path / "mute")
    (tmp_path / "mute" / "tiktoken.model").unlink()
    for name, told in (("strange", "no chat template is known"), ("mute", r"tiktoken\.model: not readable")):
        folder = convert(tmp_path / name, tmp_path / f"{name}-made").folder
        with Local(folder, EngineOptions(threads=1, cache_tokens=512)) as model:
            for ask in (model.prepare, model.count, lambda messages: model.complete(messages[0].content)):
                with pytest.raises(RefusedError, match=told):
                    ask(HELLO)
            assert model.logits([1, 2]).shape == (2, model.config.vocab)


def test_unknown_options_are_errors(model: Local, checkpoint: Path) -> None:
    with pytest.raises(TypeError, match="temprature"):
        model.generate("hello", temprature=0.5)
    with pytest.raises(TypeError, match="cach"):
        moonlet.load(checkpoint, cach=5)
    with pytest.raises(ValueError, match="bf16 or int8, not 5"):
        moonlet.load(checkpoint, cache=5)


def test_logits_are_those_of_every_position(model: Local) -> None:
    ids = model.tokenizer.encode("hello")
    logits = model.logits(ids)
    assert logits.shape == (len(ids), model.config.vocab) and logits.dtype == np.float32
    assert np.array_equal(model.logits(ids[:2]), logits[:2])


def test_a_checkpoint_is_converted_once_and_anew_when_it_changes(checkpoint: Path, model: Local, home: Path) -> None:
    told: list[tuple[int, int]] = []
    with moonlet.load(checkpoint, threads=1, progress=lambda *p: told.append(p)) as again:
        assert again.folder.path == model.folder.path and not told
    config = checkpoint / "config.json"
    config.write_text(config.read_text() + "\n")
    with moonlet.load(checkpoint, threads=1, progress=lambda *p: told.append(p)) as anew:
        assert anew.folder.path != model.folder.path and told and told[-1][0] == told[-1][1]
        assert not model.folder.path.exists()
        assert anew.generate("hello", max_tokens=5) == model.generate("hello", max_tokens=5)


def test_names_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path))
    pulled = tmp_path / "models" / "someone" / "model"
    pulled.mkdir(parents=True)
    with pytest.raises(ModelNotFoundError, match="no checkpoint"):
        find(pulled)
    (pulled / "config.json").write_text("{}")
    assert find("someone/model") == find(pulled) == pulled
    for name in ("someone/else", "x" * 5000, "", "a\0b"):
        with pytest.raises(ModelNotFoundError, match="neither a folder nor a pulled model"):
            find(name)
    with pytest.raises(ConfigError, match=r"config\.json: model_type"):
        moonlet.load(pulled)


def test_golden_tokens_tell_a_changed_model(checkpoint: Path, tmp_path: Path) -> None:
    speaking.write(tmp_path / "other", seed=1)
    folder, other = (
        convert(source, tmp_path / f"{source.name}-made").folder for source in (checkpoint, tmp_path / "other")
    )
    with Local(folder, EngineOptions(isa="plain", threads=1)) as model:
        assert golden_gap(model) is None
        folder = make_golden(model)
    with Local(folder, EngineOptions(threads=1)) as model:
        gap = golden_gap(model)
        assert gap is not None and gap < 0.02
    (other.path / "dense.safetensors").replace(folder.path / "dense.safetensors")
    with Local(open_folder(folder.path), EngineOptions(threads=1)) as model:
        gap = golden_gap(model)
        assert gap is not None and gap > 0.1


def _quoting(tokenizer: Tokenizer) -> str:
    parts = ("<|tool_calls_section_begin|>", "<|tool_call_begin|>", "functions.nothing:0")
    parts += ("<|tool_call_argument_begin|>", "{}", "<|tool_call_end|>", "<|tool_calls_section_end|>")
    assert all(tokenizer.special(part) is not None for part in parts if part.startswith("<"))
    return "".join(parts)


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_page_that_is_quoted_calls_nothing_where_thoughts_have_no_tokens(
    monkeypatch: pytest.MonkeyPatch, model: Local, choice: str
) -> None:
    """K2-Thinking's thoughts are read from their spelled marks then; a call that is spelled remains what it quotes."""
    known = model.tokenizer
    names = {id: name for name, id in known.specials.items() if name not in ("<think>", "</think>")}
    pieces = [known.piece(id) for id in range(min(names))]
    monkeypatch.setitem(model.__dict__, "tokenizer", Tokenizer(pieces, names, SMALL_PATTERN, len(known.specials)))
    monkeypatch.setitem(model.__dict__, "family", "k2-thinking")
    parser = model.prepare(HELLO, [NOTHING], ReplyOptions(tool_choice=choice)).parser
    page = f"It says {_quoting(known)}"
    parser.feed(model.tokenizer.encode(f"<think>hm</think>{page}"))
    parser.finish()
    assert parser.message == Message("assistant", page, "hm")


def test_a_text_that_is_gone_on_with_loses_no_call(monkeypatch: pytest.MonkeyPatch, model: Local) -> None:
    """Nobody can be told of a call there; what the model writes of one is text."""
    monkeypatch.setattr(model, "_run", lambda it, options: it)
    parser = model.complete("hello").parser  # type: ignore[attr-defined]
    said = f"Well{_quoting(model.tokenizer)} so"
    events = parser.feed(model.tokenizer.encode(f"{said}<|im_end|>", specials=True)) + parser.finish()
    assert "".join(event.text for event in events if isinstance(event, Text)) == said
    assert not parser.message.calls


def test_terms_reach_the_engine_and_a_full_line_is_busy(monkeypatch: pytest.MonkeyPatch, model: Local) -> None:
    seen: list[Terms] = []

    def submit(*arguments: Any) -> None:
        seen.append(arguments[3])
        raise QueueFullError("256 requests wait already", 7.0)

    monkeypatch.setattr(model.engine, "submit", submit)
    options = ReplyOptions(owner="ann", weight=2.0, priority="batch")
    for ask in (lambda: model.reply([Message("user", "hi")], (), options), lambda: model.complete("hi", options)):
        with pytest.raises(BusyError, match="wait already") as busy:
            ask()
        assert busy.value.retry_s == 7.0
    assert seen == [Terms("ann", 2.0, "batch")] * 2


def test_a_reply_that_fails_says_what_it_took(monkeypatch: pytest.MonkeyPatch, model: Local) -> None:
    reply = Reply(Stats(prompt_tokens=9, output_tokens=2))
    reply.error, reply.finish = EngineError("an expert could not be read"), "error"
    reply._announce()
    monkeypatch.setattr(model.engine, "submit", lambda *_: reply)
    with pytest.raises(LLMError, match="could not be read") as caught:
        list(model.stream("hello"))
    took = caught.value.usage
    assert took and (took.prompt_tokens, took.output_tokens) == (9, 2)


def test_tools_nested_without_end_are_refused(model: Local) -> None:
    deep = json.loads('{"type": "object", "properties": {"a": ' * 300 + "{}" + "}}" * 300)
    for tools in ([ToolSpec("deep", "", deep)], [ToolSpec("deep", "", {"type": "object", "default": deep})]):
        with pytest.raises(RefusedError, match="nested"):
            model.reply(HELLO, tools)
