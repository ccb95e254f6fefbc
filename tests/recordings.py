"""Recordings made for the tests: slides drawn here, tones, files of every broken kind."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
RATE = 16_000
SIZE = (480, 270)


def slide(title: str, lines: Sequence[str] = (), size: tuple[int, int] = SIZE, paper: int = 245) -> Picture:
    """A slide with a title and lines of text, (rows, columns, 3)."""
    image = Image.new("RGB", size, (paper, paper, paper))
    draw = ImageDraw.Draw(image)
    ink = (20, 30, 60) if paper > 128 else (235, 235, 225)
    draw.rectangle((0, 0, size[0], size[1] // 40), fill=(30, 90, 160))
    draw.text((size[0] // 16, size[1] // 8), title, font=ImageFont.load_default(size[1] // 9), fill=ink)
    for i, line in enumerate(lines):
        at = (size[0] // 14, size[1] * (5 + 2 * i) // 14)
        draw.text(at, f"- {line}", font=ImageFont.load_default(size[1] // 16), fill=ink)
    return np.asarray(image)


def noise(seed: int, size: tuple[int, int] = SIZE) -> Picture:
    """A photograph, nearly: soft shapes."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (9, 16, 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))
    return np.clip(soft + rng.normal(0, 4, soft.shape), 0, 255).astype(np.uint8)


def tone(seconds: float, pitch: float = 220.0, level: float = 0.2) -> NDArray[np.float32]:
    return (level * np.sin(2 * np.pi * pitch * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def shots(parts: Iterable[tuple[Picture, float]], fps: int = 10, fade_s: float = 0.0) -> list[tuple[float, Picture]]:
    """Frames with their seconds: each picture for its time, the last `fade_s` of it a cross-fade into the next."""
    parts = list(parts)
    frames: list[tuple[float, Picture]] = []
    for i, (picture, length) in enumerate(parts):
        count, faded = round(length * fps), round(fade_s * fps) if i + 1 < len(parts) else 0
        for n in range(count):
            share = max(0.0, (n - (count - faded) + 1) / (faded + 1)) if faded else 0.0
            mixed = picture if share == 0 else (picture * (1 - share) + parts[i + 1][0] * share).astype(np.uint8)
            frames.append((len(frames) / fps, mixed))
    return frames


def write(
    path: Path,
    frames: Iterable[tuple[float, Picture]] = (),
    sound: NDArray[np.float32] | None = None,
    codec: str = "libx264",
    sound_codec: str = "aac",
    sound_start: float = 0.0,
    rate: int = RATE,
    options: dict[str, str] | None = None,
    fps: int = 10,
    aspect: int = 1,
) -> Path:
    """A file with these frames at these seconds, and this sound (mono, 16 kHz). `aspect`: a pixel's width."""
    frames = list(frames)
    with av.open(str(path), "w", options=options or {}) as out:
        video = None
        if frames:
            video = out.add_stream(codec, rate=fps)
            video.height, video.width = frames[0][1].shape[:2]
            video.pix_fmt = "yuv420p"
            video.codec_context.sample_aspect_ratio = Fraction(aspect)
            video.codec_context.time_base = Fraction(1, 1000)
            video.options = {"crf": "20", "preset": "ultrafast", "g": "50"} if codec == "libx264" else {}
        audio = out.add_stream(sound_codec, rate=rate, layout="mono") if sound is not None else None
        for second, picture in frames:
            assert video is not None
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = round(second * 1000), Fraction(1, 1000)
            out.mux(video.encode(frame))
        if video is not None:
            out.mux(video.encode(None))
        if audio is not None and sound is not None:
            for packet in _encoded(audio, sound, rate, sound_start):
                out.mux(packet)
    return path


def _encoded(audio: object, sound: NDArray[np.float32], rate: int, start: float) -> Iterable[object]:
    for at in range(0, len(sound), 1024):
        frame = av.AudioFrame.from_ndarray((sound[None, at : at + 1024] * 32767).astype(np.int16), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, at + round(start * RATE), Fraction(1, RATE)
        yield from audio.encode(frame)  # type: ignore[attr-defined]
    yield from audio.encode(None)  # type: ignore[attr-defined]


def claim(path: Path, seconds: float) -> None:
    """Makes a Matroska file say that it lasts so long."""
    data = bytearray(path.read_bytes())
    at = data.find(b"\x44\x89\x88")  # the element Duration, 8 bytes: milliseconds
    struct.pack_into(">d", data, at + 3, seconds * 1000)
    path.write_bytes(data)


def rotate(path: Path) -> None:
    """Makes an MP4 say that its picture is to be turned by a quarter, as phones do."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd")
    one = 1 << 16
    struct.pack_into(">9i", data, at + 4 + 40, 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
