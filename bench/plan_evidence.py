"""What `moonlet plan` says of machines and settings that others have measured and published, beside their numbers.

    python -m bench.plan_evidence            a Markdown table, as in docs/plan-evidence.md

Nothing here is run: machines are described by their data sheets, models by their configs, and speeds come out of the
same shares (moonlet.planner.speed.SHARES) as every plan's.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from fractions import Fraction

from moonlet.planner.fit import Wish, fit
from moonlet.planner.machine import Machine, catalogue, describe
from moonlet.planner.speed import Bars, Load, Speed, speed
from moonlet.planner.subject import Subject, subject


@dataclass(frozen=True)
class Case:
    """One published number, in tokens a second.

    kind: each (of one reply), all (of all together), prompt (read), served (of one reply, prompts in between).
    """

    what: str
    kind: str
    load: Load
    prompt: int
    published: float
    source: str
    note: str = ""


def bits(it: Subject, experts: float, dense: float) -> Subject:
    """The model with so many bits a weight, as files of other engines have them."""
    parts = tuple(
        replace(part, bytes_per_weight=Fraction(experts if part.name == "experts" else dense) / 8) for part in it.parts
    )
    return replace(it, parts=parts)


def box(like: str, **figures: object) -> Machine:
    """A machine of the catalogue with other figures."""
    base = catalogue()[like]
    table = {name: figure.value for name, figure in base.figures.items()}
    return describe(like, {**table, "unified": base.unified, **figures})


K2 = subject("kimi-k2-thinking")
INFERENCEX = "InferenceX, vLLM TP8, 8K in, 1K out (kimi-capacity-report.pages.dev, 2026)"
KT = "kvcache-ai/ktransformers, doc/en/Kimi-K2*.md, 2025"
LLAMA = "ggml-org/llama.cpp issue 14642, 2025-07"
IK = "ikawrakow/ik_llama.cpp PR 612, 2025-07"
LOFT = "loftllc.dev and ai-manual.ru, 2026-02"
R1 = "ktransformers issue 797, 2025-03"

L20 = {"card_count": 8, "card_gb": 48, "card_gbs": 864, "card_tflops": 119}


def groups() -> list[tuple[str, Subject, Machine, Wish, list[Case]]]:
    """Settings, each with what was published about it."""
    out = []
    for name, values in (("8x-h200", (91.2, 70.3, 46.6, 28.9, 16.7)), ("8x-b200", (104.4, 81.1, 59.2, 40.5, 26.0))):
        cases = [
            Case(f"K2.5 int4 on {name}, {n} at a time", "served", Load(n, 8704), 8192, value, INFERENCEX)
            for n, value in zip((4, 8, 16, 32, 64), values)
        ]
        out.append((name, K2, catalogue()[name], Wish(context=9216), cases))
    q4 = bits(K2, 4.84, 4.84)
    one = box("dual-xeon-1tb-rtx-4090", memory_gb=700, memory_gbs=307.2, tops=90)
    two = box("dual-xeon-1tb-rtx-4090")
    out.append(("kt-1", q4, one, Wish(), [Case("K2 Q4_K_M, one Xeon and a 4090", "each", Load(1, 1024), 0, 10, KT)]))
    out.append(("kt-2", q4, two, Wish(), [Case("K2 Q4_K_M, two Xeons and a 4090", "each", Load(1, 1024), 0, 14, KT)]))
    quants = "unpacking K- and IQ-quants takes more operations than int8 products: below the usual share"
    slow = "at short prompts it loads all experts into the card for few tokens: a fixed cost that is not modelled"
    native = box("dual-xeon-1tb-rtx-4090", card_gb=48)
    out.append(("kt-3", K2, native, Wish(), [
        Case("K2-Thinking, two 8488C and a 4090 48 GB: 2K prompt", "prompt", Load(), 2048, 53, KT, slow),
        Case("the same, 8K prompt", "prompt", Load(), 8192, 184, KT, slow),
        Case("the same, 32K prompt", "prompt", Load(), 32768, 290, KT),
    ]))  # fmt: skip
    l20 = box("dual-xeon-1tb-rtx-4090", memory_gbs=614.4, tops=110, **L20)
    out.append(("kt-4", K2, l20, Wish(), [
        Case("K2-Thinking, 8 L20 and two 6454S, 37 at a time", "all", Load(37, 2048), 0, 45.9, KT,
             "the experts of 37 tokens are read from memory; part of them lies in the cards here, where it is faster"),
        Case("K2.5, the same with 48 at a time", "all", Load(48, 2048), 0, 24.5, KT,
             "slower with more replies than the line above: other effects than bytes"),
    ]))  # fmt: skip
    xeon = box("epyc-768gb-1x-rtx-pro-6000", memory_gbs=844.8, tops=150)
    out.append(("xeon", K2, xeon, Wish(), [
        Case("K2-Thinking, Xeon 6960P with MRDIMM-8800, RTX PRO 6000", "each", Load(1, 2048), 0, 9.5,
             "ktransformers issue 1730, 2025-12", "asked there as a fault: memory was bound to one of three domains"),
    ]))  # fmt: skip
    turin = box("epyc-768gb", tops=15)
    out.append(("9175f", bits(K2, 4.37, 4.6), turin, Wish(), [
        Case("K2.5 Q4_K_S, EPYC 9175F without a card", "each", Load(1, 4096), 0, 11, LOFT,
             "16 cores: each reads from memory over its own link, which is full before the memory is"),
    ]))  # fmt: skip
    dual = box("epyc-768gb-1x-rtx-pro-6000", memory_gb=736, memory_gbs=1177.6, tops=58)
    out.append(("9355", bits(K2, 4.6, 6.5), dual, Wish(), [
        Case("K2 UD-Q4_K_XL, two EPYC 9355 and an RTX PRO 6000", "each", Load(1, 4608), 0, 22.05,
             LLAMA),
        Case("the same, 4K prompt", "prompt", Load(), 4096, 106, LLAMA, quants),
    ]))  # fmt: skip
    zen5c = box("epyc-768gb", memory_gbs=576, tops=100)
    out.append(("9965", bits(K2, 2.7, 6.0), zen5c, Wish(), [
        Case("K2 IQ2_KL, EPYC 9965, one socket", "each", Load(1, 256), 0, 13.39, IK,
             "mlc measured 275 GB/s of the socket's 576: below the usual share"),
        Case("the same, 512 tokens of prompt", "prompt", Load(), 512, 107.6, IK, quants),
    ]))  # fmt: skip
    studio = catalogue()["mac-studio-m3-ultra-512gb"]
    mlx = "spicyneuron/Kimi-K2.6-MLX, 2026"
    out.append(("mlx", bits(K2, 3.2, 8.0), studio, Wish(), [
        Case("K2.6 MLX 3.3 bit, Mac Studio M3 Ultra", "each", Load(1, 1280), 0, 21.36, mlx),
        Case("the same, 1K prompt", "prompt", Load(), 1024, 223.6, mlx),
    ]))  # fmt: skip
    mac = catalogue()["macbook-pro-m4-max-128gb"]
    out.append(("rustane", bits(K2, 4.0, 6.0), mac, Wish(context=2048), [
        Case("K2, MacBook Pro M4 Max 128 GB, experts from SSD", "each", Load(1, 64), 0, 1.7,
             "themenonlab.blog on rustane, 2026", "one short question again and again: its experts are soon in memory"),
    ]))  # fmt: skip
    four = box("epyc-768gb-4x-rtx-pro-6000", tops=110)
    out.append(("9b45", K2, four, Wish(), [
        Case("K2-Thinking, EPYC 9B45 and four RTX PRO 6000", "each", Load(1, 2048), 0, 31, "banandre.com, 2025-11",
             "faster than if cards and processor took turns: work was shared; the source does not say how"),
    ]))  # fmt: skip
    r1 = bits(subject("deepseek-r1"), 4.8, 4.8)
    dual35 = box("dual-xeon-1tb-rtx-4090", memory_gb=1152, memory_gbs=1228.8, tops=29)
    out.append(("797", r1, dual35, Wish(), [
        Case("DeepSeek-R1 Q4, two EPYC 9135 and a 4090", "each", Load(1, 512), 0, 17.3, R1),
    ]))  # fmt: skip
    return out


def predicted(it: Speed, case: Case) -> Bars:
    if case.kind == "prompt":
        return it.prefill(case.prompt)
    if case.kind == "served":
        return it.served(case.load, case.prompt, 1024).scaled(1 / case.load.sequences)
    return it.decode(case.load) if case.kind == "all" else it.each(case.load)


def table() -> tuple[list[str], list[float]]:
    """Markdown rows, and predicted over published of each."""
    rows, ratios = [], []
    for _, it, machine, wish, cases in groups():
        placed = fit(it, machine, wish)
        assert placed.fits, (machine.name, placed.why)
        working = speed(placed)
        for case in cases:
            bars = predicted(working, case)
            ratio = bars.value / case.published
            ratios.append(ratio)
            inside = "yes" if bars.low <= case.published <= bars.high else "**no**"
            rows.append(
                f"| {case.what} | {case.published:g} | {bars.value:.3g} ({bars.low:.3g} to {bars.high:.3g}) "
                f"| {ratio:.2f} | {inside} | {case.source} | {case.note} |"
            )
    return rows, ratios


def main() -> None:
    rows, ratios = table()
    print("| setting | published tokens/s | predicted (range) | predicted / published | in range | source | note |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(rows))
    off = sorted(max(ratio, 1 / ratio) for ratio in ratios)
    print(f"\n{len(ratios)} numbers; off by a factor of {statistics.median(off):.2f} (median), {off[-1]:.2f} (most).")


if __name__ == "__main__":
    main()
