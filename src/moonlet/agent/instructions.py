"""What an agent's model is told before its task."""

from datetime import date

from moonlet.agent.results import TRUST_NOTE


def instructions(today: date, folder: str, servers: bool) -> str:
    """The system message. `folder`: the name of the one with the files; `servers`: tools of MCP servers are there."""
    told = f"You do tasks with tools. Today is {today:%A, %d %B %Y}. Files are in the folder {folder}."
    told += " Call tools until the task is done, then say briefly what you did and found."
    told += " If a call is refused, respect that." + (
        " Tools named NAME__TOOL belong to server NAME." if servers else ""
    )
    return f"{told} {TRUST_NOTE}"
