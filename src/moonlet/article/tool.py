"""Making an article as a tool that a model can call: of a recording in a folder, or of an address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from moonlet.article.outline import Length
from moonlet.article.piece import LANGUAGES
from moonlet.article.prepare import folder_for
from moonlet.article.source import is_address
from moonlet.article.stages import StageError
from moonlet.article.write import Tone
from moonlet.chat.messages import ToolSpec
from moonlet.tools.folder import Folder
from moonlet.tools.running import here
from moonlet.tools.tool import Tool, ToolError, parameters

TIME_S = 12 * 3600.0  # of one article: hours of video take hours on a small machine
NAME = "make_article"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the tool hands on. `tell` takes progress in words."""

    source: str  # an address or an absolute path
    folder: Path  # where all of it goes
    options: Mapping[str, str]
    tell: Callable[[str], None]
    stopped: Callable[[], bool]


Run = Callable[[Wanted], Mapping[str, Any]]  # what the model is told of it


def article_tool(root: Path, run: Run) -> Tool:
    """`make_article`: recordings are read in `root` alone, and articles are written there. Raises ToolError if it is no
    folder."""
    place = Folder(root)
    schema = parameters(
        {"source": {"type": "string", "description": "A recording in the folder, such as talk.mp4, or an address"}},
        {
            "language": {"enum": list(LANGUAGES), "description": "Of the article; by default the talk's"},
            "length": {"enum": list(get_args(Length))},
            "tone": {"enum": list(get_args(Tone))},
            "audience": {"type": "string", "description": "Who is to read it"},
        },
    )

    def make(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        asked, call = arguments["source"], here()
        source = asked if is_address(asked) else str(_inside(place, asked))
        folder = folder_for(source, place.root)
        if not folder.resolve().is_relative_to(place.root):
            raise ToolError(f"{folder.name} leads out of the folder")
        options = {name: str(value) for name, value in arguments.items() if name != "source"}
        try:
            made = run(Wanted(source, folder, options, call.tell, lambda: call.stopped))
        except (StageError, OSError) as error:
            raise ToolError(" ".join(str(error).split())) from None
        return {"folder": str(folder.relative_to(place.root)), **made}

    about = (
        "Make an article of a recording of a talk: title, key points, sections, figures, quotes with their seconds; "
        "each sentence checked against what was said. Takes about as long as the recording"
    )
    return Tool(ToolSpec(NAME, about, schema), make, changes=True, sends=True, outside=True, timeout_s=TIME_S)


def _inside(place: Folder, path: str) -> Path:
    """The file that a path inside the folder names. Raises ToolError."""
    with place.opened(path):
        found = (place.root / path).resolve()
    if not found.is_relative_to(place.root):
        raise ToolError(f"{path}: not in the folder")
    return found
