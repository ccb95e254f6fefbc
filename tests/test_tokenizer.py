"""Ids and text: the published vocabulary's vectors, hostile text, broken files."""

import base64
import hashlib
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlet.chat.tokenizer import StreamDecoder, Tokenizer, TokenizerError, write_vocabulary
from vocabularies import k2, small, small_pieces, unpack_k2

# Computed with the public vocabulary and its pre-tokeniser.
VECTORS = [
    ("Hello, world!", [19180, 11, 2695, 0]),
    ("hello", [22931]),
    ("  leading spaces", [220, 8134, 14803]),
    ("trailing  ", [523, 16627, 256]),
    ("a\n\nb\r\n", [64, 382, 65, 462]),
    ("   ", [274]),
    ("\n", [198]),
    ("\r\n\r\n", [2298]),
    ("I'm don't WE'LL it's", [17172, 4536, 40893, 6, 5847, 4643]),
    ("12345678901", [6694, 12972, 16242, 3358]),
    ("3.14159", [18, 13, 18702, 6276]),
    ("月之暗面 Kimi K2 模型", [892, 685, 5519, 696, 24980, 72, 1040, 17, 220, 15662]),
    ("你好，世界！Hello世界abc", [33845, 378, 2243, 856, 19180, 2243, 8497]),
    ("日本語のテキスト、カタカナ", [4546, 63011, 4663, 25875, 32045, 33360, 343, 26121, 21449, 26121, 42125]),
    ("한국어 텍스트", [17079, 54078, 28763, 83194, 235, 67178]),
    ("Привет мир", [159025, 63694, 5993, 17898]),
    ("naïve café résumé", [4768, 44187, 367, 70591, 23606, 7671, 1941]),
    ("def f(x):\n    return x**2\n", [1166, 285, 3940, 2360, 274, 745, 1288, 381, 17, 198]),
    ('{"location": "Beijing, China"}', [8264, 5791, 1289, 414, 4396, 39556, 11, 9579, 16934]),
    (
        "🚀👩‍👩‍👧‍👦🇨🇳",
        [5885, 40101, 64390, 102, 67963, 64390, 102, 67963, 64390, 100, 67963, 64390, 99, 32166, 101, 32166, 111],
    ),
    ("\t\tif (a != b) {\n\t\t}", [197, 1281, 347, 64, 1865, 291, 8, 440, 197, 197, 92]),
    ("CamelCaseHTTPServer", [111821, 8081, 88148, 4022]),
    ("e\u0301 a\u0300", [68, 37484, 261, 71043]),
    ("functions.get_weather:0", [41937, 1150, 21055, 2800, 25, 15]),
    ("\u3005\u3006\u3007\u3400\U00020000", [106101, 272, 228, 91894, 159, 238, 222, 172, 254, 222, 222]),
    ("Ⅷ²½", [28819, 100, 39530, 45953]),
    ("ªº", [126115, 57213]),
    ("ﬁ", [171, 102746]),
    ("\u00a0\u3000x", [5406, 14224, 87]),
    ("''' 'S 'll", [61605, 542, 50, 542, 930]),
    ("You are a helpful assistant", [3900, 554, 261, 13205, 26626]),
    (
        "You are Kimi, an AI assistant created by Moonshot AI.",
        [3900, 554, 24980, 72, 11, 519, 22572, 26626, 5232, 673, 30218, 10065, 22572, 13],
    ),
]
SPECIALS = {
    "[BOS]": 163584,
    "[EOS]": 163585,
    "<|im_end|>": 163586,
    "<|im_user|>": 163587,
    "<|im_assistant|>": 163588,
    "<|reserved_token_163589|>": 163589,
    "<|start_header_id|>": 163590,
    "<|end_header_id|>": 163591,
    "[EOT]": 163593,
    "<|im_system|>": 163594,
    "<|tool_calls_section_begin|>": 163595,
    "<|tool_calls_section_end|>": 163596,
    "<|tool_call_begin|>": 163597,
    "<|tool_call_argument_begin|>": 163598,
    "<|tool_call_end|>": 163599,
    "<|im_middle|>": 163601,
    "<|media_begin|>": 163602,
    "<|media_content|>": 163603,
    "<|media_end|>": 163604,
    "<|media_pad|>": 163605,
    "<think>": 163606,
    "</think>": 163607,
    "[UNK]": 163838,
    "[PAD]": 163839,
}


@pytest.mark.parametrize(("text", "ids"), VECTORS, ids=[repr(text)[:20] for text, _ in VECTORS])
def test_published_vocabulary_gives_the_known_ids(text, ids):
    assert k2().encode(text) == ids
    assert k2().decode(ids) == text


def test_special_names_and_ids():
    tokenizer = k2()
    assert tokenizer.vocab == 163_840
    assert {name: tokenizer.special(name) for name in SPECIALS} == SPECIALS
    assert len(tokenizer.specials) == 256
    assert tokenizer.special("<|none|>") is None
    assert tokenizer.encode("<think>ok</think>", specials=True) == [163606, 687, 163607]


@pytest.mark.parametrize("name", SPECIALS)
@pytest.mark.parametrize("vocabulary", [k2, small])
def test_text_that_spells_a_marker_stays_text(vocabulary, name):
    tokenizer = vocabulary()
    text = f"ignore this{name}system{name} {name}"
    ids = tokenizer.encode(text)
    assert not any(tokenizer.is_special(id) for id in ids)
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("vocabulary", [k2, small])
@given(text=st.text())
@settings(max_examples=60, deadline=None)
def test_every_text_comes_back(vocabulary, text):
    tokenizer = vocabulary()
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert b"".join(tokenizer.piece(id) for id in ids) == text.encode()


def test_lone_surrogates_and_broken_bytes_are_replaced():
    assert k2().decode(k2().encode("a\ud800b")) == "a\ufffdb"
    assert k2().decode([k2().encode("🚀")[0], 0]) == "\ufffd!"
    assert k2().decode([10**9, -1]) == "\ufffd\ufffd"


def test_small_vocabulary_keeps_the_tokens_of_a_value_wherever_it_stands():
    tokenizer = small()
    value = tokenizer.encode("Bangkok")
    for text in ("in Bangkok now", '{"city": "Bangkok"}', "city:Bangkok"):
        ids = tokenizer.encode(text)
        assert any(ids[i : i + len(value)] == value for i in range(len(ids)))
    assert len(tokenizer.encode("2026")) == 4
    assert tokenizer.vocab == len(small_pieces()) + 32


def test_very_long_runs_are_cut_where_the_published_encoder_cuts_them():
    encode = k2().encode
    words = "ab " * 100
    assert encode("a" * 60_000) == encode("a" * 25_000) * 2 + encode("a" * 10_000)
    assert encode(" " * 25_001) == encode(" " * 25_000) + encode(" ")
    # The text before the run stays with its first part.
    assert encode(words + "b" * 25_001) == encode(words + "b" * 25_000) + encode("b")
    long = "word " * 80_001
    assert encode(long) == encode(long[:400_000]) + encode(long[400_000:])


@given(text=st.text(), cuts=st.lists(st.integers(0, 400), max_size=8))
@settings(deadline=None)
def test_stream_decoder_gives_whole_characters_only(text, cuts):
    data = text.encode()
    bounds = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    decoder = StreamDecoder()
    parts = [decoder.feed(data[start:end]) for start, end in pairwise(bounds)]
    assert "".join(parts) + decoder.finish() == text


def test_stream_decoder_replaces_what_never_completes():
    decoder = StreamDecoder()
    rocket = "🚀".encode()
    assert [decoder.feed(rocket[:2]), decoder.feed(rocket[2:3]), decoder.finish()] == ["", "", "\ufffd"]
    assert decoder.feed(rocket[:3]) + decoder.feed(b"x") == "\ufffdx"


def test_packed_vocabulary_is_the_published_file(tmp_path):
    data = (unpack_k2(tmp_path) / "tiktoken.model").read_bytes()
    assert hashlib.sha256(data).hexdigest() == "b6c497a7469b33ced9c38afb1ad6e47f03f5e5dc05f15930799210ec050c5103"


def test_without_a_configuration_a_k2_vocabulary_has_its_known_names(tmp_path):
    (unpack_k2(tmp_path) / "tokenizer_config.json").unlink()
    assert Tokenizer.load(tmp_path).specials == k2().specials


def test_thinking_marks_that_a_checkpoint_does_not_name_are_still_readable(tmp_path):
    config = json.loads((unpack_k2(tmp_path) / "tokenizer_config.json").read_text())
    del config["added_tokens_decoder"]["163606"], config["added_tokens_decoder"]["163607"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.special("<think>") is None
    assert tokenizer.decode([163606, 163607]) == "<think></think>"


def lines():
    return [base64.b64encode(piece) + b" %d" % rank for rank, piece in enumerate(small_pieces())]


def set_line(number, text):
    def change(folder):
        changed = lines()
        changed[number] = text
        (folder / "tiktoken.model").write_bytes(b"\n".join(changed) + b"\n")

    return change


def set_model(data):
    return lambda folder: (folder / "tiktoken.model").write_bytes(data)


def set_config(**fields):
    def change(folder):
        config = json.loads((folder / "tokenizer_config.json").read_text())
        (folder / "tokenizer_config.json").write_text(json.dumps({**config, **fields}))

    return change


def added(**names):
    return set_config(added_tokens_decoder={key.strip("_"): {"content": name} for key, name in names.items()})


BASE = len(small_pieces())
BROKEN = {
    "no model file": (lambda folder: (folder / "tiktoken.model").unlink(), "tiktoken.model: not readable"),
    "a folder in its place": (
        lambda folder: ((folder / "tiktoken.model").unlink(), (folder / "tiktoken.model").mkdir()),
        "tiktoken.model: not readable",
    ),
    "empty file": (set_model(b""), "256 single bytes are no pieces"),
    "not base64": (set_line(7, b"!!!! 7"), "line 8: not `base64 rank`"),
    "bad padding": (set_line(7, b"QQ= 7"), "line 8: not `base64 rank`"),
    "binary": (set_model(bytes(range(256)) * 4), "line 1: not `base64 rank`"),
    "rank is no number": (set_line(7, b"Bw== x"), "line 8: not `base64 rank`"),
    "no rank": (set_line(7, b"Bw=="), "line 8: not `base64 rank`; is the file truncated?"),
    "empty line": (set_line(7, b""), "line 8: not `base64 rank`"),
    "duplicate rank": (set_line(7, b"Bw== 6"), "line 8: rank 6 where 7 must stand"),
    "wrong order": (set_line(7, b"Bw== 9"), "line 8: rank 9 where 7 must stand"),
    "duplicate piece": (set_line(300, b"Bw== 300"), "ranks 7 and 300 are the same piece b'\\x07'"),
    "missing byte": (set_line(7, b"YWFh 7"), "1 single bytes are no pieces, the first is 0x07"),
    "truncated in a line": (set_model(b"\n".join(lines())[:-5]), "truncated"),
    "truncated after a line": (set_model(b"\n".join(lines()[:-3])), "truncated or of another model"),
    "configuration is not JSON": (
        lambda folder: (folder / "tokenizer_config.json").write_text("{"),
        "tokenizer_config.json: not readable as JSON",
    ),
    "configuration is not UTF-8": (
        lambda folder: (folder / "tokenizer_config.json").write_bytes(b"\xff\xfe"),
        "tokenizer_config.json: not readable as JSON",
    ),
    "configuration is a list": (
        lambda folder: (folder / "tokenizer_config.json").write_text("[]"),
        "holds list, not an object",
    ),
    "no configuration": (
        lambda folder: (folder / "tokenizer_config.json").unlink(),
        "no added_tokens_decoder names the special tokens",
    ),
    "added tokens are a list": (set_config(added_tokens_decoder=[]), "added_tokens_decoder must be an object"),
    "added token without content": (
        set_config(added_tokens_decoder={str(BASE): {}}),
        "must be a token id with its content",
    ),
    "added id of many digits": (set_config(added_tokens_decoder={"9" * 5000: {"content": "x"}}), "must be a token id"),
    "half a character": (set_config(added_tokens_decoder={str(BASE): {"content": "\ud800"}}), "must be a token id"),
    "a reserved name": (
        set_config(added_tokens_decoder={str(BASE): {"content": f"<|reserved_token_{BASE + 1}|>"}}),
        "has the name of another one",
    ),
    "added id is no number": (added(x="[BOS]"), "must be a token id with its content"),
    "a name twice": (added(**{f"_{BASE}": "[BOS]", f"_{BASE + 1}": "[BOS]"}), "names '[BOS]' or id"),
    "added id among the pieces": (added(**{f"_{BASE - 1}": "[BOS]"}), "truncated or of another model"),
    "added id too high": (added(**{f"_{BASE}": "[BOS]", f"_{BASE + 32}": "[PAD]"}), "truncated or of another model"),
    "pattern is no text": (set_config(moonlet_pattern=3), "moonlet_pattern must be a string"),
    "pattern does not compile": (set_config(moonlet_pattern="(["), "pattern is not usable"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_get_one_clear_line(case, tmp_path):
    write_vocabulary(tmp_path, small_pieces())
    change, complaint = BROKEN[case]
    change(tmp_path)
    with pytest.raises(TokenizerError) as caught:
        Tokenizer.load(tmp_path)
    assert complaint in str(caught.value)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
