"""Real speech, recognised by a real model, offline: errors, seconds, and that nothing is left out."""

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("faster_whisper", reason="moonlet[article] is not installed")

from tests.recordings import shots, slide, write
from tests.speech import READ, SAID, SPEECH, base_model, edits, error_rate, joined, onset, speak, tiny_model

from moonlet.article import glossary, speech, transcript
from moonlet.article.language import comparable
from moonlet.article.media import MediaSettings
from moonlet.article.prepare import Prepared, Preparing, prepare
from moonlet.article.sound import Samples
from moonlet.article.speech import Recogniser, SpeechError
from moonlet.article.stages import read
from moonlet.article.talk import Word
from moonlet.article.transcript import TranscriptSettings

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_model(tmp_path_factory.mktemp("base"))


def settings(model: Path, **more: object) -> Preparing:
    return Preparing(media=MediaSettings(ocr=False), transcript=TranscriptSettings(str(model), **more))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tiny() -> Path:
    return tiny_model()


@pytest.fixture(scope="module")
def reading(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Prepared, list[float], Path]:
    """Five sentences of a book, read, with a slide for each; and when each begins."""
    folder = tmp_path_factory.mktemp("reading")
    sound, starts = joined(READ, pause_s=1.2)
    ends = [*(start - 0.6 for start in starts[1:]), len(sound) / 16_000]
    lengths = [end - start for start, end in zip([0.0, *ends], ends)]
    frames = shots([(slide(f"Sentence {n}", ["read aloud"] * (n + 1)), length) for n, length in enumerate(lengths)])
    path = write(folder / "reading.mp4", frames, sound)
    return prepare(str(path), folder / "out", settings(base)), starts, folder / "out"


def test_read_speech_has_few_errors_and_nothing_is_left_out(reading: tuple[Prepared, list[float], Path]) -> None:
    said = reading[0].transcript
    assert (said.language, said.script, said.source) == ("en", None, "recognised")
    assert error_rate(" ".join(SAID[name] for name in READ), said.text) < 0.05
    assert said.coverage > 0.98
    assert len(reading[0].recording.cuts) == len(READ) - 1


def test_sentences_begin_when_they_are_said(reading: tuple[Prepared, list[float], Path]) -> None:
    prepared, starts, _ = reading
    firsts = [re.findall(r"[a-z]+", SAID[name].lower())[0] for name in READ]
    words = [word for sentence in prepared.transcript.sentences for word in sentence.words]
    for first, start in zip(firsts, starts):
        said = [word.start for word in words if re.sub(r"\W", "", word.text.lower()) == first]
        assert min(abs(at - start) for at in said) <= 0.3, (first, start, said)
    begun = [sentence.start for sentence in prepared.transcript.sentences]
    assert all(min(abs(at - start) for start in starts) <= 0.3 for at in begun), (begun, starts)


def test_a_second_run_does_nothing_again(
    reading: tuple[Prepared, list[float], Path], base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a finished stage was repeated")

    monkeypatch.setattr(speech.Recogniser, "__init__", never)
    monkeypatch.setattr("moonlet.article.media.extract", never)
    prepared, _, folder = reading
    again = prepare(prepared.recording.source, folder, settings(base))
    assert again == prepared
    # The folder alone is a source too: its recording need not be there.
    assert prepare(str(folder), folder, settings(base)) == prepared


@pytest.mark.parametrize(("name", "allowed"), [("zh_sentence", 0.2), ("th_common_voice", 0.15)])
def test_mandarin_and_thai(name: str, allowed: float, base: Path, tmp_path: Path) -> None:
    made = prepare(str(SPEECH / f"{name}.flac"), tmp_path, settings(base, script="Hans")).transcript
    assert made.language == name[:2] and made.script == ("Hans" if name[:2] == "zh" else None)
    wanted, heard = (list(comparable(text, made.language)) for text in (SAID[name], made.text))
    assert edits(wanted, heard) / len(wanted) <= allowed, made.text
    assert made.coverage > 0.95
    words = [word.text for sentence in made.sentences for word in sentence.words]
    assert 5 <= len(words) <= 20 and all(" " not in word for word in words)


def test_what_the_recogniser_leaves_out_is_heard_again(tiny: Path, tmp_path: Path) -> None:
    """A model that drops everything from 4.5 seconds on at its first hearing."""
    sound, _ = joined(READ[1:3])
    path = write(tmp_path / "a.wav", sound=sound, sound_codec="pcm_s16le")
    model = Recogniser(str(tiny), 5)
    whole = model._hear

    def forgetful(samples: Samples, start: float, end: float, language: str, vad: bool) -> list[Word]:
        return [word for word in whole(samples, start, end, language, vad) if not vad or word.start < 4.5]

    samples = Samples(path)
    end, heard = speech.next_piece(samples, 0.0)
    model._hear = forgetful  # type: ignore[method-assign]
    piece = model.piece(samples, 0.0, end, heard, "en")
    text = "".join(word.text for word in piece.words)
    assert speech.coverage(heard, piece.words) > 0.95
    assert error_rate(" ".join(SAID[name] for name in READ[1:3]), text) < 0.15
    assert [word.start for word in piece.words] == sorted(word.start for word in piece.words)


def test_subtitles_of_another_recording_are_not_believed(tiny: Path, tmp_path: Path) -> None:
    sound, _ = joined(READ[1:2])
    path = write(tmp_path / "a.wav", sound=sound, sound_codec="pcm_s16le")
    cue = "1\n00:10:00,000 --> 00:10:02,000\nSomething else.\n"
    (tmp_path / "a.srt").write_text(cue)
    made = prepare(str(path), tmp_path / "out", settings(tiny)).transcript
    assert made.source == "recognised" and "young man" in made.text
    (tmp_path / "a.srt").write_text(cue.replace("10:00", "00:00").replace("10:02", "00:05"))
    made = prepare(str(path), tmp_path / "out", settings(tiny)).transcript
    assert made.source == "subtitles" and made.text == "Something else."


def test_an_interrupted_transcript_goes_on_with_the_next_piece(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, _ = joined(READ[1:3])
    path = write(tmp_path / "a.wav", sound=sound, sound_codec="pcm_s16le")
    pieces: list[float] = []
    hear = Recogniser.piece

    def stopped(self: Recogniser, samples: Samples, start: float, *rest: object) -> speech.Piece:
        pieces.append(start)
        if len(pieces) == 2:
            raise KeyboardInterrupt
        return hear(self, samples, start, *rest)  # type: ignore[arg-type]

    short = lambda samples, start: speech.next_piece(samples, start, 7.0)
    monkeypatch.setattr(transcript, "next_piece", short)
    monkeypatch.setattr(Recogniser, "piece", stopped)
    with pytest.raises(KeyboardInterrupt):
        prepare(str(path), tmp_path / "out", settings(tiny))
    assert (tmp_path / "out" / "media.json").is_file() and not (tmp_path / "out" / "transcript.json").exists()
    made = prepare(str(path), tmp_path / "out", settings(tiny)).transcript
    assert pieces[0] == 0.0 and pieces[1] == pieces[2] > 0.0 and len(set(pieces[1:])) == len(pieces) - 2
    assert error_rate(" ".join(SAID[name] for name in READ[1:3]), made.text) < 0.15
    kept = read(transcript.STAGE, tmp_path / "out")
    assert kept is not None and not (tmp_path / "out" / "transcript").exists()


def test_models_that_cannot_be_had(tmp_path: Path, tiny: Path) -> None:
    for name in (str(tmp_path), str(tmp_path / "no" / "folder"), "no-such-model"):
        with pytest.raises(SpeechError):
            Recogniser(name, 5)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "model.bin").write_bytes(b"not a model")
    with pytest.raises(SpeechError):
        Recogniser(str(broken), 5)
    model = Recogniser(str(tiny), 5)
    with pytest.raises(SpeechError, match="English alone, not 'xx'"):
        model.piece(Samples(_second(tmp_path)), 0.0, 1.0, [(0.0, 1.0)], "xx")


TALK = (
    "Good morning, and welcome to a short talk about bees.",
    "A hive holds eighty thousand bees, not eight thousand.",
    "They do not sleep at night, and they never stop dancing.",
    "In winter they live for six months, in summer for six weeks.",
    "Thank you for listening, and please plant some flowers.",
)


@pytest.mark.slow
def test_a_talk_that_was_made_here_is_understood(base: Path, tmp_path: Path) -> None:
    """Spoken by a synthetic voice, a slide for each sentence: words, cuts and seconds are known exactly."""
    parts, starts, at = list[np.ndarray](), list[float](), 0.0
    for sentence in TALK:
        spoken = speak(sentence)
        parts += [np.zeros(16_000, np.float32), spoken]
        starts.append(at + 1.0 + onset(spoken))
        at += 1.0 + len(spoken) / 16_000
    changes = [start - 0.5 for start in starts[1:]]
    lengths = np.diff([0.0, *changes, at])
    frames = shots([(slide(f"Bees {n + 1}", [TALK[n][:24]]), length) for n, length in enumerate(lengths)])
    path = write(tmp_path / "bees.mp4", frames, np.concatenate(parts), sound_codec="aac")
    made = prepare(str(path), tmp_path / "out", settings(base))
    said = made.transcript
    assert (
        error_rate(" ".join(TALK), said.text.replace("80,000", "eighty thousand").replace("8,000", "eight thousand"))
        < 0.05
    )
    assert said.coverage > 0.98 and len(said.sentences) == len(TALK)
    assert max(abs(one.start - start) for one, start in zip(said.sentences, starts)) <= 0.3
    assert len(made.recording.cuts) == len(changes) and len(made.recording.figures) == len(TALK)
    assert max(abs(cut - change) for cut, change in zip(made.recording.cuts, changes)) <= 0.21


@pytest.mark.slow
def test_a_killed_process_is_continued(tiny: Path, tmp_path: Path) -> None:
    """kill -9 behind the media stage; the same command goes on, and media is not repeated."""
    sound, _ = joined(READ)
    path = write(tmp_path / "a.wav", sound=sound, sound_codec="pcm_s16le")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "moonlet", "article", str(path), "--to", str(out), "--whisper", str(tiny)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 200
    while not (out / "media.json").exists() and time.monotonic() < until:
        time.sleep(0.01)
    child.kill()
    child.wait()
    assert not (out / "transcript.json").exists() and not list(out.glob(".*.part"))
    before = (out / "media.json").stat().st_mtime_ns
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert (out / "media.json").stat().st_mtime_ns == before
    kept = read(glossary.STAGE, out)
    assert kept is not None and error_rate(" ".join(SAID[name] for name in READ), kept.output.text) < 0.1


def _second(folder: Path) -> Path:
    return write(folder / "second.wav", sound=np.zeros(16_000, np.float32), sound_codec="pcm_s16le")
