"""From a transcript to the finished files: the stages that write and check, in an article's folder."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from moonlet.article.check import CheckSettings, ToCheck, check_stage
from moonlet.article.lead_back import ToRender
from moonlet.article.outline import OutlineSettings, outline_stage
from moonlet.article.piece import Checked
from moonlet.article.prepare import Prepared, Watch
from moonlet.article.render import STAGE as RENDER
from moonlet.article.render import Rendered, RenderSettings
from moonlet.article.stages import do, read, silent
from moonlet.article.write import ToWrite, WriteSettings, write_stage
from moonlet.llm import LLM

STAGES = ("outline", "write", "check", "render")


@dataclass(frozen=True, slots=True)
class Composing:
    """Settings of all stages here. The model's name is put in where there is one."""

    outline: OutlineSettings = field(default_factory=OutlineSettings)
    write: WriteSettings = field(default_factory=WriteSettings)
    check: CheckSettings = field(default_factory=CheckSettings)
    render: RenderSettings = field(default_factory=RenderSettings)


@dataclass(frozen=True, slots=True)
class Composed:
    """What came of it."""

    checked: Checked
    rendered: Rendered


def compose(
    prepared: Prepared,
    folder: Path,
    settings: Composing,
    llm: LLM | None = None,
    watch: Watch = lambda stage: silent,
    redo: Collection[str] = (),
    stopped: Callable[[], bool] = lambda: False,
) -> Composed:
    """All stages from the outline on. Without a model, an article of sentences as they were said. What the folder holds
    and is still right is not done again, but for the stages in `redo`. Raises StageError, Stopped."""
    said, name = prepared.transcript, llm.name if llm else None
    outlining, writing = replace(settings.outline, model=name), replace(settings.write, model=name)
    outline = do(outline_stage(llm, stopped), said, folder, outlining, watch("outline"), "outline" in redo)
    given = ToWrite(said, outline, prepared.recording.figures)
    article = do(write_stage(llm, stopped), given, folder, writing, watch("write"), "write" in redo)
    checked = do(check_stage(), ToCheck(said, article), folder, settings.check, watch("check"), "check" in redo)
    whole = ToRender(prepared.recording, said, checked)
    again = "render" in redo or not _there(folder)  # the stage writes all of its files anew in any case
    return Composed(checked, do(RENDER, whole, folder, settings.render, watch("render"), lost=again))


def _there(folder: Path) -> bool:
    """Whether the files that were made are still there."""
    kept = read(RENDER, folder)
    return kept is None or all((folder / name).is_file() for name in kept.output.files)
