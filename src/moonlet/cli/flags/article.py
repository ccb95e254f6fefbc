"""The flags of `moonlet article`."""

from __future__ import annotations

import argparse

from moonlet.cli.flags.kinds import positive
from moonlet.cli.flags.shared import add_engine


def add_flags(article: argparse.ArgumentParser) -> None:
    article.add_argument("source", metavar="SOURCE", help="a file, an address, a folder of files or of an article")
    article.add_argument("--to", metavar="FOLDER", help="where it goes (default: NAME.article, here)")
    article.add_argument("--whisper", default="small", metavar="MODEL", help="speech model: a name or a folder")
    article.add_argument("--language", metavar="CODE", help="language spoken, like en, th, zh (default: detected)")
    article.add_argument("--beam", type=positive, default=5, metavar="N", help="of the speech recognition (default: 5)")
    article.add_argument("--subtitles", metavar="FILE", help="use these (default: those with the recording), or: none")
    article.add_argument("--script", choices=("hans", "hant"), help="Chinese script (default: that of most of it)")
    article.add_argument("--glossary", metavar="FILE", help="names, one a line; behind a colon what they are heard as")
    article.add_argument("--figures", type=int, default=60, metavar="N", help="at most so many (default: 60)")
    article.add_argument("--no-ocr", action="store_true", help="do not read the slides")
    article.add_argument("--again", action="append", metavar="STAGE", help="do this stage again; repeatable")
    article.add_argument(
        "--fetch-allow",
        action="append",
        metavar="HOST",
        help="a host or network that may be asked although it is not public",
    )
    article.add_argument("--model", metavar="MODEL", help="what writes: a folder, a name or a URL (default: none)")
    article.add_argument("--in", dest="written", choices=("en", "th", "zh"), help="its language (default: the talk's)")
    article.add_argument("--tone", choices=("neutral", "friendly", "formal"), default="neutral")
    article.add_argument("--length", choices=("short", "medium", "long"), default="medium")
    article.add_argument("--audience", default="general readers", metavar="TEXT", help="who is to read it")
    article.add_argument(
        "--unsupported", choices=("drop", "flag"), default="drop", help="what becomes of sentences that nobody said"
    )
    article.add_argument("--context", type=positive, default=8192, metavar="N", help="tokens it is given at a time")
    article.add_argument("--ray", action="store_true", help="make several on a Ray cluster, in folders that all see")
    article.add_argument("--json", action="store_true", help="print one JSON object")
    add_engine(article)
