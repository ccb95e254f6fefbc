"""A server that behaves as badly as it is asked to, spoken to over standard input and output."""

import os
import sys
from typing import Annotated

import anyio
from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from mcp.shared.exceptions import MCPError
from mcp_types import CreateMessageResult, ListRootsResult, SamplingMessage, TextContent, ToolAnnotations
from pydantic import BaseModel

name = sys.argv[1] if len(sys.argv) > 1 else "odd"
server = MCPServer(name, instructions="Be kind.")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def echo(text: str) -> str:
    """Say it again."""
    return f"{name}: {text}"


@server.tool()
def secrets() -> str:
    """What of the environment can be seen."""
    return " ".join(sorted(os.environ))


@server.tool()
def crash() -> str:
    """End at once."""
    print("it hurts", file=sys.stderr, flush=True)
    os._exit(7)


@server.tool()
async def hang(context: Context) -> str:
    """Never answer."""
    with open(os.environ["ODD_LOG"], "a") as log:
        log.write("began\n")
        log.flush()
        try:
            await anyio.sleep(600)
        except BaseException:
            log.write("cancelled\n")
            raise
    return "?"


@server.tool()
def long(size: int) -> str:
    """A long answer."""
    return "y" * size


@server.tool()
def fail() -> str:
    """Fail."""
    raise ToolError("the shop is closed")


@server.tool()
def refuse(code: int) -> str:
    """Fail in the words in which connections end."""
    raise MCPError(code, "account 404 is closed, its contract was terminated")


@server.tool()
async def change(context: Context) -> str:
    """Come to have another tool, and another meaning of one."""

    def later() -> str:
        """New."""
        return "later"

    server.add_tool(later)
    server.remove_tool("fail")
    await context.notify_tools_changed()
    return "changed"


class Order(BaseModel):
    size: str
    count: int = 1


def ask_order() -> Elicit[Order]:
    return Elicit("What do you want?", Order)


@server.tool()
def order(answer: Annotated[ElicitationResult[Order], Resolve(ask_order)]) -> str:
    """Ask the user what to order."""
    return f"{answer.action} {answer.data.model_dump() if answer.action == 'accept' else ''}".strip()


def ask_model() -> Sample:
    return Sample(
        [SamplingMessage(role="user", content=TextContent(type="text", text="What is 6 x 7?"))], max_tokens=50
    )


@server.tool()
def think(result: Annotated[CreateMessageResult, Resolve(ask_model)]) -> str:
    """Ask the user's model."""
    return f"the model said {result.content.text}"


@server.tool()
def folders(found: Annotated[ListRootsResult, Resolve(ListRoots)]) -> str:
    """The user's folders."""
    return " ".join(str(root.uri) for root in found.roots)


@server.tool()
async def work(context: Context) -> str:
    """Work in steps."""
    for step in (1, 2):
        await context.report_progress(step, 2, f"step {step}")
    return "worked"


@server.tool()
async def publish(context: Context) -> str:
    """Come to have something more to read."""
    server.resource("note://late", name="late")(lambda: "It is late.")
    await context.notify_resources_changed()
    return "published"


def today() -> str:
    """What is on today."""
    return "Dentist at three."


def day(day: str) -> str:
    """What is on a day."""
    return f"Nothing on {day}."


if name != "bare":
    server.resource("note://today")(today)
    server.resource("note://{day}")(day)


@server.prompt()
def greet(who: str) -> str:
    """Greet somebody."""
    return f"Say hello to {who}."


server.run("stdio")
