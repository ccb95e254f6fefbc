"""A two-hour recording, made here: time per stage, memory over time, and going on after `kill -9`.

    python -m bench.article_long FOLDER --whisper MODEL [--hours 2] [SPEECH.wav ...]

Speech is repeated with pauses until the time is full; a slide stands for 75 seconds. The first run is killed while it
recognises; the second one must find the media stage done and the finished pieces of the transcript. Needs the packages
of the tests. Not yet measured.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from tests.recordings import RATE, slide

FPS = 5
SLIDE_S = 75
SIZE = (960, 540)


@dataclass
class Watched:
    """A run of the command, as the system sees it."""

    seconds: float = 0.0
    code: int = 0
    resident: list[tuple[float, float]] = field(default_factory=list)  # (second, MB)

    @property
    def peak_mb(self) -> float:
        return max((mb for _, mb in self.resident), default=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("speech", type=Path, nargs="*")
    parser.add_argument("--whisper", required=True)
    parser.add_argument("--hours", type=float, default=2.0)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    video = asked.folder / "long.mp4"
    if not video.exists():
        make(video, asked.hours * 3600, asked.speech)
    out = asked.folder / "long.article"
    command = [sys.executable, "-m", "moonlet", "article", str(video), "--to", str(out), "--whisper", asked.whisper]
    command += ["--language", "en", "--json"]
    first = watch(command, lambda: len(list(out.glob("transcript/*/*.json"))) >= 3)
    print(f"killed after {first.seconds:.0f} s, exit {first.code}, peak {first.peak_mb:.0f} MB")
    media_before = (out / "media.json").stat().st_mtime_ns
    pieces_before = {path.name: path.stat().st_mtime_ns for path in out.glob("transcript/*/*.json")}
    seen: dict[str, int] = {}

    def note() -> bool:
        seen.update({path.name: path.stat().st_mtime_ns for path in out.glob("transcript/*/*.json") if path.exists()})
        return False

    second = watch(command, note)
    assert (out / "media.json").stat().st_mtime_ns == media_before, "the media stage was repeated"
    assert all(seen.get(name) == when for name, when in pieces_before.items()), "a finished piece was repeated"
    print(f"gone on: {second.seconds:.0f} s, exit {second.code}, peak {second.peak_mb:.0f} MB")
    report(out, [*first.resident, *((first.seconds + at, mb) for at, mb in second.resident)])


def watch(command: list[str], enough: object) -> Watched:
    """Runs it; `enough()` is asked every half second whether it is to be killed."""
    begun, run = time.monotonic(), Watched()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    page = os.sysconf("SC_PAGE_SIZE")
    while child.poll() is None:
        try:
            pages = int(Path(f"/proc/{child.pid}/statm").read_text().split()[1])
            run.resident.append((time.monotonic() - begun, pages * page / 1e6))
        except (OSError, IndexError):
            break
        if enough():  # type: ignore[operator]
            child.send_signal(signal.SIGKILL)
            break
        time.sleep(0.5)
    out, _ = child.communicate()
    print(out.strip())
    run.code, run.seconds = child.returncode, time.monotonic() - begun
    return run


def report(out: Path, resident: list[tuple[float, float]]) -> None:
    for stage in ("media", "transcript", "glossary"):
        kept = json.loads((out / f"{stage}.json").read_text())
        print(f"{stage:>11}: {kept['seconds']:.0f} s")
    for tenth in range(10):
        part = resident[len(resident) * tenth // 10 : len(resident) * (tenth + 1) // 10]
        if part:
            print(f"  {part[0][0]:6.0f} s: {max(mb for _, mb in part):.0f} MB")
    transcript = json.loads((out / "transcript.json").read_text())["output"]
    media = json.loads((out / "media.json").read_text())["output"]
    print(f"coverage {transcript['coverage']}, {len(transcript['sentences'])} sentences, {len(media['cuts'])} cuts")
    print(f"duration {media['duration']:.1f} s, notes {media['notes']}")


def make(path: Path, seconds: float, speech: list[Path]) -> None:
    """The recording, written as it is made."""
    drawn = [slide(f"Part {n + 1}", [f"point {n}.{i}" for i in range(1 + n % 4)], SIZE) for n in range(24)]
    slides = [av.VideoFrame.from_ndarray(one, format="rgb24").reformat(format="yuv420p") for one in drawn]
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        video.options = {"preset": "ultrafast", "crf": "28", "g": str(FPS * 10)}
        audio = out.add_stream("aac", rate=RATE, layout="mono")
        sounds, at_sample, frames = said(speech), 0, 0
        while at_sample < seconds * RATE:
            piece = next(sounds)
            for at in range(0, len(piece), 1024):
                block = np.ascontiguousarray(piece[None, at : at + 1024])
                frame = av.AudioFrame.from_ndarray(block, "s16", "mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, at_sample + at, Fraction(1, RATE)
                out.mux(audio.encode(frame))
            at_sample += len(piece)
            while frames / FPS < at_sample / RATE:
                picture = slides[frames // (SLIDE_S * FPS) % len(slides)]
                picture.pts, picture.time_base = frames, Fraction(1, FPS)
                out.mux(video.encode(picture))
                frames += 1
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def said(speech: list[Path]) -> Iterator[NDArray[np.int16]]:
    """Clips in turn, for ever, with pauses of half a second to two and a half."""
    clips = []
    for path in speech:
        with wave.open(str(path)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2), path
            clips.append(np.frombuffer(file.readframes(file.getnframes()), dtype="<i2"))
    rng = np.random.default_rng(0)
    while True:
        for clip in clips:
            yield clip
            yield (rng.normal(0, 20, int(RATE * rng.uniform(0.5, 2.5)))).astype(np.int16)


if __name__ == "__main__":
    main()
