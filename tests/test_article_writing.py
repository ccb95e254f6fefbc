"""From a transcript to finished files: a scripted model behind OpenAI's protocol, in three languages; and none."""

import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from article_talks import EN, Language, made_up, talk
from moonlet.article import ask, compose
from moonlet.article.ask import Asker, NoAnswerError, Stopped, TooMuchError, read_json
from moonlet.article.chapters import cut, fit
from moonlet.article.compose import Composing
from moonlet.article.cues import cues, srt, vtt
from moonlet.article.lead_back import Terms, ToRender
from moonlet.article.markdown import escaped
from moonlet.article.outline import OutlineSettings, outline_stage, ranked
from moonlet.article.piece import Article, Checked, Claim, Count, Finding, Quote, Report, Section
from moonlet.article.prepare import Prepared
from moonlet.article.render import STAGE as RENDER
from moonlet.article.render import RenderSettings
from moonlet.article.stages import StageError
from moonlet.article.talk import Figure, Recording, Transcript
from moonlet.article.verbatim import Spoken
from moonlet.article.write import ToWrite, WriteSettings, extracted
from moonlet.chat.messages import Message, ToolSpec
from moonlet.llm import BusyError, LLMError, RefusedError, TooLongError
from moonlet.llm.remote import Remote
from moonlet.llm.scripted import Scripted
from serving import serving

HERE = Path(__file__).parent
SMALL_JPEG = (HERE / "data" / "talks" / "slide.jpg").read_bytes()


def honest(messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> str:
    """What a model that does as it is told would answer, made of the material itself."""
    task, material = messages[0].content, messages[1].content
    schema = json.loads(task.rsplit("Its schema:\n", 1)[1])
    wanted = schema["properties"]
    said = [(int(id), text) for id, text in re.findall(r"^ *\[(\d+)\] (.*)$", material, re.MULTILINE)]
    first = said[0]
    if "quotable" in wanted:  # a chapter
        points = [{"text": text, "sentences": [id]} for id, text in said[:3]]
        return json.dumps({"title": first[1][:30], "points": points, "terms": [], "quotable": [said[-1][0]]})
    if "sections" in wanted:  # the whole
        chapters = len(re.findall(r"^Chapter", material, re.MULTILINE))
        sections = [{"heading": "What comes now", "begins_with_chapter": n} for n in range(min(chapters, 3))]
        key = [{"text": text, "of": [id]} for id, text in said[:3]]
        return json.dumps({"title": "What was said", "key_points": key, "sections": sections})
    if "headings" in wanted:  # the beginning
        count = wanted["headings"]["minItems"]
        key = [{"text": text, "of": [id]} for id, text in said]
        return json.dumps(
            {
                "title": "What was said",
                "lead": key[:1],
                "key_points": key,
                "headings": ["What comes now" for _ in range(count)],
            }
        )
    if "paragraphs" in wanted:
        claims = [{"text": text, "sentences": [id]} for id, text in said[:4]]
        answer: dict[str, Any] = {"paragraphs": [claims[:2], claims[2:]] if claims[2:] else [claims], "terms": []}
        answer["paragraphs"] = answer["paragraphs"][: wanted["paragraphs"]["maxItems"]]
        if "captions" in wanted:
            ids = wanted["captions"]["items"]["properties"]["figure"]["enum"]
            answer["captions"] = [{"figure": id, "text": first[1], "sentences": [first[0]]} for id in ids]
        return json.dumps(answer)
    return json.dumps({"title": first[1][:30], "points": [{"text": text, "of": [id]} for id, text in said[:3]]})


def _prepared(said: Transcript, folder: Path) -> Prepared:
    figure = Figure(0, said.sentences[4].start, "media/figures/0.jpg", 16, 9, 140.0, "Battery, 15 kg")
    (folder / figure.path).parent.mkdir(parents=True)
    (folder / figure.path).write_bytes(SMALL_JPEG)
    link = "https://video.example/watch?v=1&t={seconds}"
    return Prepared(
        Recording("https://video.example/watch?v=1", "A talk", link, said.duration, (), None, "", (figure,)), said
    )


def _always(answer: Callable[..., str], piece: int = 400) -> Scripted:
    return Scripted(itertools.repeat(answer), piece=piece)


@pytest.mark.parametrize("language", ["en", "th", "zh"])
def test_the_whole_way_behind_the_protocol(language: Language, tmp_path: Path) -> None:
    said = made_up()[language]
    model = _always(honest)
    with serving(model) as url:
        remote = Remote(url)
        made = compose.compose(_prepared(said, tmp_path), tmp_path, Composing(), remote)
        remote.close()
    assert all(options.answer_schema for _, _, options in model.asked)  # the schema went over the wire
    article, report = made.checked.article, made.checked.report
    assert article.mode == "written" and article.language == language and report.findings == () and report.score == 100
    assert len(article.sections) >= 2 and article.points and article.lead
    assert sum(len(section.pictures) for section in article.sections) == 1
    for section in article.sections:
        for quote in section.quotes:  # verbatim, at their second
            assert quote.text == said.sentences[quote.sentences[0]].text
            assert quote.start == said.sentences[quote.sentences[0]].words[0].start
    assert set(made.rendered.files) >= {
        f"render/article.{kind}" for kind in ("html", "md", "json", "docx", "srt", "vtt")
    }
    html = (tmp_path / "render/article.html").read_text(encoding="utf-8")
    assert f'<html lang="{language}' in html and "&amp;t=" in html and "data:image/jpeg;base64," in html
    whole = json.loads((tmp_path / "render/article.json").read_text(encoding="utf-8"))
    assert whole["report"]["score"] == 100 and len(whole["transcript"]["sentences"]) == len(said.sentences)
    # Nothing is done again, and a lost file is made again.
    (tmp_path / "render/article.md").unlink()
    again = compose.compose(Prepared(_recording(tmp_path), said), tmp_path, Composing(), Scripted((), name="scripted"))
    assert again.checked == made.checked and (tmp_path / "render/article.md").is_file()


def _recording(folder: Path) -> Recording:
    figure = Figure(0, 0.0, "media/figures/0.jpg", 16, 9, 140.0, "Battery, 15 kg")
    kept = json.loads((folder / "render.json").read_text(encoding="utf-8"))["input"]["recording"]
    figures = (replace(figure, time=kept["figures"][0]["time"]),)
    return Recording(kept["source"], kept["title"], kept["link"], kept["duration"], (), None, "", figures)


def test_three_languages_from_one_outline(tmp_path: Path) -> None:
    said = made_up()["en"]
    prepared = _prepared(said, tmp_path)
    model = _always(honest)
    asked = []
    for language in ("en", "th", "zh"):
        wish = Composing(write=WriteSettings(language=language))
        made = compose.compose(prepared, tmp_path, wish, model)
        assert made.checked.article.language == language and made.checked.article.spoken == "en"
        assert made.checked.report.by_words == (language == "en")
        asked.append(len(model.asked))
    outlining = sum("You prepare an article" in messages[0].content for messages, _, _ in model.asked)
    assert outlining == len(made.checked.article.sections) or outlining <= 5
    assert "Write in Thai" in str([m[0].content for m, _, _ in model.asked]) and asked == sorted(asked)
    html = (tmp_path / "render/article.html").read_text(encoding="utf-8")
    assert '<html lang="zh' in html and '<blockquote lang="en">' in html and "要点" in html


def test_hours_fit_a_small_context(tmp_path: Path) -> None:
    said = talk("\n".join(f"{line} This is repeat {n}." for n in range(20) for line in EN.splitlines()), "en")
    sizes: list[int] = []

    def narrow(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        sizes.append(model.count(messages))
        return honest(messages)

    model = _always(narrow, piece=4)  # of which it counts one as a token

    made = compose.compose(
        Prepared(Recording("talk.mp4", "A long talk", None, said.duration, (), None, ""), said), tmp_path,
        Composing(OutlineSettings(length="short", context=2400), WriteSettings(length="short", context=2400)),
        model,
    )  # fmt: skip
    outline = json.loads((tmp_path / "outline.json").read_text(encoding="utf-8"))["output"]
    assert max(sizes) < 2400 - 600 and len(sizes) > 10
    ends = [(part["first"], part["last"]) for part in outline["parts"]]  # together all that was said, in order
    assert ends[0][0] == 0 and ends[-1][1] == len(said.sentences) - 1
    assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(ends))
    assert made.checked.report.quotes.of == made.checked.report.quotes.held > 0


def test_a_context_smaller_than_was_thought(tmp_path: Path) -> None:
    def refusing(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        size = sum(len(message.content) for message in messages) // 3
        if size > 900:
            raise TooLongError(size, 900)
        return honest(messages)

    said = made_up()["en"]
    outline = outline_stage(_always(refusing)).run(said, tmp_path, OutlineSettings(), lambda done, of: None)
    assert outline.mode == "written" and outline.parts[-1].last == len(said.sentences) - 1


GOOD = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 5}}, "required": ["n"]}


def test_answers_are_read_tolerantly_and_asked_for_again(tmp_path: Path) -> None:
    model = Scripted(["Here you are: {n: 3}", '{"n": 9}', 'Sorry!\n```json\n{"n": 4,}\n```'])
    assert Asker(model, tmp_path).ask("Count", "[0] four", GOOD) == {"n": 4}
    assert "must be at most 5" in model.asked[2][0][-1].content
    assert Asker(Scripted(()), tmp_path).ask("Count", "[0] four", GOOD) == {"n": 4}  # kept: nobody was asked
    with pytest.raises(NoAnswerError, match="3 tries"):
        Asker(Scripted(["no", "no", "no", '{"n": 1}'])).ask("Count", "[0] four", GOOD)


def test_half_a_character_in_an_answer_can_be_kept(tmp_path: Path) -> None:
    line = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    deep = '{"title": ' + "[" * 700 + '"\\ud83d"' + "]" * 700 + "}"  # asked again, not broken on
    title = Asker(Scripted([deep, '{"title": "Smile \\ud83d now"}']), tmp_path).ask("Name it", "x", line)["title"]
    assert title == "Smile \ufffd now"


def test_a_model_that_takes_no_schema() -> None:
    def refuse(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        raise RefusedError("response_format is not supported")

    model = Scripted([refuse, '{"n": 1}', '{"n": 2}'])
    asker = Asker(model)
    assert asker.ask("A", "x", GOOD) == {"n": 1} and asker.ask("B", "y", GOOD) == {"n": 2}
    assert [options.answer_schema is None for _, _, options in model.asked] == [False, True, True]


def test_what_a_model_can_do_to_an_asker(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(error: Exception) -> Scripted:
        def fail(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
            raise error

        return _always(fail)

    monkeypatch.setattr(ask.time, "sleep", lambda seconds: None)
    with pytest.raises(TooMuchError):
        Asker(failing(RefusedError("maximum context length is 4096 tokens"))).ask("A", "x", GOOD)
    with pytest.raises(StageError, match="busy"):
        Asker(failing(BusyError("busy"))).ask("A", "x", GOOD)
    with pytest.raises(StageError, match="gone"):
        Asker(failing(LLMError("gone"))).ask("A", "x", GOOD)
    with pytest.raises(Stopped):
        Asker(Scripted(['{"n": 1}']), stopped=lambda: True).ask("A", "x", GOOD)
    assert read_json('<think>{}</think> {"a": [1,],} tail }') == {"a": [1]} and read_json("none {") is None


def test_a_chapter_that_gets_no_answer_is_ranked_and_told(tmp_path: Path) -> None:
    calls = itertools.count()

    def flaky(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        return "I would rather not." if next(calls) < 3 else honest(messages)

    outline = outline_stage(_always(flaky)).run(made_up()["en"], tmp_path, OutlineSettings(), lambda done, of: None)
    assert outline.mode == "written" and "were ranked, not read" in outline.notes[0]


def test_a_model_of_no_use_wrote_nothing(tmp_path: Path) -> None:
    said = made_up()["en"]
    useless = _always(lambda messages, tools=(): "I would rather not.")
    made = compose.compose(_prepared(said, tmp_path), tmp_path, Composing(), useless)
    article = made.checked.article
    assert (article.mode, article.model) == ("extractive", None) and made.checked.report.score == 100
    assert {claim.text for _, claim in article.claims()} <= {sentence.text for sentence in said.sentences}
    assert article.notes == ("scripted gave no answer that could be used: sentences were taken over as they were said",)
    with pytest.raises(StageError, match="no article in th"):
        compose.compose(
            _prepared(said, tmp_path / "th"), tmp_path / "th", Composing(write=WriteSettings(language="th")), useless
        )


def test_stopped_work_asks_nothing_twice(tmp_path: Path) -> None:
    said = made_up()["en"]
    calls = itertools.count()

    def killed(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        if next(calls) == 5:
            raise KeyboardInterrupt
        return honest(messages)

    prepared = _prepared(said, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        compose.compose(prepared, tmp_path, Composing(), _always(killed))
    first = Scripted(itertools.repeat(honest), piece=400)
    compose.compose(prepared, tmp_path, Composing(), first)
    other = Scripted(itertools.repeat(honest), piece=400)
    (tmp_path / "other").mkdir()
    compose.compose(_prepared(said, tmp_path / "other"), tmp_path / "other", Composing(), other)
    assert len(first.asked) == len(other.asked) - 5


def test_a_stage_done_again_asks_the_model_again(tmp_path: Path) -> None:
    prepared = _prepared(made_up()["en"], tmp_path)
    first = _always(honest)
    assert compose.compose(prepared, tmp_path, Composing(), first).checked.article.title == "What was said"

    def another(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        return honest(messages).replace("What was said", "What was told")

    asked = 0
    for stage in ("outline", "write"):  # the outline comes out as before, so that nothing follows from it
        model = _always(another if stage == "write" else honest)
        made = compose.compose(prepared, tmp_path, Composing(), model, redo=(stage,))
        assert len(model.asked) > 1, stage
        asked += len(model.asked)
    assert made.checked.article.title == "What was told" and asked == len(first.asked)
    assert "# What was told" in (tmp_path / "render/article.md").read_text(encoding="utf-8")
    kept = compose.compose(prepared, tmp_path, Composing(), Scripted(()))  # nobody is asked
    assert kept.checked == made.checked


def test_a_stage_done_again_that_was_stopped_goes_on(tmp_path: Path) -> None:
    prepared = _prepared(made_up()["en"], tmp_path)
    compose.compose(prepared, tmp_path, Composing(), _always(honest))
    calls = itertools.count()

    def another(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        return honest(messages).replace("What comes now", "What comes next")

    def killed(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return another(messages, tools)

    with pytest.raises(KeyboardInterrupt):
        compose.compose(prepared, tmp_path, Composing(), _always(killed), redo=("write",))
    rest, whole = _always(another), _always(another)
    made = compose.compose(prepared, tmp_path, Composing(), rest)
    assert made == compose.compose(prepared, tmp_path, Composing(), whole, redo=("write",))
    assert len(rest.asked) == len(whole.asked) - 2


def test_what_lies_beside_the_rendered_files_stays(tmp_path: Path) -> None:
    prepared = _prepared(made_up()["en"], tmp_path)
    compose.compose(prepared, tmp_path, Composing())
    printed = tmp_path / "render/article.pdf"
    printed.write_bytes(b"somebody's own")
    (tmp_path / "render/article.md").write_text("spoiled")
    compose.compose(prepared, tmp_path, Composing(), redo=("render",))
    assert printed.is_file() and (tmp_path / "render/article.md").read_text(encoding="utf-8") != "spoiled"


def test_a_link_in_a_stage_s_place_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    folder, away = tmp_path / "a", tmp_path / "away"
    away.mkdir()
    (away / "mine.txt").write_text("x")
    prepared = _prepared(made_up()["en"], folder)
    (folder / "write").symlink_to(away)
    compose.compose(prepared, folder, Composing(), _always(honest), redo=("write",))
    assert [one.name for one in away.iterdir()] == ["mine.txt"] and not (folder / "write").is_symlink()


@pytest.mark.parametrize("language", ["en", "th", "zh"])
def test_without_a_model_sentences_are_taken_over(language: Language, tmp_path: Path) -> None:
    said = made_up()[language]
    made = compose.compose(_prepared(said, tmp_path), tmp_path, Composing())
    article = made.checked.article
    spoken = {sentence.text for sentence in said.sentences}
    assert article.mode == "extractive" and article.model is None and made.checked.report.score == 100
    assert {claim.text for _, claim in article.claims()} <= spoken
    assert all(
        section.heading in said.text or section.heading.lower() in said.text.lower() for section in article.sections
    )
    for kind in ("html", "md"):
        text = (tmp_path / f"render/article.{kind}").read_text(encoding="utf-8")
        assert {"en": "put together by a program", "th": "โปรแกรมเรียบเรียง", "zh": "摘取原句"}[language] in text
    other: Language = "zh" if language == "en" else "en"
    with pytest.raises(StageError, match="stays in the talk's language"):
        extracted(ToWrite(said, ranked(said, "short")), WriteSettings(language=other))


def test_an_empty_transcript_is_told() -> None:
    silence = Transcript("en", None, 10.0, (), 1.0, "recognised")
    with pytest.raises(StageError, match="nothing was said"):
        outline_stage(None).run(silence, Path(), OutlineSettings(), lambda done, of: None)


def test_chapters_cover_everything_in_order() -> None:
    sentences = made_up()["zh"].sentences
    for count in (1, 3, 50):
        stretches = cut(sentences, count)
        assert [id for first, last in stretches for id in range(first, last + 1)] == list(range(len(sentences)))
        assert len(stretches) <= count
        fitted = fit(stretches, lambda place: 10, 25)
        assert all(last - first < 3 for first, last in fitted) and fitted[-1][1] == len(sentences) - 1
    assert cut((), 3) == []


# What might be said, read or written by somebody who wants to break out of the page.
HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)>",
    "](javascript:alert(1)) [click](https://evil.example) ![x](https://evil.example/x.png)",
    '" onmouseover="alert(1) \' --> {\\an8}{\\p1} &lt;b&gt; <b>',
    "# not a heading\n- not a list\n> not a quote ``` `code` **bold** _it_ | a | $x$ \x07\u202e",
    "1. https://evil.example www.evil.example @someone",
)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


def _hostile(folder: Path) -> ToRender:
    said = talk("\n".join(" ".join(text.split()) for text in HOSTILE), "en")
    claims = tuple(Claim(text, (id,), flagged=HOSTILE[0]) for id, text in enumerate(HOSTILE))
    quote = Quote((0,), HOSTILE[0], 1.0, 2.0, HOSTILE[2])
    section = Section(HOSTILE[2], 0.0, (claims,), ("<b>", "(", "alert(1)"), (quote,))
    article = Article("en", None, "en", "written", HOSTILE[2], HOSTILE[0], claims, claims, (section,), HOSTILE)
    finding = Finding("quote", "lead", HOSTILE[0], HOSTILE[2], True)
    report = Report(Count(0, 1), Count(0, 1), Count(0, 0), Count(0, 0), 0.0, True, (finding,))
    recording = Recording(HOSTILE[0], HOSTILE[2], "javascript:alert({seconds})", 60.0, (), None, "", notes=HOSTILE)
    return ToRender(recording, said, Checked(article, report))


@pytest.mark.parametrize(
    "text", ["see https://evil.example/x", "请看https://evil.example/x", "和www.evil.example", "_www.a.example"]
)
def test_a_bare_address_is_no_link_in_any_language(text: str) -> None:
    assert "\\:" in escaped(text) or "www\\." in escaped(text)


def test_nothing_breaks_out_of_the_files(tmp_path: Path) -> None:
    RENDER.run(_hostile(tmp_path), tmp_path, RenderSettings(), lambda done, of: None)
    html = (tmp_path / "render/article.html").read_text(encoding="utf-8")
    tags = _Tags()
    tags.feed(html)
    assert not tags.tags & {"script", "img", "iframe", "object", "base", "form", "svg", "link"}
    assert not any(name.startswith("on") for name, _ in tags.attributes)
    assert all((value or "").startswith("#") for name, value in tags.attributes if name == "href")
    assert "javascript:" not in html.replace("](javascript:alert(1))", "")  # shown as text only
    markdown_it = pytest.importorskip("markdown_it")
    shown = (
        markdown_it.MarkdownIt("commonmark")
        .enable(["table", "strikethrough"])
        .render((tmp_path / "render/article.md").read_text(encoding="utf-8"))
    )
    found = _Tags()
    found.feed(shown)
    assert found.tags <= {"h1", "h2", "p", "ul", "li", "strong", "blockquote", "hr"}
    pysubs2 = pytest.importorskip("pysubs2")
    said = _hostile(tmp_path).transcript
    for kind, text in (("srt", srt(said)), ("vtt", vtt(said))):
        read = pysubs2.SSAFile.from_string(text, format_=kind)
        assert len(read) == len(cues(said))
        assert "alert(1)" in read[0].plaintext
    docx = pytest.importorskip("docx")
    document = docx.Document(str(tmp_path / "render/article.docx"))
    assert any("<script>" in paragraph.text for paragraph in document.paragraphs)
    assert not [one for one in document.part.rels.values() if one.is_external]


def test_files_say_what_the_article_says(tmp_path: Path) -> None:
    said = made_up()["en"]
    made = compose.compose(_prepared(said, tmp_path), tmp_path, Composing(), _always(honest))
    article = made.checked.article
    text = (tmp_path / "render/article.md").read_text(encoding="utf-8")
    assert text.startswith("# What was said") and "## Key points" in text and "![" in text
    assert (tmp_path / "render/figures/0.jpg").read_bytes() == SMALL_JPEG
    docx = pytest.importorskip("docx")
    document = docx.Document(str(tmp_path / "render/article.docx"))
    styles = [paragraph.style.name for paragraph in document.paragraphs]
    assert (
        styles.count("Heading 1") == len(article.sections) + 3
        and "Quote" in styles
        and len(document.inline_shapes) == 1
    )
    words = "\n".join(paragraph.text for paragraph in document.paragraphs)
    assert all(claim.text in words for _, claim in article.claims())


@pytest.mark.parametrize("language", ["en", "th", "zh"])
def test_subtitles_are_all_that_was_said_in_readable_pieces(language: Language) -> None:
    said = made_up()[language]
    listed = cues(said)
    assert re.sub(r"\s", "", "".join(cue.text for cue in listed)) == re.sub(r"\s", "", said.text)
    assert all(before.end <= after.start + 1e-6 for before, after in itertools.pairwise(listed))
    assert max(cue.end - cue.start for cue in listed) <= 8 and all(cue.end > cue.start for cue in listed)


def test_terms_are_bold_where_they_first_stand() -> None:
    terms = Terms(["salt water", "Cell", "ell"])
    assert list(terms.cut("In salt water a cell dies.")) == [
        ("In ", False), ("salt water", True), (" a ", False), ("cell", True), (" dies.", False)
    ]  # fmt: skip
    assert list(terms.cut("A cell in salt water")) == [("A cell in salt water", False)]
    assert list(Terms(["ดอยภูคา"]).cut("บนดอยภูคา")) == [("บน", False), ("ดอยภูคา", True)]


def test_a_quote_at_a_word_in_the_middle_has_that_word_s_second() -> None:
    said = made_up()["th"]
    (place,) = Spoken(said).find("สูงสามร้อยห้าสิบเมตร")
    word = next(word for word in said.sentences[4].words if word.text.startswith("สูง"))
    assert place.sentences == (4,) and place.start == word.start
