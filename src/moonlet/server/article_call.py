"""`make_article` for MCP clients of the server: a job like those of `/v1/articles`, with the same bounds, awaited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moonlet.chat.messages import ToolSpec
from moonlet.server.article_jobs import OVER, Job, Jobs
from moonlet.server.articles import address, shown, wish_of
from moonlet.server.errors import ApiError
from moonlet.server.mcp import caller
from moonlet.tools.running import here
from moonlet.tools.tool import Tool, ToolError, parameters

NAME = "make_article"
_POLL_S = 0.5


def article_tool(jobs: Jobs, wishes: Mapping[str, tuple[str, ...]]) -> Tool:
    """The tool. `wishes`: options of an article and the values each may have; none: any text. What it makes belongs to
    the caller's key; a caller that gives up stops it, and can go on with it over `/v1/articles`."""
    about = "Of the recording: begins with http:// or https://, and is of the public internet"
    options = {name: {"enum": list(values)} if values else {"type": "string"} for name, values in wishes.items()}
    schema = parameters({"source": {"type": "string", "description": about}}, options)

    def make(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        owner, key = caller()
        try:
            with jobs.place(owner) as (id, _):
                wish = wish_of(arguments, wishes)
                jobs.add(Job(id, owner, key.id if key else None, address(arguments), None, wish))
            return _made(jobs, owner, id)
        except ApiError as error:
            raise ToolError(str(error)) from None

    return Tool(ToolSpec(NAME, "Make an article of a recording: it may take hours", schema), make, changes=True)


def _made(jobs: Jobs, owner: str, id: str) -> Mapping[str, Any]:
    """What came of a job, and where its files are. Raises ApiError, ToolError."""
    call, last = here(), ""
    while (job := jobs.find(owner, id)).state not in OVER:
        ahead = jobs.ahead(id)
        told = f"{ahead} before it" if ahead else f"{job.stage or 'begins'} {job.done:.0%}"
        if told != last:
            call.tell(told)
            last = told
        if call.wait(_POLL_S):
            jobs.cancel(owner, id)
            raise ToolError(f"stopped; POST /v1/articles/{id}/resume goes on with it")
    if job.outcome is None:
        raise ToolError(f"the article {job.state}: {job.error}" if job.error else f"the article was {job.state}")
    return {"id": id, **shown(jobs, job)["article"]}
