"""`moonlet run`: a conversation in the terminal, one answer to a prompt, or one JSON object."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from dataclasses import asdict
from functools import reduce
from operator import add
from typing import Any

from rich.console import Console

from moonlet.agent import Agent, CallResult, Ended
from moonlet.chat.messages import Message, ToolCall, call_to_openai, to_openai
from moonlet.cli import UsageError
from moonlet.cli.console import checked, piped
from moonlet.cli.open import is_url, open_any
from moonlet.cli.view import View
from moonlet.llm import LLM, Done, ReplyOptions, Usage
from moonlet.local import NANO, ModelNotFoundError, find
from moonlet.simulate.demo import demonstration, system_text


def main(asked: argparse.Namespace) -> int:
    asked = _sorted_out(asked)
    options = _options(asked)
    if not is_url(asked.model or NANO):
        _find(asked)  # before somebody types a prompt for a model that is not there
    prompt = asked.prompt
    interactive = prompt is None and sys.stdin.isatty()
    if interactive and (asked.json or not sys.stdout.isatty()):
        raise UsageError("give a prompt, or pipe one in: a conversation needs the terminal for itself")
    if prompt is None and not interactive:
        prompt = piped()
    if prompt == "":
        raise UsageError("the prompt is empty")
    if prompt is not None:
        checked(prompt)
    with open_any(asked) as (model, tools_possible):
        with_tools = tools_possible and not asked.no_tools
        if interactive:
            from moonlet.cli.chat import chat

            return chat(lambda: new_agent(model, with_tools, options))
        agent = new_agent(model, with_tools, options)
        if asked.json:
            print(json.dumps(answer(agent, prompt), ensure_ascii=False, indent=2))
        else:
            View(Console(), Console(stderr=True)).show(agent.ask(prompt))
    return 0


def _find(asked: argparse.Namespace) -> None:
    try:
        find(asked.model or NANO)
    except ModelNotFoundError as error:
        if asked.prompt is not None:
            raise
        raise UsageError(f"{error}; as a prompt: moonlet run {NANO} {asked.model[:40]!r}") from None


def _sorted_out(asked: argparse.Namespace) -> argparse.Namespace:
    """A single argument of several words that is no folder is a prompt for the small model."""
    only = asked.prompt is None and asked.model is not None
    if only and re.search(r"\s", asked.model.strip()) and not os.path.isdir(asked.model):
        return argparse.Namespace(**{**vars(asked), "model": None, "prompt": asked.model})
    return asked


def _options(asked: argparse.Namespace) -> ReplyOptions:
    if asked.show_experts and (asked.json or is_url(asked.model or "")):
        raise UsageError("--show-experts is for a model on this machine, shown to somebody: not with --json or a URL")
    if is_url(asked.model or "") and any(
        (asked.exact, asked.expanded, asked.cache, asked.threads, asked.cache_tokens, asked.memory, asked.also)
    ):
        raise UsageError(
            "--exact, --expanded, --cache, --threads, --cache-tokens, --memory and --also are for models "
            "on this machine"
        )
    try:
        return ReplyOptions(
            temperature=asked.temperature, max_tokens=asked.max_tokens, seed=asked.seed, look=asked.show_experts
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def new_agent(model: LLM, with_tools: bool, options: ReplyOptions) -> Agent:
    """An agent at the beginning of a conversation, in a demonstration world of its own."""
    if not with_tools:
        return Agent(model, options=options)
    tools, today = demonstration()
    return Agent(model, tools, [Message("system", system_text(today))], options=options)


def answer(agent: Agent, prompt: str) -> dict[str, Any]:
    """A whole run as one JSON object. Calls made side by side end in any order; they are told in their own."""
    found: list[tuple[int, int, CallResult]] = []
    replies, ended = 0, None
    for event in agent.ask(prompt):
        if isinstance(event, CallResult):
            found.append((replies, event.index, event))
        elif isinstance(event, Done):
            replies += 1
        elif isinstance(event, Ended):
            ended = event
    done = [one for _, _, one in sorted(found, key=lambda one: one[:2])]
    assert ended is not None
    last = agent.history[-1]
    return {
        "model": agent.model.name,
        "message": to_openai(last) if last.role == "assistant" else None,
        "calls": [_call(one.call) for one in done],
        "results": [_result(one) for one in done],
        "reason": ended.reason,
        "usage": _usage(reduce(add, ended.usages)),
    }


def _call(call: ToolCall) -> dict[str, Any]:
    function = call_to_openai(call)["function"]
    return {"id": call.id, "name": function["name"], "arguments": _parsed(function["arguments"])}


def _result(result: CallResult) -> dict[str, Any]:
    content = _parsed(result.text)
    return {"id": result.call.id, "content": content, "failed": result.failed, "seconds": round(result.seconds, 6)}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _usage(usage: Usage) -> dict[str, Any]:
    told = asdict(usage)
    told["tokens_per_s"] = usage.tokens_per_s
    if use := usage.experts:
        told["experts"] = {"chosen": use.chosen, "of": use.of, "layers": use.layers, "share_seen": use.share}
    return told
