"""Schemas made to harm: they are refused in one line, or cost what an honest one costs, and honest ones still pass."""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from moonlet.chat import constrain, grammar
from moonlet.chat.constrain import CallConstraint, SchemaError
from moonlet.chat.declare import compact_declaration
from moonlet.chat.messages import Message, ToolSpec
from moonlet.chat.schema import enforceable
from moonlet.chat.template import TemplateError, render
from moonlet.chat.tokenizer import Tokenizer
from vocabularies import small

S, B, A = "<|tool_calls_section_begin|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>"

Schema = dict[str, Any]


def arguments(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": [*properties]}


def constrained(*tools: ToolSpec, **options: Any) -> CallConstraint:
    return CallConstraint(small(), tools, family="moonlet", **options)


def take(constraint: CallConstraint, text: str) -> None:
    for id in small().encode(text, specials=True):
        assert int(constraint.mask()[id // 32]) >> id % 32 & 1, id
        constraint.accept(id)


LINKS: dict[str, Callable[[Schema], Schema]] = {
    "objects": lambda link: arguments(x=link),
    "bare": lambda link: link,
    "allOf": lambda link: {"allOf": [link]},
    "anyOf": lambda link: {"anyOf": [link, {"type": "null"}]},
    "items": lambda link: {"type": "array", "items": link},
    "beside others": lambda link: {**link, "description": "d"},
}


def chain(link: Callable[[Schema], Schema], length: int) -> Schema:
    made = {f"a{i}": link({"$ref": f"#/$defs/a{i + 1}"}) for i in range(length)}
    return {**arguments(x={"$ref": "#/$defs/a0"}), "$defs": {**made, f"a{length}": {"type": "integer"}}}


@pytest.mark.parametrize("name", LINKS)
def test_references_that_lead_on_and_on_are_refused(name: str) -> None:
    """From some 1,000 on, llguidance's recursion ends the process."""
    constrained(ToolSpec("fine", "", chain(LINKS[name], 100)))
    for length in (400, 20_000):
        begun = time.monotonic()
        with pytest.raises(SchemaError, match=r"tool 'far' .*\$ref leads through more than 400 levels") as caught:
            constrained(ToolSpec("far", "", chain(LINKS[name], length)))
        assert caught.value.keyword == "$ref" and "\n" not in str(caught.value)
        assert time.monotonic() - begun < 20, "in time linear in the schema"


def round_and_round(count: int) -> Schema:
    """Definitions that all lead to the next, to the first, and to one behind them."""
    refs = [[{"$ref": f"#/definitions/a{j % count}"} for j in (i + 7, 0, i + 1)] for i in range(count)]
    made = {f"a{i}": {"type": "object", "properties": dict(zip("xyz", ref))} for i, ref in enumerate(refs)}
    return {**arguments(x={"$ref": "#/definitions/a0"}), "definitions": made}


def by_name(count: int, keyword: str) -> Schema:
    """A chain along names that are no pointers."""
    sign = "#" if keyword == "$anchor" else ""
    made = {f"a{i}": arguments(x={"$ref": f"{sign}n{i + 1}"}) | {keyword: f"n{i}"} for i in range(count)}
    return {**arguments(x={"$ref": f"{sign}n0"}), "$defs": {**made, "z": {keyword: f"n{count}"}}}


def twice(count: int) -> Schema:
    """A chain whose pointers might be unwound once more than they are."""
    made = {f"%61{i}": {"type": "integer"} for i in range(count + 1)}
    schema = chain(LINKS["objects"], count)
    whole: Schema = json.loads(json.dumps(schema).replace("#/$defs/a", "#/$defs/%2561"))
    return {**whole, "$defs": made | whole["$defs"]}


def elsewhere(count: int) -> Schema:
    """A chain whose pointers mean something else below a name than at the top, where they lead nowhere far."""
    top = {f"a{i}": {"type": "integer"} for i in range(count + 1)}
    return {**arguments(x={"$id": "http://a/b", **chain(LINKS["objects"], count)}), "$defs": top}


@pytest.mark.parametrize(
    "made",
    [round_and_round, lambda n: by_name(n, "$id"), lambda n: by_name(n, "$anchor"), elsewhere, twice],
    ids=["in circles", "by $id", "by $anchor", "below an $id", "unwound twice"],
)
def test_neither_circles_nor_names_hide_how_far_references_lead(made: Callable[[int], Schema]) -> None:
    constrained(ToolSpec("fine", "", made(8)))
    with pytest.raises(SchemaError, match="leads through more than 400 levels"):
        constrained(ToolSpec("far", "", made(400)))


def test_a_large_schema_whose_references_lead_nowhere_far_is_taken() -> None:
    """As generators write them: hundreds of definitions, each used in many places, none of them deep."""
    made: Schema = {f"leaf{i}": arguments(a={"type": "string"}) for i in range(300)}
    made |= {f"mid{i}": arguments(**{f"b{j}": {"$ref": f"#/$defs/leaf{i + j}"} for j in range(5)}) for i in range(290)}
    schema = {**arguments(**{f"c{i}": {"$ref": f"#/$defs/mid{i}"} for i in range(290)}), "$defs": made}
    assert enforceable("t", schema)
    generic = json.dumps(schema).replace("#/$defs/leaf", "#/$defs/Leaf%3C").replace('"leaf', '"Leaf<')
    assert enforceable("t", json.loads(generic)), "as some write generic types"
    value = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/value"}}]}
    made |= {f"leaf{i}": arguments(a={"$ref": "#/$defs/value"}) for i in range(300)} | {"value": value}
    assert enforceable("t", schema), "all of them lead to one that leads to itself"
    tree = {"$defs": {"node": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}
    assert enforceable("t", {**arguments(a={"$ref": "#/$defs/node"}, self={"$ref": "#"}), **tree})


@pytest.mark.parametrize(
    "pattern",
    [
        "^(a{1000}){80}$",
        "^a{20000}$",
        "^(a{1000}[(]){80}$",
        "^(a{1000}[)]){80}$",
        "^[{5](a{1000}){80}$",
        "^(a{1000})+{80}$",
        "^(a{1000}){1}?{80}$",
        "^(a{1000}){ 0000000000080 , 90 }$",
        "^" + "a{1000}" * 80 + "$",
        "^(?x)(a{1000}) {80}$",
        "^(?i-x:a)(?ix:(a{1000}) {80})$",
    ],
)
def test_a_pattern_of_texts_without_end_is_refused(pattern: str) -> None:
    """llguidance takes time with the square of what must come, in the thread in which all replies are written."""
    for schema in (
        {"type": "string", "pattern": pattern},
        {"type": "object", "patternProperties": {pattern: {}}, "minProperties": 1},
    ):
        with pytest.raises(SchemaError, match="tool 'p' cannot be enforced: pattern ") as caught:
            constrained(ToolSpec("p", "", arguments(a=schema)))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        "^([0-9]{1,3}\\.){3}[0-9]{1,3}$",
        "^[A-Za-z0-9+/]{4096}={0,2}$",
        "^(\\w{1,64} ){0,1000}$",
        "^[0-9a-f]{64}:[0-9a-f]{64}:[0-9]{3}$",
        "^[\\x{4e00}-\\x{9fff}]{2,40}$",
        "^.{0,100000}$",
        "^(a|b)*z{3,}$",
    ],
)
def test_patterns_that_people_write_are_taken(pattern: str) -> None:
    tool = ToolSpec("p", "", arguments(a={"type": "string", "pattern": pattern}))
    assert constrained(tool, tool_choice="p").mask().any()


@pytest.mark.parametrize("fixed", [{"const": "a" * 10_001}, {"enum": ["b", ["a" * 10_001]]}])
def test_values_of_texts_without_end_are_refused(fixed: Schema) -> None:
    with pytest.raises(SchemaError, match="holds a text of more than 10,000 characters") as caught:
        constrained(ToolSpec("c", "", arguments(a=fixed)))
    assert caught.value.keyword in fixed
    constrained(ToolSpec("c", "", arguments(a={"enum": ["a" * 10_000, "b"]}, b={"description": "x" * 50_000})))


def nested(kind: list[str], levels: int) -> Schema:
    schema: Schema = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": kind, "properties": {"a": schema}, "items": schema if "array" in kind else {}}
    return schema


def test_a_type_that_is_named_again_and_again_is_told_once() -> None:
    told = compact_declaration([ToolSpec("t", "", {"properties": {"x": nested(["object", "object"], 12)}})])
    assert told == "## t\nx?: " + "{a?: " * 12 + "integer" + "}" * 12
    both = {"type": ["array", "null", "object", "array"], "items": {"type": "string"}, "properties": {"a": {}}}
    assert compact_declaration([ToolSpec("t", "", {"properties": {"x": both}})]) == "## t\nx?: string[]|null|{a?: any}"
    odd = {"type": [["object"], 3, {"a": []}, "string"]}
    assert "string" in compact_declaration([ToolSpec("t", "", {"properties": {"x": odd}})])


def test_tools_that_no_context_holds_are_refused_before_they_are_read() -> None:
    long = ToolSpec("t", "x" * 4_000_001, {})
    with pytest.raises(TemplateError, match=r"the tools take 4,000,\d+ characters to tell, the most is 4,000,000"):
        render(small(), "moonlet", [Message("user", "hi")], [long])


# What is searched, and how often: the engine's thread waits meanwhile.


def test_the_first_mask_searches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = [ToolSpec(f"t{i}", "", arguments(a={"type": "string", "minLength": 70 + i})) for i in range(3)]
    constraint = constrained(*tools, limit=400)

    def search(*given: Any) -> None:
        raise AssertionError("the engine's thread searches")

    monkeypatch.setattr(grammar, "way_to_end", search)
    assert small().special(S) in allowed(constraint)
    take(constraint, f"{S}{B}functions.t1:0")


def allowed(constraint: CallConstraint) -> list[int]:
    found: list[int] = np.unpackbits(constraint.mask().view(np.uint8), bitorder="little").nonzero()[0].tolist()
    return found


def test_an_end_that_is_not_found_is_not_sought_at_every_token(monkeypatch: pytest.MonkeyPatch) -> None:
    sought = 0

    def search(tokenizer: Tokenizer, matcher: Any) -> list[int] | None:
        nonlocal sought
        sought += 1
        return grammar.way_to_end(tokenizer, matcher)

    monkeypatch.setattr(constrain, "way_to_end", search)
    endless = ToolSpec("endless", "", arguments(a={"type": "string", "minLength": 3000}))
    constraint = constrained(endless, tool_choice="endless", limit=300)
    take(constraint, f'{S}{B}functions.endless:0{A}{{"a": "')
    while constraint._left:
        take(constraint, "q")
    assert 5 < sought < 25


def test_an_end_that_comes_into_reach_is_still_taken() -> None:
    """At first more than 512 tokens are missing, which is further than is looked."""
    tool = ToolSpec("f", "", arguments(a={"type": "string", "minLength": 700}))
    constraint = constrained(tool, tool_choice="f", limit=950)
    ids: list[int] = []
    while not ids or ids[-1] != small().special("<|im_end|>"):
        may = allowed(constraint)
        ids.append(ord("q") if ord("q") in may else may[-1])
        constraint.accept(ids[-1])
    assert len(ids) <= 951
    text = small().decode(ids)
    assert len(json.loads(text[text.index("{") : text.rindex("}") + 1])["a"]) >= 700


# Arguments that are quoted.

VERBATIM = {"type": "string", "x-verbatim": True}


def test_what_was_said_is_compiled_once_for_a_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []

    def made(tokenizer: Tokenizer, spaced: bool, tool: ToolSpec, said: str) -> Any:
        compiled.append(tool.name)
        return grammar.quoting_grammar(tokenizer, spaced, tool, said)

    monkeypatch.setattr(constrain, "quoting_grammar", made)
    tool = ToolSpec("say", "", arguments(text=VERBATIM))
    constraint = constrained(tool, tool_choice="required", said="hello there")
    take(constraint, f"{S}{B}functions.say:0")
    assert constraint.forced()
    take(constraint, f'{A}{{"text": "hello"}}<|tool_call_end|>{B}functions.say:1{A}{{"text": "there"}}')
    assert compiled == ["say"]


def test_much_that_was_said_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    tool, said = ToolSpec("say", "", arguments(text=VERBATIM)), "word " * (grammar.MOST_SAID // 5 + 1)
    monkeypatch.setattr(grammar, "_quoting", lambda *parts: pytest.fail("it takes seconds, in the engine's thread"))
    assert grammar.quoting_grammar(small(), True, tool, said) is grammar.tool_grammar(small(), True, tool)


@pytest.mark.parametrize(
    ("beside", "good", "bad"),
    [(True, '{"a": "hello", "b": [1]}', '{"a": "bye", "b": 1}'), (False, '{"a": "hello"}', '{"a": "hello", "b": 1}')],
)
def test_beside_a_quoted_argument_anything_or_nothing_may_stand(beside: bool, good: str, bad: str) -> None:
    tool = ToolSpec("f", "", {"type": "object", "properties": {"a": VERBATIM, "b": beside}, "required": ["a"]})
    for text, taken in ((good, True), (bad, False)):
        constraint = constrained(tool, tool_choice="f", said="hello \ud83d there")  # half a character among it
        take(constraint, f"{S}{B}functions.f:0{A}")
        ids = small().encode(text)
        matcher = constraint._matcher
        assert matcher is not None and (matcher.validate_tokens(ids) == len(ids)) is taken


def test_a_value_that_refers_to_another_is_held_to_its_schema() -> None:
    schema = {"type": "object", "properties": {"a": VERBATIM, "b": {"$ref": "#/properties/a"}}}
    constraint = constrained(ToolSpec("f", "", schema), tool_choice="f", said="hello")
    take(constraint, f'{S}{B}functions.f:0{A}{{"a": "hello", "b": "x"}}')
