"""A small vocabulary: byte-level BPE over training conversations, in the file format of the public ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from moonlet.chat.declare import compact_declaration
from moonlet.chat.tokenizer import SMALL_PATTERN, write_vocabulary
from moonlet.simulate.episode import Conversation

PIECES = 4064  # with the 32 special ids above them: 4096


class VocabularyError(Exception):
    """The samples are too few to learn a vocabulary from."""


def texts(conversations: Iterable[Conversation]) -> Iterator[str]:
    """What the template writes of conversations, without its markers."""
    for one in conversations:
        yield compact_declaration(one.tools)
        for message in one.messages:
            yield message.content
            for call in message.calls:
                yield call.arguments


def train_vocabulary(samples: Iterable[str], folder: Path, pieces: int = PIECES) -> None:
    """Learns `pieces` byte strings from the samples and writes `tiktoken.model` and `tokenizer_config.json`.

    All 256 bytes are pieces, so that any text of any script can be written. Ranks are the order of the merges: lowest
    rank first then gives the ids that the learner meant. Raises VocabularyError if the samples do not hold so many.
    """
    ranked = sorted(learn(samples, pieces).get_vocab().items(), key=lambda item: item[1])
    if len(ranked) != pieces:
        raise VocabularyError(f"the samples give only {len(ranked)} of {pieces} pieces; take more of them")
    bytes_of = bytes_of_letters()
    folder.mkdir(parents=True, exist_ok=True)
    write_vocabulary(folder, [bytes(bytes_of[letter] for letter in piece) for piece, _ in ranked])


def learn(samples: Iterable[str], pieces: int) -> Any:
    """The learner (`tokenizers.Tokenizer`) after it has read the samples."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SMALL_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=pieces, initial_alphabet=alphabet, show_progress=False, min_frequency=2)
    learner.train_from_iterator(samples, trainer)
    return learner


def bytes_of_letters() -> dict[str, int]:
    """What the learner's letters stand for. It writes bytes as printable letters, GPT-2's way: printable bytes as
    themselves, others from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}
