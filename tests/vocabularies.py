"""The two vocabularies that tests speak: the public one of K2, and a small one made here."""

from __future__ import annotations

import lzma
import shutil
import tempfile
from functools import cache
from pathlib import Path

from moonlet.chat.tokenizer import Tokenizer, write_vocabulary

K2_DATA = Path(__file__).parent / "data" / "k2-tokenizer"
_WORDS = """functions . : get_ weather search city days the and what is location query string number Beijing Bangkok
order tool call think true false null {" ": "} ", " [] 天 気 สวัสดี"""


def unpack_k2(folder: Path) -> Path:
    """The K2 tokenizer's files as a model folder has them."""
    (folder / "tiktoken.model").write_bytes(lzma.decompress((K2_DATA / "tiktoken.model.xz").read_bytes()))
    shutil.copy(K2_DATA / "tokenizer_config.json", folder)
    return folder


@cache
def k2() -> Tokenizer:
    with tempfile.TemporaryDirectory() as folder:
        return Tokenizer.load(unpack_k2(Path(folder)))


def small_pieces() -> list[bytes]:
    """All bytes, then every beginning of some words, shorter ones first so that merging reaches the longer ones."""
    pieces = [bytes([byte]) for byte in range(256)]
    for word in _WORDS.split():
        encoded = word.encode()
        pieces += [encoded[:n] for n in range(2, len(encoded) + 1) if encoded[:n] not in pieces]
    return pieces


@cache
def small() -> Tokenizer:
    with tempfile.TemporaryDirectory() as folder:
        write_vocabulary(Path(folder), small_pieces())
        return Tokenizer.load(Path(folder))
