"""Text to token ids and back, from the files that K2-family models ship: `tiktoken.model`, `tokenizer_config.json`.

A vocabulary is byte-level BPE: pieces of rank 0..n-1, merged lowest rank first, inside chunks that a regular expression
cuts; above them come reserved ids, some of which have names. The small vocabulary has the same files with a pattern of
its own.
"""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tiktoken

# K2's chunks: runs of Han; words (a leading mark, capitals before small letters, an English contraction); up to three
# digits; punctuation; line ends; spaces.
_WORD_LEAD = r"[^\r\n\p{L}\p{N}]?"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
K2_PATTERN = "|".join(
    [
        r"[\p{Han}]+",
        f"{_WORD_LEAD}{_UPPER}*{_LOWER}+{_CONTRACTION}",
        f"{_WORD_LEAD}{_UPPER}+{_LOWER}*{_CONTRACTION}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
# A space and a digit are always chunks of their own, so that a value has the same tokens after a space, a quote or a
# colon: copying it from the conversation into a call is then plain repetition.
SMALL_PATTERN = r" |\p{N}|[\p{L}\p{M}]+|[\r\n\t]+|\s|[^\s\p{L}\p{N}\p{M}]+"

# Names above the K2 vocabulary, by distance from its first reserved id. The others are <|reserved_token_ID|>.
_K2_NAMES = {
    0: "[BOS]",
    1: "[EOS]",
    2: "<|im_end|>",
    3: "<|im_user|>",
    4: "<|im_assistant|>",
    6: "<|start_header_id|>",
    7: "<|end_header_id|>",
    9: "[EOT]",
    10: "<|im_system|>",
    11: "<|tool_calls_section_begin|>",
    12: "<|tool_calls_section_end|>",
    13: "<|tool_call_begin|>",
    14: "<|tool_call_argument_begin|>",
    15: "<|tool_call_end|>",
    17: "<|im_middle|>",
    18: "<|media_begin|>",
    19: "<|media_content|>",
    20: "<|media_end|>",
    21: "<|media_pad|>",
    22: "<think>",
    23: "</think>",
    254: "[UNK]",
    255: "[PAD]",
}
_SMALL_NAMES = (
    "[BOS]",
    "[EOS]",
    "<|im_end|>",
    "<|im_user|>",
    "<|im_assistant|>",
    "<|im_system|>",
    "<|im_middle|>",
    "<|tool_calls_section_begin|>",
    "<|tool_calls_section_end|>",
    "<|tool_call_begin|>",
    "<|tool_call_argument_begin|>",
    "<|tool_call_end|>",
    "<think>",
    "</think>",
    "[UNK]",
    "[PAD]",
)
_K2_PIECES = 163_584
_K2_RESERVED = 256
_SMALL_RESERVED = 32

# Limits of the published encoder. They change ids of very long inputs, so they are kept.
_MAX_CHARS = 400_000
_MAX_RUN = 25_000


class TokenizerError(Exception):
    """The files of a tokenizer are missing, broken or contradict one another."""


class Tokenizer:
    """A vocabulary. Ids 0..vocab-1; hashable by identity, safe to share between threads."""

    def __init__(self, pieces: Sequence[bytes], names: Mapping[int, str], pattern: str, reserved: int) -> None:
        """`names` are the named ids among the `reserved` that follow the pieces. Raises TokenizerError."""
        base = len(pieces)
        self.vocab = base + reserved
        # A K2 checkpoint that does not name its thinking marks still writes them: named for reading, not for writing.
        shown = {base + i: name for i, name in _K2_NAMES.items()} if base == _K2_PIECES else {}
        shown.update(names)
        self.specials: Mapping[str, int] = {names.get(i, f"<|reserved_token_{i}|>"): i for i in range(base, self.vocab)}
        if len(self.specials) != reserved:
            raise TokenizerError("a special token has the name of another one, which is reserved")
        self._pieces = [*pieces]
        self._pieces += (shown.get(i, f"<|reserved_token_{i}|>").encode() for i in range(base, self.vocab))
        self._base = base
        try:
            self.encoding = tiktoken.Encoding(
                "moonlet",
                pat_str=pattern,
                mergeable_ranks={piece: rank for rank, piece in enumerate(pieces)},
                special_tokens=dict(self.specials),
                explicit_n_vocab=self.vocab,
            )
        except ValueError as error:
            raise TokenizerError(f"the pre-tokeniser pattern is not usable: {error}") from None

    @staticmethod
    def load(folder: Path) -> Tokenizer:
        """The tokenizer of a model folder. Raises TokenizerError."""
        pieces = _read_pieces(folder / "tiktoken.model")
        config = read_tokenizer_config(folder)
        small = "moonlet_template" in config
        reserved = _SMALL_RESERVED if small else _K2_RESERVED
        try:
            names = _read_names(config, len(pieces), reserved)
            pattern = config.get("moonlet_pattern", K2_PATTERN)
            if not isinstance(pattern, str):
                raise TokenizerError("moonlet_pattern must be a string")
            return Tokenizer(pieces, names, pattern, reserved)
        except TokenizerError as error:
            raise TokenizerError(f"{folder / 'tokenizer_config.json'}: {error}") from None

    def encode(self, text: str, specials: bool = False) -> list[int]:
        """Ids of a text. Names of special tokens in it are ordinary text unless `specials`: what a user, a tool or a
        file says can never become a marker."""
        ids: list[int] = []
        for part in _chop(text):
            ids += (
                self.encoding.encode(part, allowed_special="all") if specials else self.encoding.encode_ordinary(part)
            )
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids; bytes that are no UTF-8 and unknown ids become U+FFFD."""
        return b"".join(self.piece(i) for i in ids).decode("utf-8", "replace")

    def piece(self, id: int) -> bytes:
        """Bytes of one id: a special gives its name, an id beyond the vocabulary U+FFFD."""
        return self._pieces[id] if 0 <= id < self.vocab else b"\xef\xbf\xbd"

    def special(self, name: str) -> int | None:
        """Id of a special token, None if the vocabulary has none of that name."""
        return self.specials.get(name)

    def is_special(self, id: int) -> bool:
        """Whether an id lies above the pieces, named or reserved."""
        return self._base <= id < self.vocab


class StreamDecoder:
    """Bytes in, whole characters out: a character cut by the stream waits for its rest."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> str:
        """The characters completed by these bytes; what can be no character becomes U+FFFD."""
        return self._decoder.decode(data)

    def finish(self) -> str:
        """What was held back, as U+FFFD. The decoder can be used again."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


def read_tokenizer_config(folder: Path) -> dict[str, Any]:
    """`tokenizer_config.json` of a folder; empty if there is none. Raises TokenizerError."""
    file = folder / "tokenizer_config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise TokenizerError(f"{file}: not readable as JSON ({error})") from None
    if not isinstance(config, dict):
        raise TokenizerError(f"{file}: holds {type(config).__name__}, not an object")
    return config


def write_vocabulary(folder: Path, pieces: Sequence[bytes], pattern: str = SMALL_PATTERN) -> None:
    """The small vocabulary as the two files that `Tokenizer.load` reads. Pieces in order of rank, all 256 bytes among
    them; raises TokenizerError if they are no vocabulary."""
    _check_pieces(pieces, folder / "tiktoken.model")
    lines = (base64.b64encode(piece) + b" %d\n" % rank for rank, piece in enumerate(pieces))
    (folder / "tiktoken.model").write_bytes(b"".join(lines))
    added = {
        str(len(pieces) + i): {"content": name, "special": not name.startswith(("<|tool_call", "<think", "</think"))}
        for i, name in enumerate(_SMALL_NAMES)
    }
    config = {"added_tokens_decoder": added, "moonlet_template": "moonlet", "moonlet_pattern": pattern}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _read_pieces(file: Path) -> list[bytes]:
    """Pieces of a `tiktoken.model`: one `base64 rank` a line, ranks counting from 0."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise TokenizerError(f"{file}: not readable ({error.strerror})") from None
    pieces = []
    for rank, line in enumerate(data.splitlines()):
        try:
            text, number = line.split()
            piece = base64.b64decode(text, validate=True)
            found = int(number)
        except ValueError:
            raise TokenizerError(f"{file}, line {rank + 1}: not `base64 rank`; is the file truncated?") from None
        if found != rank:
            raise TokenizerError(f"{file}, line {rank + 1}: rank {found} where {rank} must stand")
        pieces.append(piece)
    _check_pieces(pieces, file)
    return pieces


def _check_pieces(pieces: Sequence[bytes], file: Path) -> None:
    first: dict[bytes, int] = {}
    for rank, piece in enumerate(pieces):
        if not piece:
            raise TokenizerError(f"{file}: the piece of rank {rank} is empty")
        if first.setdefault(piece, rank) != rank:
            raise TokenizerError(f"{file}: ranks {first[piece]} and {rank} are the same piece {piece!r}")
    missing = [byte for byte in range(256) if bytes([byte]) not in first]
    if missing:
        raise TokenizerError(f"{file}: {len(missing)} single bytes are no pieces, the first is 0x{missing[0]:02x}")


def _read_names(config: Mapping[str, Any], base: int, reserved: int) -> dict[int, str]:
    """Named ids of `added_tokens_decoder`; a K2 vocabulary without one has the names of the newest."""
    added = config.get("added_tokens_decoder")
    if added is None:
        if base != _K2_PIECES:
            raise TokenizerError(f"no added_tokens_decoder names the special tokens above {base} pieces")
        return {base + i: name for i, name in _K2_NAMES.items()}
    if not isinstance(added, dict) or not added:
        raise TokenizerError("added_tokens_decoder must be an object that names special tokens")
    names: dict[int, str] = {}
    for key, entry in added.items():
        name = entry.get("content") if isinstance(entry, dict) else None
        if not (key.isdecimal() and len(key) < 10 and isinstance(name, str) and name and name.isprintable()):
            raise TokenizerError(f"added_tokens_decoder[{key[:20]!r}] must be a token id with its content")
        if name in names.values() or int(key) in names:
            raise TokenizerError(f"added_tokens_decoder names {name!r} or id {key} twice")
        names[int(key)] = name
    low, high = min(names), max(names)
    if low != base or high >= base + reserved:
        raise TokenizerError(
            f"special tokens have ids {low}..{high}, but {base} pieces want them in {base}..{base + reserved - 1}; "
            "tiktoken.model is truncated or of another model"
        )
    return names


def _chop(text: str) -> Iterator[str]:
    """The parts that are encoded apart: 400,000 characters, and within them no run of more than 25,000 characters that
    are all spaces or all not."""
    for start in range(0, len(text), _MAX_CHARS):
        part = text[start : start + _MAX_CHARS]
        cut = 0
        if len(part) > _MAX_RUN:
            for run in re.finditer(r"\s+|\S+", part):
                for end in range(run.start() + _MAX_RUN, run.end(), _MAX_RUN):
                    yield part[cut:end]
                    cut = end
        yield part[cut:]
