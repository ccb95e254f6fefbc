"""The small model: its sizes, its recipe, and the way from nothing to a model folder.

On a GPU it has the shape that ships, on a processor a smaller one.

python -m moonlet.train.nano FOLDER [--start MODEL] [--data FOLDER] [--trajectories FILE] [--steps N] [--threads N]

Started by torchrun, its processes train one network together (sharded.py).

FOLDER gets the vocabulary, `run/` (checkpoint and progress.csv), `public/` (the checkpoint in the public layout) and
`model/` (the model folder). What is there is not made again: a run that was stopped goes on where it stopped. With
--start the run begins with the weights and the vocabulary of a model that exists.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from moonlet.chat.template import Family
from moonlet.chat.tokenizer import Tokenizer
from moonlet.engine.engine import EngineOptions
from moonlet.local import Local, family_in, find, make_golden
from moonlet.model.config import parse_config
from moonlet.model.convert import ConvertOptions, Report, convert
from moonlet.model.folder import ModelFolder, open_folder
from moonlet.simulate.episode import Conversation
from moonlet.train.charts import installed
from moonlet.train.checkpoint import held, same_source
from moonlet.train.data import conversations
from moonlet.train.export import TOKENIZER_FILES, export
from moonlet.train.feeding import Feed, Stream
from moonlet.train.fit import Recipe, Run, check_rows
from moonlet.train.network import Network
from moonlet.train.played import among, fitting, read
from moonlet.train.processes import Alone, processes
from moonlet.train.restore import restore
from moonlet.train.rows import Rows
from moonlet.train.telling import train
from moonlet.train.vocabulary import texts, train_vocabulary

# What two cores train from nothing: 15.3 million parameters, 5.0 of them at work on a token. The shape is K2's, but
# queries have no low rank.
CONFIG: dict[str, Any] = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "vocab_size": 4096,
    "hidden_size": 256,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "q_lora_rank": None,
    "kv_lora_rank": 96,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 32,
    "v_head_dim": 64,
    "intermediate_size": 640,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "n_routed_experts": 16,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "moe_intermediate_size": 192,
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
    "n_group": 1,
    "topk_group": 1,
    "norm_topk_prob": True,
    "routed_scaling_factor": 1.4,
    "hidden_act": "silu",
    "attention_bias": False,
    "rope_theta": 10000.0,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
    "bos_token_id": 4064,
    "eos_token_id": 4066,
}
# Rows are long because the list of tools takes 800 tokens of each. Whoever has read no more than 2,048 tokens writes
# gibberish behind 2,400, so that what goes on reads all that the model declares.
RECIPE = Recipe(steps=1900, rows=2, length=2048, long_from=1.0)
FURTHER = replace(RECIPE, steps=3000, lr=5e-4, decay_from=0.15, length=4096)  # with --start
FORMATS = ConvertOptions(dense="int8", experts="int8")  # 18.8 MB

# For a GPU: 27.9 million parameters, of which a token uses 11.4; 23.2 MB with int4 experts. The kernels like widths of
# 128. Its rows, 2.3 conversations each, are made by as many processes on any machine, since they depend on the number.
LARGE = CONFIG | {
    "hidden_size": 384,
    "num_hidden_layers": 8,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "kv_lora_rank": 128,
    "intermediate_size": 1024,
    "n_routed_experts": 20,
    "num_experts_per_tok": 4,
    "moe_intermediate_size": 128,
}
GPU = Recipe(
    steps=5000, warmup=100, rows=32, length=4096, long_from=1.0, lr=4e-3, decay_from=0.45, last_lr=0.01, int4=True
)
CONVERSATIONS, FEEDERS = 2.3, 14
VOCABULARY_SAMPLES = 20_000  # conversations that the pieces are learned from
VOCABULARY_SEED, SEED = 0, 1
SHARE = 0.5  # of the conversations, where there are some of one's own


def main(arguments: list[str] | None = None) -> int:
    """Trains, or goes on. Returns 130 where it was stopped before the end, which the next call takes up."""
    asked = _arguments(arguments)
    torch.set_num_threads(asked.threads)
    everyone = processes()
    begun = open_folder(find(asked.start)) if asked.start else None
    with held(asked.folder / "run") if everyone.first else nullcontext():
        return _train(asked, everyone, begun)


def _train(asked: argparse.Namespace, everyone: Alone, begun: ModelFolder | None) -> int:
    out = Console(stderr=True, highlight=False, soft_wrap=True, quiet=not everyone.first)
    gpu = torch.cuda.is_available()
    family: Family = family_in(begun) if begun else "moonlet"
    recipe = _recipe(asked, gpu, begun)
    check_rows(recipe, everyone.count)
    if everyone.first:
        same_source(asked.folder / "run", asked.seed, asked.data, begun, asked.trajectories, asked.share)
        _vocabulary(asked, begun, out)
    everyone.wait()
    tokenizer, own = Tokenizer.load(asked.folder), list[Conversation]()
    if asked.trajectories:
        played = read(asked.trajectories)
        own = fitting(played, tokenizer, family, recipe.length)
        if left := len(played) - len(own):
            out.print(f"{left} of {len(played)} trajectories do not fit into rows of {recipe.length} tokens")
    rows: Feed | Rows
    rows = _feed(asked, recipe, family, own) if gpu else Rows(_stream(asked, own)(asked.seed), tokenizer, family)
    config = begun.config if begun else parse_config(LARGE if gpu else CONFIG)
    run = Run(asked.folder / "run", config, recipe, rows, everyone)
    if not installed():
        out.print("TensorBoard is not installed: the run is in progress.csv and progress.svg alone")
    if begun and run.step == 0:
        start = Network(config)
        restore(start, begun)
        everyone.load(run.network, start.state_dict())
    try:
        ended = train(run, out, everyone.agree)
    finally:
        if isinstance(rows, Feed):
            rows.close()
    if not ended:
        out.print(f"stopped at step {run.step} of {recipe.steps}; the same command goes on from there")
        everyone.wait()  # a process that ends early has the first one stopped, which may be writing the checkpoint
        return 130
    weights = everyone.whole(run.network.state_dict())
    if everyone.first:
        whole = Network(config)
        whole.load_state_dict(weights)
        report = finish(whole, asked.folder, replace(FORMATS, experts="int4") if recipe.int4 else FORMATS)
        out.print(f"{report.folder.path}: {report.bytes / 1e6:.1f} MB; moonlet run {report.folder.path}")
    everyone.wait()
    return 0


def _recipe(asked: argparse.Namespace, gpu: bool, begun: ModelFolder | None = None) -> Recipe:
    """The usual one, but for what was asked for; experts that begin as int4 stay it."""
    usual = GPU if gpu else FURTHER if begun else RECIPE
    if begun and begun.formats.experts == "int4":
        usual = replace(usual, int4=True)
    said = {name: getattr(asked, name) for name in ("steps", "rows", "int4", "lr")}
    return replace(usual, **{name: value for name, value in said.items() if value is not None})


def _feed(asked: argparse.Namespace, recipe: Recipe, family: Family, own: Sequence[Conversation]) -> Feed:
    """The rows of a run on a GPU; from nothing they are of the first part of the mixture until the rate falls."""
    share = 0.0 if asked.start else recipe.decay_from
    reading = int(share * recipe.steps * recipe.rows * CONVERSATIONS / FEEDERS)
    return Feed(asked.folder, _stream(asked, own, reading), asked.seed, recipe.length, FEEDERS, family)


def _stream(asked: argparse.Namespace, own: Sequence[Conversation], reading: int = 0) -> Stream:
    """The mixture, and one's own conversations among it."""
    mixture = partial(conversations, data=asked.data, reading=reading)
    return partial(among, mixture, own, asked.share) if own else mixture


def _vocabulary(asked: argparse.Namespace, begun: ModelFolder | None, out: Console) -> None:
    """The vocabulary of the model that the run goes on from, or one that is learned, unless the run has it."""
    if (asked.folder / "run" / "checkpoint.pt").exists():
        return
    if begun:
        for name in TOKENIZER_FILES:
            shutil.copyfile(begun.path / name, asked.folder / name)
    elif not all((asked.folder / name).exists() for name in TOKENIZER_FILES):
        out.print(f"vocabulary: learning from {asked.samples} conversations")
        train_vocabulary(texts(islice(conversations(VOCABULARY_SEED, asked.data), asked.samples)), asked.folder)


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m moonlet.train.nano", description=str(__doc__).split("\n")[0])
    parser.add_argument("folder", type=Path, help="where everything goes")
    parser.add_argument("--start", metavar="MODEL", help="a model folder, or nano: go on from its weights")
    parser.add_argument("--seed", type=int, metavar="N", default=SEED, help="of the conversations")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="public sets of requests (default: none of them)")
    parser.add_argument("--trajectories", type=Path, metavar="FILE", help="of `moonlet simulate --training --out FILE`")
    parser.add_argument("--share", type=float, default=SHARE, metavar="X", help=f"of them (default: {SHARE})")
    parser.add_argument("--lr", type=float, metavar="X", help="learning rate of the matrices")
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help=f"default: {RECIPE.steps}; with --start {FURTHER.steps}; on a GPU {GPU.steps}",
    )
    parser.add_argument("--rows", type=int, metavar="N", help=f"of a step; default: {RECIPE.rows}; on a GPU {GPU.rows}")
    parser.add_argument(
        "--int4",
        action=argparse.BooleanOptionalAction,
        help="experts learn to be int4, and are packed so (default: on a GPU, and where they begin so)",
    )
    parser.add_argument("--threads", type=int, metavar="N", default=torch.get_num_threads())
    parser.add_argument("--samples", type=int, metavar="N", default=VOCABULARY_SAMPLES, help="for the vocabulary")
    return parser.parse_args(arguments)


def finish(network: Network, folder: Path, formats: ConvertOptions = FORMATS) -> Report:
    """The trained weights in the public layout, and the model folder made of them, with its golden tokens."""
    public, target = folder / "public", folder / "model"
    export(network, folder, public)
    for made in (target, target.with_name("model.part")):
        shutil.rmtree(made, ignore_errors=True)  # of an earlier state of the run
    target.with_name("model.journal").unlink(missing_ok=True)
    report = convert(public, target, formats, name=folder.resolve().name)
    with Local(report.folder, EngineOptions(cache_tokens=1024)) as model:
        make_golden(model)
    return report


if __name__ == "__main__":
    sys.exit(main())
