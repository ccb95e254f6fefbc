"""Our engine behind the protocol of `moonlet.llm`, and `load`, which opens a model by folder or name.

with moonlet.load("nano") as model:
    print(model.generate("What is the weather in Oslo?").content)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moonlet.chat.constrain import CallConstraint, ChoiceError, SchemaError
from moonlet.chat.messages import Message, Text, ToolSpec
from moonlet.chat.parser import Parser
from moonlet.chat.template import (
    Family,
    TemplateError,
    calls_tools,
    count_calls,
    family_of,
    opens_thinking,
    render,
)
from moonlet.chat.tokenizer import Tokenizer, TokenizerError, read_tokenizer_config
from moonlet.engine.engine import DeadlineError, Engine, EngineError, EngineOptions, QueueFullError, Terms
from moonlet.engine.sampler import Sampling, Token
from moonlet.engine.sequence import Reply, Seen, Stats
from moonlet.llm import (
    PLAIN,
    Assembly,
    BusyError,
    Done,
    Event,
    ExpertUse,
    Finish,
    LateError,
    LLMError,
    Look,
    Priority,
    RefusedError,
    ReplyOptions,
    Scored,
    ScoredToken,
    StopText,
    TooLongError,
    Usage,
    until_stop,
)
from moonlet.model.convert import convert, drop_unfinished
from moonlet.model.folder import ModelFolder, default_path, open_folder

NANO = "nano"  # the small model that ships with the package
MAX_TOKENS = 8192  # of a reply that states no limit: its place in the cache is set aside when it begins
GOLDEN_TOKENS = 16
REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")  # OWNER/NAME

# Temperature and top-p that the publishers advise; the small model is surest when greedy.
_ADVICE: dict[Family, tuple[float, float]] = {
    "k2-instruct": (0.6, 1.0),
    "k2-thinking": (1.0, 1.0),
    "k2.5": (1.0, 0.95),
    "k2.6": (1.0, 0.95),
    "moonlight": (0.6, 1.0),
    "moonlet": (0.0, 1.0),
}
_ADVISED_INSTANT = 0.6  # K2.5 and K2.6 when they are not to think


class ModelNotFoundError(Exception):
    """No folder and no pulled model has this name."""


def load(
    model: str | Path = NANO, exact: bool = False, progress: Callable[[int, int], None] | None = None, **options: Any
) -> Local:
    """Open a model folder, a checkpoint in the public layout (converted once, into a cache), or a pulled model by name.

    `exact` keeps activations in float32; `options` are the fields of EngineOptions; `progress` hears of the bytes of a
    conversion. Raises ModelNotFoundError, FolderError, or what a conversion raises.
    """
    settings = EngineOptions(exact=exact, **options)
    path = find(model)
    if not (path / "moonlet.json").exists():
        path = converted(path, progress)
    return Local(open_folder(path), settings, name=NANO if model == NANO else None)


def find(model: str | Path) -> Path:
    """The folder that is meant: the small model, a model folder or checkpoint, or a model pulled under that name."""
    if model == NANO:
        path = Path(__file__).parent / NANO
        if not (path / "moonlet.json").exists():
            raise ModelNotFoundError(f"the small model is not in this installation ({path}); name a model folder")
        return path
    # os.path.isdir, unlike Path.is_dir, never raises: a name may be too long for a path. Path("") would be here.
    for path in (Path(model).expanduser(), default_path(str(model))) if str(model) else ():
        if os.path.isdir(path):
            if not any((path / name).exists() for name in ("moonlet.json", "config.json")):
                raise ModelNotFoundError(f"{path}: holds no model (moonlet.json) and no checkpoint (config.json)")
            return path
    name = str(model)[:80]
    hint = f"; `moonlet pull {name}` gets it if it exists" if REPOSITORY.fullmatch(name) else ""
    raise ModelNotFoundError(f"{name}: neither a folder nor a pulled model{hint}")


def converted(source: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """The model folder made of a checkpoint, in the cache; made anew when a file of the checkpoint has changed."""
    files = sorted(file for file in source.iterdir() if file.is_file())
    state = json.dumps([(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files])
    place = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:12]
    target = default_path("").parent / "converted" / f"{place}-{hashlib.sha256(state.encode()).hexdigest()[:12]}"
    if not target.exists():
        convert(source, target, progress=progress)
        for old in target.parent.glob(f"{place}-*"):
            if old != target and not old.suffix:  # not what another process is just making
                shutil.rmtree(old, ignore_errors=True)
        drop_unfinished(target.parent, f"{place}-")
    return target


def name_of(model: str | Path) -> str:
    """The name under which a model answers, before it is loaded. Raises ModelNotFoundError, FolderError."""
    path = find(model)
    if model == NANO:
        return NANO
    return _name(open_folder(path)) if (path / "moonlet.json").exists() else path.name


def _name(folder: ModelFolder) -> str:
    return str(folder.meta.get("source", {}).get("name") or folder.path.name)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A reply before it is begun: what the engine is given, and who reads what comes."""

    prompt: list[int]
    sampling: Sampling
    constraint: CallConstraint | None
    parser: Parser


def family_in(folder: ModelFolder) -> Family:
    """Whose chat format the model of a folder speaks. Raises TemplateError if it is none that is known."""
    config = json.loads((folder.path / "config.json").read_text(encoding="utf-8"))
    return family_of(config, read_tokenizer_config(folder.path))


class Local:
    """A model on this machine. Use as a context manager, or close() it."""

    def __init__(self, folder: ModelFolder, options: EngineOptions, name: str | None = None) -> None:
        self.folder = folder
        self.config = folder.config
        self.name = name or _name(folder)
        self.engine = Engine(folder, options)

    def close(self) -> None:
        """Ends what is under way and gives the memory back."""
        self.engine.close()

    def in_line(self) -> tuple[tuple[str, Priority], ...]:
        """As `moonlet.llm.Queued` says."""
        return self.engine.in_line()

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Raises TokenizerError: a folder without one still gives logits."""
        return Tokenizer.load(self.folder.path)

    @cached_property
    def family(self) -> Family:
        """Whose chat format the model speaks. Raises TemplateError if it is none that is known."""
        return family_in(self.folder)

    def generate(self, prompt: str | Sequence[Message], tools: Sequence[ToolSpec] = (), **options: Any) -> Message:
        """The answer to a prompt or a conversation. `options` are the fields of ReplyOptions."""
        *_, done = self.stream(prompt, tools, **options)
        assert isinstance(done, Done), done
        return done.message

    def stream(
        self, prompt: str | Sequence[Message], tools: Sequence[ToolSpec] = (), **options: Any
    ) -> Iterator[Event]:
        """The events of an answer as they come, the last of which is Done."""
        messages = [Message("user", prompt)] if isinstance(prompt, str) else prompt
        return self.reply(messages, tools, ReplyOptions(**options))

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Logits (T, V): row t is what the model says comes after ids[0..t]. Raises EngineError."""
        return self.engine.logits(ids)

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        """As `moonlet.llm.LLM` says; `close()` on the iterator ends the reply within a step, from any thread."""
        return self._run(self.prepare(messages, tools, options), options)

    def prepare(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Prepared:
        """A reply in the terms of the engine, for whoever wants its ids. Raises RefusedError."""
        try:
            family, tokenizer = self.family, self.tokenizer
            calls, opened = count_calls(messages), opens_thinking(family, options.thinking)
            prompt = render(tokenizer, family, messages, tools, thinking=options.thinking)
            limit = self._limit(prompt, options)
            constraint = None
            if calls_tools(family):  # without tools it keeps the model from calling what is not there
                constraint = CallConstraint(
                    tokenizer,
                    tools,
                    options.tool_choice,
                    family=family,
                    history_calls=calls,
                    thinking_open=opened,
                    parallel=options.parallel_calls,
                    answer=options.answer_schema,
                    limit=limit,
                    said="\n".join(m.content for m in messages if m.role in ("user", "tool")),
                )
                if (least := constraint.least) is not None and limit < least:
                    what = "the JSON" if options.tool_choice in ("auto", "none") else "the call"
                    raise RefusedError(f"{what} that is asked for needs at least {least} tokens, {limit} are allowed")
            elif options.answer_schema is not None:
                raise RefusedError(f"{self.name} cannot be held to a JSON schema: its vocabulary has no marks of calls")
            sampling = self._sampling(options, limit)
        except (TemplateError, TokenizerError, SchemaError, ChoiceError, ValueError) as error:
            raise RefusedError(str(error)) from None
        except RecursionError:
            raise RefusedError("the tools or the schema are nested too deeply") from None
        parser = Parser(tokenizer, family, tools, history_calls=calls, thinking_open=opened, spelled=False)
        return Prepared(prompt, sampling, constraint, parser)

    def complete(self, prompt: str | Sequence[int], options: ReplyOptions = PLAIN) -> Iterator[Event]:
        """As `moonlet.llm.Plain` says: no conversation around the text, no tools. Raises BusyError, RefusedError."""
        try:
            ids = self.tokenizer.encode(prompt) if isinstance(prompt, str) else prompt
            # A reply cannot come after nothing: what comes first of all comes after the mark of a beginning.
            ids = ids or [id for id in [self.tokenizer.special("[BOS]")] if id is not None]
            sampling = self._sampling(options, self._limit(ids, options))
        except (TemplateError, TokenizerError, ValueError) as error:
            raise RefusedError(str(error)) from None
        parser = Parser(self.tokenizer, self.family, marks=False)  # nobody offered tools: calls are text too
        return self._run(Prepared(list(ids), sampling, None, parser), options)

    def count(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN) -> int:
        """Tokens of the prompt that these messages become. Raises RefusedError."""
        try:
            return len(render(self.tokenizer, self.family, messages, tools, thinking=options.thinking))
        except (TemplateError, TokenizerError, ValueError) as error:
            raise RefusedError(str(error)) from None
        except RecursionError:
            raise RefusedError("the tools are nested too deeply") from None

    def _run(self, it: Prepared, options: ReplyOptions) -> _Running:
        """The engine's reply as events. Raises BusyError, RefusedError."""
        seen: deque[Seen] = deque()  # what the engine's steps did, if that is asked for
        trace = seen.append if options.look else None
        terms = Terms(options.owner, options.weight, options.priority, options.deadline_s)
        try:
            running = self.engine.submit(it.prompt, it.sampling, it.constraint, terms, trace)
        except QueueFullError as error:
            raise BusyError(str(error), error.retry_after_s) from None
        except (EngineError, ValueError) as error:
            raise RefusedError(str(error)) from None
        return _Running(running, self._events(running, it.parser, options, seen))

    def _limit(self, prompt: Sequence[int], options: ReplyOptions) -> int:
        """Tokens that a reply to this prompt may have. Raises TooLongError."""
        room = self.engine.context - len(prompt)
        if room < 1:
            raise TooLongError(len(prompt), self.engine.context)
        return min(options.max_tokens or MAX_TOKENS, room)

    def _sampling(self, options: ReplyOptions, limit: int) -> Sampling:
        temperature, top_p = _ADVICE[self.family]
        if not options.thinking and self.family in ("k2.5", "k2.6"):
            temperature = _ADVISED_INSTANT
        named = (self.tokenizer.special(name) for name in ("<|im_end|>", "[EOS]", "[EOT]"))
        stops = {*self.config.stops, *(id for id in named if id is not None)}
        return Sampling(
            max_tokens=limit,
            temperature=temperature if options.temperature is None else options.temperature,
            top_p=top_p if options.top_p is None else options.top_p,
            top_k=options.top_k or 0,
            presence_penalty=options.presence_penalty,
            frequency_penalty=options.frequency_penalty,
            logit_bias=options.logit_bias,
            seed=None if options.seed is None else options.seed % (1 << 64),
            logprobs=options.logprobs,
            top_logprobs=options.top_logprobs,
            stop_ids=tuple(sorted(stops)),
        )

    def _events(self, running: Reply, parser: Parser, options: ReplyOptions, seen: deque[Seen]) -> Generator[Event]:
        stop, thought = StopText(options.stop), 0

        def parsed() -> Iterator[Event]:
            nonlocal thought
            for token in running:
                speaking = parser.speaking
                thought += parser.thinking
                while seen:
                    yield from self._looks(seen.popleft(), running.stats.prompt_tokens)
                events = parser.feed([token.id])
                # A token that the grammar forced was not drawn, so it was certain. A mark is no part of the text.
                shown = not self.tokenizer.is_special(token.id) or any(isinstance(event, Text) for event in events)
                if options.logprobs and shown and speaking and parser.speaking:
                    yield Scored((self._scored(token),))
                yield from events
            yield from parser.finish()

        said = Assembly()
        try:
            for event in until_stop(parsed(), stop):
                said.add(event)
                yield event
            running.cancel()
            for _ in running:  # a stop string came: the step under way still counts
                pass
            while seen:
                yield from self._looks(seen.popleft(), running.stats.prompt_tokens)
        except DeadlineError as error:
            raise LateError(str(error), self._usage(running.stats, thought)) from None
        except EngineError as error:
            raise LLMError(f"{self.name}: {error}", self._usage(running.stats, thought)) from None
        finally:
            running.cancel()
        message = said.message()
        assert running.finish is not None and running.finish != "error"
        finish: Finish = "stop" if stop.hit else running.finish
        if message.calls and finish == "stop":
            finish = "tool_calls"
        yield Done(message, finish, self._usage(running.stats, thought), stop.found)

    def _looks(self, seen: Seen, prompt_tokens: int) -> Iterator[Look]:
        """A step as events: the prompt's tokens and the reply's are looked at apart."""
        read = seen.reads
        pieces = tuple(self.tokenizer.piece(id) for id in seen.ids)
        border = min(max(prompt_tokens - seen.start, 0), len(pieces))
        for begin, end in ((0, border), (border, len(pieces))):
            if begin < end:
                own = np.s_[:, begin:end]
                yield Look(
                    seen.start + begin,
                    pieces[begin:end],
                    begin < border,
                    seen.chosen[own],
                    seen.weights[own],
                    seen.tiers[own],
                    seen.parts_s,
                    seen.step_tokens,
                    read.hits,
                    read.misses,
                    read.read_bytes,
                )

    def _scored(self, token: Token) -> ScoredToken:
        top = tuple((self.tokenizer.piece(id), logprob) for id, logprob in token.top)
        return ScoredToken(self.tokenizer.piece(token.id), token.logprob or 0.0, top)

    def _usage(self, stats: Stats, thinking_tokens: int) -> Usage:
        seen = stats.experts_seen
        bits = int.from_bytes(np.packbits(seen).tobytes(), "big")
        use = ExpertUse(self.config.experts_per_token, self.config.experts, self.config.sparse_layers, bits)
        reads = stats.reads if self.engine.memory.streamed else None
        return Usage(
            prompt_tokens=stats.prompt_tokens,
            cached_tokens=stats.cached_tokens,
            output_tokens=stats.output_tokens,
            prefill_s=stats.prefill_s,
            decode_s=stats.decode_s,
            decode_tokens=max(stats.output_tokens - 1, 0),
            experts=use if seen.size else None,
            queue_s=stats.queue_s,
            thinking_tokens=thinking_tokens,
            expert_hits=round(reads.hits) if reads else None,
            expert_reads=round(reads.misses) if reads else None,
            bytes_read=round(reads.read_bytes) if reads else None,
            read_wait_s=stats.reads.wait_s,
        )


class _Running(Iterator[Event]):
    """A reply under way. Unlike a generator it can be closed while another thread waits for its next event."""

    def __init__(self, reply: Reply, events: Generator[Event]) -> None:
        self._reply = reply
        self._events = events

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        self._reply.cancel()

    def __del__(self) -> None:
        self.close()  # dropped before it was listened to, a reply would be computed for nobody


def make_golden(model: Local) -> ModelFolder:
    """Write down what the model answers to a fixed prompt, for `golden_gap`. Returns the folder anew.

    Not with `exact`: an integer path may differ from it by more than two machines do from each other."""
    vocab = model.config.vocab
    prompt = [(i * 2_654_435_761) % vocab for i in range(1, 9)]  # spread over the vocabulary, whatever its size
    reply = model.engine.submit(prompt, Sampling(max_tokens=GOLDEN_TOKENS, temperature=0))
    return model.folder.write_golden(prompt, [token.id for token in reply])


def golden_gap(model: Local) -> float | None:
    """How far the model is from its golden tokens; None if it has none.

    The largest lead of another token over a golden one, as a share of the logits' range at its place: 0 when every one
    is the likeliest. Another instruction set rounds differently and may turn a near tie, which is a gap of nearly 0.
    """
    golden = model.folder.meta.get("golden")
    if not golden:
        return None
    prompt, tokens = golden["prompt"], golden["tokens"]
    rows = model.logits([*prompt, *tokens])[len(prompt) - 1 : -1]
    leads = rows.max(axis=1) - rows[np.arange(len(tokens)), tokens]
    return float((leads / (rows.max(axis=1) - rows.min(axis=1))).max(initial=0.0))
