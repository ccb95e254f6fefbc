"""Reinforcement learning: the objective on paper, rollouts to the id, stopping and going on, a toy that is learned."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from moonlet.chat.messages import Message, ToolSpec
from moonlet.cli import main
from moonlet.engine.engine import EngineOptions
from moonlet.engine.sampler import Sampler, Sampling, allows
from moonlet.llm import LLM, PLAIN, Done, Event, LLMError, ReplyOptions, TooLongError
from moonlet.local import Local, find
from moonlet.model.config import ModelConfig, parse_config
from moonlet.model.convert import ConvertOptions
from moonlet.model.folder import open_folder
from moonlet.simulate import judge
from moonlet.simulate.rollout import Trajectory, rollout
from moonlet.simulate.tasks import Key
from moonlet.train import nano, rl
from moonlet.train.checkpoint import CheckpointError
from moonlet.train.data import conversations
from moonlet.train.network import Network
from moonlet.train.practice import Practice, Progress, Recipe, try_out
from moonlet.train.reinforce import chances, group_loss, objective, row, stretches
from moonlet.train.rollouts import Attempt, Choice, Draws, Group, RolloutError, Utterance, advance, budget, served
from moonlet.train.vocabulary import texts, train_vocabulary
from moonlet.train.waiting import from_state, to_state

torch.set_num_threads(1)
PIECES = 1000
KEY = Key("weather", "talk")
FORMATS = ConvertOptions("int8", "int8")
ALLOWED = np.full(-(-(PIECES + 32) // 32), 0xFFFFFFFF, np.uint32)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    train_vocabulary(texts(islice(conversations(5), 80)), folder, PIECES)
    return folder


def config() -> ModelConfig:
    sizes = {"vocab_size": PIECES + 32, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    widths = {"kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 32}
    inner = {"intermediate_size": 128, "n_routed_experts": 4, "moe_intermediate_size": 48}
    ends = {"bos_token_id": PIECES, "eos_token_id": PIECES + 2}
    return parse_config(nano.CONFIG | sizes | widths | inner | ends)


def network() -> Network:
    torch.manual_seed(3)
    made = Network(config())
    for weight in made.parameters():
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.08)
    return made.eval()


@pytest.fixture(scope="module")
def model(vocabulary: Path) -> Iterator[Local]:
    options = EngineOptions(threads=1, cache_tokens=16_384)
    with served(network(), vocabulary, FORMATS, options, vocabulary) as made:
        yield made


def test_the_objective_is_the_one_on_paper() -> None:
    rng = np.random.default_rng(1)
    rewards, now, old = (rng.normal(size=5).astype(np.float32) for _ in range(3))
    tau = 0.3
    wanted = np.mean((rewards - rewards.mean() - tau * (now - old)) ** 2) / (2 * tau)
    policy = torch.tensor(now, requires_grad=True)
    loss = objective(policy, torch.tensor(old), torch.tensor(rewards), tau)
    assert loss.item() == pytest.approx(wanted, rel=1e-6)
    loss.backward()
    slope = -(rewards - rewards.mean() - tau * (now - old)) / len(rewards)
    assert policy.grad is not None and np.allclose(policy.grad.numpy(), slope, atol=1e-6)


def test_chances_are_those_of_what_was_allowed() -> None:
    rng = np.random.default_rng(2)
    logits, allowed = rng.normal(size=(4, 9)).astype(np.float32), rng.random((4, 9)) < 0.6
    ids, heat = np.array([0, 3, 8, 5]), np.array([1.0, 0.5, 2.0, 1.0], np.float32)
    allowed[np.arange(4), ids] = True
    weights = np.where(allowed, np.exp(logits / heat[:, None]), 0)
    wanted = np.log(weights[np.arange(4), ids] / weights.sum(1))
    got = chances(torch.tensor(logits), torch.tensor(ids), torch.tensor(heat), torch.tensor(allowed))
    assert np.allclose(got.numpy(), wanted, atol=1e-6)


@pytest.mark.parametrize("steering", [{}, {"top_k": 5}, {"top_p": 0.6}, {"logit_bias": {3: 2.0}}, {"temperature": 0.0}])
def test_a_token_knows_the_chance_that_it_had(steering: dict[str, Any]) -> None:
    logits, mask = np.random.default_rng(4).normal(size=64).astype(np.float32), np.array([0xFFFF00FF, 0xFF], np.uint32)
    sampling = Sampling(**({"temperature": 0.7, "seed": 1} | steering))
    token = Sampler(sampling, [1], 64).draw(logits, mask)
    steered = logits + np.array([sampling.logit_bias.get(id, 0.0) for id in range(64)])
    steered[[id for id in range(64) if not allows(mask, id)]] = -np.inf
    shares = np.exp((steered - steered.max()) / max(sampling.temperature, 1e-6))
    shares /= shares.sum()
    order = np.argsort(-shares)
    before = np.cumsum(shares[order]) - shares[order]
    kept = order[: sampling.top_k or 64][(before < sampling.top_p)[: sampling.top_k or 64]]
    assert token.id in kept and token.chance == pytest.approx(np.log(shares[token.id] / shares[kept].sum()), abs=1e-5)


def test_branches_are_read_as_if_each_were_alone() -> None:
    made = network()
    stem, branches = [5, 9, 300, 7], [[11, 12, 13], [400, 2], [11, 600, 8, 9, 1]]
    texts = [(0, 4, 0), (4, 7, 4), (7, 9, 4), (9, 14, 4)]
    together = made.lm_head(made.hidden(torch.tensor([[*stem, *chain(*branches)]]), [texts]))[0]
    for branch, (start, _, _) in zip(branches, texts[1:], strict=True):
        alone = made(torch.tensor([stem + branch]))[0]
        assert torch.allclose(together[start : start + len(branch)], alone[4:], atol=1e-4)
        assert torch.allclose(together[:4], alone[:4], atol=1e-4)
    weight = made.model.layers[0].self_attn.kv_a_proj_with_mqa.weight  # type: ignore[union-attr]
    (slope,) = torch.autograd.grad(together[4:].square().sum(), weight)
    parts = [torch.autograd.grad(made(torch.tensor([stem + one]))[0, 4:].square().sum(), weight)[0] for one in branches]
    assert torch.allclose(slope, sum(parts[1:], parts[0]), rtol=1e-3, atol=1e-3)


def _choice(id: int, chance: float = -1.0) -> Choice:
    return Choice(id, chance, 1.0, ALLOWED)


def test_only_what_the_model_chose_is_learned_from() -> None:
    forced = Choice(7, 0.0, 1.0, None)
    first = Utterance((1, 2, 3), (_choice(4), forced, _choice(5)), True, True)
    second = Utterance((1, 2, 3, 4, 7, 5, 50, 51), (_choice(6),), True, True)  # 50, 51: what a tool said
    other = Utterance((1, 2, 3, 4, 8, 50, 51), (_choice(6),), True, True)  # written in other pieces than it was drawn
    attempts = (Attempt(0, (first, second), reward=1.0), Attempt(1, (first, other)))
    assert [ids for ids, _ in stretches(attempts[0])] == [[1, 2, 3, 4, 7, 5, 50, 51, 6]]
    assert [ids for ids, _ in stretches(attempts[1])] == [[1, 2, 3, 4, 7, 5], [1, 2, 3, 4, 8, 50, 51, 6]]
    it = row(Group(KEY, 99, attempts), PIECES + 32)
    assert it.ids[0].tolist() == [1, 2, 3, 4, 7, 5, 50, 51, 6, 4, 7, 5, 4, 8, 50, 51, 6]
    assert it.texts == ((0, 3, 0), (3, 9, 3), (9, 12, 3), (12, 17, 3))
    assert it.chosen.tolist() == [4, 5, 6, 4, 5, 6] and it.whose.tolist() == [0, 0, 0, 1, 1, 1]
    assert it.places.tolist() == [2, 4, 7, 2, 10, 15]


def _groups(model: Local) -> list[Group]:
    keys = [Key("units", "single", seed=4), Key("bank", "steps", seed=5)]
    return [Group(key, budget(model, key, 0.5, 24), (Attempt(0), Attempt(1))) for key in keys]


def test_rollouts_keep_what_the_engine_drew_and_what_it_could_have_drawn(model: Local) -> None:
    groups = advance(model, _groups(model), rollout, Draws(1.3, 10_000, 0.5, seed=1))
    assert all(group.over for group in groups)
    for group in groups:
        for attempt in group.attempts:
            assert attempt.reward == (-0.5 if attempt.cut else 0.0) and attempt.tokens <= group.budget + 1
            for one in attempt.said:
                ids = [choice.id for choice in one.drawn]
                rows = model.logits([*one.prompt, *ids])[len(one.prompt) - 1 :]
                free = [(at, choice) for at, choice in enumerate(one.drawn) if choice.allowed is not None]
                masks = np.array([choice.allowed for _, choice in free]).view(np.uint8)
                allowed = np.unpackbits(masks, axis=1, bitorder="little", count=PIECES + 32).astype(bool)
                at, chosen = [at for at, _ in free], torch.tensor([choice.id for _, choice in free])
                heat = torch.full((len(free),), 1.3)
                again = chances(torch.tensor(rows[at]), chosen, heat, torch.from_numpy(allowed))
                assert np.allclose(again, [choice.chance for _, choice in free], atol=0.05)


def test_a_rollout_in_slices_keeps_its_ids_and_goes_on(model: Local) -> None:
    whole = advance(model, _groups(model), rollout, Draws(1e-6, 10_000, 0.5, seed=1))
    sliced, rounds = _groups(model), 0
    while not all(group.over for group in sliced):
        before = {(g.key, a.number): _ids(a) for g in sliced for a in g.attempts}
        sliced = from_state(to_state(advance(model, sliced, rollout, Draws(1e-6, 19, 0.5, seed=rounds))))
        for group in sliced:
            for one in group.attempts:
                was = before[group.key, one.number]
                assert _ids(one)[: len(was)] == was and len(_ids(one)) <= len(was) + 19
        rounds += 1
    assert rounds > 2
    for one, other in zip(whole, sliced, strict=True):
        assert [_ids(a) for a in one.attempts] == [_ids(a) for a in other.attempts]
        assert [a.reward for a in one.attempts] == [a.reward for a in other.attempts]
        masks = [[c.allowed is None for u in a.said for c in u.drawn] for g in (one, other) for a in g.attempts]
        assert masks[: len(masks) // 2] == masks[len(masks) // 2 :]


def _ids(attempt: Attempt) -> list[int]:
    return [choice.id for one in attempt.said for choice in one.drawn]


def test_what_was_drawn_is_what_the_network_says_but_for_the_packing(model: Local) -> None:
    (group, _) = advance(model, _groups(model), rollout, Draws(1.0, 10_000, 0.5, seed=1))
    _, drift = group_loss(network(), row(group, PIECES + 32), 0.1)
    assert drift.kl < 0.01 and drift.choices > 50


def letters(key: Key, speaker: LLM) -> Trajectory:
    """A toy: the answer must begin with a letter of the first half of the alphabet."""
    asked, said, end = Message("user", "a letter, please"), Message("assistant"), "done"
    try:
        *_, done = speaker.reply([asked])
        assert isinstance(done, Done)
        said = done.message
    except LLMError as error:
        end = f"failed: {error}"
    fine = "a" <= said.content[:1] <= "m"
    verdict = judge.Verdict(fine, True, True, True, True, True, 0)
    return Trajectory(key, speaker.name, (asked, said), (), verdict, end)


def practice(folder: Path, vocabulary: Path, **changes: Any) -> Practice:
    small = {"tasks": 2, "attempts": 16, "budget": 0.0, "spare": 3, "penalty": 0.0, "kinds": ("talk",), "trials": 4}
    more = {"supervised": 0.0, "lr": 5e-2, "warmup": 1, "last_temperature": 1.0, "try_every": 1000, "save_s": 0.0}
    recipe = Recipe(**(small | more | changes))
    return Practice(folder, config(), recipe, conversations(1), vocabulary, FORMATS, play=letters)


def test_a_toy_world_is_learned(tmp_path: Path, vocabulary: Path) -> None:
    told = list(practice(tmp_path, vocabulary, steps=12).steps())
    first, last = (np.mean([one.goal for one in part]) for part in (told[:2], told[-3:]))
    assert first < 0.55 and last > 0.8, [one.goal for one in told]
    assert told[0].kl < 0.01 and told[0].useful
    lines = (tmp_path / "progress.csv").read_text().splitlines()
    assert len(lines) == 13 and lines[0].startswith("step,groups,useful,reward,goal")
    assert len((tmp_path / "trials.csv").read_text().splitlines()) == 3  # before the first step and after the last


@pytest.mark.long
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path, vocabulary: Path) -> None:
    changes = {"steps": 5, "slice": 2, "updates": 2, "supervised": 0.1, "length": 512, "attempts": 4, "lr": 1e-3}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run = practice(whole, vocabulary, **changes)
    straight: list[Progress] = []
    for progress in run.steps():
        straight.append(progress)
        if progress.step == 2:
            assert progress.waiting  # attempts under way are part of what is kept
            shutil.copytree(whole, killed)
    resumed = practice(killed, vocabulary, **changes)
    assert resumed.step == 2 and resumed.waiting
    again = list(resumed.steps())
    assert [_timeless(one) for one in again] == [_timeless(one) for one in straight[2:]]
    for name, weight in run.network.state_dict().items():
        assert torch.equal(weight, resumed.network.state_dict()[name]), name


def _timeless(told: Progress) -> str:
    return str([getattr(told, name) for name in told.__slots__ if not name.endswith("_s")])


@pytest.mark.long
def test_a_run_has_one_trial_at_its_end_however_often_it_is_opened(tmp_path: Path, vocabulary: Path) -> None:
    changes = {"steps": 2, "attempts": 2}
    steps = practice(tmp_path, vocabulary, **changes).steps()
    next(steps), next(steps)
    steps.close()  # stopped at the last step
    assert _trials(tmp_path) == [0]
    for _ in range(2):
        assert not list(practice(tmp_path, vocabulary, **changes).steps()) and _trials(tmp_path) == [0, 2]
    list(practice(tmp_path, vocabulary, **changes | {"steps": 3, "try_every": 1000}).steps())
    assert _trials(tmp_path) == [0, 2, 3]


def _trials(folder: Path) -> list[int]:
    return [int(line.split(",")[0]) for line in (folder / "trials.csv").read_text().splitlines()[1:]]


def test_what_was_recorded_before_the_first_checkpoint_comes_again(tmp_path: Path, vocabulary: Path) -> None:
    for name in ("progress.csv", "trials.csv"):
        (tmp_path / name).write_text("step,tasks\n0,4\n1,4\n")
    practice(tmp_path, vocabulary)
    assert _trials(tmp_path) == []
    assert (tmp_path / "progress.csv").read_text() == "step,tasks\n0,4\n"


def test_a_run_is_taken_up_only_as_what_it_was(tmp_path: Path, vocabulary: Path) -> None:
    practice(tmp_path, vocabulary, steps=4).save()
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(CheckpointError, match=r"another recipe: kinds was \('talk',\), is \(\); tau was 0.1, is 0.2$"):
        practice(tmp_path, vocabulary, tau=0.2, kinds=())
    other = parse_config(nano.CONFIG | {"vocab_size": PIECES + 32, "bos_token_id": PIECES, "eos_token_id": PIECES + 2})
    recipe = practice(tmp_path, vocabulary, steps=5, save_s=1.0).recipe  # what may be changed
    with pytest.raises(CheckpointError, match=r"a model of other sizes: \S+ is not \(") as caught:
        Practice(tmp_path, other, recipe, conversations(1), vocabulary, FORMATS)
    assert "\n" not in str(caught.value) and (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_a_model_of_int4_experts_is_trained_and_packed_as_what_it_is(tmp_path: Path) -> None:
    settings = 'start = "nano"\nsteps = 1\ntasks = 1\nattempts = 2\ntrials = 1\n'
    (tmp_path / "rl.toml").write_text(f'folder = "{tmp_path / "run"}"\n{settings}')
    assert main(["train", "rl", str(tmp_path / "rl.toml")]) == 0
    begun, made = open_folder(find("nano")), open_folder(tmp_path / "run" / "model")
    assert made.formats == begun.formats and made.formats.experts == "int4"
    assert sum(file.stat().st_size for file in made.path.iterdir()) < 25e6


def test_experts_that_are_played_as_int4_compute_as_such(tmp_path: Path, vocabulary: Path) -> None:
    for experts in ("int8", "int4"):
        formats = ConvertOptions("int8", experts)
        run = Practice(tmp_path / experts, config(), Recipe(), conversations(1), vocabulary, formats)
        assert all(layer.experts.int4 == (experts == "int4") for layer in run.network.sparse_layers())


class Failing:
    """A model that fails in one way."""

    def __init__(self, error: LLMError) -> None:
        self.name, self._error = "failing", error

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        raise self._error


def test_a_trial_does_not_count_failures_of_the_engine_as_the_models() -> None:
    for play in (letters, rollout):
        with pytest.raises(RolloutError, match="the disk is gone"):
            try_out(Failing(LLMError("the disk is gone")), [KEY], play)
        (told,) = try_out(Failing(TooLongError(9, 8)), [KEY], play)
        assert told.end.startswith("failed") and not told.verdict.passed


@pytest.mark.parametrize(
    ("calling", "said"), [(False, "moonlight models do not call tools"), (True, "has no <|tool_call_begin|>")]
)
def test_a_start_that_cannot_call_tools_is_said_before_anything_is_made(
    calling: bool, said: str, tmp_path: Path, model: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = tmp_path / "start"
    shutil.copytree(model.folder.path, start)
    told, raw = (json.loads((start / name).read_text()) for name in ("tokenizer_config.json", "config.json"))
    if calling:
        (start / "tokenizer_config.json").write_text(json.dumps(told).replace("<|tool_call_begin|>", "<|other|>"))
    else:
        (start / "tokenizer_config.json").write_text(json.dumps(told | {"moonlet_template": ""}))
        (start / "config.json").write_text(json.dumps(raw | {"model_type": "kimi_vl"}))
    monkeypatch.setattr(rl, "open_folder", lambda path: replace(model.folder, path=path))
    with pytest.raises(rl.StartError) as caught:
        rl.main(rl.Settings(tmp_path / "run", str(start)), Recipe())
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_recipe_cools_and_slows_down() -> None:
    recipe = Recipe(steps=11, lr=1.0, warmup=2, last_lr=0.0, temperature=1.0, last_temperature=0.5)
    assert recipe.lr_at(0) == 0.5 and recipe.lr_at(1) == pytest.approx(10 / 11)
    assert recipe.temperature_at(0) == 1.0 and recipe.temperature_at(5) == 0.75 and recipe.temperature_at(10) == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('start = "nano"', "folder is missing"),
        ('folder = "x"', "start is missing"),
        ('folder = "x"\nstart = "nano"\nsamples = 3', "no setting 'samples'"),
        ('folder = "x"\nstart = "nano"\ntau = "a"', "tau must be a number"),
        ('folder = "x"\nstart = "nano"\ntau = 0', "tau must be above 0"),
        ('folder = "x"\nstart = "nano"\nkinds = "talk"', "kinds must be a list of texts"),
        ('folder = "x"\nstart = "nano"\ndomains = ["moon"]', "'moon' is none of"),
    ],
)
def test_wrong_settings(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.toml").write_text(text)
    assert main(["train", "rl", str(tmp_path / "c.toml")]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1 and not (tmp_path / "x").exists()


def test_settings_reach_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[rl.Settings, Recipe]] = []
    monkeypatch.setattr(rl, "main", lambda settings, recipe: seen.append((settings, recipe)) or 130)
    (tmp_path / "c.toml").write_text(
        'folder = "here"\nstart = "nano"\nsteps = 7\nkinds = ["talk"]\ntau = 1\nthreads = 2'
    )
    assert main(["train", "rl", str(tmp_path / "c.toml")]) == 130
    (settings, recipe) = seen[0]
    assert (settings.folder, settings.threads, recipe.steps, recipe.kinds) == (Path("here"), 2, 7, ("talk",))
