"""The requests that somebody typed whole: every line is marked so that its calls are right in form and copied."""

import re
from datetime import date
from random import Random

import pytest

from moonlet.simulate import said
from moonlet.simulate.world import World
from moonlet.tools.basic import calculate
from moonlet.tools.tool import check

SPECS = {tool.spec.name: tool.spec for tool in World(0, date(2026, 11, 23)).tools()}
LANGUAGES = ("en", "th", "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_line_means_calls_in_form(language: str) -> None:
    """Declared parameters of their types, none missing but what the section leaves out, texts as they were typed."""
    found, rng = said.lines(language), Random(0)
    for section, lines in found.sections.items():
        for line in lines:
            for _ in range(4):
                one = said.filled(line, found, language, rng)
                assert not re.search(r"[{}]|\|\||  ", one.text), one.text
                assert bool(one.calls) is (section != said.NONE)
                assert len(one.calls) > 1 or section != said.SEVERAL
                assert bool(one.question) is bool(one.missing)
                calls = (said.completed(one, language, rng)[1],) if one.missing else one.calls
                for name, arguments in calls:
                    assert check(arguments, SPECS[name].parameters, "arguments") is None, one
                for name, arguments in one.calls:
                    copied = [key for key, of in SPECS[name].parameters["properties"].items() if "x-verbatim" in of]
                    assert all(arguments[key] in one.text for key in copied if key in arguments), one


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sum_can_be_worked_out(language: str) -> None:
    """However it was said: what the small model learns to copy, the calculator has to read."""
    lines = [line for lines in said.lines(language).sections.values() for line in lines]
    marks = [match for line in lines for match in said.SLOT.finditer(line.text)]
    sums = [match[4] or match[3] for match in marks if match[2] == "expression"]
    assert len(sums) > 150
    for one in sums:
        calculate(one)


@pytest.mark.parametrize("language", LANGUAGES)
def test_lines_are_many_and_no_two_alike(language: str) -> None:
    texts = [line.text.casefold() for lines in said.lines(language).sections.values() for line in lines]
    assert len(texts) > 800
    assert len(set(texts)) == len(texts)
    assert said.lines(language).sections.keys() >= {*SPECS, said.NONE, said.SEVERAL, said.MISSING}


def test_a_value_gives_way_only_to_one_that_stands_alike() -> None:
    """Behind "to" stands what stood behind a "to" elsewhere; what hangs together with the words around it stays."""
    found, rng = said.lines("en"), Random(1)
    line = said.Line("Text {to=Bo}: say {text=hello} at {time=noon}", "send_message")
    places = {place: ["elsewhere"] for place in [("send_message", "to", "text"), ("send_message", "text", "say")]}
    texts = {said.filled(line, said.Lines(found.sections, places), "en", rng).text.lower() for _ in range(80)}
    assert texts == {f"text {a}: say {b} at noon" for a in ("bo", "elsewhere") for b in ("hello", "elsewhere")}
