"""The article as a Word document (.docx), with python-docx: real headings, quotes, figures and links."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moonlet.article.labels import labels
from moonlet.article.lead_back import Links, Terms, ToRender
from moonlet.article.piece import Claim, Quote, Section
from moonlet.article.stages import inside
from moonlet.article.verbatim import clock

# Word chooses a font by script: Latin letters, signs of East Asia, and "complex" scripts, of which Thai is one.
_FONTS = {
    "en": ("Georgia", "Songti SC", "Leelawadee UI"),
    "th": ("Leelawadee UI", "Songti SC", "Leelawadee UI"),
    "zh": ("Georgia", "SimSun", "Leelawadee UI"),
}
_LOCALES = {"en": "en-US", "th": "th-TH", "zh": "zh-CN", "zh-Hans": "zh-CN", "zh-Hant": "zh-TW"}
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # in XML
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"  # version 1.1, no density, no thumbnail
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # so that the same article is the same file


def word_file(given: ToRender, folder: Path, links: Links) -> bytes:
    """The whole file; figures are read from `folder`."""
    return _Document(given, folder, links).bytes()


class _Document:
    def __init__(self, given: ToRender, folder: Path, links: Links) -> None:
        from docx import Document

        self._given, self._folder, self._links = given, folder, links
        self._words = labels(given.article.language)
        self._between = "" if given.article.language == "zh" else " "
        self._file: Any = Document()
        self._set_up()

    def bytes(self) -> bytes:
        """The file's content."""
        article, words = self._given.article, self._words
        self._file.add_heading(_clean(article.title), 0)
        recording = self._given.recording
        self._paragraph(f"{recording.title} · {clock(recording.duration)}", "Subtitle")
        if article.lead:
            self._claims(article.lead, Terms(()))
        if article.points:
            self._file.add_heading(words.key_points, 1)
            for claim in article.points:
                self._claims([claim], Terms(()), "List Bullet")
        for section in article.sections:
            self._section(section)
        self._end()
        content = io.BytesIO()
        self._file.save(content)
        return content.getvalue()

    def _set_up(self) -> None:
        from docx.oxml.ns import qn

        latin, asian, thai = _FONTS.get(self._given.article.language, _FONTS["en"])
        locale = _LOCALES.get(self._given.tongue, "en-US")
        for name in ("Normal", "Title", "Subtitle", "Heading 1", "Heading 2", "Quote", "List Bullet", "Caption"):
            properties = self._file.styles[name].element.get_or_add_rPr()
            fonts = properties.get_or_add_rFonts()
            for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
                fonts.attrib.pop(qn(f"w:{theme}"), None)
            for kind, font in (("ascii", latin), ("hAnsi", latin), ("eastAsia", asian), ("cs", thai)):
                fonts.set(qn(f"w:{kind}"), font)
            if name == "Normal":
                properties.append(_element("w:lang", val=locale, eastAsia=_LOCALES.get("zh"), bidi="th-TH"))
                self._file.styles[name].paragraph_format.line_spacing = 1.4
        core = self._file.core_properties
        core.title, core.author, core.comments = _clean(self._given.article.title), "moonlet", ""
        core.language, core.created, core.modified = locale, _EPOCH, _EPOCH

    def _section(self, section: Section) -> None:
        self._file.add_heading(_clean(section.heading), 1)
        terms = Terms(section.terms)
        for paragraph in section.paragraphs:
            self._claims(paragraph, terms)
        for picture in section.pictures:
            path = inside(self._folder, picture.path)
            if path.is_file():
                from docx.shared import Inches

                self._file.add_picture(io.BytesIO(_as_jfif(path.read_bytes())), width=Inches(6))
                if picture.caption:
                    self._claims([picture.caption], Terms(()), "Caption")
        for quote in section.quotes:
            self._quote(quote)

    def _claims(self, claims: Sequence[Claim], terms: Terms, style: str | None = None) -> None:
        paragraph = self._file.add_paragraph(style=style)
        for i, claim in enumerate(claims):
            if i:
                paragraph.add_run(self._between)
            for piece, bold in terms.cut(claim.text):
                run = paragraph.add_run(_clean(piece))
                run.bold = bold or None
            if claim.flagged:
                paragraph.add_run(f" ({_clean(self._words.unsure)}: {_clean(claim.flagged)})").italic = True
            if (second := self._given.second(claim)) is not None:
                paragraph.add_run(" ")
                self._time(paragraph, second)

    def _time(self, paragraph: Any, second: float) -> None:
        """A second as a small link."""
        href = self._links.to(second)
        if href is None:
            self._small(paragraph.add_run(f"({clock(second)})"))
            return
        from docx.opc.constants import RELATIONSHIP_TYPE

        target = paragraph.part.relate_to(href, RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
        link = _element("w:hyperlink", **{"r:id": target})
        run = paragraph.add_run(clock(second))
        self._small(run)
        link.append(run._r)
        paragraph._p.append(link)

    def _small(self, run: Any) -> None:
        from docx.shared import Pt, RGBColor

        run.font.size, run.font.color.rgb = Pt(7.5), RGBColor(0x66, 0x63, 0x5C)

    def _quote(self, quote: Quote) -> None:
        paragraph = self._file.add_paragraph(style="Quote")
        paragraph.add_run(f"“{_clean(quote.text)}” ").italic = False
        if quote.speaker:
            paragraph.add_run(f"{_clean(quote.speaker)} ")
        self._time(paragraph, quote.start)

    def _paragraph(self, text: str, style: str | None = None) -> None:
        self._file.add_paragraph(_clean(text), style=style)

    def _end(self) -> None:
        words, given = self._words, self._given
        transcript, report, article = given.transcript, given.checked.report, given.article
        self._file.add_heading(words.sources, 1)
        self._paragraph(f"{given.recording.title}, {clock(given.recording.duration)}")
        self._paragraph(words.made_how(transcript))
        for note in (*given.recording.notes, *article.notes):
            self._paragraph(note)
        self._file.add_heading(words.check, 1)
        self._paragraph(words.score.format(score=f"{report.score:g}"))
        for name, held in words.rows(report):
            self._paragraph(f"{name}: {held}", "List Bullet")
        if not report.by_words:
            self._paragraph(words.only_by_numbers)
        for one in report.findings:
            self._paragraph(f"{words.found(one)}{one.text} ({one.told})", "List Bullet")
        if not report.findings:
            self._paragraph(words.nothing_found)
        self._paragraph(words.disclosed(article, article.model or "?"))


def _as_jfif(jpeg: bytes) -> bytes:
    """The same picture with the header by which python-docx knows a JPEG; FFmpeg's encoder writes none."""
    known = jpeg[6:10] in (b"JFIF", b"Exif")
    return jpeg if known else jpeg[:2] + _JFIF + jpeg[2:]


def _clean(text: str) -> str:
    """Without signs that XML cannot hold."""
    return _ILLEGAL.sub("", text)


def _element(tag: str, **attributes: str | None) -> Any:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    element = OxmlElement(tag)
    for name, value in attributes.items():
        element.set(qn(name if ":" in name else f"w:{name}"), value)
    return element
