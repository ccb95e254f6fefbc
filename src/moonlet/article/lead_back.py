"""From a sentence of an article back to the second it rests on: links, and what the finished files share."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from moonlet.article.piece import Article, Checked, Claim
from moonlet.article.talk import Recording, Transcript


@dataclass(frozen=True, slots=True)
class ToRender:
    """What the finished files are made from."""

    recording: Recording
    transcript: Transcript
    checked: Checked

    @property
    def article(self) -> Article:
        """The article as it was checked."""
        return self.checked.article

    @property
    def tongue(self) -> str:
        """The article's language as BCP 47 writes it."""
        return _tongue(self.article.language, self.article.script)

    @property
    def spoken(self) -> str:
        """The talk's language as BCP 47 writes it."""
        return _tongue(self.transcript.language, self.transcript.script)

    def second(self, claim: Claim) -> float | None:
        """Where what a sentence rests on begins."""
        ids = [id for id in claim.sentences if 0 <= id < len(self.transcript.sentences)]
        return self.transcript.sentences[min(ids)].start if ids else None

    def said(self, claim: Claim) -> str:
        """What was said there."""
        known = [self.transcript.sentences[id] for id in claim.sentences if 0 <= id < len(self.transcript.sentences)]
        return " ".join(sentence.text for sentence in known)


class Links:
    """Where a second of the recording can be seen from a file in `below`, a folder of the article's folder."""

    def __init__(self, recording: Recording, folder: Path, below: str = "render") -> None:
        self._recording = recording
        self._file: str | None = None
        path = folder / recording.video  # an absolute path stays as it is
        if recording.video and path.is_file():
            self._file = quote(os.path.relpath(path.resolve(), (folder / below).resolve()))

    def to(self, second: float) -> str | None:
        """The site's own address, or the file's with a time fragment; None where neither is known."""
        if self._recording.link and self._recording.link.startswith(("http://", "https://")):
            return self._recording.link_to(second)
        return f"{self._file}#t={second:.1f}" if self._file else None

    @property
    def whole(self) -> str | None:
        """The recording from its beginning."""
        if self._recording.source.startswith(("http://", "https://")):
            return self._recording.source
        return self._file


class Terms:
    """The key terms of a section: each is set in bold where it first stands."""

    def __init__(self, terms: Sequence[str]) -> None:
        self._left = [term.strip() for term in terms if len(term.strip()) > 1]

    def cut(self, text: str) -> Iterator[tuple[str, bool]]:
        """The text in pieces, and whether a piece is bold."""
        at = 0
        for start, end in self._places(text):
            if start > at:
                yield text[at:start], False
            yield text[start:end], True
            at = end
        if at < len(text):
            yield text[at:], False

    def _places(self, text: str) -> list[tuple[int, int]]:
        taken: list[tuple[int, int]] = []
        for term in sorted(self._left, key=len, reverse=True):
            edge = (
                r"\b" if term[0].isascii() and term[-1].isascii() and term[0].isalnum() and term[-1].isalnum() else ""
            )
            match = re.search(f"{edge}{re.escape(term)}{edge}", text, re.IGNORECASE)
            if match and all(match.end() <= start or match.start() >= end for start, end in taken):
                taken.append(match.span())
                self._left.remove(term)
        return sorted(taken)


def _tongue(language: str, script: str | None) -> str:
    return f"{language}-{script}" if language == "zh" and script else language
