"""A recording's pictures: where another one begins, and which stills are worth showing.

The video is decoded once, small: each frame is compared with the one before it, and two a second are kept as thumbnails
of 96 x 54, from which everything is decided afterwards. Two hours are at most 75 MB; what does not move adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from moonlet.article.container import beginning, frames, opened, seconds
from moonlet.article.sound import MAX_HOURS
from moonlet.article.stages import Tell, silent

SMALL = (96, 54)  # columns, rows of a thumbnail
SHARP_COLUMNS = 320  # sharpness is judged at this width, so that it means the same for all recordings
SAMPLE_S = 0.5  # between thumbnails
_CUT = 0.001  # of full scale: mean difference of neighbouring frames that can be a cut, if a part differs clearly too
_AROUND_S = 0.6  # and it must stand out from the movement so long before and after
_OUT = 3.0  # by this factor
_SETTLED = 0.006  # mean difference of thumbnails between which nothing moves
_OTHER_CELL = 0.045  # a picture is another one if one of 16 x 9 cells differs by this in the mean
_EMPTY_CELL = 0.02  # standard deviation within a cell on which nothing is drawn
_SAME = 0.0005  # mean difference below which a thumbnail is the one before
_CALM_S = 0.3  # a still is not taken so near to a cut
_BLANK = 3.0  # sharpness of an empty slide, a black frame, a blur
MOST_COLUMNS = 1920  # of a figure
_TALL = 4  # times as many rows as columns are the most

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Seen:
    """A video after one pass. N frames, S samples of them."""

    codec: str
    language: str | None
    width: int  # upright, square pixels
    height: int
    rotation: int
    seconds: float  # from the recording's beginning to the end of the last frame
    time_N: Floats
    change_N: Floats  # mean difference to the frame before, of full scale
    part_N: Floats  # the same in the cell that differs most
    time_S: Floats
    small_S: list[Bytes]  # (54, 96) each
    sharp_S: Floats
    broken: tuple[str, ...]


def look(path: Path, claimed: float, tell: Tell = silent) -> Seen | None:
    """One pass over the best video stream; None if there is none that can be decoded. Cover pictures are none."""
    with opened(path) as container:
        stream = _best(container)
        if stream is None:
            return None
        # Frames that no other frame needs are not decoded: half of the work, at 25 frames a second still 12.
        stream.codec_context.skip_frame = "NONREF"
        stream.thread_type = "AUTO"
        begin, broken = beginning(container), list[str]()
        times, changes, parts = list[float](), list[float](), list[float]()
        sampled, smalls, sharps = list[float](), list[Bytes](), list[float]()
        before, shape, last_length = None, None, 0.04
        for frame in frames(container, stream, broken):
            now = seconds(frame.pts, frame.time_base, begin)
            if now is None or (times and now <= times[-1]):
                continue
            if now > MAX_HOURS * 3600:
                broken.append(f"only the first {MAX_HOURS} hours are read")
                break
            small = _gray(frame, *SMALL)
            if before is not None:
                last_length = now - times[-1]
            times.append(now)
            changes.append(0.0 if before is None else _difference(before, small))
            parts.append(0.0 if before is None else _most(before, small))
            before = small
            if not sampled or now - sampled[-1] >= SAMPLE_S:
                sampled.append(now)
                same = bool(smalls) and _most(smalls[-1], small) < _SAME
                smalls.append(smalls[-1] if same else small)
                sharps.append(sharpness(_gray(frame, SHARP_COLUMNS, _rows(frame))))
            shape = shape or _shape(frame, stream)
            tell(now, max(claimed, now))
        if shape is None:
            return None
        width, height, rotation = shape
        codec, language = stream.codec_context.name, stream.metadata.get("language")
    end = times[-1] + min(last_length, 10.0)
    time_N, change_N, part_N, time_S, sharp_S = map(np.array, (times, changes, parts, sampled, sharps))
    found = (time_N, change_N, part_N, time_S, smalls, sharp_S)
    return Seen(codec, language, width, height, rotation, end, *found, tuple(broken))


def cuts(seen: Seen) -> list[float]:
    """The seconds at which another picture begins: hard cuts, and the end of slow transitions."""
    hard = _hard(seen)
    return sorted([*hard, *_slow(seen, hard)])


def _hard(seen: Seen) -> list[float]:
    """Frames whose change stands out from the movement around them."""
    time, change = seen.time_N, seen.change_N
    found: list[float] = []
    for at in np.flatnonzero((change > _CUT) & (seen.part_N > _OTHER_CELL)):
        low, high = np.searchsorted(time, (time[at] - _AROUND_S, time[at] + _AROUND_S), side="left")
        around = np.concatenate((change[low:at], change[at + 1 : high + 1]))
        others = float(np.sort(around)[: max(1, round(len(around) * 0.9))].mean()) if len(around) else 0.0
        if change[at] > _OUT * others and change[at] >= change[low : high + 1].max():
            found.append(float(time[at]))
    return found


def _slow(seen: Seen, hard: list[float]) -> list[float]:
    """Between hard cuts: where a picture has settled that is another one than the last that had."""
    found: list[float] = []
    known: Bytes | None = None
    moving_since: float | None = None
    marks = iter([*hard, np.inf])
    mark = next(marks)
    for i in range(1, len(seen.time_S)):
        now = float(seen.time_S[i])
        if now >= mark:  # begin anew behind a hard cut
            known, moving_since = None, None
            while now >= mark:
                mark = next(marks)
        if _difference(seen.small_S[i - 1], seen.small_S[i]) > _SETTLED:
            moving_since = moving_since if moving_since is not None else float(seen.time_S[i - 1])
            continue
        if known is not None and moving_since is not None and another(known, seen.small_S[i]):
            found.append(float(seen.time_S[i - 1]))
        known, moving_since = seen.small_S[i], None
    return found


def choose(seen: Seen, cut_times: list[float], most: int) -> list[int]:
    """Which samples become figures: of each scene the sharpest that does not move, the later of equals since slides
    fill up; none that is blank, or nearly one that is already there. At most `most`, those of the longest scenes."""
    edges = [0.0, *cut_times, seen.seconds]
    best: list[tuple[float, int]] = []
    for start, end in pairwise(edges):
        if end - start < 2 * _CALM_S:
            continue
        calm = min(_CALM_S, (end - start) / 4)
        inside = np.flatnonzero((seen.time_S >= start + calm) & (seen.time_S <= end - calm))
        chosen = _sharpest(seen, inside)
        if chosen is not None:
            best.append((end - start, chosen))
    kept: list[tuple[float, int]] = []
    for length, i in best:
        if kept and adds(seen.small_S[kept[-1][1]], seen.small_S[i]):
            kept[-1] = kept[-1][0] + length, i
        elif all(another(seen.small_S[j], seen.small_S[i]) for _, j in kept):
            kept.append((length, i))
    longest = sorted(kept, reverse=True)[:most]
    return sorted(i for _, i in longest)


def _sharpest(seen: Seen, inside: NDArray[np.intp]) -> int | None:
    still = [i for i in inside if i == 0 or _difference(seen.small_S[i - 1], seen.small_S[i]) <= _SETTLED]
    candidates = still or list(inside)
    if not candidates:
        return None
    # Within a tenth of the sharpest is as sharp: compression makes such differences.
    enough = 0.9 * max(seen.sharp_S[i] for i in candidates)
    chosen = max(i for i in candidates if seen.sharp_S[i] >= enough)
    return int(chosen) if seen.sharp_S[chosen] > _BLANK else None


def another(one: Bytes, other: Bytes) -> bool:
    """Whether two thumbnails show different pictures: some part differs clearly. A few letters more on a slide, noise
    or another compression are the same picture."""
    return _most(one, other) > _OTHER_CELL


def adds(before: Bytes, after: Bytes) -> bool:
    """Whether the second shows the first and more, as slides that fill up: where they differ, nothing was before."""
    differs = _cells(np.abs(before.astype(np.int16) - after)).mean(axis=(1, 3)) / 255 > _OTHER_CELL
    was = _cells(before).std(axis=(1, 3)) / 255
    return bool(differs.any() and (was[differs] < _EMPTY_CELL).all())


def sharpness(gray: Bytes) -> float:
    """Variance of the Laplacian."""
    g = gray.astype(np.float32)
    laplacian = g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:] - 4 * g[1:-1, 1:-1]
    return float(laplacian.var())


def _best(container: Any) -> Any:
    """The largest stream of moving pictures."""
    able = []
    for stream in container.streams.video:
        cover = bool(stream.disposition & type(stream.disposition).attached_pic)
        if not cover and stream.codec_context is not None and stream.codec_context.width:
            able.append(stream)
    return max(able, key=lambda stream: stream.codec_context.width * stream.codec_context.height, default=None)


def _shape(frame: Any, stream: Any) -> tuple[int, int, int]:
    """Width and height as it is to be seen, and the rotation that must be undone."""
    aspect = float(stream.sample_aspect_ratio or 1) or 1.0
    aspect = aspect if 1 / 8 <= aspect <= 8 else 1.0  # what is beyond is a mistake
    width, height = max(1, round(frame.width * aspect)), int(frame.height)
    rotation = int(round(frame.rotation / 90) * 90 % 360)
    return (height, width, rotation) if rotation in (90, 270) else (width, height, rotation)


def _rows(frame: Any) -> int:
    rows: int = round(SHARP_COLUMNS * frame.height / frame.width)
    return min(max(3, rows), _TALL * SHARP_COLUMNS)


def _gray(frame: Any, columns: int, rows: int) -> Bytes:
    small = frame.reformat(width=columns, height=rows, format="gray", interpolation="AREA")
    array: Bytes = small.to_ndarray()
    return array


def _most(one: Bytes, other: Bytes) -> float:
    """The mean difference in the cell of 6 x 6 that differs most."""
    return float(_cells(np.abs(one.astype(np.int16) - other)).mean(axis=(1, 3)).max()) / 255


def _cells(small: NDArray[Any]) -> NDArray[Any]:
    """(9, 6, 16, 6)"""
    return small.reshape(9, 6, 16, 6)


def _difference(one: Bytes, other: Bytes) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean()) / 255


@dataclass(frozen=True, slots=True)
class Still:
    """A frame that was written. `place`: of its time among those asked for."""

    place: int
    path: Path
    width: int
    height: int


def save(path: Path, seen: Seen, times: list[float], folder: Path) -> list[Still]:
    """The frames at these seconds as upright JPEG files, in order; those that cannot be decoded again are left out."""
    written: list[Still] = []
    folder.mkdir(parents=True, exist_ok=True)
    with opened(path) as container:
        stream = _best(container)
        stream.thread_type = "AUTO"
        begin = beginning(container)
        for place, time in enumerate(times):
            frame = _frame_at(container, stream, begin, time)
            if frame is not None:
                upright = _upright(frame, seen)
                target = folder / f"{place:03d}.jpg"
                target.write_bytes(_jpeg(upright))
                written.append(Still(place, target, upright.shape[1], upright.shape[0]))
    return written


def _frame_at(container: Any, stream: Any, begin: float, time: float) -> Any:
    """The frame that is shown at this second; the last one before it if nothing more can be decoded."""
    container.seek(max(0, round((time + begin) * av.time_base)), backward=True)
    last = None
    for frame in frames(container, stream, []):
        now = seconds(frame.pts, frame.time_base, begin)
        if now is None:
            continue
        if last is not None and now > time + 1e-3:
            break
        last = frame
        if now >= time - 1e-3:
            break
    return last


def _upright(frame: Any, seen: Seen) -> Bytes:
    """(rows, columns, 3): turned as it is to be seen, square pixels, at most MOST_COLUMNS wide."""
    scale = min(1.0, MOST_COLUMNS / seen.width, _TALL * MOST_COLUMNS / seen.height)
    width, height = max(2, round(seen.width * scale)), max(2, round(seen.height * scale))
    if seen.rotation in (90, 270):
        width, height = height, width
    array = frame.to_ndarray(format="rgb24", width=width, height=height)
    return np.ascontiguousarray(np.rot90(array, seen.rotation // 90))


def _jpeg(upright: Bytes) -> bytes:
    picture = av.VideoFrame.from_ndarray(upright, format="rgb24").reformat(format="yuvj444p")
    coder: Any = av.CodecContext.create("mjpeg", "w")
    coder.width, coder.height, coder.pix_fmt, coder.time_base = picture.width, picture.height, "yuvj444p", Fraction(1)
    coder.options = {"qmin": "2", "qmax": "2"}
    return b"".join(bytes(packet) for packet in [*coder.encode(picture), *coder.encode(None)])
