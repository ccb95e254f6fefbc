"""The exercises in the meaning of words: the same for the same seed, right in form, and no request with two answers."""

import json
import lzma
import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest

from moonlet.simulate import acts, meanings, word_questions
from moonlet.simulate.episode import Conversation
from moonlet.simulate.lexicon import Lexicon, Reference
from moonlet.simulate.talk import NO_TOOL

# A lexicon of our own: under part of speech and field, words that mean the same, < what they are a kind of, ! their
# opposite, what they mean, and perhaps an example.
WORDS = """
@ a all
cheap, inexpensive ! expensive: costing only little money = the soup was cheap
expensive, costly ! cheap: costing far too much money
tall ! short: reaching far above others
@ n artifact
vehicle: a machine that carries people or goods
motorcycle, bike < vehicle: a fast machine with two wheels and an engine
bicycle, bike < vehicle: a light machine with two wheels and pedals
sofa, couch: a soft seat for two or three people
violin, fiddle: a small wooden box with four strings
ladder: a frame with steps between two long poles
@ n animal
pet: a tame animal that lives with people = every pet needs company
dog, domestic dog < pet: a tame animal that barks at strangers
poodle < dog: a proud animal with curly hair
puppy < dog: a young animal that chews every shoe
parrot < pet: a bright animal that repeats your words
@ n food
soup, broth: a hot liquid in a deep plate
pancake: a flat round thing with syrup on it
cheese: a yellow block made from milk
@ n plant
tulip: a spring flower that grows from a bulb
cactus: a green thing with spines in the desert
@ n person
physician, medic: a person who heals the sick
plumber: a person who mends leaking pipes
uncle: a brother of your mother or father
@ n body
elbow: the joint halfway down your arm
stomach, belly: the soft middle where your meals go
@ n location
village, hamlet: a little place with few houses
harbor, haven: a sheltered place for ships
@ n object
pebble: a smooth little stone on the beach
hill: a small mountain without any snow
@ n communication
poem: a short text with rhymes in it
story, tale: an account of things that happened
@ n act
burglary: a secret visit by night thieves
journey, voyage: a long way from home and back
experiment: a careful trial by a scientist
@ n event
festival: a time of songs and dancing
accident, mishap: a sad thing that nobody wanted
@ n cognition
theory: a careful thought about how things work
memory: a picture of the past in your head
@ n state
poverty: the lack of money for the simplest needs
sickness, illness: the lot of those with a fever
@ n possession
salary, wage: the money that workers earn monthly
debt: the sum that borrowers still owe
@ n group
orchestra: a hundred musicians under one baton
choir: a crowd of singers in one church
@ n substance
glue, adhesive: a sticky paste that binds wood
clay: a heavy wet earth for pots
@ n feeling
anger, rage: the heat you feel after an insult
joy, delight: the warmth you feel after good news
@ n attribute
patience: the gift of waiting without complaint
bravery, courage: the strength of those who fear nothing
@ n phenomenon
thunder: the deep rumble after a flash
rainbow: a colorful arch across the sky
@ n shape
triangle: a flat figure with three corners
spiral: a curve that winds round and round
@ v possession
buy, purchase: give money for a thing = we will buy it tomorrow
@ v change
compress, squeeze: press into a smaller space
decorate, adorn: make more beautiful with small things = they decorate the hall every spring
rotate, spin: make something go round
@ v communication
summarize: say again in fewer words
"""
LINE = re.compile(r"([a-z ,]+?)(?: < (\w+))?(?: ! (\w+))?: ([^=]+?)(?: = (.+))?")


def rows() -> list[dict[str, Any]]:
    """What runs/meanings.py would write for these words."""
    made: list[dict[str, Any]] = []
    seen: set[tuple[str, str]] = set()
    ids: dict[str, int] = {}
    kinds: dict[str, list[str]] = defaultdict(list)
    pos = field = ""
    for number, line in enumerate(WORDS.split("\n")[1:-1]):
        if line.startswith("@"):
            _, pos, field = line.split()
            continue
        match = LINE.fullmatch(line)
        assert match, line
        words, kind, opposite, gloss, example = match.groups()
        same = words.split(", ")
        ids.setdefault(same[0], number)
        kinds[kind or ""].append(same[0])
        for word in same:
            row = {
                "word": word, "pos": pos, "sense": 2 if (word, pos) in seen else 1, "id": number, "field": field,
                "over": [ids[kind]] if kind else [], "place": len(made), "gloss": gloss, "object": pos == "v",
                "same": [other for other in same if other != word], "kind": [kind] if kind else [],
                "kinds": kinds[word],  # by the lines that follow
                "opposite": [opposite] if opposite else [], "example": example or "",
            }  # fmt: skip
            made.append(row)
            seen.add((word, pos))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("public")
    (data / "meanings").mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows())
    (data / "meanings" / "meanings.jsonl.xz").write_bytes(lzma.compress(text.encode()))
    return data


@pytest.fixture(scope="module")
def lexicon(folder: Path) -> Lexicon:
    return Lexicon.load(folder / "meanings" / "meanings.jsonl.xz")


@pytest.fixture(scope="module")
def sample(folder: Path) -> list[Conversation]:
    make = meanings.maker(folder)
    return [make(Random(seed)) for seed in range(300)]


def tools_of(lexicon: Lexicon) -> list[tuple[Sequence[meanings.Tool], Random]]:
    """The tools of conversations, with what the rest of each is drawn from."""
    generators = [Random(seed) for seed in range(200)]
    return [(meanings.declared(lexicon, rng), rng) for rng in generators]


def test_same_seed_same_conversation(folder: Path, sample: list[Conversation]) -> None:
    make = meanings.maker(folder)
    assert [make(Random(seed)) for seed in range(50)] == sample[:50]
    assert len({one.messages for one in sample}) == len(sample)


def test_calls_fit_the_declared_tools(sample: list[Conversation]) -> None:
    for one in sample:
        schemas = {tool.name: {**tool.parameters, "additionalProperties": False} for tool in one.tools}
        assert len(schemas) == len(one.tools)
        for message in one.messages:
            for call in message.calls:
                jsonschema.validate(json.loads(call.arguments), schemas[call.name])


def test_the_size_of_a_conversation(sample: list[Conversation]) -> None:
    for one in sample:
        assert 4 <= len(one.tools) <= 12 or (not one.tools and len(one.messages) >= 16)
        assert [message.role for message in one.messages] == ["user", "assistant"] * (len(one.messages) // 2)
    with_tools = [one for one in sample if one.tools]
    assert 0.7 < len(with_tools) / len(sample) < 0.9
    answers = [message for one in with_tools for message in one.messages if message.role == "assistant"]
    assert 0.04 < sum(message.content == NO_TOOL for message in answers) / len(answers) < 0.16


def test_no_two_tools_share_a_synset_or_one_of_their_words(lexicon: Lexicon) -> None:
    """Tools for one noun are told apart by their verbs or adjectives."""
    for tools, _ in tools_of(lexicon):
        for one, other in combinations(tools, 2):
            if one.fixed and other.fixed:
                assert (one.act, one.adjective) != (other.act, other.adjective)
            elif not one.fixed and not other.fixed:
                assert one.meaning.id != other.meaning.id
                assert one.meaning.id not in lexicon.above(other.meaning.id)
                assert other.meaning.id not in lexicon.above(one.meaning.id)
                assert not {one.meaning.word, *one.meaning.same} & {other.meaning.word, *other.meaning.same}


def test_a_request_does_not_say_the_word_of_its_tool(lexicon: Lexicon) -> None:
    for tools, rng in tools_of(lexicon):
        for one in tools:
            text, arguments = meanings.wish(one, tools, lexicon, rng)
            for value in arguments.values():
                text = text.replace(str(value), "")
            said = set(re.findall(r"[a-z]+", text.lower()))
            if not one.fixed and not one.among:
                assert one.meaning.word not in said, (one.spec.name, text)
            if one.adjective:
                assert one.adjective not in text.lower().split()  # "brand-new" may be said


def test_values_are_copied_from_the_request(lexicon: Lexicon) -> None:
    for tools, rng in tools_of(lexicon):
        for one in tools:
            text, arguments = meanings.wish(one, tools, lexicon, rng)
            for key, value in arguments.items():
                assert "enum" in one.spec.parameters["properties"][key] or str(value) in text


def test_words_are_known_by_their_meaning(lexicon: Lexicon) -> None:
    first = lexicon.first
    assert "purchase" in first["buy", "v"].same
    assert "bike" in first["bicycle", "n"].same
    assert "poodle" in first["dog", "n"].kinds
    assert first["pet", "n"].id in lexicon.above(first["poodle", "n"].id)
    assert first["cheap", "a"].opposite == ("expensive",)
    bicycle, dog = first["bicycle", "n"], first["dog", "n"]
    assert not lexicon.apart(dog, first["poodle", "n"])
    assert lexicon.apart(dog, bicycle)
    assert Reference("bike", "same") in lexicon.clear(bicycle, [dog])
    assert not any(each.text == "bike" for each in lexicon.clear(bicycle, [first["motorcycle", "n"]]))


def test_a_noun_has_its_article(lexicon: Lexicon) -> None:
    nouns = [("uncle", "person"), ("poem", "communication"), ("salary", "possession"), ("clay", "substance")]
    assert [lexicon.article(*noun) for noun in nouns] == ["an uncle", "a poem", "the salary", "some clay"]
    assert lexicon.article("patience", "attribute") == "patience"


def test_answers_about_words_are_right(lexicon: Lexicon) -> None:
    rng = Random(5)
    answers = dict(word_questions.asked(lexicon, rng) for _ in range(10_000))
    assert answers['What does "sofa" mean?'] == "A soft seat for two or three people."
    assert answers['Another word for "stomach"?'] == "belly"
    assert answers["What do you call a bright animal that repeats your words?"] == "parrot"
    assert answers["Is a poodle a kind of dog?"] == "Yes, a poodle is a kind of dog."
    assert answers['What is not "cheap"?'] == "expensive"
    assert answers['Use "decorate" in a sentence.'] == "They decorate the hall every spring."


def test_the_acts_go_with_one_another() -> None:
    for thing in acts.things().values():
        assert set(thing.acts) <= set(acts.by_verb())
        assert set(thing.adjectives) <= set(acts.adjectives())
    for slot in acts.slots():
        assert slot.acts <= {*acts.by_verb(), "verb"} and slot.things <= set(acts.things())
        assert bool(slot.said) != bool(slot.values)
    assert acts.close("rent", "buy") and acts.close("new", "modern") and not acts.close("rent", "sell")
