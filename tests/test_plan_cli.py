"""`moonlet plan`, `prices` and `bench` as a person uses them."""

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from moonlet.chat.tokenizer import Tokenizer
from moonlet.cli import main
from moonlet.local import NANO, find
from moonlet.planner import measure, probe, system
from moonlet.planner.machine import GB, Machine
from moonlet.planner.rates import MeasuredRates

K2 = "moonshotai/Kimi-K2-Thinking"
BOX = "epyc-768gb-1x-rtx-pro-6000"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def moonlet(*arguments: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
    return code, out.getvalue(), err.getvalue()


def keep_a_machine() -> None:
    """What a measurement would have kept: the real one takes long beside other tests."""
    points = tuple((float(n), 1e-10 * max(1.0, n / 4)) for n in probe.COUNTS)
    rates = MeasuredRates({"bf16": points, "int8": points, "int4": points}, 1e-11, 1e-11, 1e-6, 1e-7, 1e-5, 1e-6, 1e-10)
    machine = Machine(
        "this", "this machine", 16 * GB, 9e9, 1e11, disk_bytes=900 * GB, disk_read_bytes_s=2e9, rates=rates
    )
    seen, day = system.look(), measure.date(2026, 11, 1)
    measure.keep(
        measure.Measured(machine, seen.processor, day, 9.0, {1: 9e9}, {}, seen.cores, 1, False, False, "", True)
    )


def test_the_answer_comes_first_then_all_that_it_rests_on() -> None:
    code, out, err = moonlet("plan", K2, "--machine", BOX, "--team", 12, "--tax", "us-2026", "--compare", "8x-h200")
    assert (code, err) == (0, "")
    first = out.splitlines()[0]
    assert first.startswith("Renting is cheaper for 12 developers, by $") and "tokens/s for one" in first
    for told in ("largest context 262,144", "cash", "full cost", "elsewhere: Claude Max 20x", "payback in", "8x-h200",
                 "STALE", "assumptions:", "MACRS", "a prompt of  8,192", "experts"):  # fmt: skip
        assert told in out, told


def test_the_well_known_sum_and_its_flaw_are_shown() -> None:
    code, out, _ = moonlet("plan", K2, "--machine", "envelope-80gb", "--team", 5)
    assert code == 0 and "does not fit" in out.splitlines()[0] and "enting is cheaper" in out.splitlines()[0]
    assert re.findall(r"developers: ([\d.]+) years", out) == ["18.9", "6.7", "4.1", "2.3", "1.1", "0.5"]
    assert "0.62 bit" in out


def test_this_machine_is_measured_once_and_needs_a_price() -> None:
    keep_a_machine()
    code, out, _ = moonlet("plan", "nano")
    assert code == 0 and "State a price and watts" in out.splitlines()[0] and "were measured" in out
    code, out, _ = moonlet("plan", "nano", "--price", 900, "--watts", 60, "--idle-watts", 10, "--against", "claude-pro")
    assert code == 0 and "Claude Pro" in out and "kimi" not in out


def test_watts_that_are_not_stated_are_the_machines_own() -> None:
    def cash(*watts: object) -> str:
        found = json.loads(moonlet("plan", K2, "--machine", BOX, "--json", *watts)[1])
        told: str = found["money"]["cash_a_year"]
        return told

    load, idle = 1000, 150  # of the catalogue
    assert cash("--watts", load) == cash("--idle-watts", idle) == cash()
    assert cash("--watts", 500) == cash("--watts", 500, "--idle-watts", idle) != cash()
    assert cash("--idle-watts", 90) == cash("--watts", load, "--idle-watts", 90) != cash()


@pytest.mark.parametrize("flags", [(), ("--experts", "int4"), ("--dense", "int8", "--experts", "bf16")])
def test_a_checkpoint_of_fp8_is_planned_as_the_folder_that_is_made_of_it(tmp_path: Path, flags: tuple[str]) -> None:
    """Our engine knows no fp8: the judge is `moonlet pull`, whose folder is planned beside its source."""
    source, folder = tmp_path / "source", tmp_path / "folder"
    tiny.write(source, "k2", "fp8")
    assert moonlet("pull", source, "--to", folder, *flags)[0] == 0

    def plan(path: Path, machine: str, *more: str) -> dict[str, Any]:
        code, out, err = moonlet("plan", path, "--machine", machine, "--json", *more)
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    asked, made = plan(source, "laptop-32gb", *flags), plan(folder, "laptop-32gb")
    assert asked["homes"] == made["homes"] and asked["speed"] == made["speed"]
    dense, experts = {(): ("bf16", "int8"), ("--experts", "int4"): ("bf16", "int4")}.get(flags, ("int8", "bf16"))
    note = f"dense parts as {dense}, experts as {experts} and routers as f32, as `moonlet pull` makes them"
    assert any(note in told for told in asked["assumptions"]) and not any(note in told for told in made["assumptions"])
    cards = plan(source, "8x-h200", *flags)
    assert not any("moonlet pull" in told for told in cards["assumptions"])
    if not flags:
        assert cards["model"]["bytes"] < made["model"]["bytes"]


def test_a_list_without_a_model() -> None:
    code, out, _ = moonlet("plan")
    assert code == 0 and "kimi-k2-thinking" in out and "8x-b200" in out and "$320,000" in out


@pytest.mark.parametrize("verb", ["plan", "ledger"])
def test_help_says_of_each_amount_what_it_is(verb: str) -> None:
    told = " ".join(moonlet(verb, "--help")[1].split())
    for flag in ("--idle-watts W watts when idle", "--admin-hours X hours of care a year", "--rent X rent a year",
                 "--on-hours N hours a year that it is on", "--residual X resale value"):  # fmt: skip
        assert flag in told, flag


def test_json_is_one_object_with_exact_money() -> None:
    code, out, _ = moonlet("plan", K2, "--machine", BOX, "--json", "--simulate", "--compare", "laptop-32gb")
    found = json.loads(out)
    assert code == 0 and found["fits"] and found["money"]["elsewhere_a_year"]["Claude Max 20x"] == "2400"
    parts = sum(home["bytes"] for home in found["homes"] if home["part"] not in ("cache", "buffers"))
    assert parts == found["model"]["bytes"]
    assert found["speed"]["decode"][0]["low"] < found["speed"]["decode"][0]["tokens_s"]
    assert found["simulation"]["turns"] > 0 and not found["compared"][0]["fits"] and found["compared"][0]["change"]


def test_replies_whose_caches_do_not_fit_are_not_told(tmp_path: Path) -> None:
    """A gaming PC has 64 GB: eight caches of 32,768 tokens take 18 of them, sixteen leave K2 too little to stream."""
    page = tmp_path / "plan.html"
    asked = ("plan", K2, "--machine", "gaming-pc-64gb", "--html", page)
    code, out, _ = moonlet(*asked)
    assert code == 0 and "the caches of 16 at a time do not fit" in out
    assert "The caches of 16 at a time do not fit" in page.read_text()
    told = json.loads(moonlet(*asked, "--json")[1])["speed"]["decode"]
    assert [row["sequences"] for row in told] == [1, 2, 4, 8]
    for row in told:
        asked_for = ("plan", K2, "--machine", "gaming-pc-64gb", "--sequences", row["sequences"])
        alone = json.loads(moonlet(*asked_for, "--context", 32_768, "--json")[1])["speed"]["decode"]
        assert row in alone
    sixteen = moonlet("plan", K2, "--machine", "gaming-pc-64gb", "--sequences", 16, "--context", 32_768)[1]
    assert "does not fit" in sixteen


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.labels: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data")]
        if tag not in ("meta", "line", "rect", "polygon", "polyline", "i"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("text", "h2"):
            self.labels.append(data)


def test_the_report_is_one_file_that_asks_for_nothing(tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    assert (
        moonlet("plan", K2, "--machine", BOX, "--team", 50, "--html", page, "--compare", "8x-h200", "--simulate")[0]
        == 0
    )
    text = page.read_text()
    read = _Page()
    read.feed(text)
    assert read.links == [] and "script" not in read.tags and "url(" not in text and "@import" not in text
    drawn = set(re.findall(r'class="(?:line|dot|fill|band|) ?c(\d)"', text))
    assert drawn and all(text.count(f"--c{one}:#") == 2 for one in drawn)  # a colour in light, one in dark
    assert read.tags.count("svg") == 5 and "prefers-color-scheme:dark" in text
    for label in ("years until it is paid back", "developers", "tokens written per second", "USD for a million tokens",
                  "Where the bytes live", "replies at the same time", "Assumptions and sources"):  # fmt: skip
        assert any(label in told for told in read.labels), label
    assert "nan" not in text.lower().replace("finance", "") and "inf" not in re.findall(r'"([\d.e+-]*|nan|inf)"', text)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("kimi-k9", "--machine", BOX), "no known model"),
        ((K2, "--machine", "cray"), "not in the catalogue"),
        ((K2, "--machine", "none.toml"), "No such file"),
        ((K2, "--machine", BOX, "--team", "0"), "must be at least 1"),
        ((K2, "--machine", BOX, "--price", "-5"), "must not be negative"),
        ((K2, "--machine", BOX, "--tariff", "nan"), "must not be negative"),
        ((K2, "--machine", BOX, "--price", "1e999999"), "nor 10^15 or more"),
        ((K2, "--machine", BOX, "--html", "none/plan.html"), "there is no such folder: 'none'"),
        ((K2, "--machine", BOX, "--cached", "0.99"), "must leave something"),
        ((K2, "--machine", BOX, "--interest", "7"), "interest must be within"),
        ((K2, "--machine", BOX, "--on-hours", "9000"), "at most 8760"),
        ((K2, "--machine", BOX, "--on-hours", "0"), "must be above 0"),
        ((K2, "--machine", BOX, "--team", "20", "--on-hours", "8"), "needs it on 1840 hours a year"),
        ((K2, "--machine", BOX, "--days", "100", "--on-hours", "799"), "got 799"),
        ((K2, "--machine", BOX, "--skew", "9"), "skew must be within"),
        ((K2, "--machine", BOX, "--trace", "none.npy"), "no trace can be read"),
        ((K2, "--machine", BOX, "--against", "gpt-99"), "no price of"),
        ((K2, "--machine", BOX, "--tax", "mars-2026"), "no tax rules"),
        ((K2, "--machine", "laptop-32gb", "--simulate"), "nothing to simulate"),
    ],
)
def test_bad_input_is_one_clear_line(arguments: tuple[str, ...], told: str) -> None:
    code, out, err = moonlet("plan", *arguments)
    assert code == 2 and told in err and err.count("\n") == 1 and out == "", err


def test_a_machine_that_is_there_already_costs_nothing(tmp_path: Path) -> None:
    code, out, _ = moonlet("plan", K2, "--machine", BOX, "--team", "12", "--price", "0", "--tariff", "0")
    assert code == 0 and re.search(r"^ +1  (█ 0\.0|never)", out, re.MULTILINE)
    report = tmp_path / "plan.html"
    code, _, _ = moonlet("plan", K2, "--machine", BOX, "--team", "12", "--price", "0", "--html", str(report))
    assert code == 0 and "Payback" in report.read_text()


def test_a_home_that_cannot_be_written_to_is_planned_in(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_a_machine()
    kept, found = measure.kept, measure.kept()

    def full(measured: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(measure, "kept", lambda: None)
    monkeypatch.setattr(measure, "measure", lambda tick: found)
    monkeypatch.setattr(measure, "keep", full)
    code, out, err = moonlet("plan", "nano")
    assert code == 0 and out and "is not kept: [Errno 30]" in err and kept() is not None


def test_a_machine_without_a_disk_figure_does_not_stream(tmp_path: Path) -> None:
    box = tmp_path / "box.toml"
    box.write_text("memory_gb = 64\nmemory_gbs = 80\ntops = 5\n")
    code, out, _ = moonlet("plan", K2, "--machine", box)
    assert code == 0 and "no disk figure" in out.splitlines()[0] and "GB more memory" in out.splitlines()[0]


def test_prices_are_listed_and_updated(tmp_path: Path) -> None:
    code, out, _ = moonlet("prices", "kimi-k2.6")
    assert code == 0 and "moonshotai/kimi-k2.6" in out and "2026-07-02" in out
    file = tmp_path / "list.json"
    file.write_text(json.dumps({"moonshotai": {"models": {"kimi-k2.6": {"cost": {"input": 9, "output": 99}}}}}))
    code, out, _ = moonlet("prices", "update", file)
    assert code == 0 and out.startswith("1 prices")
    assert " 99 " in moonlet("prices", "moonshotai/kimi-k2.6")[1]
    for arguments in (("update",), ("update", tmp_path / "none"), ("no-such-name",), ("a", "b")):
        code, _, err = moonlet("prices", *arguments)
        assert code == 2 and err.count("\n") == 1


def test_bench_prints_what_was_predicted_and_what_came(tmp_path: Path) -> None:
    keep_a_machine()
    trace = tmp_path / "trace.npy"
    code, out, _ = moonlet(
        "bench", "--prompt", 24, "--tokens", 4, "--batches", 1, 2, "--keep", "--json", "--trace", trace
    )
    rows = json.loads(out)
    assert code == 0 and {"prompt of 24", "decode x1", "decode x2"} <= {row["name"] for row in rows}
    assert all(row["predicted"] > 0 and row["measured"] > 0 for row in rows if row["name"].startswith("decode"))
    kept = measure.kept()
    assert kept and kept.correction.decode != 1
    assert np.load(trace).ndim == 3
    code, out, _ = moonlet("plan", "nano", "--trace", trace)
    assert code == 0 and "routing measured in" in out and "corrected by" in out
    code, out, err = moonlet("plan", K2, "--machine", BOX, "--trace", trace)  # nano's
    assert code == 2 and not out and "is of another model" in err and err.count("\n") == 1
    for wrong in ((tmp_path / "none",), ("--text", trace), ("--trace", trace, "--text", trace)):
        code, _, err = moonlet("bench", *wrong)
        assert code == 2 and err.count("\n") == 1


def test_a_trace_is_of_the_text_that_is_given(tmp_path: Path) -> None:
    keep_a_machine()
    text, trace = tmp_path / "text.txt", tmp_path / "trace.npy"
    text.write_text("Remind me to water the plants at six. " * 4)
    words = len(Tokenizer.load(find(NANO)).encode(text.read_text()))
    code, _, _ = moonlet("bench", "--prompt", 8, "--tokens", 2, "--batches", 1, "--trace", trace, "--text", text)
    assert code == 0 and words <= np.load(trace).shape[1] <= words + 2
