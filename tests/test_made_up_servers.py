"""Conversations with made-up servers: in the manner of real ones, true to what was said, and nobody's own tools."""

import json
import re
from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from moonlet.chat.messages import ToolCall
from moonlet.simulate.episode import Conversation
from moonlet.simulate.servers import talk
from moonlet.simulate.servers.declared import roles, server
from moonlet.simulate.servers.telling import told
from moonlet.simulate.talk import NO_TOOL
from moonlet.simulate.words import words
from moonlet.tools.tool import check

# Tools of the servers that bench.reference_small judges with, and what its tasks hand over: none may be trained on.
JUDGED = words("""
echo get-sum get-env toggle-simulated-logging trigger-long-running-operation get-annotated-message get-tiny-image
read_file read_text_file read_media_file read_multiple_files write_file edit_file create_directory list_directory
list_directory_with_sizes directory_tree move_file search_files get_file_info list_allowed_directories
create_entities create_relations add_observations delete_entities delete_observations delete_relations read_graph
search_nodes open_nodes get_current_time convert_time git_status git_diff_unstaged git_diff_staged git_diff git_commit
git_add git_reset git_log git_create_branch git_checkout git_show git_branch fetch
""")
HANDED = ("Asia/Tokyo", "Europe/Paris", "America/New_York", "Asia/Bangkok", "Europe/Berlin", "/tmp/garden", "note.txt",
          "hello world", "buy stamps", "first commit", "likes trains")  # fmt: skip


@pytest.fixture(scope="module")
def sample() -> list[Conversation]:
    rng = Random(4)
    return [talk.conversation(rng) for _ in range(300)]


def calls_of(one: Conversation) -> list[tuple[str, ToolCall, str]]:
    """What was said so far, and the call it led to, and the result."""
    said, found = "", []
    for message, after in pairwise(one.messages):
        if message.role in ("user", "assistant", "tool"):
            said += " " + message.content
        found += [(said, call, after.content) for call in message.calls]
    return found


def leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    return [leaf for inner in value for leaf in leaves(inner)] if isinstance(value, list) else [value]


def test_the_same_seed_gives_the_same() -> None:
    first, again = ([talk.conversation(rng) for _ in range(20)] for rng in (Random(1), Random(1)))
    assert first == again


def test_calls_fit_their_schemas_and_hand_over_what_was_said(sample: list[Conversation]) -> None:
    for one in sample:
        specs = {spec.name: spec for spec in one.tools}
        for said, call, _ in calls_of(one):
            schema = specs[call.name].parameters
            arguments = json.loads(call.arguments)
            assert check(arguments, schema, "arguments") is None
            for key, value in arguments.items():
                for leaf in leaves(value):
                    assert isinstance(leaf, bool) or str(leaf) in said, (key, leaf, said[-300:])


def test_an_answer_tells_the_result(sample: list[Conversation]) -> None:
    for one in sample:
        for before, after in pairwise(one.messages):
            if before.role == "tool":
                inner = re.fullmatch(r"\[untrusted [^\n]*\n(.*)\n\[end \w+]", before.content, re.DOTALL)
                assert after.content == told(inner[1] if inner else before.content)


def test_json_is_told_in_sentences_and_lines_as_they_are() -> None:
    lid = {"id": "A-1", "lapCount": 4, "open": True, "owner": {"name": "Bo"}, "tags": ["x", "y"], "gone": None}
    assert told(json.dumps(lid)) == (
        "The id is A-1. The lap count is 4. The open is true. The owner name is Bo. The tags are x, y."
    )
    assert told('[{"name": "Lid", "size": 2}, {"name": "Pan"}]') == "Lid (2); Pan."
    assert told('{"total": 0, "laps": []}') == "The total is 0. There are no laps."
    assert told('{"success": true}') == "Done."
    assert told('{"error": "lid not found"}') == "Sorry, lid not found."
    assert told("status: open\nOwner: Bo") == "The status is open. The owner is Bo."
    assert told("[LAP] one\n[LAP] two\n") == "[LAP] one\n[LAP] two"
    assert told("\n".join("abcdefghij")).endswith("h\n...")


def test_they_look_like_servers(sample: list[Conversation]) -> None:
    """Every role, spelling and library occurs; descriptions of several sentences, lists of objects, verbatim values."""
    specs = [spec for one in sample for spec in one.tools]
    schemas = [json.dumps(spec.parameters) for spec in specs]
    names = [spec.name.split("__")[-1] for spec in specs]
    assert len(set(names)) > 0.6 * len(names)
    for form in (r"[a-z]+(_[a-z]+)+", r"[a-z]+(-[a-z]+)+", r"[a-z]+([A-Z][a-z]+)+"):
        assert sum(bool(re.fullmatch(form, name)) for name in names) > 100
    for key in (
        '"$schema"',
        '"title"',
        '"default"',
        '"additionalProperties"',
        '"anyOf"',
        '"enum"',
        '"items": {"type": "obj',
    ):
        assert sum(key in schema for schema in schemas) > 20, key
    assert sum(spec.description.count(". ") >= 2 for spec in specs) > 200
    results = [result for one in sample for _, _, result in calls_of(one)]
    for form in (r"\n\[[A-Z]+\] ", r"@@ -\d", r"Successfully ", r"\n- ", r'": \[\n? *\{', r"T\d\d:\d\d:\d\d"):
        assert sum(bool(re.search(form, result)) for result in results) > 5, form
    said = " ".join(message.content for one in sample for message in one.messages if message.role == "user")
    for form in (r"/\w+/\w+", r"https?://", r"[A-Z][a-z]+/[A-Z][a-z]+", r"[A-Z]{2,3}-\d+", r'"[^"]+ [^"]+"'):
        assert len(re.findall(form, said)) > 20, form


def test_every_role_is_offered_and_asked_for() -> None:
    rng, seen = Random(2), Counter[str]()
    for _ in range(300):
        seen.update(tool.role for tool in server(rng, 6).tools)
    assert set(seen) == set(roles())


def test_some_requests_are_for_no_tool(sample: list[Conversation]) -> None:
    answers = [message.content for one in sample for message in one.messages if message.role == "assistant"]
    users = sum(message.role == "user" for one in sample for message in one.messages)
    assert 0.03 < answers.count(NO_TOOL) / users < 0.12
    assert 8 < users / len(sample) < 12


def test_the_reference_servers_stay_out(sample: list[Conversation]) -> None:
    rng = Random(8)
    for one in (*sample, *(talk.conversation(rng) for _ in range(300))):
        assert not {spec.name.split("__")[-1] for spec in one.tools} & set(JUDGED)
        text = "\n".join(message.content for message in one.messages)
        assert not [value for value in HANDED if value in text]
