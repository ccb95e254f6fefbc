"""The article as Markdown. What could be taken for markup is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence

from moonlet.article.labels import labels
from moonlet.article.lead_back import Links, Terms, ToRender
from moonlet.article.piece import Claim, Quote, Section
from moonlet.article.verbatim import clock

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!&$^=@])")
_LINE_START = re.compile(r"^(\s*)([-+>]|\d+(?=[.)]))")


def escaped(text: str) -> str:
    """A text of one line that Markdown shows as it is."""
    text = _MARKUP.sub(r"\\\1", " ".join(text.split()))
    text = re.sub(
        r"(?i)(?<![a-z0-9])(https?|ftp|mailto|www)([:.])", r"\1\\\2", text
    )  # some renderers make links of bare addresses, also right behind a Chinese word
    return _LINE_START.sub(
        lambda match: f"{match[1]}{match[2]}\\" if match[2].isdigit() else f"{match[1]}\\{match[2]}", text
    )


def markdown(given: ToRender, links: Links) -> str:
    """The whole file. Figures are expected in `figures/ID.jpg` beside it."""
    return _Markdown(given, links).text()


class _Markdown:
    def __init__(self, given: ToRender, links: Links) -> None:
        self._given, self._links = given, links
        self._words = labels(given.article.language)
        self._between = "" if given.article.language == "zh" else " "

    def text(self) -> str:
        """The file's content."""
        article = self._given.article
        blocks = [f"# {escaped(article.title)}"]
        if article.lead:
            blocks.append(self._claims(article.lead, Terms(())))
        if article.points:
            points = "\n".join(f"- {self._claim(claim, Terms(()))}" for claim in article.points)
            blocks += [f"## {self._words.key_points}", points]
        for section in article.sections:
            blocks += self._section(section)
        return "\n\n".join([*blocks, *self._end()]) + "\n"

    def _section(self, section: Section) -> list[str]:
        terms = Terms(section.terms)
        blocks = [f"## {escaped(section.heading)}"]
        blocks += [self._claims(paragraph, terms) for paragraph in section.paragraphs]
        for picture in section.pictures:
            caption = self._claim(picture.caption, Terms(())) if picture.caption else self._time(picture.time)
            alt = escaped(picture.caption.text if picture.caption else clock(picture.time))
            blocks += [f"![{alt}](figures/{picture.figure}.jpg)", caption]
        return blocks + [self._quote(quote) for quote in section.quotes]

    def _claims(self, claims: Sequence[Claim], terms: Terms) -> str:
        return self._between.join(self._claim(claim, terms) for claim in claims)

    def _claim(self, claim: Claim, terms: Terms) -> str:
        text = "".join(f"**{escaped(p)}**" if bold else _kept_spaces(p) for p, bold in terms.cut(claim.text))
        second = self._given.second(claim)
        flag = f" ({self._words.unsure}: {escaped(claim.flagged)})" if claim.flagged else ""
        return text + flag + (f" {self._time(second)}" if second is not None else "")

    def _time(self, second: float) -> str:
        href = self._links.to(second)
        return f"[{clock(second)}](<{href}>)" if href and not re.search(r"[<>\s\\]", href) else f"({clock(second)})"

    def _quote(self, quote: Quote) -> str:
        who = f"{escaped(quote.speaker)}, " if quote.speaker else ""
        return f"> “{escaped(quote.text)}”\n>\n> {who}{self._time(quote.start)}"

    def _end(self) -> list[str]:
        words, given = self._words, self._given
        recording, transcript, report = given.recording, given.transcript, given.checked.report
        blocks = ["---", f"## {words.sources}"]
        blocks.append(f"{escaped(recording.title)}, {clock(recording.duration)}. {words.made_how(transcript)}.")
        if transcript.changes:
            changes = ", ".join(
                f"{escaped(one.before)} → {escaped(one.after)} ({one.count})" for one in transcript.changes
            )
            blocks.append(f"{words.spellings}: {changes}")
        blocks += [escaped(note) for note in (*recording.notes, *given.article.notes)]
        blocks += [f"## {words.check}", words.score.format(score=f"{report.score:g}") + "."]
        blocks.append("\n".join(f"- {name}: {held}" for name, held in words.rows(report)))
        if not report.by_words:
            blocks.append(words.only_by_numbers)
        blocks.append("\n".join(self._findings()) or words.nothing_found)
        blocks.append(words.disclosed(given.article, escaped(given.article.model or "?")))
        return blocks

    def _findings(self) -> list[str]:
        return [
            f"- {self._words.found(one)}{escaped(one.text)} ({escaped(one.told)})"
            for one in self._given.checked.report.findings
        ]


def _kept_spaces(text: str) -> str:
    """Escaped, with the spaces that join it to a bold piece."""
    lead = " " if text[:1].isspace() else ""
    tail = " " if text[-1:].isspace() and len(text) > 1 else ""
    return lead + escaped(text) + tail
