"""How good is the small model? Every question asked of it, with calls constrained to the schemas and without.

python -m moonlet.evals.nano FOLDER [--requests N] [--turns N] [--decoding constrained|free] [--wrong] [--json]
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from moonlet.chat.messages import Message, ToolSpec
from moonlet.chat.parser import Parser
from moonlet.chat.template import count_calls, render
from moonlet.engine.sampler import Sampling
from moonlet.evals import calls, talks
from moonlet.evals.calls import Answer, Rate
from moonlet.local import NANO, Local, load

TOKENS = 240  # of a reply; the longest right one has fewer
Table = dict[str, dict[str, dict[str, Rate]]]  # suite, row, decoding


def main() -> int:
    asked = _arguments()
    with load(asked.model, threads=asked.threads, cache_tokens=8192) as model:
        ways = {"constrained": constrained(model), "free": free(model)}
        table, wrong = measure({name: ways[name] for name in asked.decoding or ways}, asked.requests, asked.turns)
    if asked.json:
        print(json.dumps({suite: {row: {way: _told(rate) for way, rate in found.items()} for row, found in rows.items()}
                          for suite, rows in table.items()}, indent=2))  # fmt: skip
    else:
        print(written(table))
        for line in wrong if asked.wrong else ():
            print(line)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m moonlet.evals.nano", description=str(__doc__).split("\n")[0])
    parser.add_argument("model", nargs="?", default=NANO, help="a model folder or a checkpoint in the public layout")
    parser.add_argument("--requests", type=int, metavar="N", help="only the first so many hand-written requests")
    parser.add_argument("--turns", type=int, default=600, metavar="N", help="of simulated conversations, per suite")
    parser.add_argument("--decoding", action="append", choices=("constrained", "free"), help="only this one")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--wrong", action="store_true", help="also show what was wrong")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def constrained(model: Local) -> Answer:
    """As the product answers: a call that has begun can only be a legal one."""
    return lambda messages, tools: model.generate(messages, tools, temperature=0.0, max_tokens=TOKENS)


def free(model: Local) -> Answer:
    """The model alone: the likeliest token each time."""
    named = (model.tokenizer.special(name) for name in ("<|im_end|>", "[EOS]"))
    stops = tuple({*model.config.stops, *(id for id in named if id is not None)})
    sampling = Sampling(max_tokens=TOKENS, temperature=0.0, stop_ids=stops)

    def answer(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Message:
        prompt = render(model.tokenizer, model.family, messages, tools)
        parser = Parser(model.tokenizer, model.family, tools, history_calls=count_calls(messages))
        for token in model.engine.submit(prompt, sampling):
            parser.feed([token.id])
        parser.finish()
        return parser.message

    return answer


def measure(ways: dict[str, Answer], requests: int | None, turns: int) -> tuple[Table, list[str]]:
    """The table of so many hand-written requests (None: all) and simulated turns a suite; and all that was wrong."""
    table: Table = {}
    wrong: list[str] = []

    def add(suite: str, way: str, rates: dict[str, Rate]) -> None:
        for row, rate in rates.items():
            if rate.total:
                table.setdefault(suite, {}).setdefault(row, {})[way] = rate

    simulated: dict[str, Callable[[], list[talks.Turn]]] = {
        "simulated talk, demonstration tools": lambda: talks.turns(talks.demonstration(), turns),
        "simulated talk, tools never seen": lambda: talks.turns(talks.made_up(), turns),
    }
    for way, answer in ways.items():
        outcomes = calls.run(answer, calls.questions()[:requests])
        add("hand-written requests, demonstration tools", way, calls.rates(outcomes))
        wrong += [_wrong(way, o.question.request, _shown(o.message)) for o in outcomes if not o.exact]
        for suite, draw in simulated.items():
            found = talks.run(answer, draw())
            add(suite, way, talks.rates(found))
            wrong += [
                _wrong(way, o.turn.before[-1].content, _shown(o.message), _shown(o.turn.wanted))
                for o in found
                if not o.right
            ]
    return table, wrong


def _shown(message: Message) -> str:
    return "; ".join(f"{call.name} {call.arguments}" for call in message.calls) or message.content


def _wrong(way: str, said: str, made: str, wanted: str | None = None) -> str:
    return f"[{way}] {said}\n    made:   {made}" + (f"\n    wanted: {wanted}" if wanted is not None else "")


def _told(rate: Rate) -> dict[str, float]:
    low, high = rate.interval()
    return {"right": rate.right, "total": rate.total, "low": round(low, 4), "high": round(high, 4)}


def written(table: Table) -> str:
    """The table as lines of text."""
    lines = []
    for suite, rows in table.items():
        ways = [way for way in next(iter(rows.values()))]
        lines.append(f"{suite:44}" + "".join(f"{way:>34}" for way in ways))
        lines += [f"  {row:42}" + "".join(f"{found[way]!s:>34}" for way in ways) for row, found in rows.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
