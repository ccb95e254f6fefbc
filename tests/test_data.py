"""The training conversations: the same for the same seed, right in form, and true to what was said."""

import json
import lzma
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from unicodedata import category

import pytest

from moonlet.agent.results import TRUST_NOTE
from moonlet.chat.messages import ToolCall
from moonlet.evals import catalogue
from moonlet.evals.by_hand import requests
from moonlet.simulate import abroad, demo, drills, foreign, foreign_answers, messages, said, seal, several, talk
from moonlet.simulate.blueprints import Blueprint, Parameter
from moonlet.simulate.declaring import make, words_of
from moonlet.simulate.episode import Conversation
from moonlet.simulate.numerals import written
from moonlet.simulate.requests import intents, request
from moonlet.simulate.sums import in_words
from moonlet.simulate.talk import NO_TOOL
from moonlet.simulate.worded import SLOT, worded, wordings
from moonlet.simulate.wording import compile_pattern, expand, fill, read
from moonlet.simulate.world import World
from moonlet.tools.tool import check
from moonlet.train import public
from moonlet.train.data import conversations


@pytest.fixture(scope="module")
def sample() -> list[Conversation]:
    return list(islice(conversations(11), 600))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of public sets in miniature, in the form of the real one, with rows of our own."""
    root = tmp_path_factory.mktemp("tool-use")

    def write(name: str, text: str) -> None:
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(lzma.compress(text.encode()) if name.endswith(".xz") else text.encode())

    def lines(rows: Sequence[object]) -> str:
        return "\n".join(json.dumps(row) for row in rows) + "\n"

    def tool(name: str, field: str) -> dict[str, object]:
        return {
            "api_name": name,
            "api_description": f"Retrieve the {name} of a town",
            "field": field,
            "parameters": {"townName": {"type": "str", "description": "The town (e.g., Bree, Rohan)"}},
            "required": ["townName"],
            "responses": {"value": {"type": "int", "description": "The value"}},
        }

    write(
        "seal-tools/tool.jsonl.xz", lines([tool(name, "Towns/All") for name in ("getMayor", "getHeight", "getHidden")])
    )
    judged = [{"id": "dev-1", "query": "q", "calling": [{"api": "getHidden", "parameters": {}}]}]
    both = [{"api": name, "parameters": {"townName": "Bree"}} for name in ("getMayor", "getHeight")]
    taught = [{"id": one, "query": "Bree, its mayor and height", "calling": both} for one in ["dev-2", "dev-3"]]
    write("seal-tools/dev.jsonl.xz", lines([*judged, *taught]))
    slots = [
        {"name": "city", "description": "City", "is_categorical": False, "possible_values": []},
        {"name": "seats", "description": "Seats", "is_categorical": True, "possible_values": ["1", "2"]},
    ]
    find = {
        "name": "FindTable",
        "description": "Find a table",
        "required_slots": ["city"],
        "optional_slots": {"seats": "2"},
    }
    write("sgd/schema_train.json", json.dumps([{"service_name": "Tables_1", "slots": slots, "intents": [find]}]))
    call = {"service": "Tables_1", "method": "FindTable", "parameters": {"city": "Bree", "seats": "2"}, "n_results": 1}
    lost = {**call, "parameters": {"city": "Gondor"}, "results": []}
    turns = [
        {"who": "U", "text": "A table in Bree."},
        {
            "who": "S",
            "text": "The Pony is free.",
            "calls": [{**call, "results": [{"city": "Bree", "name": "The Pony"}]}],
        },
        {"who": "U", "text": "And elsewhere?"},
        {"who": "S", "text": "No.", "calls": [lost]},
    ]
    write("sgd/sgd_train.jsonl.xz", lines([{"id": "1", "services": ["Tables_1"], "turns": turns}]))
    for name in ("PlayMusic", "RateBook", "AddToPlaylist"):
        spans = [{"text": "please take "}, {"text": "Song Two", "entity": "object_name"}, {"text": " now"}]
        write(f"snips/train_{name}.json.xz", json.dumps({name: [{"data": spans}] * 3}))
    groups = [
        [f"text {number} of {name}", name] for name in ("alpha", "beta", "gamma", "delta", "eps") for number in range(3)
    ]
    write("clinc150/train.json.xz", json.dumps({"train": groups, "oos_train": [["what is this", "oos"]]}))
    rows = "".join(f"{text},{name}\n" for text, name in groups)
    write("banking77/train.csv.xz", "text,category\n" + rows)
    write("metatool/all_clean_data.csv.xz", "Query,Tool\n" + rows)
    write(
        "metatool/plugin_des.json",
        json.dumps({name: f"Does {name}" for name in ("alpha", "beta", "gamma", "delta", "eps")}),
    )
    chosen = "".join(
        f'"User: {text}\n###\nTool Choices: {name} = Does it.\n###\nThought: fits\nAct: CALLTOOL[""{name}""]"\n'
        for text, name in groups
    )
    write("toolverifier/tools.csv", "Name,Description\n" + "".join(f"{name},Does {name}\n" for _, name in groups))
    write("toolverifier/train.csv.xz", "text\n" + chosen)
    return root


def marked(text: str) -> bool:
    """Whether it is a result that others wrote, between its marks."""
    found = re.fullmatch(r"\[untrusted (\w{8}): [^\n]*\n(.+)\n\[end (\w{8})]", text, re.DOTALL)
    return found is not None and found[1] == found[3]


def assert_in_form(conversation: Conversation) -> None:
    """Declared tools are called with arguments of the declared types; calls are numbered, and answered in order or, in
    an exercise, not at all."""
    specs = {spec.name: spec for spec in conversation.tools}
    assert len(specs) == len(conversation.tools) > 0
    assert conversation.messages[-1].role == "assistant"
    exercise = not any(message.role == "tool" for message in conversation.messages)
    waiting: list[ToolCall] = []
    count = 0
    for message in conversation.messages:
        for call in message.calls:
            assert call.id == f"functions.{call.name}:{count}"
            assert check(json.loads(call.arguments), specs[call.name].parameters, "arguments") is None
            count += 1
        if message.role == "tool":
            assert (message.name, message.call_id) == (waiting[0].name, waiting.pop(0).id)
            assert marked(message.content) or "[untrusted" not in message.content
        else:
            assert not waiting
            assert message.calls or message.content
        waiting += () if exercise else message.calls
    assert not waiting


def test_the_same_seed_gives_the_same_conversations() -> None:
    first, again, other = (list(islice(conversations(seed), 20)) for seed in (3, 3, 4))
    assert first == again != other


def test_every_conversation_is_in_form(sample: list[Conversation]) -> None:
    for conversation in sample:
        assert_in_form(conversation)


def test_texts_are_copied_from_what_was_said() -> None:
    """On the demonstration tools a text argument is part of an earlier message; a sum has its numbers from there, but
    where somebody marked what it means."""
    rng = Random(5)
    marked = {
        match[4]
        for language in ("en", *foreign.LANGUAGES)
        for lines in said.lines(language).sections.values()
        for line in lines
        for match in said.SLOT.finditer(line.text)
    }
    for _ in range(500):
        conversation = demo.conversation(rng)
        specs = {spec.name: spec for spec in conversation.tools}
        told = ""
        for message in conversation.messages:
            for call in message.calls:
                for key, value in json.loads(call.arguments).items():
                    closed = "enum" in specs[call.name].parameters["properties"][key] or value == "all"
                    if not isinstance(value, str) or closed or value in told or value in marked:
                        continue
                    assert call.name == "calculate", (call, told[-200:])
                    assert all(number in told for number in re.findall(r"\d[\d.]*", value)), (call, told[-200:])
            told += " " + " ".join(message.content.split())


def said_as(value: float) -> tuple[str, ...]:
    """Words for a number: those of the measures and lights, else the number in words."""
    special = {
        1: (" a ", " an ", "a ", "an "),
        50: ("fifty", "half", "halve", "halving"),
        100: (
            "hundred",
            "full",
            "max",
            "all the way",
            "all way",
            "as bright",
            "flat out",
            "all you've got",
            "everything you've got",
            "as much light",
            "crank right up",
            "top b",  # slips of the finger are further on
        ),
    }
    if value in special:
        return special[int(value)]
    if 0 < value < 100 and value == int(value):
        return (in_words(int(value)),)
    return {200: ("two hundred",), 500: ("five hundred",), 1000: ("thousand",), 2000: ("two thousand",)}.get(value, ())


def test_numbers_are_read_from_what_was_said(sample: list[Conversation]) -> None:
    """A number argument is written in an earlier message, perhaps with thousands set apart, or it is said in words."""
    otherwise: dict[float, list[str]] = {}
    every = [pairs for language in ("en", *foreign.LANGUAGES) for pairs in wordings(language).values.values()]
    typed = [
        (match[3], match[4])
        for language in ("en", *foreign.LANGUAGES)
        for lines in said.lines(language).sections.values()
        for line in lines
        for match in said.SLOT.finditer(line.text)
        if match[4]
    ]
    for words, meant in (pair for pairs in (*every, typed) for pair in pairs):
        for number in meant.split("; "):
            if re.fullmatch(r"-?\d+(\.\d+)?", number):
                otherwise.setdefault(float(number), []).append(words.lower())
    for conversation in sample:
        told = ""
        for message in conversation.messages:
            for call in message.calls:
                for value in json.loads(call.arguments).values():
                    if isinstance(value, int | float) and not isinstance(value, bool):
                        forms = [f"{value:g}", str(value), *said_as(value)]
                        if value in range(1, 1000):
                            forms += ["两", *(written(int(value), language) for language in foreign.LANGUAGES)]
                        text = told.lower()
                        assert any(form in text.replace(",", "") for form in forms) or any(
                            words in text for words in otherwise.get(value, ())
                        ), (call, told)
            told += " " + message.content


def test_the_mixture_has_its_parts(sample: list[Conversation]) -> None:
    users = [message for one in sample for message in one.messages if message.role == "user"]
    calls = [message for one in sample for message in one.messages if message.calls]
    refusals = {NO_TOOL, *foreign_answers.NO_TOOL.values()}
    refused = [message for one in sample for message in one.messages if message.content in refusals]
    assert 8 < len(users) / len(sample) < 16
    assert 0.6 < len(calls) / len(users) < 0.9
    assert 0.10 < len(refused) / len(users) < 0.25
    assert sum(len(message.calls) > 1 for message in calls) > 20
    sizes = {len(one.tools) for one in sample}
    assert min(sizes) <= 3 and 18 in sizes and max(sizes) > 18
    text = " ".join(message.content for message in users)
    assert re.search(r"[ก-๙]", text) and re.search(r"[一-鿿]", text)


def test_tools_of_servers_come_as_an_agent_has_them(sample: list[Conversation]) -> None:
    served = [one for one in sample if TRUST_NOTE in one.messages[0].content]
    assert 25 < len(served) < 160
    for one in served:
        assert all(len(tool.name.split("__")) == 2 and len(tool.name) <= 64 for tool in one.tools)
        for message in one.messages:
            if message.role == "tool":
                assert marked(message.content)


def test_asked_for_a_missing_tool_the_assistant_refuses() -> None:
    rng = Random(2)
    for _ in range(200):
        conversation = demo.conversation(rng)
        names = {spec.name for spec in conversation.tools}
        for message in conversation.messages:
            assert {call.name for call in message.calls} <= names


def test_every_pattern_can_be_filled() -> None:
    """Each line of the wordings compiles, and its slots are known."""
    world, rng = World(0, date(2026, 11, 23)), Random(0)
    for name in ("en", "en_spoken", "en_more", "en_people", "en_follow_ups"):
        for intent in intents(name):
            for _ in range(8 * len(intent.patterns)):
                assert "{" not in request(intent, rng, world).text
    for language in foreign.LANGUAGES:
        for intent in (*foreign.wordings(language), *intents(f"{language}_follow_ups")):
            for _ in range(8 * len(intent.patterns)):
                assert "{" not in foreign.request(intent, language, rng, world)[0]
    for _ in range(800):
        assert "{" not in talk.beyond(rng, world)
        assert "{" not in talk.small_talk(rng, ["a"])[0]


def test_a_note_is_no_search_and_a_thing_to_buy_no_order() -> None:
    """ "note: x", "notes - x" and "new note x" are written down; a bare "buy milk" is not among what no tool can do."""
    rng = Random(0)
    noted = re.compile(r"(?:(?:add|make|take|write) (?:a )?|new |quick )?(?:notes?|memo)(?:: | - | \{)")
    for name in ("en", "en_spoken", "en_more"):
        for intent in intents(name):
            texts = [pattern.expand(rng) for pattern in intent.patterns for _ in range(20)]
            assert intent.tool in ("add_note", "") or not any(map(noted.match, texts)), intent.tool
    bought = re.compile(r"(?:buy|fetch|shop for) (?:an? |some |new |the )?(?!me |us )[{}\w]+(?: \{\w+\})?")
    for _, patterns in read("en_beyond"):
        for pattern in patterns:
            assert not any(bought.fullmatch(pattern.expand(rng)) for _ in range(20))


def test_patterns_nest() -> None:
    node = compile_pattern("(a|b(c|)) {x}")
    assert {expand(node, Random(seed)) for seed in range(40)} == {"a {x}", "bc {x}", "b {x}"}
    assert fill("say {x} , now ?", {"x": "it"}) == "say it, now?"
    with pytest.raises(AssertionError, match="unbalanced"):
        compile_pattern("(a|b")


def masked(text: str, arguments: list[dict[str, object]]) -> list[str]:
    """The words of a request without the values of its arguments."""
    text = " ".join(text.casefold().split())
    for value in sorted((str(v).casefold() for one in arguments for v in one.values()), key=len, reverse=True):
        text = text.replace(value, "_")
    return re.findall(r"[\w']+", text)


def grams(words: list[str]) -> set[str]:
    return {" ".join(words[i : i + 8]) for i in range(len(words) - 7)}


SHORT_WORDS, SHORT_SIGNS = 5, 12  # of hand-written requests that may occur in training: nobody words them otherwise


def plain(text: str) -> str:
    """Without what is not heard: case, punctuation, spaces at the ends."""
    return " ".join("".join(" " if category(sign)[0] in "PS" else sign for sign in text.casefold()).split())


def is_short(text: str) -> bool:
    """Of a plain text: so short that it may occur in training."""
    spaceless = re.search("[\u0e00-\u9fff]", text)
    return len(text.replace(" ", "")) <= SHORT_SIGNS if spaceless else len(text.split()) <= SHORT_WORDS


def test_hand_written_requests_stay_out_of_training() -> None:
    """No eight words in a row of a hand-written request, values aside, occur in generated ones; and of those that occur
    there as a whole, all are short."""
    held: dict[str, str] = {}
    whole = {plain(question.text) for question in requests()}
    found: set[str] = set()
    for question in requests():
        for gram in grams(masked(question.text, [dict(arguments) for _, arguments in question.right[0]])):
            held[gram] = question.text
    rng = Random(99)
    for _ in range(1500):
        messages = demo.conversation(rng).messages
        for message, reply in pairwise(messages):
            if message.role == "user":
                arguments = [json.loads(call.arguments) for call in reply.calls]
                shared = grams(masked(message.content, arguments)) & held.keys()
                assert not shared, (message.content, [held[gram] for gram in shared])
                found |= {plain(message.content)} & whole
    assert not [text for text in found if not is_short(text)]
    assert len(found) < len(whole) / 4, len(found)


def catalogue_texts() -> list[str]:
    """What the tools suite asks, but for its worlds."""
    requests = [one.request for one in catalogue.entries()]
    return [*requests, *catalogue.talk(), *(text for _, text in catalogue.missing())]


def test_what_was_typed_for_training_is_not_what_judges() -> None:
    """Of every such request, not of some: none is a hand-written one, and none has eight words in a row of one."""
    whole = {plain(question.text) for question in requests()} | {plain(text) for text in catalogue_texts()}
    held = {
        gram
        for question in requests()
        for gram in grams(masked(question.text, [dict(arguments) for _, arguments in question.right[0]]))
    }
    for language in ("en", *foreign.LANGUAGES):
        for lines in said.lines(language).sections.values():
            for line in lines:
                text = said.SLOT.sub(r"\3", line.text.partition(" || ")[0])
                values = [{"": match[3]} for match in said.SLOT.finditer(line.text)]
                assert plain(text) not in whole, text
                assert not grams(masked(text, list(values))) & held, text


def test_requests_written_for_schemas() -> None:
    written = wordings()
    lines = [line for lines in written.requests.values() for line in lines]
    assert len(written.requests) > 3000 and len(lines) > 7000 and len(written.contexts) > 100
    assert not [line for line in lines if re.search(r"[{}]", SLOT.sub("", line)) or not line.strip()]
    held = {gram for question in requests() for gram in grams(plain(question.text).split())}
    assert not [line for line in lines if held & grams(plain(SLOT.sub(r"\2", line)).split())]
    speed = Blueprint(
        ("get", "vehicle", "speed"),
        "Retrieve the speed",
        (Parameter(("vehicle", "id"), "string"), Parameter(("unit",), "string", required=False)),
        key="getVehicleSpeed",
    )
    rng = Random(4)
    for _ in range(60):
        made = make(speed, "camel", rng)
        said = worded(made, rng, lower=rng.random() < 0.5)
        assert said is not None
        text, arguments = said
        assert set(made.spec.parameters["required"]) <= set(arguments) <= {"vehicleId", "unit", "vehicle_id"}
        assert all(value in text for value in arguments.values()), said
    assert worded(make(replace(speed, key="nobody wrote any"), "snake", rng), rng) is None


def test_several_wishes_in_one_message() -> None:
    rng = Random(8)
    wishes = ["Find Oslo on the map.", "Oslo has how many people?", "I need its mayor"]
    said = [
        several.joined(wishes[:count], frozenset(["Oslo"]), rng, context)
        for count in (2, 3)
        for context in ("", "Hi.")
        for _ in range(40)
    ]
    for text in said:
        at = [text.lower().find(wish.rstrip(".?").lower()) for wish in wishes]
        assert -1 < at[0] < at[1] and (at[2] == -1 or at[1] < at[2]), text
        assert "oslo" not in text
    assert any("inally, I need its mayor." in text for text in said)


def test_exercises_can_be_done_from_the_declaration_alone() -> None:
    """No two tools have the same words, every text stands in the message, and many messages ask for several."""
    rng = Random(8)
    calls: list[int] = []
    otherwise = {pair for found in wordings().values.values() for pair in found}
    for _ in range(200):
        conversation = drills.conversation(rng, wordings().blueprints, {})
        assert_in_form(conversation)
        names = [words_of(spec.name) for spec in conversation.tools]
        assert len(set(names)) == len(names)
        specs = {spec.name: spec for spec in conversation.tools}
        said: list[str] = []
        for message in conversation.messages:
            said += [message.content.lower()] if message.role == "user" else []
            for call in message.calls:
                for key, value in json.loads(call.arguments).items():
                    schema = specs[call.name].parameters["properties"][key]
                    if isinstance(value, str) and not re.search("YYYY|HH:MM", schema.get("description", "")):
                        text = " ".join(said[-2:])  # what was left out is asked for
                        assert value.lower() in text or any(
                            meant == value and words.lower() in text for words, meant in otherwise
                        ), (call, text)
            if message.role == "assistant" and (message.calls or message.content == NO_TOOL):
                calls.append(len(message.calls))
    assert sum(count > 1 for count in calls) > 0.3 * len(calls)
    assert sum(count == 0 for count in calls) > 0.05 * len(calls)


def test_messages_for_several_tools_become_their_calls() -> None:
    """Each message has the slots of its tools only; in talk every value stands in the message, its calls in order."""
    blueprints: dict[str, Blueprint] = {}
    for names, text in messages.messages():
        left = text
        for number, name in enumerate(names, 1):
            known = blueprints.get(name) or Blueprint(words_of(name), f"Does {name}", ())
            taken = {one.words for one in known.parameters}
            new = {
                words_of(key): Parameter(words_of(key), "string", required=False)
                for key, *_ in messages.slots(number).findall(text)
            }
            blueprints[name] = replace(
                known, parameters=(*known.parameters, *(one for words, one in new.items() if words not in taken))
            )
            left = messages.slots(number).sub("", left)
        assert "{" not in left and "}" not in left, text
    every = messages.fitting(blueprints)
    assert len(every) == len(messages.messages()) > 700
    for seed in range(300):
        conversation = messages.conversation(Random(seed), every, blueprints)
        assert_in_form(conversation)
        assert max(len(message.calls) for message in conversation.messages) > 1


def test_invented_tools_are_asked_for_in_thai_and_chinese() -> None:
    """Each of them in both languages; texts stand in the message, and refusals are in its language."""
    for language in foreign.LANGUAGES:
        assert wordings(language).requests.keys() == {one.key for one in wordings().blueprints}
    pairs = {pair for language in foreign.LANGUAGES for found in wordings(language).values.values() for pair in found}
    rng = Random(9)
    for _ in range(200):
        conversation = abroad.conversation(rng)
        assert_in_form(conversation)
        specs = {spec.name: spec for spec in conversation.tools}
        said = ""
        for message in conversation.messages:
            if message.role == "user":
                said = message.content
                assert re.search(r"[ก-๙]|[一-鿿]", said), said
            if message.content in foreign_answers.NO_TOOL.values():
                assert message.content == foreign_answers.NO_TOOL["th" if re.search(r"[ก-๙]", said) else "zh"]
            for call in message.calls:
                for key, value in json.loads(call.arguments).items():
                    schema = specs[call.name].parameters["properties"][key]
                    formed = "enum" in schema or re.search(r"YYYY|HH:MM", schema.get("description", ""))
                    if isinstance(value, str) and not formed and value not in said:
                        assert any(meant == value and words in said for words, meant in pairs), (call, said)


def test_of_a_folder_of_public_sets_those_are_taken_that_are_there(tmp_path: Path) -> None:
    assert next(conversations(1, tmp_path)).messages


def test_public_sets_are_rendered(data: Path) -> None:
    for conversation in islice(conversations(1, data), 300):
        assert_in_form(conversation)


def test_an_sgd_dialogue_stops_before_what_was_not_said(data: Path) -> None:
    conversation = public.sgd(data)(Random(1))
    assert_in_form(conversation)
    assert [message.role for message in conversation.messages] == ["system", "user", "assistant", "tool", "assistant"]
    arguments = json.loads(conversation.messages[2].calls[0].arguments)
    assert list(arguments.values()) == ["Bree"]  # the default of two seats was not said
    assert conversation.messages[-1].content == "The Pony is free."


def test_requests_for_several_tools_are_taught_where_none_judges(data: Path) -> None:
    assert [one.text for one in seal.teaching(data)] == ["Bree, its mayor and height"] * 2
    conversation = public.seal_requests(data)(Random(1))
    assert_in_form(conversation)
    assert {call.name for message in conversation.messages for call in message.calls} == {"getMayor", "getHeight"}
    assert {tool.name for tool in conversation.tools} == {"getMayor", "getHeight"}


def test_a_tool_is_chosen_by_its_description(data: Path) -> None:
    conversation = public.toolverifier(data)(Random(1))
    assert_in_form(conversation)
    asked = [message.content for message in conversation.messages if message.role == "user"]
    assert asked and all(re.fullmatch("text . of (alpha|beta|gamma|delta|eps)", text) for text in asked)


def test_judged_tools_are_not_trained_on(data: Path) -> None:
    assert seal.held_out(data) == {"getHidden"}
    assert [one.words for one in seal.blueprints(data)] == [("get", "mayor"), ("get", "height")]
    assert [one.words for one in seal.blueprints(data, kept_out=True)] == [("get", "hidden")]
    assert seal.blueprints(data)[0].parameters[0].examples == ("Bree", "Rohan")


def test_names_are_split_into_words() -> None:
    assert words_of("getHTTPStatus_code") == ("get", "http", "status", "code")
