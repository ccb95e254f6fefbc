"""Attention of the trainer against torch's own in float64, and the largest scores against all scores written out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from moonlet import kernels
from moonlet.train.attention import BLOCK, Text, latent_attention, rotate

torch.set_num_threads(1)
Texts = Sequence[Sequence[Text]]
H, SCALE = 3, 0.3

WHOLE: list[tuple[int, Texts]] = [(T, [[(0, T, 0)]] * 2) for T in (1, 7, BLOCK, BLOCK + 1, 3 * BLOCK - 5)]
SEVERAL: list[tuple[int, Texts]] = [
    (300, [[(0, 300, 0)], [(0, 17, 0), (17, 290, 0), (290, 300, 0)]]),
    (130, [[(0, 64, 0), (64, 130, 0)], [(0, 1, 0), (1, 130, 0)]]),
]
BRANCHES: list[tuple[int, Texts]] = [
    (460, [[(0, 300, 0), (300, 301, 300), (301, 400, 300), (400, 460, 300)]]),
    (90, [[(0, 1, 0), (1, 20, 1), (20, 90, 1)]]),
]


def inputs(tokens: int, rows: int, sizes: tuple[int, int, int], dtype: torch.dtype) -> list[Tensor]:
    """q, kv, rope, the tables of positions, and a gradient of what is read."""
    N, R, value = sizes
    random = torch.Generator().manual_seed(tokens)
    shapes = ((rows, tokens, H, N + R), (rows, tokens, H, N + value), (rows, tokens, R), (rows, tokens, H, value))
    q, kv, rope, grad = (torch.randn(shape, generator=random).to(dtype) for shape in shapes)
    angles = torch.rand(tokens, R // 2, generator=random) * 6
    return [q, kv, rope, angles.cos(), angles.sin(), grad]


def library(q: Tensor, kv: Tensor, rope: Tensor, cosine: Tensor, sine: Tensor, texts: Texts) -> tuple[Tensor, Tensor]:
    """The same by torch's own attention, with a mask; in the precision of what is given. And the largest scores."""
    R = rope.shape[-1]
    N = q.shape[-1] - R
    q, kv = q.transpose(1, 2), kv.transpose(1, 2)
    q = torch.cat([q[..., :N], rotate(q[..., N:], cosine, sine)], -1)
    k = torch.cat([kv[..., :N], rotate(rope[:, None], cosine, sine).expand(-1, H, -1, -1)], -1)
    seen = torch.zeros(len(q), 1, q.shape[2], q.shape[2], dtype=torch.bool)
    for row, own in zip(seen, texts, strict=True):
        for begin, end, before in own:
            row[0, begin:end, :before] = True
            row[0, begin:end, begin:end] = torch.ones(end - begin, end - begin).tril().bool()
    read = F.scaled_dot_product_attention(q, k, kv[..., N:], attn_mask=seen, scale=SCALE)
    scores = (SCALE * q @ k.mT).masked_fill(~seen, float("-inf"))
    return read.transpose(1, 2), scores.amax((0, 2, 3))


@pytest.mark.parametrize(("tokens", "texts"), [*WHOLE, *SEVERAL, *BRANCHES])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_values_gradients_and_largest_scores(tokens: int, texts: Texts, dtype: torch.dtype, tolerance: float) -> None:
    *given, cosine, sine, grad = inputs(tokens, len(texts), (16, 8, 20), dtype)
    own = [x.clone().requires_grad_() for x in given]
    read, largest = latent_attention(*own, cosine, sine, SCALE, texts)  # type: ignore[misc]
    exact = [x.double().requires_grad_() for x in given]
    right, scores = library(*exact, cosine.double(), sine.double(), texts)  # type: ignore[misc]
    found = [read, *torch.autograd.grad(read, own, grad)]
    for one, other in zip(found, [right, *torch.autograd.grad(right, exact, grad.double())], strict=True):
        assert one.dtype == dtype
        assert (one.double() - other).norm() <= tolerance * (other.norm() + 0.1 * other.numel() ** 0.5)
    torch.testing.assert_close(largest.double(), scores, rtol=tolerance, atol=tolerance)


def test_a_whole_row_of_the_libraries_attention() -> None:
    """Without positions, against the library's causal attention itself."""
    q, kv, rope, cosine, sine, _ = inputs(50, 2, (16, 8, 20), torch.float32)
    rope.zero_()
    read, _ = latent_attention(q, kv, rope, cosine, sine, SCALE, [[(0, 50, 0)]] * 2)
    q, k, v = (x.transpose(1, 2) for x in (q[..., :16], kv[..., :16], kv[..., 16:]))
    right = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=SCALE).transpose(1, 2)
    torch.testing.assert_close(read, right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("isa", kernels.isas())
@pytest.mark.parametrize("sizes", [(16, 8, 40), (32, 32, 64), (128, 64, 128)])
def test_kernels_of_every_instruction_set(isa: str, sizes: tuple[int, int, int]) -> None:
    (tokens, texts), *_ = SEVERAL
    q, kv, rope, cosine, sine, grad = inputs(tokens, len(texts), sizes, torch.bfloat16)

    def bits(x: Tensor) -> NDArray[np.uint16]:
        return x.view(torch.int16).numpy().view(np.uint16)

    def run(threads: int) -> list[Tensor]:
        out, lse, largest = torch.empty_like(grad), torch.empty(len(q), H, tokens), torch.empty(H)
        given = (bits(q), bits(kv), bits(rope), cosine.numpy(), sine.numpy(), SCALE, [list(row) for row in texts])
        kernels.attend_texts(*given, bits(out), lse.numpy(), largest.numpy(), threads, isa)
        made = [torch.empty_like(x) for x in (q, kv, rope)]
        read = (bits(out), lse.numpy(), bits(grad))
        kernels.attend_texts_back(*given, *read, *(bits(x) for x in made), threads, isa)
        return [out, lse, largest, *made]

    found = run(1)
    for one, other in zip(found, run(3), strict=True):
        assert torch.equal(one, other)  # whoever computes it
    exact = [x.double().requires_grad_() for x in (q, kv, rope)]
    right, _ = library(*exact, cosine.double(), sine.double(), texts)  # type: ignore[misc]
    gradients = torch.autograd.grad(right, exact, grad.double())
    for one, other in zip((found[0], *found[3:]), (right, *gradients), strict=True):
        assert (one.double() - other).norm() < 8e-3 * other.norm()


def test_what_the_kernels_refuse() -> None:
    q, kv, rope = np.zeros((1, 4, 1, 8), np.uint16), np.zeros((1, 4, 1, 10), np.uint16), np.zeros((1, 4, 2), np.uint16)
    cosine = np.ones((4, 1), np.float32)
    out, lse, highest = np.zeros((1, 4, 1, 4), np.uint16), np.zeros((1, 1, 4), np.float32), np.zeros(1, np.float32)
    whole = [[(0, 4, 0)]]
    kernels.attend_texts(q, kv, rope, cosine, cosine, 1.0, whole, out, lse, highest, 1)
    for texts in (
        [],
        [[]],
        [[(0, 3, 0)]],
        [[(1, 4, 0)]],
        [[(0, 2, 0), (3, 4, 0)]],
        [[(0, 2, 0), (2, 4, 1)]],
        [[(0, 4, 4)]],
    ):
        with pytest.raises(ValueError, match="text"):
            kernels.attend_texts(q, kv, rope, cosine, cosine, 1.0, texts, out, lse, highest, 1)
    for one, two, three in ((q[:, :3].copy(), kv, rope), (q, kv[..., :6].copy(), rope), (q, kv, rope[..., :1].copy())):
        with pytest.raises(ValueError):
            kernels.attend_texts(one, two, three, cosine, cosine, 1.0, whole, out, lse, highest, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to that limit")
def test_fewer_threads_than_asked_for_read_the_same() -> None:
    """A second one's stack still fits into what the process may have, a third one's does not."""
    program = """
import resource
from pathlib import Path
import numpy as np
from moonlet import kernels

def read(threads):
    random = np.random.default_rng(0)
    q, kv = (random.integers(0, 1 << 14, (1, 40, 9, size), np.uint16) for size in (24, 48))
    rope, angles = random.integers(0, 1 << 14, (1, 40, 8), np.uint16), np.ones((40, 4), np.float32)
    out, lse, highest = np.zeros((1, 40, 9, 32), np.uint16), np.zeros((1, 9, 40), np.float32), np.zeros(9, np.float32)
    kernels.attend_texts(q, kv, rope, angles, angles, 0.1, [[(0, 40, 0)]], out, lse, highest, threads)
    return out

alone = read(1)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (512 << 20),) * 2)
assert (read(9) == alone).all()
"""
    stacks = ["sh", "-c", 'ulimit -S -s 262144 && exec "$@"', "sh"]  # kB, of each thread
    ended = subprocess.run([*stacks, sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")
