"""Recognising speech: Whisper's models by faster-whisper, in pieces of minutes, checked that nothing was left out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moonlet.article.sound import RATE, Samples
from moonlet.article.stages import StageError
from moonlet.article.talk import Word

PIECE_S = 300.0  # of sound in memory at a time; a piece ends in a pause of its second half
_NEAR_S = 0.3  # speech so near to a word belongs to it
_GAP_S = 0.8  # speech without words for so long is listened to again
_AROUND_S = 0.3  # with so much before and after
_UNLIKELY = -1.2  # mean log probability below which a second hearing is not believed

Interval = tuple[float, float]
Floats = NDArray[np.float32]


class SpeechError(StageError):
    """A recogniser that cannot be had."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the recording that has been recognised: where there is speech, and the words. The texts of words
    begin with a space where there is one."""

    start: float
    end: float
    speech: tuple[Interval, ...]
    words: tuple[Word, ...]


class Recogniser:
    """A loaded model. Not for several threads at once."""

    def __init__(self, model: str, beam: int) -> None:
        """`model`: a name (base, small, large-v3-turbo...) or a folder. Raises SpeechError."""
        import ctranslate2
        from faster_whisper import WhisperModel

        folder = Path(model)
        if folder.is_dir() and not (folder / "model.bin").is_file():
            raise SpeechError(f"{model} is no folder of a Whisper model: it holds no model.bin")
        if ("/" in model or os.sep in model) and not folder.exists() and model.count("/") != 1:
            raise SpeechError(f"there is no folder {model}")
        ctranslate2.set_random_seed(0)  # when it is unsure it draws
        # One core stays free for whoever sits at the machine.
        threads = max(1, len(os.sched_getaffinity(0)) - 1) if hasattr(os, "sched_getaffinity") else 2
        try:
            self._model: Any = WhisperModel(model, device="auto", compute_type="int8", cpu_threads=threads)
        except (ValueError, RuntimeError, OSError) as error:
            raise SpeechError(f"the speech model {model} cannot be had: {error}") from None
        self._beam = beam

    def language(self, samples: Samples, speech: Sequence[Interval]) -> str:
        """The language of most of the speech, of which there is some, heard at three places."""
        if not self._model.model.is_multilingual:
            return "en"
        sums: dict[str, float] = {}
        heard_to = -1.0
        for start, _ in (speech[len(speech) * i // 6] for i in (0, 3, 5)):
            if start < heard_to:
                continue
            heard_to = start + 30
            _, _, chances = self._model.detect_language(samples.piece(start, heard_to))
            for name, chance in chances:
                sums[name] = sums.get(name, 0.0) + chance
        return max(sums, key=lambda name: sums[name])

    def piece(self, samples: Samples, start: float, end: float, speech: Sequence[Interval], language: str) -> Piece:
        """The words from one second to another. What the first hearing left out is heard again by itself. Raises
        SpeechError."""
        if language not in self._model.supported_languages:
            known = "English alone" if not self._model.model.is_multilingual else "other languages"
            raise SpeechError(f"the speech model knows {known}, not {language!r}")
        words = self._hear(samples, start, end, language, vad=True) if speech else []
        for low, high in uncovered(speech, words):
            words += [
                word for word in self._again(samples, low, high, language) if low - _AROUND_S <= word.start < high
            ]
            words.sort(key=lambda word: word.start)
        return Piece(start, end, tuple(speech), tuple(trim(words, speech)))

    def _again(self, samples: Samples, low: float, high: float, language: str) -> list[Word]:
        return self._hear(samples, max(0.0, low - _AROUND_S), high + _AROUND_S, language, vad=False)

    def _hear(self, samples: Samples, start: float, end: float, language: str, vad: bool) -> list[Word]:
        segments, _ = self._model.transcribe(
            samples.piece(start, end),
            language=language,
            beam_size=self._beam,
            word_timestamps=True,
            vad_filter=vad,
            vad_parameters={"min_silence_duration_ms": 1000, "speech_pad_ms": 300} if vad else None,
            # A mistake, or a loop, must not be carried from one window into the next.
            condition_on_previous_text=False,
            no_speech_threshold=0.6 if vad else None,
        )
        found = []
        for segment in segments:
            if not vad and segment.avg_logprob < _UNLIKELY:
                continue
            for word in segment.words or ():
                times = round(start + float(word.start), 3), round(start + float(word.end), 3)
                found.append(Word(str(word.word), *times, round(float(word.probability), 4)))
        return found


def speech_in(audio: Floats, offset: float) -> list[Interval]:
    """Where somebody speaks, by Silero's detector, in seconds of the recording."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(min_silence_duration_ms=300, speech_pad_ms=50, min_speech_duration_ms=200)
    found = get_speech_timestamps(audio, options)
    return [(round(offset + one["start"] / RATE, 3), round(offset + one["end"] / RATE, 3)) for one in found]


def next_piece(samples: Samples, start: float, length: float = PIECE_S) -> tuple[float, list[Interval]]:
    """Where the piece that begins at `start` ends, and its speech. It ends in the longest pause of its second half."""
    end = min(start + length, samples.seconds)
    speech = speech_in(samples.piece(start, end), start)
    if end < samples.seconds:
        borders = [start, *(border for one in speech for border in one), end]
        pauses = [(borders[i + 1] - borders[i], borders[i]) for i in range(0, len(borders), 2)]
        late = [(gap, low) for gap, low in pauses if gap > 0.2 and low + gap / 2 > start + length / 2]
        if late:
            gap, low = max(late)
            end = round(low + gap / 2, 3)
            speech = [one for one in speech if one[0] < end]
    return end, speech


def trim(words: Sequence[Word], speech: Sequence[Interval]) -> list[Word]:
    """Words without the silence before and behind them: the recogniser lets a word begin in the pause before it, the
    detector of speech knows better where that ends."""
    trimmed, first = [], 0
    for word in words:
        while first < len(speech) and speech[first][1] <= word.start:
            first += 1
        last = first
        while last + 1 < len(speech) and speech[last + 1][0] < word.end:
            last += 1
        if first < len(speech) and speech[first][0] < word.end:
            word = replace(word, start=max(word.start, speech[first][0]), end=min(word.end, speech[last][1]))
        trimmed.append(word)
    return trimmed


def uncovered(speech: Sequence[Interval], words: Sequence[Word], at_least: float = _GAP_S) -> list[Interval]:
    """Stretches of speech that have no words."""
    spans = sorted((word.start - _NEAR_S, word.end + _NEAR_S) for word in words)
    gaps: list[Interval] = []
    for start, end in speech:
        at = start
        for low, high in spans:
            if high <= at:
                continue
            if low >= end:
                break
            if low > at:
                gaps.append((at, low))
            at = max(at, high)
        if at < end:
            gaps.append((at, end))
    return [(low, high) for low, high in gaps if high - low >= at_least]


def coverage(speech: Sequence[Interval], words: Sequence[Word]) -> float:
    """The share of the seconds with speech that have words; 1 if nobody speaks."""
    total = sum(end - start for start, end in speech)
    missing = sum(high - low for low, high in uncovered(speech, words, 0.0))
    return 1.0 if total == 0 else max(0.0, 1 - missing / total)
