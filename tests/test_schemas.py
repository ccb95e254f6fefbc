"""A slice of what `bench/schemas.py` shows in full: forced calls over many schemas are valid through every API."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import jsonschema
import openai
import pytest

import moonlet
import speaking
from moonlet.chat.grammar import answer_grammar
from moonlet.chat.schema import SchemaError
from moonlet.local import Local
from schemas import generated
from serving import serving
from vocabularies import small

SCHEMAS = generated(240)
SLICE = range(0, 240, 16)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("checkpoint")
    speaking.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOONLET_HOME", str(tmp_path_factory.mktemp("home")))
        with moonlet.load(folder, threads=1, cache_tokens=16_384) as loaded:
            yield loaded


@pytest.fixture(scope="module")
def url(model: Local) -> Iterator[str]:
    with serving(model) as served:
        yield served


def test_all_of_them_compile_and_every_keyword_has_its_turn() -> None:
    text = json.dumps(SCHEMAS)
    words = "pattern format enum const minimum exclusiveMaximum multipleOf minLength maxItems prefixItems items anyOf "
    words += "oneOf allOf $ref $defs patternProperties propertyNames additionalProperties required"
    assert all(text.count(f'"{word}"') >= 5 for word in words.split())
    for schema in SCHEMAS:
        jsonschema.Draft202012Validator.check_schema(schema)
        answer_grammar(small(), True, schema)


@pytest.mark.parametrize("number", SLICE)
def test_forced_calls_are_valid_streamed_and_not(url: str, model: Local, number: int) -> None:
    schema = SCHEMAS[number]
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": schema}}
    choice: Any = {"type": "function", "function": {"name": "f"}}
    request: dict[str, Any] = {"model": model.name, "messages": [{"role": "user", "content": "go"}], "tools": [tool]}
    request |= {"tool_choice": choice, "max_tokens": 400, "temperature": 1.0, "seed": number}
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        whole = client.chat.completions.create(**request).choices[0]
        with client.chat.completions.stream(**request) as events:
            streamed: Any = events.get_final_completion().choices[0]
    assert whole.message.tool_calls and streamed.message.tool_calls
    assert whole.finish_reason == streamed.finish_reason == "tool_calls"
    for call in (whole.message.tool_calls[0], streamed.message.tool_calls[0]):
        assert call.type == "function"
        jsonschema.Draft202012Validator(schema).validate(json.loads(call.function.arguments))
        assert call.function.arguments == whole.message.tool_calls[0].function.arguments  # type: ignore[union-attr]


@pytest.mark.parametrize("number", SLICE[::3])
def test_and_so_they_are_through_the_other_apis(url: str, model: Local, number: int) -> None:
    schema = SCHEMAS[number]
    validator = jsonschema.Draft202012Validator(schema)
    tool: Any = {"name": "f", "input_schema": schema}
    with anthropic.Anthropic(base_url=url.removesuffix("/v1"), api_key="none", max_retries=0) as theirs:
        request: dict[str, Any] = {"model": model.name, "max_tokens": 400, "tools": [tool]}
        request |= {"messages": [{"role": "user", "content": "go"}], "tool_choice": {"type": "tool", "name": "f"}}
        block: Any = theirs.messages.create(**request).content[0]
        validator.validate(block.input)
        with theirs.messages.stream(**request) as stream:
            block = stream.get_final_message().content[0]
        validator.validate(block.input)
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        declared: Any = {"type": "function", "name": "f", "parameters": schema}
        request = {"model": model.name, "input": "go", "tools": [declared], "max_output_tokens": 400}
        request |= {"tool_choice": {"type": "function", "name": "f"}}
        item: Any = client.responses.create(**request).output[0]
        validator.validate(json.loads(item.arguments))
        last: Any = list(client.responses.create(**request, stream=True))[-1]
        validator.validate(json.loads(last.response.output[0].arguments))


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        ({"not": {}}, "not"),
        ({"contains": {}}, "contains"),
        ({"uniqueItems": True}, "uniqueItems"),
        ({"dependentRequired": {"a": ["b"]}}, "dependentRequired"),
        ({"unevaluatedProperties": False}, "unevaluatedProperties"),
        ({"items": {"$id": "http://a/b", "$ref": "c"}}, "$id"),
        ({"multipleOf": 0.123456789, "type": "number"}, "multipleOf"),
        ({"patternProperties": {"a": {}, "b": {}}}, "patternProperties"),
        ({"propertyNames": {"format": "uuid"}}, "propertyNames"),
        ({"$dynamicRef": "#x"}, "$dynamicRef"),
    ],
)
def test_what_cannot_be_enforced_is_refused_by_name(schema: dict[str, Any], keyword: str) -> None:
    with pytest.raises(SchemaError) as caught:
        answer_grammar(small(), True, schema)
    assert caught.value.keyword == keyword
