"""The small vocabulary and its conversations in the files that transformers, vLLM and SGLang read.

`tokenizer.json`: the same byte-level BPE, spelled in GPT-2's letters, with every pair of pieces that makes another
piece as a merge, in the order of the ranks. Unlike ours it knows special tokens by their names in any text: what keeps
a user's words from becoming a marker is ours alone. `chat_template.jinja`: the family's template.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from moonlet.chat.tokenizer import K2_PATTERN, Tokenizer, read_tokenizer_config
from moonlet.train.vocabulary import bytes_of_letters

TEMPLATE = Path(__file__).with_name("chat_template.jinja")


def public_files(folder: Path, positions: int) -> dict[str, str]:
    """Texts of the files by name, from a folder with `tiktoken.model` and `tokenizer_config.json`; `positions`: tokens
    of a conversation. Of a vocabulary that is not the small one the public files exist already: its configuration is
    left as it is. Raises OSError, TokenizerError."""
    config = read_tokenizer_config(folder)
    if "moonlet_template" not in config:
        return {"tokenizer_config.json": (folder / "tokenizer_config.json").read_text(encoding="utf-8")}
    told: dict[str, Any] = config | {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "[BOS]",
        "eos_token": "<|im_end|>",
        "pad_token": "[PAD]",
        "clean_up_tokenization_spaces": False,
        "model_max_length": positions,
    }
    return {
        "tokenizer_config.json": json.dumps(told, indent=2) + "\n",
        "tokenizer.json": json.dumps(_fast(Tokenizer.load(folder), config), ensure_ascii=False, indent=1) + "\n",
        "chat_template.jinja": TEMPLATE.read_text(encoding="utf-8"),
    }


def _fast(tokenizer: Tokenizer, config: Mapping[str, Any]) -> dict[str, Any]:
    base = min(tokenizer.specials.values())
    pieces = [tokenizer.piece(id) for id in range(base)]
    letters = {byte: letter for letter, byte in bytes_of_letters().items()}
    spelled = {piece: "".join(letters[byte] for byte in piece) for piece in pieces}
    by_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    chunks = {"Regex": config.get("moonlet_pattern", K2_PATTERN)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(id, name, config) for name, id in tokenizer.specials.items()],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Split", "pattern": chunks, "behavior": "Isolated", "invert": False}, by_bytes],
        },
        "post_processor": None,
        "decoder": by_bytes,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,  # a chunk that is a piece is taken whole, as tiktoken does
            "vocab": {spelled[piece]: rank for rank, piece in enumerate(pieces)},
            "merges": [[spelled[left], spelled[right]] for left, right in _merges(pieces)],
        },
    }


def _merges(pieces: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """All pairs that make a piece, by its rank: tiktoken merges whatever pair makes the piece of the lowest rank."""
    rank = {piece: number for number, piece in enumerate(pieces)}
    for piece in pieces:
        cuts = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
        yield from sorted((p for p in cuts if p[0] in rank and p[1] in rank), key=lambda p: (rank[p[0]], rank[p[1]]))


def _added(id: int, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """A special token. One that is not `special` is shown in a reply's text, where parsers of calls look for it."""
    known = config["added_tokens_decoder"].get(str(id), {})
    alone = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": id, "content": name, **alone, "special": bool(known.get("special", True))}
