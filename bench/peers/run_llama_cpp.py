"""llama.cpp through llama-cpp-python's bindings: `python -m bench.peers.run_llama_cpp TASK` in its environment.

The bindings' own functions are used, not their `Llama` class, which has one sequence only. Settings are llama.cpp's own
defaults (batches of 2,048, of which 512 are computed at once; weights repacked where it does that by itself), with as
many threads as there are cores. Random tokens are given to it, so that it need not draw any; logits are computed for
each sequence, as for drawing.
"""

from __future__ import annotations

import time

import llama_cpp

from bench.peers.task import PROMPT, WARM, Task, asked, parts, tell

CHUNK = 2048  # tokens of a call, llama.cpp's n_batch


class Context:
    """A cache for so many sequences of so many tokens each, and steps over it."""

    def __init__(self, model: object, sequences: int, longest: int, threads: int) -> None:
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = sequences * (-(-longest // 256) * 256)  # shared out evenly
        options.n_batch, options.n_seq_max = CHUNK, sequences
        options.n_threads = options.n_threads_batch = threads
        self.handle = llama_cpp.llama_init_from_model(model, options)
        if not self.handle:
            raise SystemExit("llama.cpp made no context")
        self.batch = llama_cpp.llama_batch_init(CHUNK, 0, 1)

    def step(self, tokens: list[tuple[int, int, int, bool]]) -> None:
        """Computes tokens of (id, position, sequence, whether its logits are wanted)."""
        batch = self.batch
        batch.n_tokens = len(tokens)
        for i, (id, position, sequence, wanted) in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.logits[i] = id, position, wanted
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
        if llama_cpp.llama_decode(self.handle, batch):
            raise SystemExit(f"llama_decode failed with {len(tokens)} tokens")
        llama_cpp.llama_synchronize(self.handle)

    def read(self, prompt: list[int], sequence: int = 0) -> float:
        """Seconds for a prompt; only its last logits are wanted."""
        begun, last = time.perf_counter(), len(prompt) - 1
        for start in range(0, len(prompt), CHUNK):
            chunk = enumerate(prompt[start : start + CHUNK], start)
            self.step([(id, at, sequence, at == last) for at, id in chunk])
        return time.perf_counter() - begun

    def forget(self) -> None:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.handle), True)


def measure(task: Task) -> dict[str, float | str]:
    options = llama_cpp.llama_model_default_params()
    options.n_gpu_layers = 0
    options.use_extra_bufts = not task.memory  # repacked weights are a copy, for which there is no room then
    model = llama_cpp.llama_model_load_from_file(task.model.encode(), options)
    if not model:
        raise SystemExit("llama.cpp does not load the model")
    ids, rows = task.ids(), {}
    prompts = Context(model, 1, task.longest, task.threads)
    many = Context(model, 16, PROMPT + task.tokens, task.threads)
    prompts.read(ids(WARM))
    for row in task.rows:
        kind, count = parts(row)
        if kind == "prefill":
            prompts.forget()
            rows[row] = count / prompts.read(ids(count))
        else:
            many.forget()
            for sequence in range(count):
                many.read(ids(PROMPT), sequence)
            begun = time.perf_counter()
            for at in range(PROMPT, PROMPT + task.tokens):
                many.step([(id, at, sequence, True) for sequence, id in enumerate(ids(count))])
            rows[row] = count * task.tokens / (time.perf_counter() - begun)
    return rows


def main() -> None:
    llama_cpp.llama_backend_init()
    task = asked()
    about = f"llama-cpp-python {llama_cpp.__version__}, Q4_0, {task.threads} threads"
    tell(measure(task), about)


if __name__ == "__main__":
    main()
