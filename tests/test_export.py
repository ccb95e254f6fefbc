"""What training writes is what everybody reads: transformers, and our own converter and engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import moonlet
import tiny
import vocabularies
from moonlet.chat.messages import Message, ToolCall, ToolSpec, to_openai, tool_to_openai
from moonlet.chat.template import render
from moonlet.chat.tokenizer import Tokenizer, write_vocabulary
from moonlet.engine.engine import Engine, EngineOptions
from moonlet.model.config import parse_config
from moonlet.model.convert import ConvertOptions, convert
from moonlet.train.export import export, public_config, public_tensors
from moonlet.train.network import Network
from moonlet.train.restore import restore

torch.set_num_threads(1)


def network(variant: str, **changes: object) -> Network:
    """A tiny network whose every weight is alive (training starts some at zero) and whose router has a bias."""
    torch.manual_seed(3)
    made = Network(parse_config(tiny.config(variant, changes=changes)))
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn_like(weight) * (0.15 if weight.ndim > 1 else 0.1) + (weight.ndim == 1))
        for layer in made.sparse_layers():
            layer.gate.e_score_correction_bias.copy_(torch.randn(len(layer.gate.e_score_correction_bias)) * 0.1)
    return made.eval()


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_vocabulary(folder, vocabularies.small_pieces())
    return folder


def prompt(made: Network, tokens: int = 60) -> torch.Tensor:
    return torch.randint(0, made.config.vocab, (1, tokens), generator=torch.Generator().manual_seed(1))


PLAIN_QUERIES = {"q_lora_rank": None, "rope_scaling": None}


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("changes", [{}, PLAIN_QUERIES], ids=["low-rank", "plain"])
def test_transformers_reads_it_with_equal_logits(
    changes: dict[str, object], tied: bool, tokenizer: Path, tmp_path: Path
) -> None:
    made = network("k2", model_type="deepseek_v3", tie_word_embeddings=tied, **changes)
    export(made, tokenizer, tmp_path, "f32")
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        tmp_path, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    judge, info = loaded
    assert type(judge).__name__ == "DeepseekV3ForCausalLM" and not any(info.values())
    assert judge.generation_config.eos_token_id == made.config.stops[0]
    for name, module in judge.named_modules():
        if name.endswith(("q_a_layernorm", "kv_a_layernorm")):
            module.variance_epsilon = made.config.eps  # transformers has 1e-6 there whatever the config says
    with torch.no_grad():
        ours, theirs = made(prompt(made)), judge(prompt(made)).logits
    assert (ours - theirs).abs().max() < 1e-5 * (theirs.max() - theirs.min())


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("changes", [{}, PLAIN_QUERIES], ids=["low-rank", "plain"])
def test_our_engine_reads_it_with_equal_logits(
    changes: dict[str, object], tied: bool, tokenizer: Path, tmp_path: Path
) -> None:
    made = network("k2", tie_word_embeddings=tied, **changes)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(weight.bfloat16())  # as they are written: what is compared is the arithmetic
        expected = made(prompt(made))[0].numpy()
    export(made, tokenizer, tmp_path / "public")
    folder = convert(tmp_path / "public", tmp_path / "folder").folder
    with Engine(folder, EngineOptions(cache_tokens=256, threads=1, exact=True)) as engine:
        found = engine.logits(prompt(made)[0].tolist())
    assert np.abs(found - expected).max() < 1e-5 * np.ptp(expected)


def test_the_names_and_shapes_are_those_of_the_public_checkpoints(tmp_path: Path) -> None:
    tiny.write(tmp_path, "k2", "bf16")
    public = {name: weight.shape for name, weight in load_file(tmp_path / "model.safetensors").items()}
    public = {name: shape for name, shape in public.items() if "inv_freq" not in name}
    assert {name: weight.shape for name, weight in public_tensors(network("k2"))} == public


def test_a_tied_head_is_written_for_those_who_do_not_tie(tokenizer: Path, tmp_path: Path) -> None:
    """vLLM takes a head that is not there as zeros, for this architecture: all tokens are then equally likely."""
    export(network("k2", tie_word_embeddings=True), tokenizer, tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert torch.equal(stored["lm_head.weight"], stored["model.embed_tokens.weight"])


@pytest.mark.parametrize("variant", ["k2", "k2-thinking", "moonlight"])
def test_the_configuration_survives(variant: str) -> None:
    config = parse_config(tiny.config(variant))
    assert parse_config(json.loads(json.dumps(public_config(config)))) == config


def test_whoever_may_read_the_configuration_may_read_the_weights(tokenizer: Path, tmp_path: Path) -> None:
    export(network("k2"), tokenizer, tmp_path)
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


def test_the_router_bias_keeps_its_precision(tokenizer: Path, tmp_path: Path) -> None:
    made = network("k2")
    bias = made.sparse_layers()[0].gate.e_score_correction_bias
    bias.copy_(torch.full_like(bias, 0.3001))
    export(made, tokenizer, tmp_path, "bf16")
    stored = load_file(tmp_path / "model.safetensors")["model.layers.1.mlp.gate.e_score_correction_bias"]
    assert torch.equal(stored, bias)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("changes", [{}, PLAIN_QUERIES], ids=["low-rank", "plain"])
def test_training_goes_on_from_a_model_folder(
    changes: dict[str, object], tied: bool, tokenizer: Path, tmp_path: Path
) -> None:
    made = network("k2", model_type="deepseek_v3", tie_word_embeddings=tied, **changes)
    export(made, tokenizer, tmp_path / "public", "f32")
    folder = convert(tmp_path / "public", tmp_path / "exact", ConvertOptions(dense="f32", experts="f32")).folder
    again = Network(made.config)
    restore(again, folder)
    for name, weight in made.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name


def test_what_was_packed_comes_back_rounded(tokenizer: Path, tmp_path: Path) -> None:
    made = network("k2", model_type="deepseek_v3")
    export(made, tokenizer, tmp_path / "public", "f32")
    packed = convert(tmp_path / "public", tmp_path / "model", ConvertOptions(dense="int8", experts="int8")).folder
    again = Network(made.config)
    restore(again, packed)
    kept = again.state_dict()
    for name, weight in made.state_dict().items():
        error = (kept[name] - weight).square().mean().sqrt() / weight.square().mean().sqrt()
        # What routes and what scales stays exact; int8 in groups of 32 moves a weight by half a percent.
        assert error == 0 if weight.ndim < 2 or ".gate.weight" in name else error < 0.01, (name, error)


# ---- the vocabulary and the template, as other engines read them ----

TEXTS = (
    "Hello, world! get_weather(city) 12,345.67  \r\n\n\t x",
    "functions.search:0",
    "天気 สวัสดี Straße naïve 🚀👩‍👩‍👧",
    "",
    "   leading and   inner  ",
    "thethethe functionsfunctions",
    "\x00\x7f\u2028\ufeff",
    "don't I'M 'tis",
)
ODD: dict[str, Any] = {
    "type": "object",
    "required": ["city"],
    "properties": {
        "city": {"type": "string", "description": "Where\n  it is."},
        "days": {"type": ["integer", "null"], "description": ""},
        "unit": {"enum": ["C", 1, None, "Grad Ä"]},
        "kind": {"const": "x"},
        "items": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "string"}]}},
        "keys": {"type": "array"},
        "deep": {"properties": {"a": {"type": "array", "items": {"type": "string"}}, "b": True}, "required": ["a"]},
        "any": {},
        "empty": {"type": "object"},
        "other": {"oneOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "object"}}]},
    },
}
SPECS = (ToolSpec("get_weather", "  The\nweather. ", ODD), ToolSpec("plain", "", {}))
CALLS = (
    ToolCall("call_1", "get_weather", '{"city": "Köln", "days": 2}'),
    ToolCall("call_2", "plain", "{}"),
)
TALK = (
    Message("system", "Be brief."),
    Message("user", "weather in Köln and the time?", name="ann"),
    Message("assistant", "I look.", calls=CALLS),
    Message("tool", "grey", call_id="call_1"),
    Message("tool", "12:30", call_id="call_2", name="plain"),
    Message("assistant", "Grey."),
    Message("user", "and again  "),
    Message("assistant", calls=(ToolCall("call_3", "plain", '{"a": [1, "ä"]}'),)),
    Message("tool", "", call_id="call_3"),
)


@pytest.mark.parametrize("of", ["words", "nano"])
def test_transformers_writes_the_same_ids(of: str, tokenizer: Path, tmp_path: Path) -> None:
    folder = tokenizer if of == "words" else Path(moonlet.__file__).parent / "nano"
    export(network("k2", model_type="deepseek_v3"), folder, tmp_path)
    ours, theirs = Tokenizer.load(folder), AutoTokenizer.from_pretrained(tmp_path)
    assert Tokenizer.load(tmp_path).specials == ours.specials
    for text in TEXTS:
        assert theirs.encode(text, add_special_tokens=False) == ours.encode(text), text
        assert theirs.decode(ours.encode(text)) == text
    for name, id in ours.specials.items():
        assert theirs.encode(name, add_special_tokens=False) == [id]
    shown = theirs.decode(
        ours.encode("<|tool_call_begin|>x<|tool_call_end|><|im_end|>", True), skip_special_tokens=True
    )
    assert shown == "<|tool_call_begin|>x<|tool_call_end|>"


@pytest.mark.parametrize("tools", [(), SPECS], ids=["no tools", "tools"])
@pytest.mark.parametrize("parsed", [False, True], ids=["arguments as text", "arguments as objects"])
def test_transformers_writes_conversations_as_ours(
    parsed: bool, tools: tuple[ToolSpec, ...], tokenizer: Path, tmp_path: Path
) -> None:
    export(network("k2", model_type="deepseek_v3"), tokenizer, tmp_path)
    ours, theirs = Tokenizer.load(tokenizer), AutoTokenizer.from_pretrained(tmp_path)
    for length in range(1, len(TALK) + 1):
        raw = [to_openai(message) for message in TALK[:length]]
        for call in (call for message in raw for call in message.get("tool_calls") or () if parsed):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])  # as vLLM hands them over
        found = theirs.apply_chat_template(
            raw, tools=[tool_to_openai(tool) for tool in tools] or None, add_generation_prompt=True, return_dict=False
        )
        assert found == render(ours, "moonlet", TALK[:length], tools), length
