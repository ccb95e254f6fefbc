"""Whatever is sampled under the mask is a call that its tool's schema allows, and no other text is touched."""

import json
import random

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlet.chat.constrain import CallConstraint, ChoiceError, SchemaError
from moonlet.chat.grammar import answer_grammar, quoted_properties, quoting_grammar, tool_grammar, way_to_end
from moonlet.chat.messages import ToolSpec
from moonlet.chat.parser import Parser
from moonlet.chat.template import opens_thinking
from vocabularies import k2, small

S, E = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
B, A, Z = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"


def arguments(required=(), **properties):
    return {"type": "object", "properties": properties, "required": list(required)}


TEXT, INTEGER = {"type": "string"}, {"type": "integer"}
NODE = arguments(["name"], name=TEXT, child={"$ref": "#/$defs/node"})
# name: schema. All of them are followed exactly, or more narrowly.
SCHEMAS = {
    "nothing": {},
    "no properties": arguments(),
    "any object": {"type": "object"},
    "no type": {"properties": {"a": TEXT}, "required": ["a"]},
    "string": arguments(["a"], a=TEXT),
    "optional": arguments(a=TEXT, b=INTEGER),
    "some required": arguments(["b", "d"], a=TEXT, b=INTEGER, c=TEXT, d={"type": "boolean"}),
    "integer": arguments(["a"], a=INTEGER),
    "integer bounds": arguments(
        ["a", "b"], a={**INTEGER, "minimum": -3, "maximum": 12}, b={**INTEGER, "minimum": 1000}
    ),
    "exclusive bounds": arguments(["a"], a={**INTEGER, "exclusiveMinimum": 0, "exclusiveMaximum": 3}),
    "number": arguments(["a"], a={"type": "number"}),
    "number bounds": arguments(["a"], a={"type": "number", "minimum": 0, "maximum": 1.5}),
    "multiple": arguments(["a"], a={**INTEGER, "multipleOf": 5}),
    "boolean and null": arguments(["a", "b"], a={"type": "boolean"}, b={"type": "null"}),
    "enum": arguments(["a"], a={"enum": ["celsius", "fahrenheit", "องศา"]}),
    "enum with type": arguments(["a"], a={**TEXT, "enum": ["a", "ab", "abc"]}),
    "mixed enum": arguments(["a"], a={"enum": ["a", 1, 1.5, None, True, [1], {"b": "c"}]}),
    "const": arguments(["a"], a={"const": 'quote " and \\ and \n'}),
    "lengths": arguments(["a", "b"], a={**TEXT, "minLength": 3, "maxLength": 5}, b={**TEXT, "maxLength": 2}),
    "pattern": arguments(["a"], a={**TEXT, "pattern": "^[A-Z]{3}-[0-9]{2,4}$"}),
    "pattern without anchors": arguments(["a"], a={**TEXT, "pattern": "[0-9]{3}"}),
    "pattern classes": arguments(["a"], a={**TEXT, "pattern": r"^\d+(\.\d+)?$"}),
    "date": arguments(
        ["a", "b", "c"], **{n: {**TEXT, "format": f} for n, f in zip("abc", ["date", "time", "date-time"])}
    ),
    "email": arguments(["a"], a={**TEXT, "format": "email"}),
    "addresses": arguments(["a", "b"], a={**TEXT, "format": "ipv4"}, b={**TEXT, "format": "ipv6"}),
    "uuid": arguments(["a"], a={**TEXT, "format": "uuid"}),
    "unknown format": arguments(["a"], a={**TEXT, "format": "phone-number"}),
    "array": arguments(["a"], a={"type": "array", "items": TEXT}),
    "array bounds": arguments(["a"], a={"type": "array", "items": INTEGER, "minItems": 2, "maxItems": 4}),
    "untyped array": arguments(["a"], a={"type": "array", "maxItems": 2}),
    "array of enums": arguments(["a"], a={"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 1}),
    "tuple": arguments(["a"], a={"type": "array", "prefixItems": [TEXT, INTEGER], "items": False, "minItems": 2}),
    "array of objects": arguments(
        ["a"], a={"type": "array", "items": arguments(["x"], x=INTEGER, y=TEXT), "minItems": 1}
    ),
    "nested": arguments(["a"], a=arguments(["b"], b=arguments(["c"], c={"enum": [1, 2]}))),
    "anyOf": arguments(["a"], a={"anyOf": [TEXT, {"type": "null"}, {**INTEGER, "minimum": 5}]}),
    "anyOf of objects": arguments(["a"], a={"anyOf": [arguments(["x"], x=TEXT), arguments(["y"], y=INTEGER)]}),
    "oneOf apart": arguments(["a"], a={"oneOf": [TEXT, INTEGER]}),
    "oneOf with a kind": arguments(
        ["a"],
        a={
            "oneOf": [
                arguments(["k", "x"], k={"const": "c"}, x=INTEGER),
                arguments(["k", "r"], k={"const": "s"}, r=TEXT),
            ]
        },
    ),
    "allOf of one": {
        **arguments(["a"], a={"allOf": [{"$ref": "#/$defs/x"}], "description": "d"}),
        "$defs": {"x": TEXT},
    },
    "allOf of two": arguments(["a"], a={"allOf": [arguments(["x"], x=TEXT), arguments(["y"], y=INTEGER)]}),
    "type list": arguments(["a"], a={"type": ["string", "integer", "null"]}),
    "definitions": {**arguments(["a"], a={"$ref": "#/definitions/x"}), "definitions": {"x": arguments(["y"], y=TEXT)}},
    "recursive": {**arguments(["root"], root={"$ref": "#/$defs/node"}), "$defs": {"node": NODE}},
    "open": {**arguments(["a"], a=TEXT), "additionalProperties": True},
    "open with a type": {**arguments(["a"], a=TEXT), "additionalProperties": INTEGER},
    "closed": {**arguments(["a"], a=TEXT), "additionalProperties": False},
    "pattern properties": {"type": "object", "patternProperties": {"^x_": INTEGER}, "additionalProperties": False},
    "required but not listed": {**arguments(["a"], b=TEXT), "properties": {"b": TEXT}},
    "either of two": {**arguments(a=TEXT, b=TEXT), "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    "true": arguments(["a"], a=True),
    "impossible option": arguments(a=False, b=TEXT),
    "words that inform": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "T",
        **arguments(["a"], a={**TEXT, "default": "d", "examples": ["e"], "deprecated": True, "x-order": 1}),
    },
    "properties named like keywords": arguments(
        ["type", "format"], type=TEXT, format=TEXT, properties=TEXT, items=TEXT
    ),
    "names to escape": arguments(['a"b', "ก", "x y"], **{'a"b': TEXT, "ก": INTEGER, "x y": TEXT}),
    "distinct or not": arguments(["a"], a={"type": "array", "items": INTEGER, "uniqueItems": False}),
    "an order at a shop": {
        "$defs": {
            "Item": arguments(["sku"], sku={**TEXT, "pattern": "^[a-z]{2}[0-9]$"}, count={**INTEGER, "minimum": 1})
        },
        **arguments(
            ["items", "ship"],
            items={"type": "array", "items": {"$ref": "#/$defs/Item"}, "minItems": 1, "maxItems": 3},
            ship={"anyOf": [{"const": "pickup"}, arguments(["street"], street={**TEXT, "minLength": 1}, zip=TEXT)]},
            note={"anyOf": [TEXT, {"type": "null"}], "default": None},
        ),
    },
}


def tool(name):
    return ToolSpec("f", "", SCHEMAS[name])


def allowed(constraint):
    mask = constraint.mask()
    return np.unpackbits(mask.view(np.uint8), bitorder="little").nonzero()[0].tolist()


def take(constraint, ids):
    for id in ids:
        assert int(constraint.mask()[id // 32]) >> id % 32 & 1, id
        constraint.accept(id)


def sample(tokenizer, constraint, rng, wander):
    """Ids up to the end of the reply: any allowed ones at first, then mostly those that bring it to an end."""
    ends = [tokenizer.special(name) for name in ("<|im_end|>", E, Z)]
    short = [tokenizer.encode(text)[0] for text in '"}],: 01aT@.']
    out = []
    while not out or out[-1] != tokenizer.special("<|im_end|>"):
        assert len(out) < 3000, tokenizer.decode(out)
        may = allowed(constraint)
        if len(out) > wander and rng.random() < 0.95:
            may = [id for id in ends if id in may] or [id for id in short if id in may] or may
        id = rng.choice(may)
        if rng.random() < 0.1 and (forced := constraint.forced()):
            id = forced[0]
        constraint.accept(id)
        out.append(id)
    return out


def called(tokenizer, family, ids, tools=(), **options):
    reply = Parser(tokenizer, family, tools, spelled=False, **options)
    reply.feed(ids)
    reply.finish()
    return reply.message


@pytest.mark.parametrize("name", SCHEMAS)
def test_sampled_arguments_are_always_valid(name):
    # Dates have the form of dates; that February has no 30th day is beyond a grammar.
    formats = jsonschema.FormatChecker(["email", "ipv4", "ipv6", "uuid"])
    validator = jsonschema.Draft202012Validator(SCHEMAS[name], format_checker=formats)
    rng = random.Random(name)
    for round in range(12):
        constraint = CallConstraint(small(), [tool(name)], "f", family="moonlet")
        ids = sample(small(), constraint, rng, wander=5 * round)
        message = called(small(), "moonlet", ids)
        assert (message.content, len(message.calls)) == ("", 1)
        validator.validate(json.loads(message.calls[0].arguments))


@pytest.mark.parametrize("name", ["nothing", "string", "some required", "number", "nested", "an order at a shop"])
def test_sampled_arguments_are_valid_in_the_large_vocabulary(name):
    rng = random.Random(name)
    for family in ("k2-instruct", "k2.6"):
        constraint = CallConstraint(k2(), [tool(name)], "required", family=family)
        message = called(k2(), family, sample(k2(), constraint, rng, wander=30))
        assert message.calls and message.content == ""
        for call in message.calls:
            jsonschema.Draft202012Validator(SCHEMAS[name]).validate(json.loads(call.arguments))
            call.arguments.encode()


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        (arguments(a={"type": "array", "uniqueItems": True}), "uniqueItems"),
        (arguments(a={"not": TEXT}), "not"),
        (arguments(a={"if": TEXT, "then": {"minLength": 1}}), "if, then"),
        (arguments(a={"oneOf": [{"type": "number"}, INTEGER]}), "oneOf"),
        (arguments(a={"type": "array", "contains": TEXT}), "contains"),
        (arguments(a={**TEXT, "pattern": "^(?=a)b"}), "pattern"),
        (arguments(a={"$ref": "#/$defs/none"}), "$ref"),
        (arguments(a={"$ref": "https://example.com/schema"}), "$ref"),
        (arguments(a={"type": "text"}), "type"),
        (arguments(a={"type": 3}), "type"),
        ({"type": "object", "properties": []}, "properties"),
        ({"type": "string"}, "type"),
        ({**arguments(a=TEXT), "required": [["a"]]}, "required"),
        # On these llguidance would end the process, or Python give up.
        (arguments(a={"const": -(2**63)}), "const"),
        (arguments(a={"enum": [1, {"b": [-(2**63) + 1]}]}), "enum"),
        (arguments(a={**INTEGER, "const": -1e300}), "const"),
        (arguments(["a"], a={**INTEGER, "minimum": -(2**63), "maximum": -(2**63)}), None),
        (arguments(a={**INTEGER, "maximum": 10**40}), "maximum"),
        (arguments(a={**TEXT, "minLength": 1e30}), "minLength"),
        (arguments(a=json.loads('{"items": ' * 400 + "{}" + "}" * 400)), None),
        (arguments(["a"], a={**INTEGER, "minimum": 5, "maximum": 1}), None),
        # A schema cannot ask that it be taken lightly.
        ({**arguments(a={"type": "array", "uniqueItems": True}), "x-guidance": {"lenient": True}}, "uniqueItems"),
    ],
)
def test_schemas_that_cannot_be_enforced_are_named(schema, keyword):
    good = ToolSpec("good", "", arguments(a=TEXT))
    with pytest.raises(SchemaError) as caught:
        CallConstraint(small(), [good, ToolSpec("bad", "", schema)], family="moonlet")
    assert (caught.value.tool, caught.value.keyword) == ("bad", keyword)
    assert "'bad'" in str(caught.value) and "\n" not in str(caught.value)


def lets_through(schema, text):
    matcher = answer_grammar(small(), True, schema).deep_copy()
    ids = small().encode(text)
    return matcher.validate_tokens(ids) == len(ids) and matcher.consume_tokens(ids) and matcher.is_accepting()


@pytest.mark.parametrize(
    ("bounds", "inside", "outside"),
    [
        ({"exclusiveMinimum": 0, "maximum": 0.5}, ["0.1", "0.5", "0.000000001"], ["0", "0.0", "0.51"]),
        ({"exclusiveMinimum": 0, "minimum": -0.25, "exclusiveMaximum": 0.5}, ["0.1"], ["0", "-0.1", "0.5"]),
        ({"exclusiveMinimum": 1, "maximum": 1.5}, ["1.01", "1.5"], ["1", "1.0", "1.51"]),
        ({"exclusiveMinimum": 1000, "exclusiveMaximum": 1000.5}, ["1000.1"], ["1000", "1000.0", "1000.5"]),
        ({"minimum": -1.5, "exclusiveMaximum": -1}, ["-1.1", "-1.5"], ["-1", "-1.0", "-1.51"]),
        ({"minimum": -0.5, "exclusiveMaximum": 0}, ["-0.1", "-0.5"], ["0", "-0", "-0.0"]),
        ({"exclusiveMinimum": 0, "maximum": 1.7976931348623157e308}, ["0.5", "1", "8000000000000000000"], ["0"]),
        ({"minimum": -1e308, "maximum": 1e308}, ["-3", "0", "3.5"], []),
        ({"maximum": 1.5, "exclusiveMinimum": True, "minimum": 1}, ["1.2"], ["1"]),  # as draft 4 has it
    ],
)
def test_excluded_bounds_are_excluded_and_large_ones_are_bounds(bounds, inside, outside):
    schema = {"type": "number", **bounds}
    assert [text for text in [*inside, *outside] if lets_through(schema, text)] == inside
    if bounds.get("exclusiveMinimum") is not True:
        validator = jsonschema.Draft202012Validator(schema)
        assert [text for text in [*inside, *outside] if validator.is_valid(json.loads(text))] == inside


def test_single_values_exclude_one_another_of_whatever_kind_they_are():
    one, two = {"const": 1, "title": "One"}, {"type": "integer", "enum": [2, 3]}
    assert [text for text in ("1", "2", "3", "4") if lets_through({"oneOf": [one, two]}, text)] == ["1", "2", "3"]
    for other in ({"const": 1.0}, {"enum": [5, 1]}, {"type": "integer"}, {"enum": 1}):
        with pytest.raises(SchemaError):
            answer_grammar(small(), True, {"oneOf": [one, other]})


def test_a_complaint_is_short_whatever_it_quotes():
    for long in ({**TEXT, "pattern": "(" * 5000}, {"required": ["x" * 9000], "additionalProperties": False}):
        with pytest.raises(SchemaError) as caught:
            answer_grammar(small(), True, {"type": "object", "properties": {"a": long}, **long})
        assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


@pytest.mark.parametrize("junk", [None, True, 3, -(2**63), 1e308, "x", [], [[]], {}, {"type": None}, {"$ref": "#"}])
def test_whatever_stands_in_a_schema_it_is_refused_or_enforced(junk):
    whole = arguments(["a"], a={**TEXT, "x-verbatim": True}, b={"enum": [1]}, c={"items": {**INTEGER, "minimum": 1}})

    def changed(value):
        yield junk
        for key, inner in value.items() if isinstance(value, dict) else ():
            yield from ({**value, key: other} for other in changed(inner))

    for schema in changed(whole):
        if isinstance(schema, dict):
            try:
                made = CallConstraint(small(), [ToolSpec("t", "", schema)], "required", family="moonlet", said="x y")
            except SchemaError as error:
                assert error.tool == "t"
            else:
                assert made.mask().any()


def test_a_schema_that_proves_too_complex_is_named_when_it_does():
    pattern = {**TEXT, "pattern": "^(([a-z]{1,50}){1,50}){1,50}$"}
    constraint = CallConstraint(k2(), [ToolSpec("maze", "", arguments(["a"], a=pattern))], "maze", family="k2.6")
    with pytest.raises(SchemaError, match="'maze' cannot be enforced: it is too complex") as caught:
        sample(k2(), constraint, random.Random(0), wander=100)
    assert "\n" not in str(caught.value)


WEATHER = ToolSpec("get_weather", "", arguments(["city"], city=TEXT, days={**INTEGER, "minimum": 1, "maximum": 9}))
CLOCK = ToolSpec("get_clock", "", {})
SEARCH = ToolSpec("search-web.v2", "", arguments(["query"], query=TEXT))
TOOLS = [WEATHER, CLOCK, SEARCH]


def free(constraint):
    """Names of the marks that may come where text may come."""
    tokenizer, may = constraint._tokenizer, set(allowed(constraint))
    assert constraint.mask().shape == (-(-tokenizer.vocab // 32),) and max(may) < tokenizer.vocab
    assert set(range(tokenizer.vocab)) - may < set(tokenizer.specials.values())
    return {tokenizer.decode([id]) for id in may if tokenizer.is_special(id)}


def test_text_is_free_but_for_marks_that_cannot_begin_a_call():
    constraint = CallConstraint(k2(), TOOLS, family="k2-instruct")
    assert {S, "<|im_end|>"} < free(constraint) and not {B, A, Z, E} & free(constraint)
    take(constraint, k2().encode("Any text, 世界."))
    assert constraint.forced() == []
    for none in (
        CallConstraint(k2(), TOOLS, "none", family="k2-instruct"),
        CallConstraint(k2(), [], family="k2-instruct"),
    ):
        assert not {S, B, A, Z, E} & free(none)


@pytest.mark.parametrize("vocabulary", [k2, small])
def test_a_section_is_calls_of_declared_tools_numbered_on(vocabulary):
    tokenizer = vocabulary()
    family = "moonlet" if vocabulary is small else "k2-instruct"
    constraint = CallConstraint(tokenizer, TOOLS, family=family, history_calls=9)
    said = f'ok{S}{B}functions.get_weather:9{A}{{"city": "北京", "days": 3}}{Z}'
    web = "search_web.v2" if vocabulary is small else "search-web.v2"
    said += f'{B}functions.{web}:10{A}{{"query": "x"}}{Z}{B}functions.get_clock:11{A}{{}}{Z}{E}and text'
    ids = tokenizer.encode(said, specials=True)
    take(constraint, ids)
    assert {S, "<|im_end|>"} < free(constraint)
    message = called(tokenizer, family, ids, TOOLS, history_calls=9)
    assert [call.id for call in message.calls] == [
        "functions.get_weather:9",
        "functions.search-web.v2:10",
        "functions.get_clock:11",
    ]


@pytest.mark.parametrize(
    "said",
    [
        f"{S}x",
        f"{S}{E}",
        f"{S}{B}functions.other:0",
        f"{S}{B}functions.get_clock:1",
        f"{S}{B}functions.get_clock:0{Z}",
        f"{S}{B}get_clock:0",
        f'{S}{B}functions.get_clock:0{A}{{"a": 1}}',
        f'{S}{B}functions.get_weather:0{A}{{"days": 3}}',
        f'{S}{B}functions.get_weather:0{A}{{"city": "x", "days": 12}}',
        f'{S}{B}functions.get_weather:0{A}{{"city": "x"{Z}',
        f'{S}{B}functions.get_weather:0{A}{{"city": "x"}}{E}',
        f'{S}{B}functions.get_weather:0{A}{{"city": "x"}}\n',
        f"{S}{B}functions.get_clock:0{A}{{}}{Z}text",
        f"{S}{B}functions.get_clock:0{A}{{}}{Z}{S}",
        f"{S}{B}functions.get_clock:0{A}<|im_end|>",
    ],
)
@pytest.mark.parametrize("vocabulary", [k2, small])
def test_nothing_else_can_stand_in_a_section(vocabulary, said):
    tokenizer = vocabulary()
    family = "moonlet" if vocabulary is small else "k2-instruct"
    constraint = CallConstraint(tokenizer, TOOLS, family=family)
    with pytest.raises(AssertionError):
        take(constraint, tokenizer.encode(said, specials=True))


def spacing(family, tokenizer, said):
    constraint = CallConstraint(tokenizer, [WEATHER], family=family)
    take(constraint, tokenizer.encode(f"{S}{B}functions.get_weather:0{A}", specials=True))
    try:
        take(constraint, [*tokenizer.encode(said), tokenizer.special(Z)])
    except AssertionError:
        return False
    return True


def test_json_is_spaced_as_the_family_was_trained():
    python, compact, wide = '{"city": "x", "days": 1}', '{"city":"x","days":1}', '{  "city": "x"}'
    assert [spacing("k2.5", k2(), said) for said in (python, compact, '{ "city" : "x" }', wide)] == [True] * 3 + [False]
    assert [spacing("moonlet", small(), said) for said in (python, compact, wide)] == [True, False, False]


def test_a_required_call_comes_first_and_ends_the_reply():
    for choice, ends in (("required", {B, E}), ("get_clock", {E})):
        constraint = CallConstraint(k2(), TOOLS, choice, family="k2-instruct")
        assert k2().decode(allowed(constraint)) == S
        take(constraint, k2().encode(f"{S}{B}functions.get_clock:0{A}{{}}{Z}", specials=True))
        assert {k2().decode([id]) for id in allowed(constraint)} == ends
        take(constraint, [k2().special(E)])
        assert k2().decode(allowed(constraint)) == "<|im_end|>"
        assert constraint.forced() == []
        take(constraint, [k2().special("<|im_end|>")])


@pytest.mark.parametrize("family", ["k2-thinking", "k2.6"])
def test_a_required_call_waits_for_the_thought(family):
    opened = opens_thinking(family)
    constraint = CallConstraint(k2(), TOOLS, "search-web.v2", family=family, thinking_open=opened)
    if not opened:
        assert {k2().decode([id]) for id in allowed(constraint)} == {"<think>", S}
        take(constraint, [k2().special("<think>")])
    assert {S, "</think>"} < free(constraint) and "<|im_end|>" not in free(constraint)
    take(constraint, k2().encode("I must search.</think>", specials=True))
    assert k2().decode(allowed(constraint)) == S
    if opened:  # thinking switched off: nothing to wait for
        assert k2().decode(allowed(CallConstraint(k2(), TOOLS, "required", family=family))) == S


def test_forced_ids_are_those_of_the_text_and_leave_the_state_alone():
    constraint = CallConstraint(small(), TOOLS, "get_weather", family="moonlet", history_calls=12)
    whole = small().encode(f'{S}{B}functions.get_weather:12{A}{{"city": "Bangkok", "days": 3}}{Z}{E}', specials=True)
    at, skipped = 0, 0
    while at < len(whole):
        forced = constraint.forced()
        assert forced == constraint.forced() == whole[at : at + len(forced)]
        take(constraint, forced or whole[at : at + 1])
        at += len(forced) or 1
        skipped += len(forced)
    assert skipped > len(whole) // 2
    # One tool that takes nothing is a whole reply that needs no model.
    alone = CallConstraint(small(), [CLOCK], "required", family="moonlet")
    assert small().decode(alone.forced()) == f"{S}{B}functions.get_clock:0{A}{{}}{Z}"


def test_a_copy_goes_its_own_way():
    constraint = CallConstraint(k2(), [WEATHER], family="k2-instruct")
    take(constraint, k2().encode(f'{S}{B}functions.get_weather:0{A}{{"', specials=True))
    before = allowed(constraint)
    other = constraint.copy()
    take(other, k2().encode('city": "x"}'))
    assert allowed(constraint) == before != allowed(other)


def test_choices_that_no_tool_satisfies():
    with pytest.raises(ChoiceError, match="'fly' is none of the tools: get_weather, get_clock"):
        CallConstraint(small(), TOOLS, "fly", family="moonlet")
    with pytest.raises(ChoiceError, match="required, but there are no tools"):
        CallConstraint(small(), [], "required", family="moonlet")


@given(seed=st.integers(0, 10**9), choice=st.sampled_from(["auto", "required", "get_clock", "none"]))
@settings(max_examples=40, deadline=None)
def test_any_reply_under_the_mask_is_parsed_to_valid_calls(seed, choice):
    constraint = CallConstraint(small(), TOOLS, choice, family="moonlet", history_calls=3)
    rng = random.Random(seed)
    ids = [small().special(S)] if choice == "auto" else []
    take(constraint, ids)
    sampled = sample(small(), constraint, rng, wander=rng.randrange(80))
    message = called(small(), "moonlet", ids + sampled, TOOLS, history_calls=3)
    assert bool(message.calls) == (choice != "none")
    schemas = {tool.name: tool.parameters for tool in TOOLS}
    for i, call in enumerate(message.calls):
        assert call.id == f"functions.{call.name}:{3 + i}"
        jsonschema.validate(json.loads(call.arguments), schemas[call.name])


@pytest.mark.parametrize(
    ("vocabulary", "name"), [(small, name) for name in SCHEMAS] + [(k2, name) for name in [*SCHEMAS][::8]]
)
def test_a_call_ends_within_its_limit(vocabulary, name):
    """Ids drawn at random would write for ever; the limit brings every call to a legal end."""
    tokenizer, family = vocabulary(), "moonlet" if vocabulary is small else "k2-instruct"
    rng = random.Random(name)
    least = CallConstraint(tokenizer, [tool(name)], "f", family=family).least
    for limit in (least + 1, least + 20, 3 * least + 100):
        constraint = CallConstraint(tokenizer, [tool(name)], "required", family=family, limit=limit)
        ids = []
        while not ids or ids[-1] != tokenizer.special("<|im_end|>"):
            ids.append(rng.choice(allowed(constraint)))
            constraint.accept(ids[-1])
        assert len(ids) - 1 <= limit
        message = called(tokenizer, family, ids)
        assert message.calls and not message.content
        for call in message.calls:
            jsonschema.Draft202012Validator(SCHEMAS[name]).validate(json.loads(call.arguments))


def test_a_pattern_that_could_go_round_for_ever_is_brought_to_its_end():
    schema = arguments(["a"], a={**TEXT, "pattern": "^(a|b)*z$"})
    constraint = CallConstraint(small(), [ToolSpec("f", "", schema)], "f", family="moonlet", limit=60)
    ids = []
    while not ids or ids[-1] != small().special("<|im_end|>"):
        ids.append(next(id for id in allowed(constraint) if id != ord("z") or len(allowed(constraint)) == 1))
        constraint.accept(ids[-1])
    assert json.loads(called(small(), "moonlet", ids).calls[0].arguments)["a"].endswith("z")


@pytest.mark.parametrize("step", [7, 25, 40, 125, 1000])
def test_a_multiple_of_something_is_brought_to_its_end(step):
    """Digits in a fixed turn may never meet one; a call that was cut off there would be malformed."""
    number = ToolSpec("n", "", arguments(["a"], a={**INTEGER, "multipleOf": step}))
    grammar = tool_grammar(small(), True, number)
    for seed in range(12):
        digits = str(random.Random(seed).randrange(10 ** (seed % 6), 10 ** (seed * 4 + 6)))
        matcher, begun = grammar.deep_copy(), small().encode(f'{{"a": {digits}')
        assert matcher.consume_tokens(begun)
        way = way_to_end(small(), matcher)
        assert way is not None and json.loads(small().decode(begun + way))["a"] % step == 0


def test_without_room_for_a_call_none_begins():
    roomy, tight = (CallConstraint(small(), TOOLS, family="moonlet", limit=limit) for limit in (200, 12))
    assert S in free(roomy) and S not in free(tight)


def test_one_call_alone():
    constraint = CallConstraint(k2(), TOOLS, family="k2-instruct", parallel=False)
    take(constraint, k2().encode(f"Now:{S}{B}functions.get_clock:0{A}{{}}{Z}", specials=True))
    assert k2().decode(allowed(constraint)) == E
    take(constraint, k2().encode(E, specials=True))
    assert k2().decode(allowed(constraint)) == "<|im_end|>"


ANSWER = arguments(["sky"], sky={"enum": ["clear", "grey"]}, note={**TEXT, "maxLength": 9})


@pytest.mark.parametrize("family", ["k2-instruct", "k2-thinking", "k2.6", "moonlet"])
@pytest.mark.parametrize("tools", [[], TOOLS])
def test_an_answer_follows_its_schema(family, tools):
    tokenizer = small() if family == "moonlet" else k2()
    for seed in range(2):
        rng = random.Random(seed)
        opened = opens_thinking(family)
        constraint = CallConstraint(
            tokenizer, tools, family=family, thinking_open=opened, answer=ANSWER, limit=120 + seed
        )
        ids = []
        while not ids or ids[-1] != tokenizer.special("<|im_end|>"):
            ids.append(rng.choice(allowed(constraint)))
            constraint.accept(ids[-1])
        message = called(tokenizer, family, ids, thinking_open=opened)
        assert len(ids) <= 121 + seed
        if message.calls:
            assert tools and not message.content
        else:
            jsonschema.validate(json.loads(message.content), ANSWER)


def test_names_of_properties_that_a_pattern_can_say():
    open_record = arguments(
        ["a"], a={"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {}}
    )
    named = {"type": "object", "propertyNames": {"enum": ["x.y", "z"]}, "additionalProperties": INTEGER}
    tools = [ToolSpec("open", "", open_record), ToolSpec("named", "", arguments(["a"], a=named))]
    constraint = CallConstraint(small(), tools, "named", family="moonlet", limit=300)
    take(constraint, small().encode(f'{S}{B}functions.named:0{A}{{"a": {{"x.y": 3', specials=True))
    with pytest.raises(AssertionError):
        take(constraint, small().encode(', "q": 3'))
    sized = {"type": "object", "propertyNames": {"type": "string", "minLength": 2, "maxLength": 3}}
    constraint = CallConstraint(small(), [ToolSpec("sized", "", arguments(["a"], a=sized))], "sized", family="moonlet")
    take(constraint, small().encode(f'{S}{B}functions.sized:0{A}{{"a": {{"ab": 1, "abc": 2', specials=True))
    with pytest.raises(AssertionError):
        take(constraint, small().encode(', "abcd": 3'))
    with pytest.raises(SchemaError, match="propertyNames"):
        format = {"type": "object", "propertyNames": {"format": "uuid"}}
        CallConstraint(small(), [ToolSpec("f", "", arguments(a=format))], family="moonlet")


def test_a_verbatim_argument_is_a_piece_of_what_was_said() -> None:
    tokenizer = small()
    text = {"type": "string", "x-verbatim": True}
    schema = {
        "type": "object",
        "properties": {"title": text, "count": {"type": "integer"}, "day": text},
        "required": ["title"],
    }
    tool = ToolSpec("add", "", schema)
    said = 'Put "chess club", 午餐 and Anna\'s party\nin for Friday'
    grammar = quoting_grammar(tokenizer, True, tool, said)

    def allowed(**arguments: object) -> bool:
        ids = tokenizer.encode(json.dumps(arguments, ensure_ascii=False))
        matcher = grammar.deep_copy()
        return bool(matcher.try_consume_tokens(ids) == len(ids) and matcher.is_accepting())

    assert allowed(title="chess club") and allowed(title="Anna's party", day="Friday") and allowed(title="午")
    assert allowed(title='"chess club"', count=3, day="Friday"), "what JSON escapes is escaped"
    assert not allowed(title="book club") and not allowed(title="che"), "no other words, and no parts of words"
    assert not allowed(day="Friday") and not allowed(title="Friday", day="Friday", count=3)
    assert not allowed(title="Friday", count="three"), "the rest is held to its schema"


def test_what_is_verbatim_stays_a_schema_where_nothing_was_said() -> None:
    tool = ToolSpec("add", "", {"type": "object", "properties": {"a": {"type": "string", "x-verbatim": True}}})
    assert quoted_properties(tool) == {"a"}
    open_ = ToolSpec("add", "", {**tool.parameters, "additionalProperties": {"type": "string"}})
    assert quoted_properties(open_) == set()
    ids = small().encode('{"a": "anything"}')
    matcher = quoting_grammar(small(), True, tool, "").deep_copy()
    assert matcher.try_consume_tokens(ids) == len(ids)


@pytest.mark.parametrize("text", [{"type": "string"}, {"type": "string", "pattern": "x"}, {"maxLength": 9}, {}])
def test_no_string_spells_half_a_character(text: dict[str, object]) -> None:
    """JSON could escape halves of surrogate pairs, on which clients break; only control characters are escaped here."""
    grammar = answer_grammar(small(), True, {"type": "object", "properties": {"a": text}})

    def taken(value: str) -> bool:
        ids = small().encode(f'{{"a": "{value}"}}')
        return grammar.deep_copy().validate_tokens(ids) == len(ids)

    assert taken("xé天🚀") and taken("x\\n\\u001b")
    assert not taken("x\\ud800") and not taken("x\\udfff") and not taken("x\\ud83d\\ude80")


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_tool_named_like_a_choice_leaves_the_choice_its_meaning(choice):
    names = ("weather", choice)
    tools = [ToolSpec(name, "", arguments(a=TEXT)) for name in names]
    calls = "".join(f"{B}functions.{name}:{index}{A}{{}}{Z}" for index, name in enumerate(names))
    take(CallConstraint(small(), tools, choice, family="moonlet"), small().encode(f"{S}{calls}{E}", specials=True))
