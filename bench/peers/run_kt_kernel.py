"""kt-kernel's experts of one layer, int4 in groups of 32 as K2's: `python -m bench.peers.run_kt_kernel TASK`.

It is a kernel library, not an engine: these rows are all that it has. Weights and choices of experts are random; each
call has other experts than the one before, which read far more than the caches hold.
"""

from __future__ import annotations

import time

import kt_kernel
import torch

from bench.peers.task import CALLS, Task, asked, parts, tell

GROUP = 32
EXT = kt_kernel.kt_kernel_ext


def pool(threads: int) -> object:
    options = EXT.WorkerPoolConfig()
    options.subpool_count, options.subpool_numa_map, options.subpool_thread_count = 1, [0], [threads]
    return EXT.CPUInfer(options)


def layer(task: Task, workers: object, longest: int) -> object:
    """The experts of one layer; what their weights are copied from is gone afterwards."""
    c = task.config
    count, width, inner = int(c["n_routed_experts"]), int(c["hidden_size"]), int(c["moe_intermediate_size"])
    options = EXT.moe.MOEConfig(count, int(c["num_experts_per_tok"]), width, inner, 0)
    options.max_len, options.pool = longest, workers.backend_
    options.quant_config.bits, options.quant_config.group_size = 4, GROUP
    options.quant_config.zero_point = False
    kept = []
    for name, rows, cols in (("gate", inner, width), ("up", inner, width), ("down", width, inner)):
        codes = torch.randint(-(2**31), 2**31 - 1, (count, rows, cols // 8), dtype=torch.int32)
        scales = torch.full((count, rows, cols // GROUP), cols**-0.5 / 4.2, dtype=torch.bfloat16)
        setattr(options, f"{name}_proj", codes.data_ptr())
        setattr(options, f"{name}_scale", scales.data_ptr())
        kept += [codes, scales]
    made = EXT.moe.AMXInt4_KGroup_MOE(options)
    order = torch.arange(count, dtype=torch.int64)
    workers.submit(made.load_weights_task(order.data_ptr()))
    workers.sync()
    return made


def measure(task: Task) -> dict[str, float | str]:
    torch.manual_seed(task.seed)
    experts, chosen = int(task.config["n_routed_experts"]), int(task.config["num_experts_per_tok"])
    width = int(task.config["hidden_size"])
    counts = {row: parts(row)[1] for row in task.rows}
    workers = pool(task.threads)
    made = layer(task, workers, max(counts.values()))
    rows: dict[str, float | str] = {}
    for row, count in counts.items():
        inputs, weights = torch.randn(count, width).to(torch.bfloat16), torch.rand(count, chosen)
        outputs, size = torch.empty_like(inputs), torch.tensor([count])
        choices = [torch.rand(count, experts).argsort(dim=-1)[:, :chosen].contiguous() for _ in range(CALLS + 1)]
        begun = 0.0
        for call, choice in enumerate(choices):
            if call == 1:  # the first is not timed
                begun = time.perf_counter()
            given = [one.data_ptr() for one in (choice, weights, inputs, outputs)]
            workers.submit(made.forward_task(size.data_ptr(), chosen, *given, False))
            workers.sync()
        rows[row] = count * CALLS / (time.perf_counter() - begun)
    return rows


def main() -> None:
    task = asked()
    about = f"kt-kernel {kt_kernel.__version__}, {kt_kernel.__cpu_variant__}, experts alone, {task.threads} threads"
    tell(measure(task), about)


if __name__ == "__main__":
    main()
