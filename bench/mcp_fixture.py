"""The fixture server of the official conformance kit, served the way we serve: python -m bench.mcp_fixture PORT.

The kit prescribes names and answers of tools, resources and prompts; how they are reached (transport, sessions, checks
of host and origin) is `moonlet.server.mcp.mount`, on the application that serves everything else.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import anyio
import mcp_types as types
import uvicorn
from fastapi import FastAPI
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from pydantic import BaseModel, Field

from moonlet.server import mcp

IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
AUDIO = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="

server = MCPServer("moonlet-conformance", log_level="WARNING")
low = server._lowlevel_server


# Content.


@server.tool()
def test_simple_text() -> str:
    """Text."""
    return "This is a simple text response for testing."


@server.tool()
def test_image_content() -> list[types.ImageContent]:
    """An image."""
    return [types.ImageContent(type="image", data=IMAGE, mime_type="image/png")]


@server.tool()
def test_audio_content() -> list[types.AudioContent]:
    """A sound."""
    return [types.AudioContent(type="audio", data=AUDIO, mime_type="audio/wav")]


def _embedded(uri: str, kind: str, text: str) -> types.EmbeddedResource:
    return types.EmbeddedResource(
        type="resource", resource=types.TextResourceContents(uri=uri, mime_type=kind, text=text)
    )


@server.tool()
def test_embedded_resource() -> list[types.EmbeddedResource]:
    """A resource in a result."""
    return [_embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


@server.tool()
def test_multiple_content_types() -> list[types.TextContent | types.ImageContent | types.EmbeddedResource]:
    """Several kinds."""
    return [
        types.TextContent(type="text", text="Multiple content types test:"),
        types.ImageContent(type="image", data=IMAGE, mime_type="image/png"),
        _embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ]


@server.tool()
def test_error_handling() -> str:
    """A failure."""
    raise ToolError("This tool intentionally returns an error for testing")


# What happens during a call.


@server.tool()
async def test_tool_with_logging(context: Context) -> str:
    """Log messages."""
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await context.session.send_log_message("info", text, related_request_id=context.request_id)
        await anyio.sleep(0.05)
    return "Tool with logging executed successfully"


@server.tool()
async def test_tool_with_progress(context: Context) -> str:
    """Progress."""
    for step in (0, 50, 100):
        await context.report_progress(step, 100, f"Completed step {step} of 100")
        await anyio.sleep(0.05)
    return "done"


@server.tool()
async def test_sampling(prompt: str, context: Context) -> str:
    """Ask the client's model."""
    asked = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=prompt))
    result = await context.session.create_message([asked], max_tokens=100)
    return f"LLM response: {result.content.text if isinstance(result.content, types.TextContent) else 'none'}"


class Answer(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class Defaults(BaseModel):
    name: str = Field(default="John Doe", description="User name")
    age: int = Field(default=30, description="User age")
    score: float = Field(default=95.5, description="User score")
    status: str = Field(default="active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = Field(default=True, description="Verification status")


async def _elicit(context: Context, message: str, schema: dict[str, Any]) -> str:
    result = await context.session.elicit_form(message, schema, related_request_id=context.request_id)
    return f"action={result.action}, content={json.dumps(result.content or {})}"


@server.tool()
async def test_elicitation(message: str, context: Context) -> str:
    """Ask the user."""
    schema = {
        "type": "object",
        "properties": {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"},
        },
        "required": ["username", "email"],
    }
    return "User response: " + await _elicit(context, message, schema)


@server.tool()
async def test_elicitation_sep1034_defaults(context: Context) -> str:
    """Ask with defaults."""
    fields: dict[str, Any] = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return "Elicitation completed: " + await _elicit(context, "Fill in", {"type": "object", "properties": fields})


@server.tool()
async def test_elicitation_sep1330_enums(context: Context) -> str:
    """Ask with choices of every form."""
    options = ["option1", "option2", "option3"]

    def titled(names: tuple[str, ...] = ("First Option", "Second Option", "Third Option")) -> list[dict[str, str]]:
        return [{"const": f"value{i}", "title": name} for i, name in enumerate(names, 1)]

    fields: dict[str, Any] = {
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": titled()},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled()}},
    }
    return "Elicitation completed: " + await _elicit(context, "Choose", {"type": "object", "properties": fields})


# Input that a result asks for (2026-07-28).


def _form(message: str, name: str, kind: str = "string") -> types.ElicitRequest:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(text: str) -> types.CreateMessageRequest:
    asked = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=text))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[asked], max_tokens=100))


def _ask(requests: dict[str, Any], state: str | None = None) -> types.InputRequiredResult:
    return types.InputRequiredResult(input_requests=requests, request_state=state)


def _given(context: Context, name: str) -> Any:
    """An accepted answer of the client."""
    answer = (context.input_responses or {}).get(name)
    return (
        None if isinstance(answer, types.ElicitResult) and (answer.action != "accept" or not answer.content) else answer
    )


@server.tool()
async def test_input_required_result_elicitation(context: Context) -> str | types.InputRequiredResult:
    """One question."""
    answer = _given(context, "user_name")
    if not isinstance(answer, types.ElicitResult) or not isinstance((answer.content or {}).get("name"), str):
        return _ask({"user_name": _form("What is your name?", "name")})
    return f"Hello, {(answer.content or {})['name']}!"


@server.tool()
async def test_input_required_result_sampling(context: Context) -> str | types.InputRequiredResult:
    """One question to the model."""
    answer = _given(context, "capital_question")
    return str(answer.content) if answer else _ask({"capital_question": _sample("What is the capital of France?")})


@server.tool()
async def test_input_required_result_list_roots(context: Context) -> str | types.InputRequiredResult:
    """The client's folders."""
    answer = _given(context, "client_roots")
    return f"{len(answer.roots)} roots" if answer else _ask({"client_roots": types.ListRootsRequest()})


@server.tool()
async def test_input_required_result_request_state(context: Context) -> str | types.InputRequiredResult:
    """A state that comes back."""
    if context.request_state == "state" and _given(context, "confirm"):
        return "state-ok"
    return _ask({"confirm": _form("Please confirm", "ok", "boolean")}, "state")


@server.tool()
async def test_input_required_result_multiple_inputs(context: Context) -> str | types.InputRequiredResult:
    """Three kinds of input at once."""
    if all(_given(context, name) for name in ("user_name", "greeting", "client_roots")):
        return "all there"
    requests = {
        "user_name": _form("What is your name?", "name"),
        "greeting": _sample("Generate a greeting"),
        "client_roots": types.ListRootsRequest(),
    }
    return _ask(requests, "multiple")


@server.tool()
async def test_input_required_result_multi_round(context: Context) -> str | types.InputRequiredResult:
    """Two questions, one after the other."""
    if context.request_state == "round 2" and _given(context, "step2"):
        return "both answered"
    if context.request_state == "round 1" and _given(context, "step1"):
        return _ask({"step2": _form("Step 2: What is your favorite color?", "color")}, "round 2")
    return _ask({"step1": _form("Step 1: What is your name?", "name")}, "round 1")


@server.tool()
async def test_input_required_result_tampered_state(context: Context) -> str | types.InputRequiredResult:
    """A state that must come back as it was."""
    if context.request_state == "sealed" and _given(context, "confirm"):
        return "integrity-ok"
    return _ask({"confirm": _form("Please confirm", "ok", "boolean")}, "sealed")


@server.tool()
async def test_input_required_result_capabilities(context: Context) -> str | types.InputRequiredResult:
    """Only what the client can."""
    if context.input_responses:
        return "answered"
    can = context.session.client_capabilities
    requests: dict[str, Any] = {}
    if can and can.elicitation:
        requests["user_name"] = _form("What is your name?", "name")
    if can and can.sampling:
        requests["capital_question"] = _sample("What is the capital of France?")
    if can and can.roots:
        requests["client_roots"] = types.ListRootsRequest()
    return _ask(requests) if requests else "nothing to ask"


@server.tool()
async def test_missing_capability(context: Context) -> str:
    """Needs the client's model."""
    can = context.session.client_capabilities
    if not (can and can.sampling):
        from mcp import MCPError

        data = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "this needs sampling", data)
    return "there"


@server.tool()
async def test_streaming_elicitation(context: Context) -> str | types.InputRequiredResult:
    """Progress, then a question."""
    await context.report_progress(1, 2)
    return "streamed" if context.input_responses else _ask({"user_name": _form("What is your name?", "name")})


@server.tool()
async def test_logging_tool(context: Context) -> str:
    """Log messages, for who asks for them."""
    await context.session.send_log_message("info", "logged", related_request_id=context.request_id)
    return "logged"


# Resources, prompts, completions.


@server.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    import base64

    return base64.b64decode(IMAGE)


@server.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@server.resource("test://watched-resource", mime_type="text/plain")
def watched() -> str:
    return "Watched resource content"


@server.prompt()
def test_simple_prompt() -> str:
    """A plain prompt."""
    return "This is a simple prompt for testing."


@server.prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A prompt with arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@server.prompt()
def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
    """A prompt with a resource."""
    return [
        UserMessage(content=_embedded(resourceUri, "text/plain", "Embedded resource content for testing.")),
        UserMessage(content="Please process the embedded resource above."),
    ]


@server.prompt()
def test_prompt_with_image() -> list[UserMessage]:
    """A prompt with an image."""
    image = types.ImageContent(type="image", data=IMAGE, mime_type="image/png")
    return [UserMessage(content=image), UserMessage(content="Please analyze the image above.")]


@server.prompt()
async def test_input_required_result_prompt(context: Context) -> Any:
    """A prompt that asks first."""
    answer = _given(context, "user_context")
    if not isinstance(answer, types.ElicitResult):
        return _ask({"user_context": _form("What context should the prompt use?", "context")})
    return f"Use this context: {(answer.content or {}).get('context')}"


@server.completion()
async def complete(ref: Any, argument: Any, context: Any) -> types.Completion:
    return types.Completion(values=["paris", "park", "party"], total=3, has_more=False)


async def _nothing(context: Any, params: Any) -> types.EmptyResult:
    return types.EmptyResult()


for method, kind in (
    ("logging/setLevel", types.SetLevelRequestParams),
    ("resources/subscribe", types.SubscribeRequestParams),
    ("resources/unsubscribe", types.UnsubscribeRequestParams),
):
    low.add_request_handler(method, kind, _nothing)


if __name__ == "__main__":
    app = FastAPI()
    mcp.mount(app, low)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
