"""Words, sentences, subtitles and names: what needs no recogniser."""

import time
from pathlib import Path

import pytest

pytest.importorskip("pysubs2", reason="moonlet[article] is not installed")

from moonlet.article import glossary, subtitles, transcript
from moonlet.article.container import MediaError
from moonlet.article.glossary import GlossaryError, GlossarySettings, Spoken, Term, read_glossary
from moonlet.article.language import comparable, guess, script_of, split_words, to_script
from moonlet.article.likeness import alike, distance, letters
from moonlet.article.plain import PlainError, from_plain, to_plain
from moonlet.article.sentences import sentences, tokens
from moonlet.article.speech import coverage, trim, uncovered
from moonlet.article.talk import Change, Figure, Recording, Sentence, Stream, Transcript, Word
from moonlet.article.transcript import Heard, TranscriptSettings


def heard(text: str, probability: float = 0.95, pace: float = 0.4, **pauses: float) -> list[Word]:
    """Words of a spaced text, one every `pace` seconds; pauses after words, by their text without marks."""
    at, words = 0.0, []
    for part in text.split():
        words.append(Word(f" {part}", at, at + pace, probability))
        at += pace + pauses.get(part.strip(".,!?"), 0.0)
    return words


def texts(words: list[Word], language: str = "en") -> list[str]:
    return [one.text for one in sentences(tokens(words, language), language)]


def test_sentences_end_at_punctuation_but_not_at_abbreviations() -> None:
    said = "Dr. Smith paid 3.5 dollars. He left at noon! Did J. Doe see it? Yes."
    assert texts(heard(said)) == ["Dr. Smith paid 3.5 dollars.", "He left at noon!", "Did J. Doe see it?", "Yes."]


def test_without_punctuation_pauses_end_sentences() -> None:
    said = " ".join(["so we went on and on about the weather in spring"] * 6)
    made = texts(heard(said, spring=1.0))
    assert made == ["so we went on and on about the weather in spring"] * 6


def test_a_pause_inside_a_sentence_does_not_end_it() -> None:
    said = "And so, my fellow Americans, ask not what your country can do for you."
    assert texts(heard(said, Americans=1.5)) == [said]


def test_no_word_is_lost_or_moved() -> None:
    words = heard("This goes on " * 80)
    made = sentences(tokens(words, "en"), "en")
    assert [w.text for one in made for w in one.words] == [w.text.strip() for w in words]
    assert [w.start for one in made for w in one.words] == [w.start for w in words]
    assert max(len(one.words) for one in made) <= 60
    assert [one.id for one in made] == list(range(len(made)))


def test_chinese_is_segmented_and_times_are_shared_out() -> None:
    pieces = [Word(c, n * 0.2, n * 0.2 + 0.2, 0.9) for n, c in enumerate("歡迎大家來體驗語音識別模型。謝謝")]
    made = sentences(tokens(pieces, "zh", "Hans"), "zh")
    assert [one.text for one in made] == ["欢迎大家来体验语音识别模型。", "谢谢"]
    assert "".join(word.text for word in made[0].words) == made[0].text and 3 < len(made[0].words) < 12
    assert made[1].start == pytest.approx(2.8) and made[1].end == pytest.approx(3.2)


def test_thai_is_segmented_and_its_marks_are_put_in_order() -> None:
    said = "มันเป็นเรื่องที่ดี ที่การเดินทางย้อนเวลาไม่ได้มีอยู่จริง"
    pieces = [Word(c, n * 0.1, n * 0.1 + 0.1, 0.9) for n, c in enumerate(said)]
    made = sentences(tokens(pieces, "th"), "th")
    assert "".join(one.text for one in made).replace(" ", "") == said.replace(" ", "")
    words = [word.text for one in made for word in one.words]
    assert "เดินทาง" in words and "เวลา" in words
    assert comparable("เเม่นํ้า", "th") == comparable("แม่น้ำ", "th")


def test_scripts_are_told_apart_and_keep_their_length() -> None:
    assert script_of("体验语音识别") == "Hans" and script_of("體驗語音識別") == "Hant" and script_of("大家好") is None
    assert to_script("乾燥的後面有皇后", "Hans") == "干燥的后面有皇后"
    assert comparable("體驗 模型", "zh") == comparable("体验模型", "zh")
    assert comparable("Don’t  Stop", "en") == "don't stop" != comparable("do stop", "en")


@pytest.mark.parametrize(
    ("text", "language"),
    [("Hello there", "en"), ("สวัสดีครับ Python", "th"), ("大家好", "zh"), ("こんにちは世界", "ja"), ("12:30", "en")],
)
def test_the_language_of_letters(text: str, language: str) -> None:
    assert guess(text) == language
    for one in ("en", "th", "zh", "ja"):
        assert "".join(split_words(text, one)) == text


def test_doubt_is_marked_and_nothing_is_hidden() -> None:
    words = heard("We sold eighty hives last year.")
    words[2] = Word(" 80", 0.8, 1.2, 0.3)
    (made,) = sentences(tokens(words, "en"), "en")
    assert made.doubtful and made.words[2].doubtful and made.text == "We sold 80 hives last year."
    words = heard("We sold some hives last year.")
    words[2] = Word(" some", 0.8, 1.2, 0.3)
    (made,) = sentences(tokens(words, "en"), "en")
    assert not made.doubtful


def test_speech_without_words_is_found() -> None:
    words = [Word("a", 1.0, 2.0, 1), Word("b", 5.0, 6.0, 1)]
    assert uncovered([(0.9, 6.2)], words) == [(2.3, 4.7)]
    assert uncovered([(0.9, 2.2), (5.0, 6.0)], words) == []
    assert uncovered([(8.0, 9.0)], []) == [(8.0, 9.0)]
    assert coverage([(0.0, 2.0), (4.0, 6.0)], [Word("a", 0.0, 2.0, 1)]) == pytest.approx(0.5, abs=0.01)
    assert coverage([], []) == 1.0


def test_words_do_not_begin_in_the_pause_before_them() -> None:
    words = [Word("a", 0.2, 1.4, 1), Word("b", 1.4, 3.2, 1), Word("c", 3.2, 3.9, 1), Word("d", 9.0, 9.5, 1)]
    speech = [(0.5, 1.2), (3.0, 3.3), (3.5, 4.0)]
    assert [(one.start, one.end) for one in trim(words, speech)] == [(0.5, 1.2), (3.0, 3.2), (3.2, 3.9), (9.0, 9.5)]


# Subtitles


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


SRT = "1\n00:00:01,000 --> 00:00:03,000\nEighty bees\nlive here.\n\n2\n00:00:04,000 --> 00:00:05,500\nNot eight.\n"
VTT = (
    "WEBVTT\n\nNOTE a comment\n\n00:01.000 --> 00:03.000 align:start\n<v Ploy>Eighty <b>bees</b> live here.</v>\n\n"
    "00:04.000 --> 00:05.500\n<v Max>Not eight &amp; not nine.\n\n00:06.000 --> 00:07.000\n[Music]\n"
)


def test_srt_becomes_sentences_with_times(tmp_path: Path) -> None:
    made = sentences(subtitles.tokens(subtitles.read(write(tmp_path / "a.srt", SRT)), "en"), "en")
    assert [(one.text, one.start, one.end) for one in made] == [
        ("Eighty bees live here.", 1.0, 3.0),
        ("Not eight.", 4.0, 5.5),
    ]
    assert made[0].words[1].text == "bees" and 1.5 < made[0].words[1].start < 2.0
    assert made[0].words[1].probability == 1.0


@pytest.mark.parametrize(
    ("block", "wanted"),
    [
        ("00:01.000 --> 00:03.000\nso<00:01.200><c> we</c><00:01.500><c> left</c>", [(1.0, None, "so we left")]),
        ("7f3a-42/9-0\n00:01.000 --> 00:02.000\nNone of them sank.", [(1.0, None, "None of them sank.")]),
        ("NOTE checked by Bob\n\n00:01.000 --> 00:02.000\nNone sank.", [(1.0, None, "None sank.")]),
        ("00:01.000 --> 00:02.000\nThe number of boats was\n80", [(1.0, None, "The number of boats was 80")]),
        (
            "00:00.000 --> 00:02.000\n<v Ann>It works?\n<v Ben>It fails.",
            [(0.0, "Ann", "It works?"), (1.0, "Ben", "It fails.")],
        ),
        ("01:00:01.000 --> 01:00:02.000 line:0\nLate &amp; short.", [(3601.0, None, "Late & short.")]),
        ("00:03.000 --> 00:02.000\nbackwards\n\n00:04.000 --> 00:05.000\nforwards", [(4.0, None, "forwards")]),
    ],
)  # fmt: skip
def test_webvtt_is_read_by_its_blocks(tmp_path: Path, block: str, wanted: list[tuple[float, str | None, str]]) -> None:
    for ends in ("\n", "\r\n"):
        cues = subtitles.read(write(tmp_path / "a.vtt", f"WEBVTT\nKind: captions\n\n{block}\n".replace("\n", ends)))
        assert [(cue.start, cue.speaker, " ".join(cue.text.split())) for cue in cues] == wanted


def test_webvtt_keeps_speakers_and_drops_tags_and_sounds(tmp_path: Path) -> None:
    made = sentences(subtitles.tokens(subtitles.read(write(tmp_path / "a.vtt", VTT)), "en"), "en")
    assert [(one.speaker, one.text) for one in made] == [
        ("Ploy", "Eighty bees live here."),
        ("Max", "Not eight & not nine."),
    ]


def test_rolling_captions_say_each_line_once(tmp_path: Path) -> None:
    lines = ["so we begin", "with the bees", "and their boxes"]
    cues = "\n\n".join(f"00:0{n}.000 --> 00:0{n + 1}.000\n" + "\n".join(lines[max(0, n - 1) : n + 1]) for n in range(3))
    cues = subtitles.read(write(tmp_path / "a.vtt", f"WEBVTT\n\n{cues}\n"))
    assert [cue.text for cue in cues] == lines


def test_a_line_that_is_said_twice_is_kept_twice(tmp_path: Path) -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\nNo.\n\n2\n00:00:05,000 --> 00:00:06,000\nNo.\n"
    assert len(subtitles.read(write(tmp_path / "a.srt", text))) == 2


def test_utf_16_is_read_and_other_encodings_are_refused(tmp_path: Path) -> None:
    assert subtitles.read(write(tmp_path / "a.srt", SRT, "utf-16"))[0].start == 1.0
    with pytest.raises(MediaError, match="UTF-8"):
        subtitles.read(write(tmp_path / "b.srt", SRT.replace("bees", "Bienenkörbe"), "latin-1"))


def test_a_line_of_digits_in_srt_is_said(tmp_path: Path) -> None:
    """With numbers of cues or without, in the last cue and before; only the number right above a time is none."""
    times = [f"00:00:0{n},000 --> 00:00:0{n + 1},000\n" for n in range(3)]
    said = ["How many?\n2024", "About\n\n80", "42"]
    for number in ("{}\n", ""):
        text = "\n".join(
            f"{number.format(n)}{time}{{\\an8}}<i>{line}</i>\n" for n, time, line in zip(range(1, 4), times, said)
        )
        for ends in ("\n", "\r\n"):
            cues = subtitles.read(write(tmp_path / "a.srt", text.replace("\n", ends)))
            assert [cue.text.split() for cue in cues] == [line.split() for line in said]


@pytest.mark.parametrize("piece", ["<v a", "<v" + " " * 50, "<a", "{", "a line\n"])
def test_hostile_subtitles_are_read_in_time(tmp_path: Path, piece: str) -> None:
    """A part of a second each, as it grows with their length alone."""
    many, head = piece * 100_000, "WEBVTT\n\n" if piece != "{" else ""
    cues = f"{head}00:00:01.000 --> 00:00:02.000\n{many}\n\n00:00:02.000 --> 00:00:03.000\nb\n{many}\n"
    begun = time.monotonic()
    subtitles.read(write(tmp_path / "a.vtt", cues))
    assert time.monotonic() - begun < 20


def test_chinese_and_thai_cues(tmp_path: Path) -> None:
    for language, said in (("zh", "蜜蜂不是八只，是八十只。"), ("th", "ผึ้งไม่ได้มีแปดตัว")):
        path = write(tmp_path / f"a.{language}.srt", f"1\n00:00:01,000 --> 00:00:03,000\n{said}\n")
        assert subtitles.language_of(path.name) == language
        made = sentences(subtitles.tokens(subtitles.read(path), language), language)
        assert "".join(one.text for one in made) == said and made[0].start == 1.0 and made[-1].end == 3.0


# Names


def said(*parts: str | tuple[str, float]) -> Transcript:
    """A transcript of these sentences; a word written as `word|0.4` was heard with that probability."""
    made = []
    for place, text in enumerate(parts):
        words = []
        for n, part in enumerate(str(text).split()):
            bare, _, sure = part.partition("|")
            words.append(Word(bare, place * 10 + n, place * 10 + n + 1, float(sure or 0.95)))
        made.append(Sentence(place, words[0].start, words[-1].end, " ".join(w.text for w in words), tuple(words)))
    return Transcript("en", None, 100.0, tuple(made), 1.0, "recognised")


def unified(given: Transcript, *terms: Term, slides: tuple[str, ...] = (), unify: bool = True) -> Transcript:
    return glossary.glossary(Spoken(given, slides), Path(), GlossarySettings(terms, unify))


def lines(made: Transcript) -> list[str]:
    return [one.text for one in made.sentences]


def test_a_users_spelling_wins_and_changes_are_listed() -> None:
    made = unified(
        said("We use moon let, and Moonlit's cache.", "the moon|0.9 let it go"),
        Term("Moonlet", ("moon let", "moonlit")),
    )
    assert lines(made)[0] == "We use Moonlet, and Moonlet's cache."
    assert Change("moon let", "Moonlet", 2) in made.changes and Change("Moonlit", "Moonlet", 1) in made.changes
    assert [w.text for w in made.sentences[0].words] == ["We", "use", "Moonlet,", "and", "Moonlet's", "cache."]
    assert made.sentences[0].words[2].start == 2 and made.sentences[0].words[2].end == 4
    assert "Moonlet" in made.terms


def test_a_term_of_several_words_takes_the_time_of_what_was_heard() -> None:
    made = unified(said("Thanks to Ploychaiyasit for that."), Term("Ploy Chaiyasit"))
    assert lines(made) == ["Thanks to Ploy Chaiyasit for that."]
    a, b = made.sentences[0].words[2:4]
    assert (a.text, b.text, a.start, b.end) == ("Ploy", "Chaiyasit", 2, 3) and a.end == b.start


def test_what_sounds_like_a_term_is_replaced_only_if_it_was_unsure() -> None:
    made = unified(said("Then Katherin|0.5 spoke.", "Then Katherin|0.99 spoke."), Term("Catherine"), unify=False)
    assert lines(made) == ["Then Catherine spoke.", "Then Katherin spoke."]


def test_names_heard_unsurely_get_the_better_founded_spelling() -> None:
    made = unified(
        said(
            "I met Johanson|0.9 there.", "Then Johanson|0.95 spoke.", "But Johansen|0.4 left.", "So Johansson|0.5 won."
        )
    )
    assert lines(made)[2:] == ["But Johanson left.", "So Johanson won."]
    assert made.changes == (Change("Johansen", "Johanson", 1), Change("Johansson", "Johanson", 1))
    assert "Johanson" in made.terms


def test_two_names_that_were_heard_surely_stay_two() -> None:
    given = said("I asked Maria there.", "Then Mario came.", "And Maria left.", "And Mario stayed.")
    assert lines(unified(given)) == lines(given)
    assert unified(given).changes == ()


def test_a_slide_knows_how_a_name_is_written() -> None:
    given = said("We run it on Cubernetes|0.4 here.", "And Cubernetes|0.5 scales.")
    assert lines(unified(given, slides=("Running on Kubernetes",)))[0] == "We run it on Kubernetes here."


def test_common_words_and_numbers_are_no_names() -> None:
    given = said(
        "We saw Open Source there.", "It is an open source.", "In April 1914 and May 1941.", "an Open Source again"
    )
    assert lines(unified(given)) == lines(given)
    assert not alike(letters("1914"), letters("1941")) and not alike("iran", "iraq")


def test_thousands_of_names_are_unified_in_time() -> None:
    """As in subtitles in capitals, where every word is written like a name."""
    given = said(*(f"AND {''.join(chr(65 + n // 26**place % 26) for place in range(4))}KO." for n in range(3000)))
    begun = time.monotonic()
    assert lines(unified(given)) == lines(given)
    assert time.monotonic() - begun < 20


def test_terms_in_chinese_and_thai() -> None:
    word = Word("月牙", 0, 1, 0.9)
    given = Sentence(0, 0, 3, "我们用月牙二模型", (Word("我们用", 0, 1, 0.9), word, Word("二模型", 2, 3, 0.9)))
    made = glossary.glossary(
        Spoken(Transcript("zh", "Hans", 3, (given,), 1, "recognised")),
        Path(),
        GlossarySettings((Term("月芽", ("月牙",)),)),
    )
    assert made.sentences[0].text == "我们用月芽二模型" and made.changes == (Change("月牙", "月芽", 1),)


def test_a_glossary_file(tmp_path: Path) -> None:
    path = write(tmp_path / "names.txt", "# names\nMoonlet: moon let, moonlit\n\n  Ploy  Chaiyasit \n")
    assert read_glossary(path) == (Term("Moonlet", ("moon let", "moonlit")), Term("Ploy Chaiyasit"))
    for text, why in ((": a\n", "line 1"), ("x\n" * 5001, "5001")):
        with pytest.raises(GlossaryError, match=why):
            read_glossary(write(path, text))


def test_distances() -> None:
    assert distance("kitten", "sitting") == 3 and distance("", "abc") == 3 and distance("same", "same") == 0


# JSON


def test_everything_that_is_known_is_written_and_read_again() -> None:
    transcript = said("One two.", "Three.")
    assert from_plain(Transcript, to_plain(transcript)) == transcript
    figure = Figure(0, 1.5, "media/figures/000.jpg", 640, 360, 120.0, "text")
    recording = Recording(
        "x", "t", "https://x/?t={seconds}", 3.0, (Stream("audio", "aac"),), None, "v", (figure,), (1.0,)
    )
    assert from_plain(Recording, to_plain(recording)) == recording
    assert recording.link_to(61.9) == "https://x/?t=61"
    assert transcript.at(5) == transcript.sentences[0] and transcript.at(-1) is None


@pytest.mark.parametrize(
    "bad", [{"language": 3}, [], None, {"more": 1}, {"sentences": [{"id": "0"}]}, {"coverage": True}]
)
def test_json_of_another_shape_is_refused(bad: object) -> None:
    whole = to_plain(said("One."))
    with pytest.raises(PlainError):
        from_plain(Transcript, {**whole, **bad} if isinstance(bad, dict) else bad)


def test_speech_is_looked_for_once_for_all_subtitles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listened: list[Heard] = []

    def speech(heard: Heard, folder: Path) -> list[tuple[float, float]]:
        listened.append(heard)
        return [(0.0, 2.0)]

    monkeypatch.setattr(transcript, "_speech", speech)
    for name, minute in (("a.srt", "10"), ("b.srt", "11"), ("c.srt", "00")):  # the first two cover nothing of it
        (tmp_path / name).write_text(f"1\n00:{minute}:00,000 --> 00:{minute}:02,000\nWords.\n")
    heard = Heard("talk.mp4", "", 700.0, "media/audio.wav", ("a.srt", "b.srt", "c.srt"))
    made = transcript.transcript(heard, tmp_path, TranscriptSettings())
    assert (made.source, made.coverage, len(listened)) == ("subtitles", 1.0, 1)
    assert made.sentences[0].start == 0.0
