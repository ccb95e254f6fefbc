"""moonlet's engine on a folder: `python -m bench.peers.run_ours TASK`."""

from __future__ import annotations

import time
from pathlib import Path

from bench.peers.task import CALLS, PROMPT, WARM, Task, asked, parts, tell
from moonlet import kernels
from moonlet.engine.engine import Engine, EngineOptions
from moonlet.engine.sampler import Sampling
from moonlet.engine.sequence import Seen
from moonlet.model.folder import open_folder

PROMPTS_READ = 8  # tokens of each reply that are not timed: while the first ones come, other prompts are still read


def decode(engine: Engine, prompts: list[list[int]], tokens: int, seed: int) -> float:
    """Tokens a second of all together. They are drawn, not the likeliest: those of random weights repeat each other."""
    replies = [
        iter(engine.submit(prompt, Sampling(max_tokens=PROMPTS_READ + tokens + len(prompts), seed=seed + i)))
        for i, prompt in enumerate(prompts)
    ]
    for _ in range(PROMPTS_READ):
        for reply in replies:
            next(reply)
    begun = time.perf_counter()
    for _ in range(tokens):
        for reply in replies:
            next(reply)
    seconds = time.perf_counter() - begun
    for reply in replies:
        list(reply)
    return len(prompts) * tokens / seconds


def prefill(engine: Engine, prompt: list[int]) -> float:
    reply = engine.submit(prompt, Sampling(max_tokens=1))
    list(reply)
    return len(prompt) / reply.stats.prefill_s


def experts(engine: Engine, prompts: list[list[int]]) -> float:
    """Tokens a second through the experts of one layer, each prompt in one step."""
    seen: list[Seen] = []
    for prompt in prompts:
        list(engine.submit(prompt, Sampling(max_tokens=1), trace=seen.append))
    seconds = sum(one.parts_s["experts"] for one in seen)
    return sum(one.step_tokens for one in seen) * engine.config.sparse_layers / seconds


def measure(task: Task) -> dict[str, float | str]:
    folder = open_folder(Path(task.model))
    held = [] if task.memory else sorted(folder.path.glob("*.safetensors"))
    mapped = [kernels.map_file(path) for path in held]
    for file in mapped:  # read now, in large pages, and not while something is timed
        int(file[::4096].sum())
    ids, rows = task.ids(), {}
    tokens = max(task.longest, 16 * (PROMPT + task.tokens + 64))
    options = EngineOptions(cache_tokens=tokens, threads=task.threads, expanded=task.expanded)
    with Engine(folder, options, drafting=()) as engine:
        list(engine.submit(ids(WARM), Sampling(max_tokens=1)))
        for row in task.rows:
            kind, count = parts(row)
            if kind == "decode":
                rows[row] = decode(engine, [ids(PROMPT) for _ in range(count)], task.tokens, task.seed)
            elif kind == "prefill":
                rows[row] = prefill(engine, ids(count))
            else:
                rows[row] = experts(engine, [ids(count) for _ in range(CALLS)])
    return rows


def main() -> None:
    task = asked()
    tell(measure(task), f"moonlet, {kernels.isa()}, {task.threads} threads")


if __name__ == "__main__":
    main()
