"""A recording of hours, made here: time per stage, memory over time, and going on after `kill -9`.

    python -m bench.article_long FOLDER [--minutes 120] [--whisper MODEL]

Read sentences (those of the tests) are repeated with pauses until the time is full; a slide stands for 75 seconds. The
first run is killed while it recognises; the second one must find the media stage done and the finished pieces of the
transcript. Fails if a finished stage or piece is done again, if more than 2 GB lie in memory at any time, or if memory
grows: the last third of the second run may need a tenth more than its middle one. Leaves `result.json` in the folder.
Run it from the repository; it needs the packages of the tests, and without `--whisper` the weights of tests/weights.txt
(Whisper base).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from tests.recordings import RATE, slide
from tests.speech import READ, base_model, joined

from moonlet.article.speech import PIECE_S

FPS = 5
SLIDE_S = 75
SIZE = (960, 540)
MOST_MB = 2000
STAGES = ("media", "transcript", "glossary", "outline", "write", "check", "render")


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
    """Makes the recording if it is not there, runs the command twice, and tells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--whisper", help="a model's folder or name; else Whisper base of the tests")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    video, out, seconds = (
        asked.folder / f"long-{asked.minutes:g}.mp4",
        asked.folder / "long.article",
        asked.minutes * 60,
    )
    if not video.exists():
        print(f"making {video}", flush=True)
        make(video, seconds)
    if any(out.glob("*.json")):
        sys.exit(f"{out} holds an earlier run: take it away first, so that this one is measured from its beginning")
    command = [sys.executable, "-m", "moonlet", "article", str(video), "--to", str(out), "--language", "en", "--json"]
    command += ["--whisper", asked.whisper or _base(asked.folder)]
    enough = min(3, int(seconds / PIECE_S) - 1)  # pieces of the transcript, after which it is killed
    first = watch(command, lambda: _to_be_killed(out, enough))
    print(f"killed after {first.seconds:.0f} s, exit {first.code}, peak {first.peak_mb:.0f} MB", flush=True)
    assert first.code == -signal.SIGKILL, "it ended before it was killed"
    media_before, pieces_before = (out / "media.json").stat().st_mtime_ns, _pieces(out)
    seen: dict[str, int] = {}
    second = watch(command, lambda: seen.update(_pieces(out)))
    assert second.code == 0, f"it did not go on to the end: exit {second.code}"
    assert (out / "media.json").stat().st_mtime_ns == media_before, "the media stage was repeated"
    assert all(seen.get(name) == when for name, when in pieces_before.items()), "a finished piece was repeated"
    print(
        f"gone on: {second.seconds:.0f} s, {len(pieces_before)} pieces kept, peak {second.peak_mb:.0f} MB", flush=True
    )
    result = report(out, first, second, seconds)
    (asked.folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    peak = max(first.peak_mb, second.peak_mb)
    assert peak < MOST_MB, f"{peak:.0f} MB lay in memory"
    middle, last = (max((mb for _, mb in part), default=0.0) for part in _thirds(second.resident)[1:])
    assert last <= middle * 1.1 or seconds < 4 * PIECE_S, f"memory grew from {middle:.0f} to {last:.0f} MB"


def _base(folder: Path) -> str:
    """Whisper base, joined in the folder."""
    place = folder / "whisper-base"
    if not (place / "model.bin").is_file():
        place.mkdir(exist_ok=True)
        base_model(place)
    return str(place)


def _to_be_killed(out: Path, pieces: int) -> bool:
    """While it recognises: so many pieces are finished; or, of a short recording, as soon as that has begun."""
    return (out / "media.json").exists() and (pieces < 1 or len(_pieces(out)) >= pieces)


def _pieces(out: Path) -> dict[str, int]:
    """The finished pieces of the transcript, and when each was written."""
    found = {}
    for path in out.glob("transcript/*/*.json"):
        with suppress(FileNotFoundError):  # they are taken away as soon as the transcript is whole
            found[path.name] = path.stat().st_mtime_ns
    return found


def _thirds(resident: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    return [resident[len(resident) * i // 3 : len(resident) * (i + 1) // 3] for i in range(3)]


def watch(command: list[str], enough: Callable[[], bool | None]) -> Watched:
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
        if enough():
            child.send_signal(signal.SIGKILL)
            break
        time.sleep(0.5)
    out, _ = child.communicate()
    print(out.strip())
    run.code, run.seconds = child.returncode, time.monotonic() - begun
    return run


def report(out: Path, first: Watched, second: Watched, seconds: float) -> dict[str, Any]:
    """Seconds per stage, the peak of resident memory in each tenth of the time, and what was found; also printed."""
    kept = {stage: json.loads((out / f"{stage}.json").read_text()) for stage in STAGES}
    took = {stage: round(one["seconds"], 1) for stage, one in kept.items()}
    resident = [*first.resident, *((first.seconds + at, mb) for at, mb in second.resident)]
    tenths = [resident[len(resident) * i // 10 : len(resident) * (i + 1) // 10] for i in range(10)]
    media, transcript = kept["media"]["output"], kept["transcript"]["output"]
    result = {
        "recording_s": media["duration"],
        "stage_s": took,  # of the transcript: what the second run had left to do
        "killed_after_s": round(first.seconds, 1),
        "second_run_s": round(second.seconds, 1),
        "peak_mb": [round(max(mb for _, mb in part)) for part in tenths if part],
        "coverage": transcript["coverage"],
        "sentences": len(transcript["sentences"]),
        "cuts": len(media["cuts"]),
        "cuts_made": int((seconds - 1 / FPS) // SLIDE_S),
        "figures": len(media["figures"]),
        "notes": media["notes"],
    }
    for name, value in result.items():
        print(f"{name:>15}: {value}")
    return result


def make(path: Path, seconds: float) -> None:
    """The recording, written as it is made."""
    drawn = [slide(f"Part {n + 1}", [f"point {n}.{i}" for i in range(1 + n % 4)], SIZE) for n in range(24)]
    slides = [av.VideoFrame.from_ndarray(one, format="rgb24").reformat(format="yuv420p") for one in drawn]
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        video.options = {"preset": "ultrafast", "crf": "28", "g": str(FPS * 10)}
        audio = out.add_stream("aac", rate=RATE, layout="mono")
        sounds, at_sample, frames = said(), 0, 0
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


def said() -> Iterator[NDArray[np.int16]]:
    """The read sentences in turn, for ever, with pauses of half a second to two and a half."""
    clips = [(joined([name])[0] * 32767).astype(np.int16) for name in READ]
    rng = np.random.default_rng(0)
    while True:
        for clip in clips:
            yield clip
            yield (rng.normal(0, 20, int(RATE * rng.uniform(0.5, 2.5)))).astype(np.int16)


if __name__ == "__main__":
    main()
