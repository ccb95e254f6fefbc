"""Who may let a call run: the user, in person or by a rule given before. Nothing that a model or a tool says can."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, Protocol

from moonlet.chat.messages import ToolCall
from moonlet.tools.tool import Checked

Mode = Literal["yes", "ask", "read-only"]
Answer = Literal["yes", "always", "no"]


@dataclass(frozen=True, slots=True)
class Question:
    """A call that the user is asked about."""

    call: ToolCall
    checked: Checked
    why: str  # what it can do: "changes things", "sends data out"
    lasting: str  # what "always" would cover


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    by: str | None  # None: it was no question
    why: str = ""  # for the model, if it is not allowed


class Approve(Protocol):
    """Decides on one call before it runs."""

    def __call__(self, call: ToolCall, checked: Checked) -> Decision: ...


def allow_all(call: ToolCall, checked: Checked) -> Decision:
    """Every call may run: for tools of a world that is only simulated."""
    return Decision(True, None)


class Approvals:
    """The rules of one run. What a server says of its own tools is shown to the user and decides nothing alone: in
    read-only mode a tool that does not even claim to only read is refused, one that claims it is asked about."""

    def __init__(
        self,
        mode: Mode = "ask",
        allow: Sequence[str] = (),
        ask: Callable[[Question], Answer] | None = None,
    ) -> None:
        """`allow`: patterns of tool names that need no question (`files_*`). `ask` is None where nobody can be asked:
        then what is a question is refused."""
        self._mode = mode
        self._allow = tuple(allow)
        self._ask = ask
        self._lasting: set[tuple[str, str]] = set()

    def __call__(self, call: ToolCall, checked: Checked) -> Decision:
        tool = checked.tool
        if not (tool.changes or tool.sends):
            return Decision(True, None)
        if self._mode == "read-only" and tool.changes:
            return Decision(False, "--read-only", "the user allowed reading only, and this can change things")
        if self._mode == "yes":
            return Decision(True, "--yes")
        if any(fnmatchcase(tool.spec.name, pattern) for pattern in self._allow):
            return Decision(True, "--allow")
        lasting = tool.covers(checked.arguments) if tool.covers else f"every call of {tool.spec.name}"
        key = (_fingerprint(checked), lasting)
        if key in self._lasting:
            return Decision(True, "user, for the whole run")
        if self._ask is None:
            return Decision(False, "nobody to ask", "it needs the user's approval, and nobody can be asked here")
        why = "can change things" if tool.changes else "sends its arguments out"
        answer = self._ask(Question(call, checked, why, lasting))
        if answer == "always":
            self._lasting.add(key)
        return Decision(answer != "no", "user", "the user said no to this call; do not try it in another way")


def _fingerprint(checked: Checked) -> str:
    """Of the tool as it was declared: a server that changes it afterwards loses the user's lasting yes."""
    spec = checked.tool.spec
    declared = json.dumps([spec.name, spec.description, spec.parameters, checked.tool.hints], sort_keys=True)
    return hashlib.sha256(declared.encode()).hexdigest()
