"""The article as one file of HTML: no script, no font, no picture from elsewhere. All that was said or written by a
model is escaped; links lead only to the recording."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

from moonlet.article.labels import Labels, labels
from moonlet.article.language import split_words
from moonlet.article.lead_back import Links, Terms, ToRender
from moonlet.article.piece import Claim, Finding, Picture, Quote, Section
from moonlet.article.stages import inside
from moonlet.article.style import STYLE
from moonlet.article.verbatim import clock

# Nothing is loaded or run, whatever a text should manage to be taken for.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_MANY = 4  # sections, from which on there is a table of contents


class Page:
    """One article, on its way to HTML."""

    def __init__(self, given: ToRender, folder: Path) -> None:
        """Figures are read from `folder`."""
        self._given, self._folder = given, folder
        self._article = given.article
        self._links = Links(given.recording, folder)
        self._words: Labels = labels(given.article.language)
        self._spoken = f' lang="{escape(given.spoken)}"' if given.spoken != given.tongue else ""

    def html(self) -> str:
        """The whole file."""
        article, title = self._article, escape(self._article.title)
        body = "".join(
            [
                "<header>", self._kicker(), f"<h1>{self._heading(article.title)}</h1>", self._lead(), "</header>",
                self._points(), self._contents(),
                *(self._section(i, section) for i, section in enumerate(article.sections, 1)),
                "<footer>", self._disclosure(), self._sources(), self._report(), self._transcript(), "</footer>",
            ]
        )  # fmt: skip
        return (
            f'<!doctype html><html lang="{escape(self._given.tongue)}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
            '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
            f'<meta name="generator" content="moonlet"><title>{title}</title><style>{STYLE}</style></head>'
            f"<body><main><article>{body}</article></main></body></html>\n"
        )

    def _heading(self, text: str) -> str:
        """A heading; in Chinese, with the places between words at which its line may break."""
        if self._article.language != "zh" or not text:
            return escape(text)
        opening = "“‘（《「『([<"
        words = split_words(text, "zh")
        breaks = (word[0].isalnum() and before[-1] not in opening for before, word in pairwise(words))
        return escape(words[0]) + "".join(f"{'<wbr>' * may}{escape(word)}" for may, word in zip(breaks, words[1:]))

    def _kicker(self) -> str:
        recording = self._given.recording
        name = escape(recording.title)
        if whole := self._links.whole:
            name = f'<a href="{escape(whole)}" rel="noopener noreferrer">{name}</a>'
        words, report = self._words, self._given.checked.report
        extractive = self._article.mode == "extractive"
        by = words.byline_extractive if extractive else words.byline.format(score=f"{report.score:g}")
        told = f'<a href="#check">{escape(by)}</a>'
        return f'<p class="kicker">{name} · {clock(recording.duration)}<br>{told}</p>'

    def _lead(self) -> str:
        claims = self._claims(self._article.lead, Terms(()))
        return f'<p class="lead">{claims}</p>' if claims else ""

    def _points(self) -> str:
        if not self._article.points:
            return ""
        listed = "".join(f"<li>{self._claim(claim, Terms(()))}</li>" for claim in self._article.points)
        heading = escape(self._words.key_points)
        return (
            f'<section class="card" aria-labelledby="points"><h2 id="points">{heading}</h2><ul>{listed}</ul></section>'
        )

    def _contents(self) -> str:
        sections = self._article.sections
        if len(sections) < _MANY:
            return ""
        rows = "".join(f'<li><a href="#s{i}">{escape(one.heading)}</a></li>' for i, one in enumerate(sections, 1))
        heading = escape(self._words.contents)
        return f'<nav aria-labelledby="contents"><h2 id="contents">{heading}</h2><ol>{rows}</ol></nav>'

    def _section(self, number: int, section: Section) -> str:
        terms = Terms(section.terms)
        blocks = [f"<p>{self._claims(paragraph, terms)}</p>" for paragraph in section.paragraphs]
        # A figure after the paragraph it belongs to, a quote where the eye needs a rest: after the first one.
        for place, picture in enumerate(section.pictures):
            blocks.insert(min(2 * place + 1, len(blocks)), self._picture(picture))
        for quote in section.quotes:
            blocks.insert(len(blocks) // 2 if len(blocks) > 1 else len(blocks), self._quote(quote))
        heading = f'<h2 id="s{number}">{self._heading(section.heading)}{self._time(section.start)}</h2>'
        return f'<section aria-labelledby="s{number}">{heading}{"".join(blocks)}</section>'

    def _claims(self, claims: Sequence[Claim], terms: Terms) -> str:
        # Thai and Chinese have no spaces between sentences of their own; Thai sets one, Chinese its full stop.
        between = "" if self._article.language == "zh" else " "
        return between.join(self._claim(claim, terms) for claim in claims)

    def _claim(self, claim: Claim, terms: Terms) -> str:
        text = "".join(f"<strong>{escape(p)}</strong>" if bold else escape(p) for p, bold in terms.cut(claim.text))
        second = self._given.second(claim)
        time = self._time(second, self._given.said(claim)) if second is not None else ""
        if claim.flagged is None:
            return text + time
        why = f'<span class="why" title="{escape(claim.flagged)}">{escape(self._words.unsure)}</span>'
        return f'<span class="flag">{text}</span>{why}{time}'

    def _time(self, second: float, said: str = "") -> str:
        """A second as a small link; what was said then shows up under the pointer."""
        shown, href = clock(second), self._links.to(second)  # joined to its sentence: it never stands on a line alone
        title = f' title="{escape(said[:400])}"' if said else ""
        if href is None:
            return f'\u2060<span class="t"{title}>{shown}</span>'
        told = escape(self._words.open_at.format(time=shown))
        attributes = f'href="{escape(href)}" rel="noopener noreferrer" aria-label="{told}"{title}'
        return f'\u2060<a class="t" {attributes}>{shown}</a>'

    def _picture(self, picture: Picture) -> str:
        path = inside(self._folder, picture.path)
        try:
            data = base64.b64encode(path.read_bytes()).decode()
        except OSError:
            return ""
        figure = next((one for one in self._given.recording.figures if one.id == picture.figure), None)
        size = f' width="{figure.width}" height="{figure.height}"' if figure else ""
        caption = self._claim(picture.caption, Terms(())) if picture.caption else self._time(picture.time)
        alt = (
            figure.slide_text if figure and figure.slide_text else picture.caption.text if picture.caption else ""
        ).strip()
        alt = alt or f"{self._words.recording}, {clock(picture.time)}"
        image = f'<img src="data:image/jpeg;base64,{data}" alt="{escape(" ".join(alt.split()))}"{size} loading="lazy">'
        return f'<figure class="shot">{image}<figcaption>{caption}</figcaption></figure>'

    def _quote(self, quote: Quote) -> str:
        open_, close = ("「", "」") if self._given.spoken == "zh-Hant" else ("“", "”")
        who = f"{escape(quote.speaker)} " if quote.speaker else ""
        return (
            f'<figure class="pull"><blockquote{self._spoken}>{open_}{escape(quote.text.strip())}{close}</blockquote>'
            f"<figcaption>{who}{self._time(quote.start)}</figcaption></figure>"
        )

    def _disclosure(self) -> str:
        told = self._words.disclosed(self._article, self._article.model or "?")
        return f'<p class="small">{escape(told)}</p>'

    def _sources(self) -> str:
        words, recording, transcript = self._words, self._given.recording, self._given.transcript
        spoken = words.languages.get(transcript.language, transcript.language)
        rows = [(words.recording, recording.title), (words.length, clock(recording.duration)), (words.spoken, spoken)]
        listed = "".join(f"<tr><th scope=row>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
        changes = ", ".join(f"{one.before} → {one.after} ({one.count})" for one in transcript.changes)
        notes = [words.made_how(transcript), *([f"{words.spellings}: {changes}"] if changes else [])]
        notes += [*recording.notes, *self._article.notes]
        return f"<h2>{escape(words.sources)}</h2><table>{listed}</table>{_paragraphs(notes)}"

    def _report(self) -> str:
        words, report = self._words, self._given.checked.report
        listed = "".join(
            f"<tr><th scope=row>{escape(name)}</th><td>{escape(held)}</td></tr>" for name, held in words.rows(report)
        )
        found = "".join(self._finding(one) for one in report.findings)
        shown = f'<ul class="found">{found}</ul>' if found else f"<p>{escape(words.nothing_found)}</p>"
        only = "" if report.by_words else f"<p>{escape(words.only_by_numbers)}</p>"
        score = escape(words.score.format(score=f"{report.score:g}"))
        return f'<h2 id="check">{escape(words.check)}</h2><p>{score}</p><table>{listed}</table>{only}{shown}'

    def _finding(self, finding: Finding) -> str:
        told = f'<br><span class="small" lang="en">{escape(finding.told)}</span>'
        return f"<li><b>{escape(self._words.found(finding))}</b>{escape(finding.text)}{told}</li>"

    def _transcript(self) -> str:
        lines = []
        for sentence in self._given.transcript.sentences:
            text = escape(sentence.text)
            if sentence.doubtful:
                text = f'<span class="unclear" title="{escape(self._words.doubtful)}">{text}</span>'
            lines.append(f'<p class="line" id="t{sentence.id}">{self._time(sentence.start)}{text}</p>')
        heading, text = escape(self._words.transcript), "".join(lines)
        return f'<details class="transcript"><summary>{heading}</summary><div{self._spoken}>{text}</div></details>'


def _paragraphs(texts: Iterable[str]) -> str:
    return "".join(f'<p class="small">{escape(text)}</p>' for text in texts)
