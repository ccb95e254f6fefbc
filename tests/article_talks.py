"""Short talks in three languages as transcripts: made up, and real texts that anybody may use (the Gettysburg Address,
Kennedy's inaugural address, article 1 of the Universal Declaration, the end of Lu Xun's Hometown)."""

from functools import cache
from pathlib import Path
from typing import Literal

from moonlet.article.talk import Change, Sentence, Transcript, Word

Language = Literal["en", "th", "zh"]
_TEXTS = Path(__file__).parent / "data" / "talks"
EN, TH, ZH, GETTYSBURG, KENNEDY, DECLARATION_TH, HOMETOWN, ROBOTS, CORALS, NURSE = (
    (_TEXTS / f"{name}.txt").read_text(encoding="utf-8").strip()
    for name in (
        "boats.en",
        "school.th",
        "survey.zh",
        "gettysburg.en",
        "kennedy.en",
        "declaration.th",
        "hometown.zh",
        "robots.en",
        "corals.zh",
        "nurse.th",
    )
)


@cache
def talk(text: str, language: Language, terms: tuple[str, ...] = (), changes: tuple[Change, ...] = ()) -> Transcript:
    """A transcript of these sentences, a line each, words parted by spaces, or by bars where a language has none. A
    word takes 0.09 s a letter, a pause after a sentence 0.8 s."""
    sentences, now = [], 1.0
    for id, line in enumerate(text.splitlines()):
        words, begun = [], now
        for piece in line.split("|") if language != "en" else line.split():
            if not piece.strip():
                continue
            end = round(now + 0.09 * max(len(piece), 2), 3)
            if not any(sign.isalnum() for sign in piece) and words:  # punctuation belongs to the word before it
                words[-1] = Word(words[-1].text + piece, words[-1].start, words[-1].end, 0.9)
                continue
            words.append(Word(piece, round(now, 3), end, 0.9))
            now = end + 0.02
        sentences.append(Sentence(id, begun, words[-1].end, line.replace("|", ""), tuple(words)))
        now += 0.8
    script: Literal["Hans"] | None = "Hans" if language == "zh" else None
    return Transcript(language, script, now, tuple(sentences), 1.0, "recognised", changes, terms)


def made_up() -> dict[Language, Transcript]:
    """The three talks that were made up."""
    return {
        "en": talk(EN, "en", ("Miriam Adeyemi", "Tunde Bakare"), (Change("Tunday", "Tunde", 1),)),
        "th": talk(TH, "th", ("สมชาย ใจดี", "มะลิ", "ดอยภูคา")),
        "zh": talk(ZH, "zh", ("林雨晴", "王建国")),
    }


def real() -> list[Transcript]:
    """The real ones."""
    return [talk(GETTYSBURG, "en"), talk(KENNEDY, "en"), talk(DECLARATION_TH, "th"), talk(HOMETOWN, "zh")]


def second() -> dict[Language, Transcript]:
    """Three more talks that were made up."""
    return {"en": talk(ROBOTS, "en"), "th": talk(NURSE, "th"), "zh": talk(CORALS, "zh")}
