"""The media stage: a file becomes sound that can be recognised, figures, and what is true of its streams."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av

from moonlet.article import picture, slides, subtitles
from moonlet.article.container import MediaError, opened
from moonlet.article.picture import Seen
from moonlet.article.sound import Sound, extract
from moonlet.article.source import Source
from moonlet.article.stages import Stage, Tell, silent
from moonlet.article.talk import Figure, Recording, Stream

_WRONG = 2.0  # seconds by which a container's claim may differ from what is decoded without being mentioned


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """How much is taken from the pictures."""

    figures: int = 60  # at most
    ocr: bool = True  # read the slides, where an OCR is installed

    def __post_init__(self) -> None:
        if not 0 <= self.figures <= 500:
            raise ValueError(f"figures must be from 0 to 500, got {self.figures}")


def media(source: Source, folder: Path, settings: MediaSettings, tell: Tell = silent) -> Recording:
    """Decode everything once. Raises MediaError if there is neither sound nor picture."""
    path, own = folder / source.path, folder / "media"  # an absolute path stays what it is
    own.mkdir(parents=True, exist_ok=True)
    claimed = _claimed(path)
    # The picture takes nearly all of the time: by decoded pixels, more than nine tenths.
    sound = extract(path, own / "audio.wav", claimed, lambda done, of: tell(0.1 * done, of))
    seen = picture.look(path, claimed, lambda done, of: tell(0.1 * of + 0.8 * done, of))
    if sound.path is None and seen is None:
        why = f": {sound.broken[0]}" if sound.broken else ""
        raise MediaError(f"{source.asked} holds neither sound nor pictures that can be decoded{why}")
    cut_times = picture.cuts(seen) if seen else []
    duration = max(sound.seconds, seen.seconds if seen else 0.0)

    def read(done: float, of: float) -> None:
        tell((0.9 + 0.1 * done / of) * duration, duration)

    figures = _figures(path, seen, cut_times, own, settings, read) if seen else ()
    tell(duration, duration)
    return Recording(
        source=source.asked,
        title=source.title,
        link=source.link,
        duration=duration,
        streams=_streams(sound, seen, path),
        audio=None if sound.path is None or sound.is_silent else "media/audio.wav",
        video=source.path,
        figures=figures,
        cuts=tuple(cut_times),
        subtitles=tuple(subtitles.gather(path, [folder / one for one in source.subtitles], folder)),
        digest=source.digest,
        notes=tuple(_notes(sound, seen, claimed, duration)),
    )


STAGE = Stage("media", 2, Source, MediaSettings, Recording, media)


def _claimed(path: Path) -> float:
    """What the container says it lasts; 0 if nothing, or nothing that can be."""
    with opened(path) as container:
        if not container.streams.audio and not container.streams.video:
            raise MediaError(f"{path} holds no sound and no pictures")
        return max(0.0, (container.duration or 0) / av.time_base)


def _figures(
    path: Path, seen: Seen, cut_times: list[float], own: Path, settings: MediaSettings, tell: Tell
) -> tuple[Figure, ...]:
    shutil.rmtree(own / "figures", ignore_errors=True)  # of a run that was stopped, or had other settings
    chosen = picture.choose(seen, cut_times, settings.figures)
    stills = picture.save(path, seen, [float(seen.time_S[i]) for i in chosen], own / "figures")
    read = slides.reader() if settings.ocr and stills else None
    made: list[Figure] = []
    for still in stills:
        i = chosen[still.place]
        text = read(still.path) if read else None
        tell(len(made) + 1, len(stills))
        name = str(still.path.relative_to(own.parent))
        size = still.width, still.height
        made.append(Figure(len(made), float(seen.time_S[i]), name, *size, float(seen.sharp_S[i]), text))
    return tuple(made)


def _streams(sound: Sound, seen: Seen | None, path: Path) -> tuple[Stream, ...]:
    found = []
    if seen:
        video = Stream("video", seen.codec, seen.language, seen.seconds, seen.width, seen.height)
        found.append(replace(video, rotation=seen.rotation, frames=len(seen.time_N)))
    if sound.path:
        found.append(Stream("audio", sound.codec, sound.language, sound.seconds))
    with opened(path) as container:
        for stream in container.streams.subtitles:
            found.append(Stream("subtitle", _codec(stream), stream.metadata.get("language")))
    return tuple(found)


def _codec(stream: Any) -> str:
    return stream.codec_context.name if stream.codec_context else "unknown"


def _notes(sound: Sound, seen: Seen | None, claimed: float, duration: float) -> Iterable[str]:
    if claimed and claimed - duration > max(_WRONG, 0.02 * duration):
        yield f"the file says it lasts {_clock(claimed)}, but {_clock(duration)} of it can be decoded"
    if sound.path is None:
        yield "there is no sound"
    elif sound.is_silent:
        yield "the sound is silent throughout"
    if seen is None:
        yield "there are no moving pictures"
    if sound.path and seen and abs(sound.seconds - seen.seconds) > max(_WRONG, 0.05 * duration):
        yield f"sound ends at {_clock(sound.seconds)}, pictures end at {_clock(seen.seconds)}"
    for complaint in dict.fromkeys((*sound.broken, *(seen.broken if seen else ()))):
        yield f"some of it cannot be decoded: {re.sub(r'0x[0-9a-f]+', '', complaint)}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
