"""When and how urgently a request wants its reply. It is said in headers, because no API has a field for it, and every
client can send those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from moonlet.llm import ReplyOptions
from moonlet.server.errors import ApiError
from moonlet.server.fields import short

DEADLINE = "x-moonlet-deadline"  # seconds from the request on, after which the reply is of no use
PRIORITY = "x-moonlet-priority"  # interactive or batch


def with_terms(options: ReplyOptions, headers: Mapping[str, str]) -> ReplyOptions:
    """The options as the headers have it, whose names are in small letters. Raises ApiError."""
    priority, deadline = headers.get(PRIORITY), headers.get(DEADLINE)
    if priority not in (None, "interactive", "batch"):
        raise ApiError(f"{PRIORITY} must be interactive or batch, got {short(priority)}", PRIORITY)
    if priority == "batch":  # what the body asks to be done later is not hurried by a header
        options = replace(options, priority="batch")
    if deadline is None:
        return options
    try:
        return replace(options, deadline_s=float(deadline))
    except ValueError:
        told = f"{DEADLINE} must be seconds, above 0 and below 1e9, got {short(deadline)}"
        raise ApiError(told, DEADLINE) from None
