"""BFCL's single-turn Python categories, asked of a model through our server and judged by the official checker.

python -m bench.bfcl [MODEL|URL] [--category simple_python] [--limit N] [--free] [--threads N] [--wrong] [--json]

Questions, their form as tools and the verdicts come from the package bfcl-eval, which is installed under build/bfcl in
an environment of its own, without the clients of other vendors' services that its checker does not use. A MODEL of this
machine is served on loopback, so that calls go the way of any client; with --free it is asked without its constraint,
which no server does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from moonlet.chat.messages import Message, from_openai, tools_from_openai
from moonlet.cli.open import is_url
from moonlet.evals.arguments import legal
from moonlet.evals.free import Free
from moonlet.evals.rate import Rate
from moonlet.llm import LLM, Done, RefusedError, ReplyOptions
from moonlet.llm.remote import Remote
from moonlet.local import load

PLACE = Path(__file__).parent.parent / "build" / "bfcl"
OFFICIAL = Path(__file__).with_name("bfcl_official.py")
PACKAGES = ("bfcl-eval==2026.3.23",)
NEEDED = (
    "tenacity", "filelock", "requests", "tqdm", "pydantic", "python-dotenv", "numpy",
    "tree_sitter==0.21.3", "tree-sitter-java==0.21.0", "tree-sitter-javascript==0.21.4",
)  # fmt: skip
WORKERS = 4
CATEGORIES = ("simple_python", "multiple", "parallel", "parallel_multiple")


def main() -> int:
    asked = _arguments()
    install()
    questions = official("questions", asked.category)[: asked.limit]
    with opened(asked) as model, ThreadPoolExecutor(WORKERS) as pool:
        options = ReplyOptions(temperature=0.0, max_tokens=512)
        replies = list(pool.map(lambda one: answer(model, one, options), questions))
    made = [{"id": one["id"], "calls": calls(reply)} for one, reply in zip(questions, replies)]
    verdicts = official("check", asked.category, made)
    show(asked, questions, replies, verdicts)
    return 0


def install() -> None:
    """What is not there yet."""
    if (PLACE / "done").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(PLACE)], check=True)
    pip = [str(PLACE / "bin" / "python"), "-m", "pip", "install", "-q"]
    subprocess.run([*pip, *NEEDED], check=True)
    subprocess.run([*pip, "--no-deps", *PACKAGES], check=True)
    (PLACE / "done").touch()


def official(task: str, category: str, given: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Lines of JSON to and from bfcl-eval."""
    command = [str(PLACE / "bin" / "python"), str(OFFICIAL), task, category]
    text = "".join(json.dumps(one) + "\n" for one in given)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bfcl-eval failed: {done.stderr.strip().splitlines()[-1]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@contextmanager
def opened(asked: argparse.Namespace) -> Iterator[LLM]:
    """The model: an endpoint, one that is served here, or with --free one of this process."""
    if asked.free:
        with load(asked.model, threads=asked.threads) as local:
            yield Free(local)
    elif is_url(asked.model):
        with closing(Remote(asked.model)) as remote:
            yield remote
    else:
        command = [sys.executable, "-m", "moonlet", "serve", "--no-trial", asked.model, "--port", "0"]
        command += ["--threads", str(asked.threads)] if asked.threads else []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
            try:
                assert served.stdout
                line = next((line for line in served.stdout if " answers at " in line), "")
                if not line:
                    raise SystemExit(f"{asked.model} is not served")
                url = line.split(" answers at ")[1].split()[0]
                with closing(Remote(url)) as remote:
                    yield remote
            finally:
                served.terminate()


def answer(model: LLM, question: dict[str, Any], options: ReplyOptions) -> Message:
    """The reply; to a question that the model cannot take, an empty one."""
    try:
        events = list(model.reply(from_openai(question["messages"]), tools_from_openai(question["tools"]), options))
    except RefusedError as error:
        return Message("assistant", f"refused: {error}")
    assert isinstance(events[-1], Done)
    return events[-1].message


def calls(reply: Message) -> list[dict[str, Any]]:
    """The calls in the checker's form; arguments that are no JSON object make none of them."""
    try:
        return [{call.name: dict(json.loads(call.arguments or "{}"))} for call in reply.calls]
    except (ValueError, TypeError):
        return []


def show(
    asked: argparse.Namespace,
    questions: Sequence[dict[str, Any]],
    replies: Sequence[Message],
    verdicts: Sequence[dict[str, Any]],
) -> None:
    rate = Rate(sum(one["valid"] for one in verdicts), len(verdicts))
    called = Rate(sum(bool(reply.calls) for reply in replies), len(replies))
    pairs = [(reply, tools_from_openai(one["tools"])) for one, reply in zip(questions, replies) if reply.calls]
    fits = Rate(sum(legal(reply, tools) for reply, tools in pairs), len(pairs))
    errors = Counter(one["error"] for one in verdicts if not one["valid"])
    way = "free" if asked.free else "served"
    if asked.json:
        told = {"category": asked.category, "model": asked.model, "decoding": way, "right": rate.as_json()}
        print(
            json.dumps(
                {**told, "called": called.as_json(), "legal": fits.as_json(), "errors": errors.most_common()}, indent=2
            )
        )
    else:
        print(f"{asked.category}, {asked.model}, {way}: {rate}")
        print(f"  calls: {called}; of them fit their schemas: {fits}")
        for name, count in errors.most_common():
            print(f"  {count:4} {name}")
    for question, reply, verdict in zip(questions, replies, verdicts):
        if asked.wrong and not verdict["valid"]:
            made = "; ".join(f"{call.name} {call.arguments}" for call in reply.calls) or reply.content
            print(f"{question['id']}: {question['messages'][-1]['content']}\n    {made} ({verdict['error']})")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.bfcl", description=str(__doc__).split("\n")[0])
    parser.add_argument("model", nargs="?", default="nano", help="a model of this machine, or an endpoint's URL")
    parser.add_argument("--category", choices=CATEGORIES, default=CATEGORIES[0])
    parser.add_argument("--limit", type=int, metavar="N", help="only the first so many")
    parser.add_argument("--free", action="store_true", help="without the constraint on calls")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of a model here; default: one a core")
    parser.add_argument("--wrong", action="store_true", help="also show what was wrong")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
