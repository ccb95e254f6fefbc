"""Training on the real stream of conversations, small: rows, loss, stopping and going on, the model that comes out."""

from __future__ import annotations

import csv
import lzma
import math
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import cache
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from transformers import AutoModelForCausalLM

import moonlet
from moonlet.chat.template import render_segments
from moonlet.chat.tokenizer import Tokenizer
from moonlet.cli import main
from moonlet.engine.engine import Engine, EngineOptions
from moonlet.evals import talks
from moonlet.model.config import ModelConfig, parse_config
from moonlet.model.convert import convert
from moonlet.model.folder import open_folder
from moonlet.simulate import said
from moonlet.simulate.episode import Conversation
from moonlet.train import average, checkpoint, nano, practice, record, rl
from moonlet.train.checkpoint import CheckpointError, held, same_source
from moonlet.train.data import DataError, conversations
from moonlet.train.export import export
from moonlet.train.fit import Progress, Recipe, Run
from moonlet.train.rows import EVERY, PROMPT_WEIGHT, Rows
from moonlet.train.telling import train
from moonlet.train.vocabulary import texts, train_vocabulary

torch.set_num_threads(1)
PIECES = 1000


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small vocabulary."""
    folder = tmp_path_factory.mktemp("vocabulary")
    train_vocabulary(texts(islice(conversations(5), 80)), folder, PIECES)
    return folder


@pytest.fixture(scope="module")
def tokenizer(words: Path) -> Tokenizer:
    return Tokenizer.load(words)


@cache
def config() -> ModelConfig:
    sizes = {"vocab_size": PIECES + 32, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    widths = {"kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 32}
    inner = {"intermediate_size": 128, "n_routed_experts": 4, "moe_intermediate_size": 48}
    ends = {"bos_token_id": PIECES, "eos_token_id": PIECES + 2}
    return parse_config(nano.CONFIG | sizes | widths | inner | ends)


def open_run(folder: Path, tokenizer: Tokenizer, stream: Iterator[Conversation] | None = None, **changes: Any) -> Run:
    recipe = Recipe(**{"steps": 30, "rows": 2, "length": 512, "long_length": 1024, "warmup": 5} | changes)
    return Run(folder, config(), recipe, Rows(stream or conversations(1), tokenizer))


def test_rows_begin_with_a_conversation_and_hold_whole_turns(tokenizer: Tokenizer) -> None:
    rows = Rows(conversations(2), tokenizer)
    batch = rows.batch(6, 1024)
    taken = [
        [
            id
            for segment in render_segments(tokenizer, "moonlet", one.messages, one.tools, generate=False)
            for id in segment.ids
        ]
        for one in islice(conversations(2), rows.taken)
    ]
    begun = 0
    for row in batch.ids.tolist():
        end = row.index(rows.pad) if rows.pad in row else len(row)
        assert row[end - 1] == tokenizer.special("<|im_end|>") and set(row[end:]) <= {rows.pad}
        at = 0
        while at < end:  # piece by piece, each the beginning of a conversation that was taken, in their order
            found = next(one for one in taken[begun:] if row[at : at + 40] == one[:40])
            begun = taken.index(found) + 1
            same = sum(1 for _ in iter_same(found, row[at:end]))
            at += same
        assert at == end
    assert batch.ids.shape == (6, 1025) and batch.weights.shape == (6, 1024)
    assert np.array_equal(batch.real, batch.ids[:, :-1] != rows.pad) and not batch.real.all()
    first = [bodies[0] for bodies in taken]
    for row, parts in zip(batch.ids.tolist(), batch.texts, strict=True):
        assert [begin for begin, *_ in parts] == [0, *(end for _, end, _ in parts[:-1])] and parts[-1][1] == 1024
        assert all(row[begin] in first and before == 0 for begin, _, before in parts)


def iter_same(one: list[int], other: list[int]) -> Any:
    for a, b in zip(one, other):
        if a != b:
            return
        yield a


def test_rows_are_in_the_form_of_their_family(tokenizer: Tokenizer) -> None:
    told = {}
    for family in ("moonlet", "k2-instruct"):
        ids = Rows(conversations(2), tokenizer, family).batch(1, 2048).ids[0]
        told[family] = b"".join(map(tokenizer.piece, ids.tolist()))
    assert b'"type":"function"' in told["k2-instruct"] and b'"type":"function"' not in told["moonlet"]


def test_only_what_the_assistant_writes_counts_in_full(tokenizer: Tokenizer) -> None:
    batch = Rows(conversations(3), tokenizer).batch(4, 1024)
    prompts = batch.ids[:, 1:].size - batch.written.sum() - (batch.ids[:, 1:] == tokenizer.special("[PAD]")).sum()
    assert (batch.weights * ~batch.written).sum() == pytest.approx(PROMPT_WEIGHT * prompts, rel=0.02)
    name = {id: name for name, id in tokenizer.specials.items()}
    for ids, weights in zip(batch.ids.tolist(), batch.weights.tolist(), strict=True):
        speaker, body = "", False
        for id, weight in zip(ids[1:], weights, strict=True):
            mark = name.get(id, "")
            own = speaker == "<|im_assistant|>" and body and mark != "[PAD]"
            # Of what it reads every fourth token counts, four times as much.
            assert weight == 1.0 if own else weight in (0.0, np.float32(PROMPT_WEIGHT * EVERY))
            assert mark != "[PAD]" or weight == 0.0
            if mark in ("<|im_user|>", "<|im_assistant|>", "<|im_system|>"):
                speaker, body = mark, False
            elif mark == "<|im_middle|>":
                body = True
            elif mark == "<|im_end|>":  # counted above, as the assistant's own where it closes what it wrote
                speaker, body = "", False
    assert 0.05 < (batch.weights == 1).mean() < 0.6
    assert np.array_equal(batch.written, batch.weights == 1)


def test_the_loss_falls(tmp_path: Path, tokenizer: Tokenizer) -> None:
    run = open_run(tmp_path, tokenizer)
    told = list(run.steps())
    first, last = told[0].loss, float(np.mean([p.loss for p in told[-5:]]))
    assert abs(first - math.log(PIECES + 32)) < 0.3 and last < first - 1.5
    assert told[-1].right > 0.15 and told[-1].step == 30
    # 26 steps of 2 x 512 tokens, then 4 of 2 x 1024.
    assert told[26].tokens - told[25].tokens == 1024 and told[27].tokens - told[26].tokens == 2048
    assert told[-1].busiest < 4 and all(
        layer.gate.e_score_correction_bias.any() for layer in run.network.sparse_layers()
    )
    with (tmp_path / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 31))
    assert float(rows[-1]["loss"]) == pytest.approx(told[-1].loss, abs=1e-5)


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path, tokenizer: Tokenizer) -> None:
    changes = {"steps": 8, "rows": 1, "save_s": 0.0}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    straight: list[Progress] = []
    run = open_run(whole, tokenizer, **changes)
    for progress in run.steps():
        straight.append(progress)
        if progress.step == 3:
            shutil.copytree(whole, killed)  # what a kill leaves: the latest checkpoint and
        if progress.step == 5:
            shutil.copy(whole / "progress.csv", killed)  # a record that is further, its last line cut off
            with (killed / "progress.csv").open("a") as file:
                file.write("6,61")
    resumed = open_run(killed, tokenizer, **changes)
    assert resumed.step == 3 and resumed.tokens == straight[2].tokens
    again = list(resumed.steps())
    assert _timeless(again) == _timeless(straight[3:])
    for one, other in zip(_tensors(run), _tensors(resumed), strict=True):
        assert torch.equal(one, other)
    assert _record(killed) == _record(whole)
    assert list(open_run(killed, tokenizer, **changes).steps()) == []


def _timeless(told: list[Progress]) -> list[tuple[float, ...]]:
    return [(p.step, p.tokens, p.loss, p.right, p.gradient, p.score, p.busiest, p.lr) for p in told]


def _record(folder: Path) -> list[list[str]]:
    """progress.csv without its last column, the speed."""
    return [line.split(",")[:-1] for line in (folder / "progress.csv").read_text().splitlines()]


def _tensors(run: Run) -> list[torch.Tensor]:
    moving = [*run.optimiser.muon.state.values(), *run.optimiser.adam.state.values()]
    kept = [value for state in moving for value in state.values() if isinstance(value, torch.Tensor)]
    return [*run.network.state_dict().values(), *kept]


def test_what_interrupts_a_step_leaves_the_checkpoint_whole(tmp_path: Path, tokenizer: Tokenizer) -> None:
    run = open_run(tmp_path, tokenizer, steps=8, rows=1)
    steps = run.steps()
    next(steps)
    steps.close()  # as the end of a `for` that is left early
    before = torch.load(run.checkpoint, weights_only=True)
    assert before["step"] == 1

    def interrupted(lr: float) -> list[float]:
        run.optimiser.muon.step()
        raise KeyboardInterrupt

    run.optimiser.step = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        list(run.steps())
    after = torch.load(run.checkpoint, weights_only=True)
    assert after["step"] == 1 and all(torch.equal(after["network"][k], v) for k, v in before["network"].items())


def test_a_run_is_taken_up_only_as_what_it_was(tmp_path: Path, tokenizer: Tokenizer) -> None:
    run = open_run(tmp_path, tokenizer)
    run.save()
    assert open_run(tmp_path, tokenizer, steps=31, save_s=1.0).step == 0  # what may be changed
    with pytest.raises(CheckpointError, match=r"another recipe: lr was 0.005, is 0.1; int4 was False, is True$"):
        open_run(tmp_path, tokenizer, lr=0.1, int4=True)
    other = parse_config(nano.CONFIG | {"vocab_size": PIECES + 32, "bos_token_id": PIECES, "eos_token_id": PIECES + 2})
    with pytest.raises(CheckpointError, match=r"a model of other sizes: \S+ is not \(") as caught:
        Run(tmp_path, other, run.recipe, Rows(conversations(1), tokenizer))
    assert "\n" not in str(caught.value)


def test_a_run_goes_on_with_what_it_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "snips").mkdir(parents=True)
    run = tmp_path / "run"
    same_source(run, 1, data, None)
    (run / "checkpoint.pt").touch()
    same_source(run, 1, data, None)
    with pytest.raises(CheckpointError, match=r"other conversations: sets was \['snips'\], is \[\]$"):
        same_source(run, 1, None, None)


def test_a_run_does_not_replace_the_model_that_it_starts_from(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(Path(moonlet.__file__).parent / "nano", model)
    before = (model / "moonlet.json").read_bytes()
    for start in (model, tmp_path / "rl" / ".." / "model"):
        with pytest.raises(CheckpointError, match="would replace the model that it starts from"):
            rl.main(rl.Settings(tmp_path, str(start)), practice.Recipe())
    with pytest.raises(CheckpointError, match="would replace the model that it starts from"):
        nano.main([str(tmp_path), "--start", str(model), "--threads", "1"])
    assert (model / "moonlet.json").read_bytes() == before


def test_a_folder_is_trained_in_by_one_process(tmp_path: Path) -> None:
    for _ in range(2):  # held, let go of, held again
        with held(tmp_path / "run"), pytest.raises(CheckpointError, match="another process trains here"):
            nano.main([str(tmp_path), "--threads", "1"])
    assert not (tmp_path / "tiktoken.model").exists()


@pytest.mark.parametrize("left", [0, 10, 100_000])
def test_a_damaged_checkpoint_is_said_in_a_line(left: int, tmp_path: Path, tokenizer: Tokenizer) -> None:
    run = open_run(tmp_path, tokenizer)
    run.save()
    run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:left])
    with pytest.raises(CheckpointError, match=r"checkpoint.pt cannot be read \("):
        open_run(tmp_path, tokenizer)
    run.checkpoint.write_text("hello")
    with pytest.raises(CheckpointError, match=r"without it the run begins anew$"):
        open_run(tmp_path, tokenizer)


@pytest.mark.parametrize("text", ["Tool,Query\n", "Query\nhello\n"])
def test_a_public_set_that_cannot_be_read_is_named(text: str, tmp_path: Path) -> None:
    folder = tmp_path / "metatool"
    folder.mkdir()
    (folder / "plugin_des.json").write_text('{"a": "An A."}')
    packed = lzma.compress(text.encode())
    for data in (packed, packed[:-8], b"", b"hello"):
        (folder / "all_clean_data.csv.xz").write_bytes(data)
        with pytest.raises(DataError, match=r"metatool: not readable as that set: "):
            next(conversations(1, tmp_path))


def test_a_full_disk_leaves_the_checkpoint_whole_and_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.write(path, {"step": 1})
    kept = path.read_bytes()
    program = (
        "import resource, sys, torch; from pathlib import Path; from moonlet.train import checkpoint\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: checkpoint.write(Path(sys.argv[1]), {'step': 2, 'network': torch.zeros(100_000)})\n"
        "except OSError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert "too large" in told.stdout and path.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [path]


def test_a_record_that_found_no_room_gets_its_names_later(tmp_path: Path) -> None:
    path = tmp_path / "progress.csv"
    path.touch()
    record.append(path, Progress(1, 1024, 2.0, 0.5, 1.0, 1.0, 1.0, 0.1, 100.0))
    assert path.read_text().splitlines()[0].startswith("step,tokens,")


def test_what_was_recorded_before_the_first_checkpoint_comes_again(tmp_path: Path, tokenizer: Tokenizer) -> None:
    (tmp_path / "progress.csv").write_text("step,tokens\n1,1024\n")
    open_run(tmp_path, tokenizer)
    assert (tmp_path / "progress.csv").read_text() == "step,tokens\n"


def test_a_gradient_that_is_no_number_changes_no_weight(tmp_path: Path, tokenizer: Tokenizer) -> None:
    run = open_run(tmp_path, tokenizer, steps=2, rows=1)
    weights = [weight.detach().clone() for weight in run.network.parameters()]
    first = next(iter(run.network.parameters()))
    first.register_hook(lambda grad: grad * math.nan)  # type: ignore[no-untyped-call]
    assert math.isnan(next(run.steps()).gradient)
    assert all(torch.equal(a, b) for a, b in zip(weights, run.network.parameters(), strict=True))


def test_the_recipe_warms_up_holds_and_decays() -> None:
    recipe = Recipe(steps=1000, lr=1.0, warmup=10, decay_from=0.6, last_lr=0.02)
    assert recipe.lr_at(0) == 0.1 and recipe.lr_at(9) == recipe.lr_at(599) == 1.0
    assert recipe.lr_at(800) == pytest.approx(0.51) and recipe.lr_at(999) == pytest.approx(0.02, abs=0.003)
    assert recipe.shape_at(899) == (4, 1024) and recipe.shape_at(900) == (2, 2048)


def test_a_signal_stops_between_two_steps(tmp_path: Path, tokenizer: Tokenizer) -> None:
    run = open_run(tmp_path, tokenizer, steps=10_000, rows=1)
    handler = signal.getsignal(signal.SIGINT)
    timer = threading.Timer(0.7, signal.raise_signal, [signal.SIGINT])
    timer.start()
    assert not train(run, Console(file=StringIO()))
    assert 0 < run.step < 10_000 and signal.getsignal(signal.SIGINT) is handler
    assert torch.load(run.checkpoint, weights_only=True)["step"] == run.step


def _by_frequency(tokenizer: Tokenizer) -> float:
    """The loss of who knows nothing but how often each token comes."""
    rows = Rows(talks.demonstration(1), tokenizer)
    counts = np.zeros(PIECES + 32)
    for _ in range(200):
        batch = rows.batch(1, 480)
        np.add.at(counts, batch.ids[:, 1:], batch.weights)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


@pytest.mark.long
def test_what_200_steps_taught_is_what_everybody_computes(
    tmp_path: Path, tokenizer: Tokenizer, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of one kind, and without what somebody typed, so that the bound means the same while the mixture grows.
    monkeypatch.setattr(said, "SHARE", 0.0)
    stream = talks.demonstration(1)
    run = open_run(tmp_path / "run", tokenizer, stream, steps=200, rows=1, length=480, long_from=1.0)
    told = list(run.steps())
    last = float(np.mean([p.loss for p in told[-20:]]))
    # It has learned more than how often each token comes.
    assert abs(told[0].loss - math.log(PIECES + 32)) < 0.3 and last < told[30].loss
    assert last < 0.53 * _by_frequency(tokenizer)
    export(run.network, words, tmp_path / "public", "f32")
    ids = torch.from_numpy(Rows(conversations(9), tokenizer).batch(1, 480).ids)
    run.network.eval()
    judge: Any = AutoModelForCausalLM.from_pretrained(
        tmp_path / "public", dtype=torch.float32, attn_implementation="eager"
    )
    for name, module in judge.named_modules():
        if name.endswith("kv_a_layernorm"):
            module.variance_epsilon = run.config.eps  # transformers has 1e-6 there whatever the config says
    with torch.no_grad():
        ours, theirs = run.network(ids)[0].numpy(), judge(ids).logits[0].numpy()
    folder = convert(tmp_path / "public", tmp_path / "model").folder
    with Engine(folder, EngineOptions(cache_tokens=512, threads=1, exact=True)) as engine:
        served = engine.logits(ids[0].tolist())
    for found in (theirs, served):
        assert np.abs(found - ours).max() < 1e-5 * np.ptp(ours)


def test_the_mean_of_two_networks() -> None:
    one, other = {"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, -2.0])}
    assert average.mean(one, other, 0.25)["w"].tolist() == [1.5, 1.0]
    with pytest.raises(average.DifferentError, match="other sizes"):
        average.mean(one, {"w": torch.zeros(3)}, 0.5)


@pytest.mark.long
def test_from_nothing_to_a_model_that_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nano, "RECIPE", Recipe(rows=1, length=512, long_rows=1, long_length=512))
    command = [str(tmp_path), "--samples", "400", "--threads", "1", "--steps"]
    (tmp_path / "model.journal").write_text("{}")  # of a run that was killed while it made the folder
    assert nano.main([*command, "1"]) == 0
    first = open_folder(tmp_path / "model").meta
    assert nano.main([*command, "2"]) == 0  # goes on, and makes the folder anew
    with pytest.raises(CheckpointError, match=r"other conversations: seed was 1, is 7$"):
        nano.main([*command, "3", "--seed", "7"])
    folder = open_folder(tmp_path / "model")
    assert first["golden"] and folder.meta["golden"] and folder.meta["files"] != first["files"]
    assert sum(entry["bytes"] for entry in folder.meta["files"].values()) < 25_000_000
    assert len((tmp_path / "run" / "progress.csv").read_text().splitlines()) == 3
    with moonlet.load(tmp_path / "model", threads=1) as model:
        assert model.family == "moonlet"
        assert model.generate("Hello", max_tokens=3).role == "assistant"
    assert average.main([str(tmp_path), str(tmp_path), "0.6", str(tmp_path / "mean")]) == 0
    assert open_folder(tmp_path / "mean" / "model").meta["files"] == folder.meta["files"]
    assert average.main([str(tmp_path), str(tmp_path / "nowhere"), "0.6", str(tmp_path / "mean")]) == 2
    assert "nowhere" in capsys.readouterr().err
    monkeypatch.setattr(nano, "RECIPE", Recipe(rows=1, length=256, long_rows=1, long_length=512))
    (tmp_path / "c.toml").write_text(f'folder = "{tmp_path}"\nsteps = 3\nthreads = 1\n')
    assert main(["train", "pretrain", str(tmp_path / "c.toml")]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("moonlet: ") and told.endswith("another recipe: length was 512, is 256")
