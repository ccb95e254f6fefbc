"""transformers with torch, bf16: `python -m bench.peers.run_transformers TASK` in its environment."""

from __future__ import annotations

import time

import torch
import transformers

from bench.peers.task import PROMPT, WARM, Task, asked, parts, tell


def measure(task: Task) -> dict[str, float | str]:
    torch.set_num_threads(task.threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(task.model, dtype=torch.bfloat16).eval()
    ids, rows = task.ids(), {}

    def read(prompts: list[list[int]]) -> object:
        """Reads prompts of one length together; only the last logits are wanted."""
        return model(torch.tensor(prompts), use_cache=True, logits_to_keep=1).past_key_values

    read([ids(WARM)])
    for row in task.rows:
        kind, count = parts(row)
        if kind == "prefill":
            prompt = ids(count)
            begun = time.perf_counter()
            read([prompt])
            rows[row] = count / (time.perf_counter() - begun)
        else:
            cache = read([ids(PROMPT) for _ in range(count)])
            begun = time.perf_counter()
            for _ in range(task.tokens):
                model(torch.tensor([[id] for id in ids(count)]), use_cache=True, past_key_values=cache)
            rows[row] = count * task.tokens / (time.perf_counter() - begun)
    return rows


def main() -> None:
    task = asked()
    with torch.inference_mode():
        rows = measure(task)
    tell(rows, f"transformers {transformers.__version__}, torch {torch.__version__}, bf16, {task.threads} threads")


if __name__ == "__main__":
    main()
