"""Exercises in the meaning of words: who wants a bike means the tool rent_bicycle, and no declaration says so.

Each request names its tool by a synonym, a kind of it, what it is a kind of, or what it is; each tool differs from the
others in one word, so that only one is meant. A fifth of the conversations asks about words themselves. The words are
those of `moonlet.simulate.lexicon`, what is done with them is in `moonlet.simulate.acts`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from moonlet.chat.messages import ToolSpec
from moonlet.simulate import acts, several, word_questions
from moonlet.simulate.acts import Act, Slot
from moonlet.simulate.declaring import spell
from moonlet.simulate.episode import Conversation, Episode
from moonlet.simulate.lexicon import BARE, MASS, Lexicon, Meaning, Reference, drawn, stems, tokens, with_a
from moonlet.simulate.talk import NO_TOOL

SHARED = ("item", "thing", "object", "product", "file", "record")  # nouns that say nothing: the verb tells tools apart
ABOUT_ME = re.compile(r"\b(?:me|us)\b|my (?:door|place)\b")
CLAUSE = re.compile(
    r"(?:my|the|it|it's|there's|there|write|call|confirm|send|note|add|make|quantity|order|whenever|no)\b"
)
APART = ("up", "off", "out", "down", "in", "over", "on", "away", "back", "apart", "together")  # "turn it off"
WAYS = {"same": 5, "kinds": 2, "kind": 1.5, "gloss": 4}  # how often something is spoken of by each


@dataclass(frozen=True, slots=True)
class Tool:
    spec: ToolSpec
    meaning: Meaning  # by which it is known
    act: Act | None  # what is done with its noun; none: the tool is a verb
    slots: Sequence[Slot] = ()
    keys: Sequence[str] = ()
    adjective: str = ""
    among: Mapping[str, Meaning] = field(default_factory=dict)  # values of its parameter `kind`
    fixed: str = ""  # the noun, where tools of one conversation share it and are known by their acts


def maker(data: Path) -> Callable[[Random], Conversation]:
    """Draws conversations, with the words in the folder of public sets."""
    lexicon = Lexicon.load(data / "meanings" / "meanings.jsonl.xz")
    return lambda rng: conversation(rng, lexicon)


def conversation(rng: Random, lexicon: Lexicon) -> Conversation:
    """10 to 24 messages under 4 to 12 tools that are told apart by the meaning of a word, or questions about words."""
    if rng.random() < 0.2:
        return word_questions.conversation(rng, lexicon)
    tools = declared(lexicon, rng)
    episode = Episode([one.spec for one in tools])
    for _ in range(rng.randrange(5, 13)):
        if rng.random() < 0.16 and (text := _beyond(tools, lexicon, rng)):
            episode.user(text)
            episode.answer(NO_TOOL)
            continue
        ones = rng.sample(tools, 2 if rng.random() < 0.1 else 1)
        wishes = [wish(one, tools, lexicon, rng, plain=rng.random() < 0.08) for one in ones]
        names = frozenset(
            word for _, arguments in wishes for value in arguments.values() for word in str(value).split()
        )
        episode.user(several.joined([text for text, _ in wishes], names, rng) if len(ones) > 1 else wishes[0][0])
        episode.asked([(one.spec.name, arguments) for one, (_, arguments) in zip(ones, wishes, strict=True)])
    return episode.done()


def declared(lexicon: Lexicon, rng: Random) -> list[Tool]:
    """4 to 12 tools; no two are for the same or for a kind of the other."""
    style = rng.choice(("snake", "snake", "snake", "camel", "camel", "Pascal", "kebab"))
    count = rng.choice((4, 5, 6, 6, 8, 8, 10, 12))
    things = acts.things()
    fields = rng.choices(list(things), [one.weight for one in things.values()], k=rng.choice((1, 2, 3, 4)))
    verbs = {one: rng.sample(things[one].acts, rng.choice((1, 2, 3, 4))) for one in dict.fromkeys(fields)}
    tools: list[Tool] = []
    if rng.random() < 0.4:
        tools += (_by_act if rng.random() < 0.7 else _by_adjective)(rng.choice((2, 3, 4)), style, lexicon, rng)
    share = rng.choice((0.0, 0.0, 0.0, 0.2, 0.5))
    for _ in range(20 * count):  # a small field may have no more that are apart
        if len(tools) == count:
            break
        is_verb = rng.random() < share
        area = rng.choice(fields)
        one = drawn(lexicon.verbs if is_verb else lexicon.nouns[area], rng)
        if not lexicon.references(one) or not all(_free(one, other, lexicon) for other in tools):
            continue
        made = _verb(one, style, lexicon, rng) if is_verb else _noun(one, rng.choice(verbs[area]), style, lexicon, rng)
        says = made.act and any(_says(made.act, other.meaning) for other in tools if not other.act)
        if not says and not stems(one.word) & _around(made) and made.spec.name not in {one.spec.name for one in tools}:
            tools.append(made)
    rng.shuffle(tools)
    tools = [one for one in tools if spoken_of(one, tools, lexicon)]
    return tools if len(tools) > 3 else declared(lexicon, rng)


def _free(one: Meaning, other: Tool, lexicon: Lexicon) -> bool:
    """Whether a tool of this meaning can stand beside the other."""
    if other.act and one.pos == "v":
        return not _says(other.act, one)
    if other.fixed in SHARED:
        return not stems(one.word) & {other.fixed}
    return lexicon.apart(one, other.meaning) and all(lexicon.apart(one, value) for value in other.among.values())


def _says(act: Act, verb: Meaning) -> bool:
    """Whether the act could be told in this verb's words."""
    said = tokens(" ".join((act.verb, *act.phrases)))
    return not said.isdisjoint(stems(verb.word)) or not said.isdisjoint(verb.same)


def _around(tool: Tool) -> frozenset[str]:
    """The words that may stand around the one that a request is for."""
    act = tool.act.phrases + tool.act.needs if tool.act else ()
    slots = [said for slot in tool.slots for said in slot.every_word]
    before = acts.adjectives()[tool.adjective] if tool.adjective else ()
    return tokens(" ".join(acts.openings())).union(*map(tokens, (*act, *before, *slots)))


def _spelled(words: Sequence[str], style: str) -> str:
    return spell(tuple(" ".join(words).replace("-", " ").split()), style)


def _by_act(count: int, style: str, lexicon: Lexicon, rng: Random) -> list[Tool]:
    """Tools for one noun, which their verbs tell apart."""
    area = rng.choice(("artifact", "artifact", "artifact", "food", "animal", "person", "event", "communication"))
    one = drawn(lexicon.nouns[area], rng)
    noun = rng.choice(SHARED) if area == "artifact" and rng.random() < 0.4 else one.word
    made: list[Tool] = []
    for verb in rng.sample(acts.things()[area].acts, count):
        if any(tool.act and acts.close(verb, tool.act.verb) for tool in made):
            continue
        slots, keys, schema = acts.slots_for(verb, area, style, rng)
        thing = lexicon.article(noun, area)
        about = rng.choice(("", "", f"{verb.capitalize()} {thing}", f"To {verb} {thing}."))
        name = _spelled((verb, noun), style)
        made.append(Tool(ToolSpec(name, about, schema), one, acts.by_verb()[verb], slots, keys, fixed=noun))
    return made


def _by_adjective(count: int, style: str, lexicon: Lexicon, rng: Random) -> list[Tool]:
    """Tools for one noun and one act, which an adjective tells apart."""
    area = rng.choice(("artifact", "artifact", "food", "animal", "person", "location"))
    one = drawn(lexicon.nouns[area], rng)
    act = acts.by_verb()[rng.choice(acts.things()[area].acts)]
    made: list[Tool] = []
    for adjective in rng.sample(acts.things()[area].adjectives, count):
        if any(acts.close(adjective, tool.adjective) for tool in made):
            continue
        slots, keys, schema = acts.slots_for(act.verb, area, style, rng)
        about = rng.choice(("", "", f"{act.verb.capitalize()} {lexicon.article(f'{adjective} {one.word}', area)}"))
        name = _spelled((act.verb, adjective, one.word), style)
        made.append(Tool(ToolSpec(name, about, schema), one, act, slots, keys, adjective, fixed=one.word))
    return made


def _noun(one: Meaning, verb: str, style: str, lexicon: Lexicon, rng: Random) -> Tool:
    words = [verb, one.word]
    adjective = ""
    go_with = acts.things()[one.field].adjectives
    if go_with and rng.random() < 0.12:
        adjective = rng.choice(go_with)
        words.insert(1, adjective)
    elif rng.random() < 0.15:
        words = [one.word] if rng.random() < 0.6 else [one.word, verb]
    among = _among(one, lexicon) if rng.random() < 0.3 else {}
    slots, keys, schema = acts.slots_for(verb, one.field, style, rng, not adjective, tuple(among))
    thing = lexicon.article(f"{adjective} {one.word}".strip(), one.field)
    act = verb.capitalize()
    dice = rng.random()
    if dice < 0.25 and one.gloss:
        text = rng.choice((f"{act} {one.gloss}", f"{one.word.capitalize()}: {one.gloss}", one.gloss.capitalize()))
    elif dice < 0.55 or len(words) == 1:
        text = rng.choice((f"{act} {thing}", f"{act} {thing}.", f"Use this to {verb} {thing}"))
    else:
        text = ""
    spec = ToolSpec(_spelled(words, style), text, schema)
    return Tool(spec, one, acts.by_verb()[verb], slots, keys, adjective, among)


def _verb(one: Meaning, style: str, lexicon: Lexicon, rng: Random) -> Tool:
    shared = rng.choice(SHARED)
    words = [one.word] if rng.random() < 0.6 else [one.word, shared]
    text = rng.choice(("", "", one.gloss.capitalize(), f"{one.word.capitalize()} {lexicon.article(shared, '')}"))
    slots, keys, schema = acts.slots_for("verb", "", style, rng)
    return Tool(ToolSpec(_spelled(words, style), text, schema), one, None, slots, keys)


def _among(one: Meaning, lexicon: Lexicon) -> dict[str, Meaning]:
    """Kinds of it that can themselves be spoken of in other words."""
    made: dict[str, Meaning] = {}
    for word in one.kinds:
        value = lexicon.first.get((word, "n"))
        if not value or one.id not in lexicon.above(value.id):
            continue
        told = any(each.how != "kind" for each in lexicon.references(value))
        if told and all(lexicon.apart(value, other) for other in made.values()):
            made[word] = value
    return made if len(made) > 1 else {}


def wish(
    one: Tool, tools: Sequence[Tool], lexicon: Lexicon, rng: Random, plain: bool = False
) -> tuple[str, dict[str, Any]]:
    """A request for this tool, in other words than its own unless it is to be `plain`, and its arguments."""
    lower = rng.random() < 0.4
    arguments: dict[str, Any] = {}
    before: list[str] = [rng.choice(acts.adjectives()[one.adjective])] if one.adjective else []
    after: list[str] = []
    for slot, key in zip(one.slots, one.keys, strict=True):
        if key in one.spec.parameters["required"] or rng.random() < 0.5:
            said, arguments[key] = acts.value(slot, lower, rng)
            (before if slot.things else after).append(said)
    spoken, found = rng.choice(spoken_of(one, tools, lexicon))
    if one.among:
        arguments["kind"] = spoken.word
    reference = Reference(one.fixed or spoken.word, "same") if one.fixed or plain else _picked(found, rng)
    inside = [said for said in after if not CLAUSE.match(said)]
    if one.act:
        text = _acted(one.act, reference, spoken.field, lexicon, rng, before, inside)
    else:
        text = _done(reference, rng, inside)
    for said in (said for said in after if CLAUSE.match(said)):
        link = rng.choice((" ", " ", " - ") if text[-1] in "?!" else (", ", ", ", " - ", ". "))
        text += link + said
    ordered = {key: arguments[key] for key in one.spec.parameters["properties"] if key in arguments}
    kept = [value for value in ordered.values() if isinstance(value, str) and value in text]
    return (text.lower() if lower else _sentences(text, kept)), ordered


def spoken_of(one: Tool, tools: Sequence[Tool], lexicon: Lexicon) -> list[tuple[Meaning, list[Reference]]]:
    """What a request for the tool may speak of, and the words that mean nothing else among these tools."""
    if one.fixed:
        return [(one.meaning, [])]
    others = _meanings(tools, one)
    if not one.among:
        few = lexicon.clear(one.meaning, others)
        return [(one.meaning, few)] if few else []
    values = list(one.among.values())
    found = [
        (value, lexicon.clear(value, [*others, *(each for each in values if each is not value)])) for value in values
    ]
    return [(value, few) for value, ways in found if (few := [each for each in ways if each.how != "kind"])]


def _sentences(text: str, kept: Sequence[str] = ()) -> str:
    """With capitals and a full stop, except in the values that are to be kept as they are."""
    parts = re.split("(" + "|".join(map(re.escape, kept)) + ")", text) if kept else [text]
    for place in range(0, len(parts), 2):
        part = re.sub(r"\bi\b(?=[' ])", "I", parts[place])
        parts[place] = re.sub(r"([.?!] )([a-z])", lambda match: match[1] + match[2].upper(), part)
    text = "".join(parts)
    return text[0].upper() + text[1:] + ("" if text[-1] in ".?!" else ".")


def _picked(few: Sequence[Reference], rng: Random) -> Reference:
    ways = list(dict.fromkeys(each.how for each in few))
    how = rng.choices(ways, [WAYS[way] for way in ways])[0]
    return rng.choice([each for each in few if each.how == how])


def _acted(
    act: Act,
    reference: Reference,
    area: str,
    lexicon: Lexicon,
    rng: Random,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
) -> str:
    """What is wanted of something, in one of many ways, with words before its noun and after the wish."""
    noun = reference.text
    bare = re.sub(r"^(an?|the|any|some|one) ", "", noun) if reference.how == "gloss" else noun
    full = " ".join((*before, bare))
    whole = lexicon.article(full, area)
    if reference.how == "gloss":
        whole = with_a(full) if before else noun
    if reference.how == "kind" and not before and area not in BARE and area not in MASS and rng.random() < 0.4:
        whole = rng.choice(("some kind of {}", "some sort of {}", "a {} of some sort")).format(noun)
    forms = {"a": whole, "my": f"{rng.choice(('my', 'my', 'the', 'our', 'this'))} {full}"}
    tail = "".join(rng.choice((" {}", " {}", ", {}")).format(said) for said in after)
    if act.needs and rng.random() < 0.3:
        text = rng.choice(act.needs).format(**forms)
        end = text[-1] if text[-1] == "?" else ""
        return text.removesuffix(end) + tail + end
    phrase = rng.choice(act.phrases if rng.random() < 0.88 else (act.verb + " {a}",)).format(**forms)
    return rng.choice(acts.openings(ABOUT_ME.search(phrase) is not None)).format(phrase + tail)


def _done(reference: Reference, rng: Random, after: Sequence[str] = ()) -> str:
    """What a verb is wanted for."""
    text = reference.text
    if reference.how != "gloss":
        verb, *rest = text.split()
        what = rng.choice(("this", "it", "something", "this thing", "one of them", "the first one", "that"))
        text = " ".join((verb, what, *rest) if rest and rest[0] in APART else (verb, *rest, what))
    tail = "".join(f" {said}" for said in after)
    return rng.choice(acts.openings()).format(text + tail)


def _beyond(tools: Sequence[Tool], lexicon: Lexicon, rng: Random) -> str:
    """A request that no tool is for: another thing of a tool's field, or another act on its thing."""
    one = rng.choice(tools)
    if one.fixed and one.adjective:
        return ""
    area = one.meaning.field
    if not one.act:
        found = _others(drawn(lexicon.verbs, rng), tools, lexicon)
        return _sentences(_done(_picked(found, rng), rng)) if found else ""
    if one.fixed or (rng.random() < 0.4 and one.spec.name.lower().startswith(one.act.verb) and not one.among):
        same = [tool.act.verb for tool in tools if tool.act and (tool is one or tool.fixed == one.fixed)]
        verbs = [verb for verb in acts.things()[area].acts if not any(acts.close(verb, other) for other in same)]
        own = Reference(one.fixed, "same")
        found = [own] if one.fixed else lexicon.clear(one.meaning, _meanings(tools, one))
    else:
        verbs = [one.act.verb]
        found = _others(drawn(lexicon.nouns[area], rng), tools, lexicon)
        found = [each for each in found if each.how != "kind"]
    others = [tool for tool in tools if not one.fixed or tool.fixed != one.fixed]
    few = [acts.by_verb()[verb] for verb in verbs]
    few = [act for act in few if not any(_takes_all(tool, act) for tool in others)]
    return _sentences(_acted(rng.choice(few), _picked(found, rng), area, lexicon, rng)) if few and found else ""


def _others(other: Meaning, tools: Sequence[Tool], lexicon: Lexicon) -> list[Reference]:
    """Ways to speak of something else than these tools are for; none if one of them may be for it."""
    free = all(_free(other, tool, lexicon) for tool in tools)
    return lexicon.clear(other, _meanings(tools)) if free else []


def _takes_all(tool: Tool, act: Act) -> bool:
    """Whether the tool does this with anything."""
    if tool.act:
        return tool.fixed in SHARED and acts.close(tool.act.verb, act.verb)
    return _says(act, tool.meaning)


def _meanings(tools: Sequence[Tool], without: Tool | None = None) -> list[Meaning]:
    return [one.meaning for one in tools if one is not without and one.fixed not in SHARED]
