"""JSON schemas: which are enforced, and whether what comes out under them is always valid.

python -m bench.schemas suite FOLDER       a checkout of JSON-Schema-Test-Suite: what compiles, what is refused and
                                           for which keyword, and whether an invalid instance is ever allowed
python -m bench.schemas calls [COUNT]      forced calls of a model of random weights over generated schemas, streamed
                                           and unstreamed, through each API: every one is checked by jsonschema
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import httpx
import jsonschema

import moonlet
import speaking
from moonlet.chat.grammar import answer_grammar
from moonlet.chat.schema import SchemaError
from schemas import generated
from serving import serving
from vocabularies import small

DRAFTS = ("draft2020-12", "draft7")


def suite(folder: Path) -> bool:
    """Prints the coverage of each draft. True if nothing invalid was allowed."""
    sound = True
    for draft in DRAFTS:
        compiled, refused, unsound = Counter[str](), Counter[str](), []
        allowed = narrower = 0
        for file in sorted((folder / "tests" / draft).glob("*.json")):
            for case in json.loads(file.read_text("utf-8")):
                try:
                    grammar = (
                        answer_grammar(small(), False, case["schema"]) if isinstance(case["schema"], dict) else None
                    )
                except SchemaError as error:
                    refused[error.keyword or "(contradiction)"] += 1
                    continue
                if grammar is None:  # true or false: no object that a tool could have
                    continue
                compiled[file.stem] += 1
                for test in case["tests"]:
                    taken = accepts(grammar, test["data"])
                    if taken and not test["valid"]:
                        unsound.append(f"{file.stem}: {case['description']}: {test['description']}")
                    allowed += taken and test["valid"]
                    narrower += test["valid"] and not taken
        total = compiled.total() + refused.total()
        print(f"{draft}: {compiled.total()} of {total} schemas are enforced, {refused.total()} refused by keyword:")
        print("  " + ", ".join(f"{keyword} {count}" for keyword, count in refused.most_common()))
        print(f"  of valid instances {allowed} are allowed, {narrower} are not (order of properties, closed objects)")
        print(f"  invalid instances allowed: {len(unsound)}")
        print("".join(f"    {line}\n" for line in unsound), end="")
        sound &= not unsound
    return sound


def accepts(grammar: Any, value: Any) -> bool:
    """Whether a value, written compactly, is a text of the grammar."""
    matcher = grammar.deep_copy()
    ids = small().encode(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    if matcher.validate_tokens(ids) != len(ids):
        return False
    return bool(matcher.consume_tokens(ids) and matcher.is_accepting())


def calls(count: int) -> bool:
    """Prints how many calls were made and valid. True if all were."""
    made, bad, begun = 0, [], time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        speaking.write(Path(folder))
        with (
            moonlet.load(folder, threads=1, cache_tokens=16_384) as model,
            serving(model) as url,
            httpx.Client(timeout=300) as client,
        ):
            for number, schema in enumerate(generated(count)):
                for name, arguments in _called(client, url, model.name, schema, number):
                    made += 1
                    try:
                        jsonschema.Draft202012Validator(schema).validate(json.loads(arguments))
                    except (ValueError, jsonschema.ValidationError) as error:
                        bad.append(f"{number} {name}: {str(error).splitlines()[0]}: {arguments[:200]}")
                if number % 20 == 19:
                    print(
                        f"{number + 1} schemas, {made} calls, {len(bad)} bad, {time.perf_counter() - begun:.0f} s",
                        flush=True,
                    )
    print(f"{count} schemas, {made} calls, {made - len(bad)} valid")
    print("".join(f"  {line}\n" for line in bad), end="")
    return not bad


def _called(client: httpx.Client, url: str, model: str, schema: Any, seed: int) -> list[tuple[str, str]]:
    """The arguments of forced calls, by API and way."""
    tool, user = {"name": "f", "parameters": schema}, [{"role": "user", "content": "go"}]
    chat = {"messages": user, "tools": [{"type": "function", "function": tool}], "max_tokens": 900, "seed": seed}
    chat["tool_choice"] = {"type": "function", "function": {"name": "f"}}
    theirs = {"messages": user, "tools": [{"name": "f", "input_schema": schema}], "max_tokens": 900}
    theirs["tool_choice"] = {"type": "tool", "name": "f"}
    respond = {"input": "go", "tools": [{"type": "function", **tool}], "max_output_tokens": 900}
    respond["tool_choice"] = {"type": "function", "name": "f"}
    out = []
    for path, body in (("chat/completions", chat), ("messages", theirs), ("responses", respond)):
        for stream in (False, True):
            answer = client.post(f"{url}/{path}", json={**body, "model": model, "stream": stream})
            answer.raise_for_status()
            if not stream:
                out.append((path, _whole(path, answer.json())))
            else:
                lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
                out.append((f"{path} streamed", _summed([json.loads(line) for line in lines if line != "[DONE]"])))
    return out


def _whole(path: str, answer: Any) -> str:
    if path == "messages":
        return json.dumps(answer["content"][0]["input"])
    if path == "responses":
        return str(answer["output"][0]["arguments"])
    return str(answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"])


def _summed(events: list[Any]) -> str:
    """The first call's arguments in the pieces of a stream of any API."""
    text = ""
    for event in events:
        if event.get("type") == "response.function_call_arguments.delta" and event["output_index"] == 0:
            text += event["delta"]
        if event.get("type") == "content_block_delta" and event["index"] == 0:
            text += event["delta"].get("partial_json", "")
        for choice in event.get("choices", ()):
            for call in choice["delta"].get("tool_calls", ()):
                text += call["function"]["arguments"] if call["index"] == 0 else ""
    return text


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or ["calls"]
    sys.exit(not (suite(Path(rest[0])) if what == "suite" else calls(int(rest[0]) if rest else 240)))
