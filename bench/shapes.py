"""Model folders of real shapes with random weights, written as fast as the disk takes them.

    python -m bench.shapes moonlight OUT                      27 layers, int4 experts, bf16 rest
    python -m bench.shapes k2 OUT --layers 3 --experts 96     K2's own widths, as much of them as fits

Codes are uniform, scales constant: activations stay finite through all layers and every routing occurs. Nothing is
learned, so only speed and size mean anything.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from moonlet import kernels
from moonlet.model.config import ModelConfig, parse_config
from moonlet.model.folder import write_meta
from moonlet.model.layout import DENSE_FILE, FORMAT, Formats, Slot, expert_matrices, file_layouts, slots

CONFIGS = {
    "moonlight": {
        "model_type": "deepseek_v3", "hidden_size": 2048, "num_hidden_layers": 27, "num_attention_heads": 16,
        "q_lora_rank": None, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "intermediate_size": 11264, "first_k_dense_replace": 1, "n_routed_experts": 64, "n_shared_experts": 2,
        "num_experts_per_tok": 6, "moe_intermediate_size": 1408, "n_group": 1, "topk_group": 1,
        "topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": True, "routed_scaling_factor": 2.446,
        "rope_theta": 50000.0, "max_position_embeddings": 8192, "rms_norm_eps": 1e-05, "vocab_size": 163840,
        "bos_token_id": 163584, "eos_token_id": 163586, "tie_word_embeddings": False,
    },
    "k2": {
        "model_type": "kimi_k2", "hidden_size": 7168, "num_hidden_layers": 61, "num_attention_heads": 64,
        "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "intermediate_size": 18432, "first_k_dense_replace": 1, "n_routed_experts": 384, "n_shared_experts": 1,
        "num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_group": 1, "topk_group": 1,
        "topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": True, "routed_scaling_factor": 2.827,
        "rope_theta": 50000.0, "max_position_embeddings": 262144, "rms_norm_eps": 1e-05, "vocab_size": 163840,
        "bos_token_id": 163584, "eos_token_id": 163586, "tie_word_embeddings": False,
        "rope_scaling": {"type": "yarn", "factor": 64.0, "beta_fast": 1.0, "beta_slow": 1.0, "mscale": 1.0,
                         "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096},
    },
}  # fmt: skip


def write(folder: Path, shape: str, formats: Formats, seed: int = 0, **changes: int) -> None:
    """A complete model folder; `changes` replaces fields of the config."""
    raw = CONFIGS[shape] | changes
    config = parse_config(raw)
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(raw, indent=1))
    layouts = file_layouts(config, formats)
    by_name = {slot.name: slot for slot in slots(config)}
    for name, layout in layouts.items():
        with (folder / name).open("wb") as file:
            file.write(layout.head)
            for tensor, place in layout.tensors.items():
                file.seek(place.begin)
                if name == DENSE_FILE:
                    file.write(_dense(by_name[tensor], formats.dense, random))
                else:
                    rows, row_bytes = place.shape
                    _write_experts(file, config, formats.experts, rows, row_bytes, random)
            file.truncate(layout.size)
    names = ["config.json", *layouts]
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": ""} for name in names}
    write_meta(folder, {
        "format": FORMAT, "formats": {"dense": formats.dense, "experts": formats.experts},
        "source": {"name": f"random {shape}", "seed": seed}, "files": files, "golden": None,
        "error": {"dense": 0.0, "experts": 0.0}, "skipped": {},
    })  # fmt: skip


def packed(format: kernels.Format, rows: int, cols: int, random: np.random.Generator) -> np.ndarray:
    """Packed weights of deviation about cols^-0.5, made block-wise without a float matrix of the whole."""
    deviation = cols**-0.5
    if format == "bf16":
        block = (random.standard_normal((32, cols)) * deviation).astype(np.float32)
        pattern = kernels.pack(block, format)
        blocks = -(-rows // 32)
        out = np.tile(pattern, blocks).reshape(blocks, -1)
        for row in out:  # each block starts elsewhere in the pattern: no two are alike
            row[:] = np.roll(pattern, 4 * int(random.integers(len(pattern) // 4)))
        return out.reshape(-1)
    tile = 576 if format == "int4" else 1088
    spread = 4.2 if format == "int4" else 73.0  # deviation of the codes
    tiles = kernels.packed_bytes(format, rows, cols) // tile
    out = random.integers(0, 256, (tiles, tile), np.uint8)
    # The code below all others has no counterpart above: with it, weights have a mean, which layer after layer pulls
    # all tokens into one direction, to the same experts.
    codes = out[:, :-64]
    if format == "int8":
        codes[codes == 0x80] = 0
    else:  # nibbles hold code + 8
        codes[codes & 0x0F == 0] |= 0x08
        codes[codes & 0xF0 == 0] |= 0x80
    scale = np.float32(deviation / spread).view(np.uint32) >> 16
    out[:, -64:].view(np.uint16)[:] = scale
    return out.reshape(-1)


def _dense(slot: Slot, format: kernels.Format, random: np.random.Generator) -> bytes:
    if slot.kind == "packed":
        return packed(format, *slot.shape, random).tobytes()
    if slot.kind in ("keys", "values"):
        return np.concatenate([packed(format, *slot.shape[1:], random) for _ in range(slot.shape[0])]).tobytes()
    if slot.kind == "table":
        rows, cols = slot.shape
        values = random.standard_normal((1024, cols), np.float32).view(np.uint32) >> 16
        return np.resize(values.astype(np.uint16), (rows, cols)).tobytes()
    if slot.name.endswith("router"):
        return (random.standard_normal(slot.shape, np.float32) * slot.shape[1] ** -0.5).tobytes()
    if slot.name.endswith("bias"):
        return np.zeros(slot.shape, np.float32).tobytes()
    return np.ones(slot.shape, np.float32).tobytes()


def _write_experts(file, config: ModelConfig, format: kernels.Format, rows: int, row_bytes: int, random) -> None:
    matrices = expert_matrices(config).values()
    pool = np.concatenate([packed(format, *shape, random) for shape in matrices])
    tile = {"bf16": 2048, "int8": 1088, "int4": 576}[format]
    pad = bytes(row_bytes - len(pool))
    for _ in range(rows):
        file.write(np.roll(pool, tile * int(random.integers(len(pool) // tile))))
        file.write(pad)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=CONFIGS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dense", default="bf16", choices=["bf16", "int8", "int4"])
    parser.add_argument("--experts-format", default="int4", choices=["bf16", "int8", "int4"])
    parser.add_argument("--layers", type=int)
    parser.add_argument("--experts", type=int)
    parser.add_argument("--vocab", type=int)
    args = parser.parse_args()
    changes = {"num_hidden_layers": args.layers, "n_routed_experts": args.experts, "vocab_size": args.vocab}
    formats = Formats(args.dense, args.experts_format)
    write(args.folder, args.shape, formats, **{name: value for name, value in changes.items() if value})


if __name__ == "__main__":
    main()
