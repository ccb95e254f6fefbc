"""A recording's sound as 16 kHz mono, on disk and read in pieces: two hours are 230 MB that never lie in memory."""

from __future__ import annotations

import os
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from moonlet.article.container import beginning, frames, note, opened
from moonlet.article.stages import Tell, silent

RATE = 16_000  # samples a second: what speech recognisers take
MAX_HOURS = 24
_GAP = 0.05, 600.0  # seconds between timestamps that are filled with silence: less is rounding, more is another clock
_QUIET = 10 ** (-60 / 20)  # peak below -60 dB of full scale: there is a track, and nothing on it


@dataclass(frozen=True, slots=True)
class Sound:
    """What was decoded. `path` is None if no stream could be."""

    path: Path | None
    seconds: float
    codec: str
    language: str | None
    is_silent: bool
    broken: tuple[str, ...]


def extract(path: Path, target: Path, claimed: float, tell: Tell = silent) -> Sound:
    """Decode the best audio stream of `path` into `target`, a WAV file, aligned to the recording's clock: what starts
    late begins with silence, and holes are filled with it, so that a sample's place is its time."""
    with opened(path) as container:
        stream = _best(container)
        if stream is None:
            return Sound(None, 0.0, "", None, False, ())
        beside, broken = target.with_name(f".{target.name}.part"), list[str]()
        begin = beginning(container)
        target.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as raw, wave.open(raw, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(RATE)
            written, peak = _write(container, stream, out, begin, claimed, broken, tell)
        codec, language = stream.codec_context.name, stream.metadata.get("language")
    if written == 0:
        beside.unlink()
        return Sound(None, 0.0, codec, language, False, tuple(broken))
    os.replace(beside, target)
    return Sound(target, written / RATE, codec, language, peak < _QUIET, tuple(broken))


def _best(container: Any) -> Any:
    """The stream marked as default, else the one with most channels, else the first; none that has no decoder."""
    able = [stream for stream in container.streams.audio if stream.codec_context is not None]
    return max(able, key=lambda s: (bool(s.disposition & type(s.disposition).default), s.channels), default=None)


def _write(
    container: Any, stream: Any, out: wave.Wave_write, begin: float, claimed: float, broken: list[str], tell: Tell
) -> tuple[int, float]:
    """Samples written, and the largest of them as a share of full scale."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    written, peak, shape = 0, 0.0, None
    for frame in frames(container, stream, broken):
        now = (frame.sample_rate, frame.layout.name, frame.format.name)
        if shape is not None and now != shape:  # the stream changed in the middle; a resampler is for one shape
            written, peak = _take(out, resampler, None, written, peak)
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        shape = now
        if frame.pts is not None and frame.time_base:
            late = float(frame.pts * frame.time_base) - begin - written / RATE
            if _GAP[0] < late < _GAP[1]:
                written += _silence(out, late)
        try:
            frame.pts = None  # the resampler would judge timestamps too; ours is the one clock
            written, peak = _take(out, resampler, frame, written, peak)
        except (av.error.FFmpegError, ValueError) as error:
            note(broken, error)
        if written > MAX_HOURS * 3600 * RATE:
            broken.append(f"only the first {MAX_HOURS} hours are read")
            break
        tell(written / RATE, max(claimed, written / RATE))
    if shape is not None:
        written, peak = _take(out, resampler, None, written, peak)
    return written, peak


def _take(out: wave.Wave_write, resampler: Any, frame: Any, written: int, peak: float) -> tuple[int, float]:
    for piece in resampler.resample(frame):
        samples = piece.to_ndarray().reshape(-1)
        if samples.size:
            out.writeframesraw(samples.astype("<i2", copy=False).tobytes())
            written += samples.size
            peak = max(peak, float(np.abs(samples.astype(np.int32)).max()) / 32768)
    return written, peak


def _silence(out: wave.Wave_write, seconds: float) -> int:
    count = round(seconds * RATE)
    block = bytes(2 * RATE * 60)
    for done in range(0, count, RATE * 60):
        out.writeframesraw(block[: 2 * min(RATE * 60, count - done)])
    return count


class Samples:
    """The sound of a WAV file that `extract` wrote; a piece is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        with wave.open(str(path), "rb") as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE), path
            self.count = file.getnframes()
        self._path = path

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.count / RATE

    def piece(self, start: float, end: float) -> NDArray[np.float32]:
        """The samples from one second to another, from -1 to 1."""
        first, last = max(0, round(start * RATE)), min(self.count, round(end * RATE))
        with wave.open(str(self._path), "rb") as file:
            file.setpos(first)
            raw = file.readframes(max(0, last - first))
        return np.frombuffer(raw, dtype="<i2").astype(np.float32) / np.float32(32768)
