"""Questions about words, and their answers: what a word means, which means the same, what it is a kind of.

Each sort of question is a function that is given a word and makes of it a question with its answer, or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from moonlet.simulate import acts
from moonlet.simulate.episode import Conversation, Episode
from moonlet.simulate.lexicon import CONCRETE, GENERAL, Lexicon, Meaning, alike, drawn, stems

Asked = tuple[str, str]  # question and answer

POS = {"n": "a noun", "v": "a verb", "a": "an adjective"}
CALLED = {  # {} is a gloss
    "n": ("What do you call {}?", "What's the word for {}?", "Which word means: {}?",
          "There's a word for {}. Which one?"),
    "v": ("What do you call it to {}?", "Which verb means to {}?", "One word for: to {}?"),
    "a": ("What do you call something {}?", "Which adjective means {}?", "One word for: {}?"),
}  # fmt: skip


def conversation(rng: Random, lexicon: Lexicon) -> Conversation:
    """16 to 40 messages without tools."""
    episode = Episode([])
    for _ in range(rng.randrange(8, 21)):
        question, answer = asked(lexicon, rng)
        episode.user(question if rng.random() < 0.7 else question.lower().rstrip("?"))
        episode.answer(answer)
    return episode.done()


def asked(lexicon: Lexicon, rng: Random) -> Asked:
    while True:
        if found := rng.choice(SORTS)(drawn(lexicon.asked, rng), lexicon, rng):
            return found


def _named(one: Meaning, lexicon: Lexicon) -> str:
    """The word, with its part of speech if it has several."""
    several = sum((one.word, pos) in lexicon.first for pos in POS) > 1
    return f"{one.word} as {POS[one.pos]}" if several else f'"{one.word}"'


def _what(one: Meaning, lexicon: Lexicon, rng: Random) -> Asked | None:
    if not one.gloss:
        return None
    ways = ("What does {} mean?", "What is the meaning of {}?", "Define {}.", "Explain the word {}.",
            "{}: what's that?")  # fmt: skip
    return rng.choice(ways).format(_named(one, lexicon)), _sentence(one.gloss)


def _another(one: Meaning, lexicon: Lexicon, rng: Random) -> Asked | None:
    same = [word for word in one.same if lexicon.mainly(word, one) and not alike(word, one.word)]
    same = _unlike(same, one)
    if not same:
        return None
    ways = ("Another word for {}?", "What's another word for {}?", "A synonym of {}?", "Give me a synonym for {}.",
            "How else can I say {}?", "Which word means the same as {}?")  # fmt: skip
    return rng.choice(ways).format(_named(one, lexicon)), same[0]


def _called(one: Meaning, lexicon: Lexicon, rng: Random) -> Asked | None:
    rest = re.sub("^to ", "", one.gloss)
    if rest.count(" ") < 4 or lexicon.names[one.id] != one.word or stems(one.word) & set(rest.split()):
        return None
    return rng.choice(CALLED[one.pos]).format(rest), one.word


def _is_a(one: Meaning, lexicon: Lexicon, rng: Random) -> Asked | None:
    kind = next((kind for kind in one.kind if kind not in GENERAL), "")
    doing = (one.word, "v") in lexicon.first and one.field not in CONCRETE
    if one.pos != "n" or doing or not kind:
        return None
    this = lexicon.article(one.word, one.field)
    true = f"{this} is a kind of {kind}."
    ways = ("Is {} a kind of {}?", "Is {} a sort of {}?", "Would you say {} is a type of {}?")
    if rng.random() < 0.5:
        return rng.choice(ways).format(this, kind), f"Yes, {true}"
    other = drawn(lexicon.nouns[rng.choice(list(acts.things()))], rng)
    over = lexicon.above(other.id) | {other.id}
    if not lexicon.apart(one, other) or lexicon.meant(kind, "n") & over or other.id in lexicon.meant(one.word, "n"):
        return None
    return rng.choice(ways).format(this, other.word), f"No, {true}"


def _same(one: Meaning, lexicon: Lexicon, rng: Random) -> Asked | None:
    same = [word for word in one.same if lexicon.mainly(word, one)]
    ways = ('Do "{0}" and "{1}" mean the same?', 'Does "{0}" mean the same as "{1}"?',
            'Can I say "{1}" instead of "{0}"?', '"{0}" or "{1}", is that the same?')  # fmt: skip
    way = rng.choice(ways)
    if rng.random() < 0.5:
        return (way.format(one.word, rng.choice(same)), "Yes.") if same else None
    other = drawn(lexicon.asked, rng).word
    if not one.gloss or lexicon.told_by(one.word, other):
        return None
    return way.format(one.word, other), f"No, {one.word} means: {one.gloss}."


def _opposite(one: Meaning, lexicon: Lexicon, rng: Random) -> Asked | None:
    if not one.opposite:
        return None
    ways = ("What's the opposite of {}?", "The opposite of {}?", "Which word is the contrary of {}?", "What is not {}?")
    way = rng.choice(ways if one.pos == "a" else ways[:-1])
    return way.format(_named(one, lexicon)), one.opposite[0]


def _example(one: Meaning, lexicon: Lexicon, rng: Random) -> Asked | None:
    if not one.example:
        return None
    ways = ("Give me an example with {}.", "Use {} in a sentence.", "An example of how to use {}?", "How is {} used?")
    return rng.choice(ways).format(_named(one, lexicon)), _sentence(one.example)


def _which(one: Meaning, lexicon: Lexicon, rng: Random) -> Asked | None:
    """The one of a few words that means the same or is a kind of something."""
    same = _unlike([word for word in one.same if lexicon.mainly(word, one)], one)
    kinds = _unlike(one.kinds, one)
    if not (same or kinds):
        return None
    right = rng.choice(same or kinds)
    wrong = [drawn(lexicon.asked, rng) for _ in range(rng.choice((2, 3)))]
    wrong = [other for other in wrong if other.pos == one.pos]
    if not wrong or not all(lexicon.apart(one, other) and other.word != right for other in wrong):
        return None
    few = [right, *(other.word for other in wrong)]
    rng.shuffle(few)
    ways = ["Which of these means {}: {}?", "Which word is closest to {}: {}?"]
    if not same:
        ways = ["Which of these is a kind of {}: {}?" if one.pos == "n" else "Which of these is a way to {}: {}?"]
    return rng.choice(ways).format(_named(one, lexicon), f"{', '.join(few[:-1])} or {few[-1]}"), right


def _unlike(words: Sequence[str], one: Meaning) -> list[str]:
    """Those that do not hold its word."""
    return [word for word in words if not stems(one.word) & set(word.split())]


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text[-1] in ".?!" else ".")


Sort = Callable[[Meaning, Lexicon, Random], Asked | None]
SORTS: Sequence[Sort] = (
    _what, _what, _another, _another, _called, _called, _is_a, _is_a, _same, _opposite, _example, _which, _which,
)  # fmt: skip
