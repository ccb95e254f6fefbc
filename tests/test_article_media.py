"""What the media stage finds in recordings made here: cuts, figures, durations, and what is wrong with a file."""

from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="moonlet[article] is not installed")

import av
from tests.recordings import claim, noise, rotate, shots, slide, tone, write

from moonlet.article import media, subtitles
from moonlet.article.media import MediaSettings
from moonlet.article.picture import another, sharpness
from moonlet.article.sound import RATE, Samples
from moonlet.article.source import from_file
from moonlet.article.stages import do, read
from moonlet.article.talk import Recording

PLAIN = MediaSettings(ocr=False)
LENGTHS = (1.6, 2.2, 1.4, 3.0, 1.8, 2.4)


def look(path: Path, folder: Path, settings: MediaSettings = PLAIN) -> Recording:
    return do(media.STAGE, from_file(path), folder, settings)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures with five hard cuts: slides of one template, a photograph, and one slide shown twice."""
    first = slide("Why keep bees", ["they work for nothing", "and they dance"])
    pictures = [
        first,
        slide("What they need", ["flowers", "water", "a dry box"]),
        noise(1),
        slide("Numbers", ["80,000 bees in a hive", "8 weeks of life"]),
        first,
        slide("The end", paper=20),
    ]
    path = tmp_path_factory.mktemp("talk") / "bee_talk.mp4"
    return write(path, shots(zip(pictures, LENGTHS)), tone(sum(LENGTHS)))


def test_every_cut_of_a_made_video_is_found(talk: Path, tmp_path: Path) -> None:
    found = look(talk, tmp_path)
    wanted = list(accumulate(LENGTHS))[:-1]
    assert len(found.cuts) == len(wanted)
    assert max(abs(a - b) for a, b in zip(found.cuts, wanted)) <= 0.21  # frames nobody needs are not decoded
    assert found.title == "bee talk"
    assert found.duration == pytest.approx(sum(LENGTHS), abs=0.1)
    assert {stream.kind for stream in found.streams} == {"video", "audio"}
    assert found.notes == ()


def test_figures_are_calm_and_not_shown_twice(talk: Path, tmp_path: Path) -> None:
    found = look(talk, tmp_path)
    assert len(found.figures) == 5  # the first slide comes again
    for figure in found.figures:
        assert (figure.width, figure.height) == (480, 270)
        assert min(abs(figure.time - cut) for cut in found.cuts) >= 0.29
        assert (tmp_path / figure.path).read_bytes()[:3] == b"\xff\xd8\xff"
    assert [figure.id for figure in found.figures] == list(range(5))
    times = [figure.time for figure in found.figures]
    assert times == sorted(times)


def test_figures_have_a_limit_of_their_own(talk: Path, tmp_path: Path) -> None:
    assert len(look(talk, tmp_path, MediaSettings(figures=2, ocr=False)).figures) == 2
    assert look(talk, tmp_path, MediaSettings(figures=0, ocr=False)).figures == ()


def test_a_cross_fade_is_one_cut_and_no_figure_is_taken_in_it(tmp_path: Path) -> None:
    parts = [(slide("Before", ["one", "two"]), 4.0), (noise(3), 4.0), (slide("After", ["three"]), 4.0)]
    path = write(tmp_path / "fade.mp4", shots(parts, fade_s=1.0))
    found = look(path, tmp_path / "out")
    assert len(found.cuts) == 2 and len(found.figures) == 3
    for fade_end in (4.0, 8.0):
        assert any(-1.1 <= cut - fade_end <= 0.6 for cut in found.cuts)
        assert not any(fade_end - 1.0 < figure.time < fade_end for figure in found.figures)


def test_movement_is_no_cut(tmp_path: Path) -> None:
    wide = noise(5, (960, 270))
    pan = [(n / 25, np.ascontiguousarray(wide[:, 4 * n : 4 * n + 480])) for n in range(100)]
    assert look(write(tmp_path / "pan.mp4", pan), tmp_path / "out").cuts == ()


def test_a_slide_that_fills_up_gives_its_last_state(tmp_path: Path) -> None:
    parts = [(slide("Steps", ["first", "second", "third"][: n + 1]), 1.5) for n in range(3)]
    found = look(write(tmp_path / "steps.mp4", shots(parts)), tmp_path / "out")
    assert len(found.figures) == 1 and found.figures[0].time > 3.0


def test_a_turned_video_is_shown_upright(tmp_path: Path) -> None:
    path = write(tmp_path / "phone.mp4", shots([(slide("Left", ["a line"]), 2.0)]), tone(2.0))
    rotate(path)
    found = look(path, tmp_path / "out")
    video = next(stream for stream in found.streams if stream.kind == "video")
    assert (video.width, video.height) == (270, 480) and video.rotation in (90, 270)
    assert (found.figures[0].width, found.figures[0].height) == (270, 480)


def test_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    path = write(tmp_path / "wide.mkv", shots([(slide("Wide", ["a line"]), 1.0)]), aspect=2)
    (figure,) = look(path, tmp_path / "out").figures
    assert (figure.width, figure.height) == (960, 270)


def test_frames_at_uneven_times_keep_their_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    one, two = slide("One", ["line"]), slide("Two", ["other", "lines"])
    times = np.cumsum(rng.choice([0.02, 0.04, 0.1, 0.4], 60))
    change = float(times[30])
    path = write(tmp_path / "uneven.mkv", [(float(t), one if t < change else two) for t in times])
    found = look(path, tmp_path / "out")
    assert len(found.cuts) == 1 and found.cuts[0] + float(times[0]) == pytest.approx(change, abs=0.45)


def test_subtitles_inside_a_recording_are_taken_out(tmp_path: Path) -> None:
    """A file of subtitles, put into a Matroska file beside the pictures."""
    path = write(tmp_path / "plain.mkv", shots([(slide("Words"), 3.0)]))
    cues = "1\n00:00:00,500 --> 00:00:01,250\nBees dance.\n\n2\n00:00:01,500 --> 00:00:02,750\nThey do not\nsleep.\n"
    (tmp_path / "words.txt").write_text(cues)
    with (
        av.open(str(path)) as seen,
        av.open(str(tmp_path / "words.txt"), format="srt") as said,
        av.open(str(tmp_path / "talk.mkv"), "w") as out,
    ):
        copies = [out.add_stream_from_template(one) for one in (seen.streams.video[0], said.streams.subtitles[0])]
        copies[1].metadata["language"] = "eng"
        for source, copy in zip((seen, said), copies):
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = copy
                    out.mux(packet)
    found = look(tmp_path / "talk.mkv", tmp_path / "out")
    assert [(one.codec, one.language) for one in found.streams if one.kind == "subtitle"] == [("srt", "eng")]
    (name,) = found.subtitles
    assert subtitles.language_of(name) == "en"
    read_again = [(one.start, one.end, one.text) for one in subtitles.read(tmp_path / "out" / name)]
    assert read_again == [(0.5, 1.25, "Bees dance."), (1.5, 2.75, "They do not\nsleep.")]


@pytest.mark.parametrize(("columns", "rows"), [(16, 30_000), (30_000, 16)])
def test_pictures_of_odd_shape_and_of_years_are_no_trouble(tmp_path: Path, columns: int, rows: int) -> None:
    path, many = tmp_path / "odd.nut", np.random.default_rng(0).integers(0, 255, (3, rows, columns), dtype=np.uint8)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("rawvideo", rate=1)
        stream.width, stream.height, stream.pix_fmt = columns, rows, "gray"
        for second, one in zip((0, 1, 10**8), many):
            frame = av.VideoFrame.from_ndarray(one, format="gray")
            frame.pts, frame.time_base = second, Fraction(1)
            file.mux(stream.encode(frame))
    found = look(path, tmp_path / "out")
    assert found.duration == pytest.approx(2.0) and any("first 24 hours" in note for note in found.notes)
    assert all(max(figure.width, figure.height) <= 4 * 1920 for figure in found.figures)


def test_sound_alone(tmp_path: Path) -> None:
    found = look(write(tmp_path / "radio.mp3", sound=tone(3.0), sound_codec="libmp3lame"), tmp_path / "out")
    assert found.audio == "media/audio.wav" and found.figures == () and found.cuts == ()
    assert found.notes == ("there are no moving pictures",)
    assert Samples(tmp_path / "out" / "media" / "audio.wav").seconds == pytest.approx(3.0, abs=0.1)


def test_pictures_alone(tmp_path: Path) -> None:
    found = look(write(tmp_path / "mute.mp4", shots([(slide("Mute"), 1.0)])), tmp_path / "out")
    assert found.audio is None and found.notes == ("there is no sound",)


def test_a_silent_track_is_no_sound(tmp_path: Path) -> None:
    path = write(tmp_path / "silent.mp4", shots([(slide("Silent"), 1.0)]), tone(1.0, level=0.0))
    found = look(path, tmp_path / "out")
    assert found.audio is None and found.notes == ("the sound is silent throughout",)


def test_sound_that_starts_late_keeps_its_seconds(tmp_path: Path) -> None:
    path = write(tmp_path / "late.mkv", shots([(slide("Late"), 4.0)]), tone(2.0), sound_start=2.0)
    look(path, tmp_path / "out")
    samples = Samples(tmp_path / "out" / "media" / "audio.wav")
    assert np.abs(samples.piece(0.0, 1.9)).max() < 0.01
    assert np.abs(samples.piece(2.2, 3.8)).max() > 0.1


def test_sound_is_brought_to_16_khz(tmp_path: Path) -> None:
    path = write(tmp_path / "rate.mkv", sound=tone(2.0, 440.0), sound_codec="aac", rate=44_100)
    look(path, tmp_path / "out")
    sound = Samples(tmp_path / "out" / "media" / "audio.wav").piece(0.5, 1.5)
    spectrum = np.abs(np.fft.rfft(sound))
    assert len(sound) == RATE and int(spectrum.argmax()) == pytest.approx(440, abs=1)


def test_a_file_that_is_cut_short_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    parts = [(noise(n), 1.0) for n in range(10)]
    path = write(tmp_path / "cut.mp4", shots(parts), tone(10.0), options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    found = look(path, tmp_path / "out")
    assert 1.0 < found.duration < 9.5
    assert any("can be decoded" in note for note in found.notes)


def test_a_container_that_claims_ten_hours(tmp_path: Path) -> None:
    path = write(tmp_path / "lie.mkv", shots([(slide("Short"), 2.0)]), tone(2.0))
    claim(path, 36_000)
    found = look(path, tmp_path / "out")
    assert found.duration == pytest.approx(2.0, abs=0.2)
    assert found.notes[0] == "the file says it lasts 10:00:00, but 0:00:02 of it can be decoded"


def test_an_unchanged_stage_is_not_repeated_and_a_changed_one_is(talk: Path, tmp_path: Path) -> None:
    first = look(talk, tmp_path)
    kept = (tmp_path / "media.json").stat().st_mtime_ns
    assert look(talk, tmp_path) == first
    assert (tmp_path / "media.json").stat().st_mtime_ns == kept
    look(talk, tmp_path, MediaSettings(figures=1, ocr=False))
    assert (tmp_path / "media.json").stat().st_mtime_ns != kept
    kept_output = read(media.STAGE, tmp_path)
    assert kept_output is not None and len(kept_output.output.figures) == 1


def test_thumbnails_of_nearly_the_same_picture_are_one() -> None:
    rng = np.random.default_rng(1)
    one = rng.integers(0, 255, (54, 96)).astype(np.uint8)
    noisy = np.clip(one.astype(int) + rng.integers(-6, 7, one.shape), 0, 255).astype(np.uint8)
    line = one.copy()
    line[20:26, 6:36] = 255 - line[20:26, 6:36]
    assert not another(one, noisy) and another(one, line)
    assert sharpness(one) > 100 > sharpness(np.full((54, 96), 80, np.uint8))
