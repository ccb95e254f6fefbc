"""Money: three numbers that are never mixed, exact where exactness is asked for; prices; a simulated day."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlet.planner import money, prices
from moonlet.planner.capacity import busiest
from moonlet.planner.fit import Wish, fit, rooms
from moonlet.planner.machine import find_machine
from moonlet.planner.money import (
    MACRS_5,
    Money,
    MoneyError,
    Ownership,
    TokenPrice,
    Use,
    envelope_payback,
    monte_carlo,
    payback,
    tornado,
)
from moonlet.planner.plan import Plan, Terms
from moonlet.planner.prices import ModelPrice, PriceError, SeatPrice, find_price, parse, stale
from moonlet.planner.simulate import Day, Simulation
from moonlet.planner.speed import Load, speed
from moonlet.planner.subject import subject
from moonlet.planner.team import Team

TODAY = date(2026, 11, 28)
amounts = st.decimals(0, 10**9, places=4)
shares = st.decimals(0, 1, places=4)


def owned(**changes: object) -> Ownership:
    plain = {"price": Money(Decimal(10_000)), "watts_load": Decimal(500), "watts_idle": Decimal(100),
             "utilisation": Decimal("0.25")}  # fmt: skip
    return Ownership(**{**plain, **changes})  # type: ignore[arg-type]


def test_the_well_known_sum_comes_out_exactly() -> None:
    assert money.ENVELOPE.kwh / 12 == 504
    assert round(money.ENVELOPE.tariff.amount, 4) == Decimal("0.1786")
    assert money.ENVELOPE.cash.amount.quantize(Decimal("1e-9")) == 1080
    years = [round(envelope_payback(n) or 0, 1) for n in (1, 2, 3, 5, 10, 20)]
    assert list(map(str, years)) == ["18.9", "6.7", "4.1", "2.3", "1.1", "0.5"]
    assert "0.62 bit" in money.ENVELOPE_FLAW and round(Decimal(80 * 8) / 1000 / Decimal("1.0264"), 2) == Decimal("0.62")
    with pytest.raises(MoneyError):
        envelope_payback(0)


@given(amounts, amounts, amounts)
def test_money_adds_like_decimals_and_never_across_currencies(a: Decimal, b: Decimal, c: Decimal) -> None:
    assert (Money(a) + Money(b)) + Money(c) == Money(a) + (Money(b) + Money(c)) == Money(a + b + c)
    for act in (
        lambda: Money(a) + Money(b, "EUR"),
        lambda: Money(a) - Money(b, "THB"),
        lambda: Money(a) < Money(b, "CNY"),
    ):
        with pytest.raises(MoneyError, match="do not add up"):
            act()


@given(amounts, shares, shares, shares, st.integers(1, 20), amounts)
def test_sums_equal_their_parts_and_full_is_at_least_cash(
    price: Decimal, use: Decimal, residual: Decimal, interest: Decimal, years: int, rent: Decimal
) -> None:
    it = owned(price=Money(price), utilisation=use, residual=residual, interest=interest, years=years, rent=Money(rent))
    assert it.cash == Money(sum((m.amount for m in it.cash_lines.values()), Decimal(0)))
    assert it.full == Money(sum((m.amount for m in it.full_lines.values()), Decimal(0)))
    assert Money(Decimal(0)) <= it.cash <= it.full
    assert set(it.cash_lines) <= set(it.full_lines)


@given(shares, shares, amounts)
def test_costs_rise_with_use_and_tariff(use: Decimal, more: Decimal, tariff: Decimal) -> None:
    low, high = sorted([use, more])
    assert owned(utilisation=low).cash <= owned(utilisation=high).cash
    assert owned(tariff=Money(tariff)).cash <= owned(tariff=Money(tariff * 2)).cash
    assert owned(pue=Decimal(1)).kwh <= owned(pue=Decimal("1.5")).kwh


@pytest.mark.parametrize(
    "change", [{"price": Money(Decimal(-1))}, {"utilisation": Decimal(2)}, {"pue": Decimal("0.9")}, {"years": 0},
               {"interest": Decimal(-1)}, {"hours": Decimal(9000)}, {"tariff": Money(Decimal(1), "EUR")},
               {"watts_load": Decimal(-5)}],
)  # fmt: skip
def test_amounts_that_make_no_sense_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(MoneyError):
        owned(**change)


def test_macrs_and_bonus_and_straight_lines_sum_to_the_price() -> None:
    rules = money.tax_rules()
    assert {"us-2024", "us-2026", "th-2026", "de-2026"} <= set(rules) and sum(MACRS_5) == 1
    for schedule, rate in rules.values():
        assert sum(schedule.shares) == 1 and schedule.source
        saved = money.tax_saved(Money(Decimal(1000)), schedule, rate)
        assert sum((m.amount for m in saved), Decimal(0)) == 1000 * rate
    first = money.tax_saved(Money(Decimal(100_000)), rules["us-2024"][0], Decimal("0.21"))[0]
    assert first.amount == Decimal("100000") * (Decimal("0.6") + Decimal("0.4") * Decimal("0.2")) * Decimal("0.21")
    with pytest.raises(MoneyError):
        money.straight_line(0)


@given(amounts, amounts, amounts, st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_tokens_cost_the_sum_of_their_kinds(p: Decimal, c: Decimal, o: Decimal, x: int, y: int, z: int) -> None:
    price = TokenPrice(Money(p), Money(c), Money(o))
    use = Use(Decimal(x), Decimal(y), Decimal(z))
    assert price.of(use).amount == pytest.approx((p * x + c * y + o * z) / 1_000_000)
    assert price.of(use) <= price.of(Use(use.prompt + 1, use.cached, use.output))


def test_payback_is_the_price_over_what_is_saved() -> None:
    assert payback(Money(Decimal(100)), Money(Decimal(50))) == 2
    assert payback(Money(Decimal(100)), Money(Decimal(0))) is None
    assert payback(Money(Decimal(100)), Money(Decimal(-5))) is None


def test_tornado_and_monte_carlo_on_a_known_function() -> None:
    base = {"a": Decimal(1), "b": Decimal(1)}
    ranges = {"a": (Decimal(0), Decimal(2)), "b": (Decimal(0), Decimal(2))}

    def value(it: object) -> Decimal:
        return 10 * it["a"] + it["b"]  # type: ignore[index, no-any-return]

    swings = tornado(value, base, ranges)
    assert [(s.name, s.low, s.high) for s in swings] == [("a", 1, 21), ("b", 10, 12)]
    band = monte_carlo(value, base, ranges)
    assert band.low < band.middle < band.high and abs(band.middle - 11) < 1 and band.positive == 1
    assert band == monte_carlo(value, base, ranges)
    with pytest.raises(MoneyError, match="outside its own range"):
        tornado(value, {"a": Decimal(5), "b": Decimal(1)}, ranges)


# ---- prices ---------------------------------------------------------------------------------------------------------


def test_prices_are_many_and_dated() -> None:
    models, seats = prices.model_prices(), prices.seat_prices()
    assert len(models) + len(seats) >= 40
    assert all(price.source and price.dated for price in [*models.values(), *seats.values()])
    k26 = find_price("kimi-k2.6")
    assert isinstance(k26, ModelPrice) and k26.name == "moonshotai/kimi-k2.6"
    assert isinstance(find_price("claude-max-20x"), SeatPrice)
    with pytest.raises(PriceError, match="no price of 'gpt-99'"):
        find_price("gpt-99")
    assert stale(k26, date(2026, 7, 10)) == "" and stale(k26, TODAY) == "149 days old"


LITELLM = {
    "moonshot/kimi-new": {"input_cost_per_token": 6e-07, "output_cost_per_token": 2.5e-06, "mode": "chat",
                          "cache_read_input_token_cost": 1e-07, "litellm_provider": "moonshot"},
    "dall-e": {"mode": "image_generation", "input_cost_per_token": 1, "output_cost_per_token": 1},
    "free": {"mode": "chat", "litellm_provider": "x"}, "sample_spec": "text",
}  # fmt: skip
MODELS_DEV = {
    "moonshotai": {"id": "moonshotai", "models": {"kimi-new": {"cost": {"input": 0.6, "output": 2.5}},
                                                   "none": {"cost": {"input": -1, "output": 2}}, "odd": 3}},
}  # fmt: skip


def test_both_public_formats_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path / "home"))
    for raw, cached in ((LITELLM, "0.1"), (MODELS_DEV, "0.6")):
        file = tmp_path / "prices.json"
        file.write_text(json.dumps(raw))
        assert prices.update(str(file), TODAY) == 1
        found = find_price("moonshotai/kimi-new")
        assert isinstance(found, ModelPrice) and found.dated == TODAY and found.source == str(file)
        it = found.price
        assert [m.amount for m in (it.prompt, it.cached, it.output)] == [
            Decimal("0.6"),
            Decimal(cached),
            Decimal("2.5"),
        ]
    assert "moonshotai/kimi-k2.6" in prices.model_prices()  # those of the package stay


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": {"models": {"b": {"cost": {}}}}}', "{" * 2000, "nonsense"])
def test_a_bad_price_list_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path / "home"))
    file = tmp_path / "prices.json"
    file.write_text(text)
    with pytest.raises(PriceError) as caught:
        prices.update(str(file), TODAY)
    assert "\n" not in str(caught.value) and not prices.updates_path().exists()
    with pytest.raises(PriceError, match="No such file"):
        prices.update(str(tmp_path / "none.json"), TODAY)


@pytest.mark.parametrize("order", [1, -1])
def test_a_regions_price_is_not_the_models(order: int) -> None:
    keys = {"azure/gpt-5": 1, "azure/eu/gpt-5": 2, "azure/eu/gpt-6": 3}  # the last is sold in a region alone
    raw = {
        key: {"input_cost_per_token": cost, "output_cost_per_token": cost, "litellm_provider": "azure"}
        for key, cost in list(keys.items())[::order]
    }
    found = parse(raw, "x", TODAY)
    assert {name: price.price.prompt.amount for name, price in found.items()} == {
        "azure/gpt-5": 10**6, "azure/gpt-6": 3 * 10**6,
    }  # fmt: skip


def test_odd_entries_are_left_out() -> None:
    assert parse({"m": {"mode": "chat", "input_cost_per_token": True, "output_cost_per_token": 1}}, "x", TODAY) == {}
    assert parse([1, 2], "x", TODAY) == {}


# ---- the plan -------------------------------------------------------------------------------------------------------


def plan(machine: str = "epyc-768gb-1x-rtx-pro-6000", developers: int = 12, **terms: object) -> Plan:
    return of("kimi-k2-thinking", machine, developers, **terms)


def of(model: str, machine: str, developers: int = 12, wish: Wish | None = None, **terms: object) -> Plan:
    placed = fit(subject(model), find_machine(machine), wish or Wish())
    api, seat = find_price("moonshotai/kimi-k2.6"), find_price("claude-max-20x")
    assert isinstance(api, ModelPrice) and isinstance(seat, SeatPrice)
    working = speed(placed) if placed.fits else None
    return Plan(placed, working, Team(developers), Terms(**terms), api, seat, TODAY)  # type: ignore[arg-type]


def test_renting_is_cheaper_is_the_first_thing_said() -> None:
    assert plan().verdict.startswith("Renting is cheaper for 12 developers, by $")
    free = plan(price=Decimal(0), admin_hours=Decimal(0), tariff=Decimal(0))
    assert free.verdict.startswith("Owning is cheaper for 12 developers")


def test_one_card_does_not_hold_the_model_and_what_does_is_said() -> None:
    it = plan("envelope-80gb", 5)
    assert it.speed is None and "does not fit" in it.verdict and "enting is cheaper" in it.verdict
    other = it.alternative
    assert other and other.usable and other.owned and other.fit.machine.name in it.verdict


def test_a_machine_that_is_proposed_has_fp8_where_it_has_cards() -> None:
    """K2-Instruct would take 1.1 TB as our engine holds it, which is more than a laptop's disk has."""
    it = of("kimi-k2-instruct", "laptop-32gb")
    assert it.speed is None and it.fit.subject.stored_bytes > 1_090e9
    other = it.alternative
    assert other and other.fit.machine.cards and other.fit.subject.part("experts").format == "fp8"


def test_the_three_numbers_stay_apart() -> None:
    it = plan()
    assert it.owned and it.owned.cash < it.owned.full
    assert it.counterfactual == min(it.rented.values()) and set(it.rented) == {"moonshotai/kimi-k2.6", "Claude Max 20x"}
    assert replace(it, api=None).counterfactual == Money(Decimal(200)) * 12 * 12
    assert any("STALE" in note for note in it.notes)


def test_years_of_payback_follow_from_cash_alone() -> None:
    it = replace(plan("8x-rtx-pro-6000", 100), api=None)
    assert it.owned and it.payback_years
    assert it.payback_years == it.owned.price.amount / (it.counterfactual - it.owned.cash).amount
    assert it.payback_at(100) == it.payback_years


def test_from_how_many_developers_on_owning_pays() -> None:
    it = replace(plan("8x-rtx-pro-6000", 1), api=None)
    needed = it.developers_needed
    assert needed and needed > 1

    def saves(count: int) -> bool:
        other = replace(it, team=replace(it.team, developers=count))
        assert other.owned
        return other.owned.full < other.counterfactual

    assert saves(needed) and not saves(needed - 1)
    many = replace(it, team=replace(it.team, developers=needed))
    assert many.price_needed and many.owned and many.price_needed > many.owned.price
    at = replace(many, terms=replace(many.terms, price=many.price_needed.amount / many.boxes))
    assert at.owned and abs(at.owned.full.amount - at.counterfactual.amount) < Decimal("0.01")
    assert replace(it, seat=None, api=find_price("claude-opus-4-8")).tokens_needed  # type: ignore[arg-type]
    assert f"Owning pays from {needed} developers on." in it.verdict


def _saves(it: Plan, **team: int) -> bool:
    other = replace(it.team, **team)  # type: ignore[arg-type]
    return it.owned_by(other).full < replace(it, team=other).counterfactual


def test_owning_pays_for_every_larger_team_than_is_said() -> None:
    """Each further machine is a step: from 6 developers on owning is cheaper for some teams, from 17 on for all."""
    it = replace(of("kimi-k2.6", "epyc-768gb-1x-rtx-pro-6000", 8), api=None)
    assert "Owning pays from 17 developers on." in it.verdict
    assert [n for n in range(1, 17) if _saves(it, developers=n)] == [6, 9, 12, 14, 15]
    assert all(_saves(it, developers=n) for n in range(17, 500))
    assert _saves(it, tokens_per_day=10_000) and not _saves(it, tokens_per_day=3_000_000)
    assert it.tokens_needed is None and "from no number of tokens a day" in it.break_evens


@pytest.mark.parametrize("machine", ["epyc-768gb-2x-rtx-pro-6000", "8x-h100"])
@pytest.mark.parametrize("rented", ["claude-max-20x", "claude-opus-4-8"])
def test_the_last_crossing_is_found_without_looking_at_every_team(machine: str, rented: str) -> None:
    price = find_price(rented)
    api, seat = (price, None) if isinstance(price, ModelPrice) else (None, price)
    it = replace(of("kimi-k2.6", machine), api=api, seat=seat)
    dearer = [n for n in range(1, 10_001) if not _saves(it, developers=n)]
    last = dearer[-1] if dearer else 0
    assert it.developers_needed == (last + 1 if last < 10_000 else None)


@given(st.integers(1, 500), st.integers(100_000, 20_000_000))
@settings(deadline=None, max_examples=25)
def test_more_work_needs_no_fewer_machines_and_no_less_money(developers: int, tokens: int) -> None:
    it = plan("8x-h200", developers)
    it = replace(it, team=replace(it.team, tokens_per_day=tokens))
    more = replace(it, team=replace(it.team, developers=developers + 10))
    assert more.boxes >= it.boxes and it.owned and more.owned and more.owned.cash >= it.owned.cash
    cost = it.per_million(8)
    assert cost and cost["cached"].amount == 0 < cost["blended"].amount <= cost["output"].amount


@pytest.mark.parametrize("machine", ["gaming-pc-64gb", "epyc-768gb-1x-rtx-pro-6000", "8x-rtx-pro-6000", "8x-h200"])
@pytest.mark.parametrize("model", ["kimi-k2-thinking", "deepseek-v2-lite"])
def test_who_writes_together_has_room_for_all_their_caches(model: str, machine: str) -> None:
    """What it writes for many is what plans with `--sequences` say that set so many caches aside, where they fit."""
    it = of(model, machine)
    alone: dict[int, Plan] = {}
    for count in (1, 2, 4, 8, 16, 32, 64):
        placed = fit(subject(model), it.fit.machine, Wish(context=it.fit.context, sequences=count))
        assert placed.fits == (count in it.batches)
        if placed.fits:
            caches = sum(home.bytes for home in placed.homes if home.part == "cache")
            assert caches >= count * it.fit.context * placed.subject.cache_bytes_per_token
            alone[count] = replace(it, fit=placed, speed=speed(placed))
    for count, other in alone.items():
        assert it.served(count) == other.served(count) and it.writes(count) == other.writes(count)
    assert it.capacity == max(other.served(count).value for count, other in alone.items())
    assert it.sequences in it.batches


def test_a_plan_does_not_promise_what_other_caches_take() -> None:
    """64 caches of 32,768 tokens are 147 GB; a gaming PC has 64. Its 8 leave fewer experts in memory, so a step takes
    longer than with one cache set aside, as the plan had reckoned for all numbers."""
    it = plan("gaming-pc-64gb")
    assert it.speed and it.batches == (1, 2, 4, 8)
    assert it.served(8).value < it.speed.served(Load(8, it.fit.context), 2000, 500).value
    asked = plan("gaming-pc-64gb", wish=Wish(sequences=8))
    assert asked.served(8) == it.served(8)
    assert asked.served(1).value < it.served(1).value  # room for eight was asked for and is kept
    assert it.writes(8).value < it.speed.decode(Load(8, it.fit.context)).value


@given(st.sampled_from(["8x-h200", "epyc-768gb", "mac-studio-m3-ultra-512gb"]), st.integers(1, 300),
       st.decimals(Decimal("0.5"), 2, places=2))  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_what_other_numbers_of_tokens_save_is_what_their_plan_saves(
    machine: str, developers: int, factor: Decimal
) -> None:
    """Machines, their price, their watts and how busy they are go with the tokens, as in a plan that has so many."""
    it = plan(machine, developers)
    tokens = int(it.team.tokens_per_day * factor)
    other = replace(it, team=replace(it.team, tokens_per_day=tokens))
    sensed = it.saved({**it.base, "tokens": Decimal(tokens) / it.team.tokens_per_day})
    assert other.owned and sensed == pytest.approx(other.saved(other.base), rel=Decimal("1e-6"))
    assert other.saved(other.base) == pytest.approx((other.counterfactual - other.owned.full).amount)


def test_the_bar_of_tokens_shows_the_machines_that_they_need() -> None:
    it = plan("8x-h200", 100)
    twice = replace(it, team=replace(it.team, tokens_per_day=2 * it.team.tokens_per_day))
    bar = next(swing for swing in it.swings if swing.name == "tokens")
    assert twice.boxes > it.boxes and twice.owned
    assert bar.high == (twice.counterfactual - twice.owned.full).amount


@pytest.mark.parametrize("change", [{"developers": 0}, {"tokens_per_day": 0}, {"cached_share": Decimal("0.99")},
                                    {"output_share": Decimal(0)}, {"days": 400}, {"hours": Decimal(30)}])  # fmt: skip
def test_a_team_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(MoneyError) as caught:
        Team(**change)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


# ---- a simulated day ------------------------------------------------------------------------------------------------


def test_a_day_is_the_same_each_time_and_waits_grow_with_people() -> None:
    it = speed(fit(subject("kimi-k2-thinking"), find_machine("8x-h200"), Wish(sequences=16)))
    few, many = (Simulation(it, Team(n)).run() for n in (4, 120))
    assert Simulation(it, Team(4)).run() == few
    assert few.finished == few.turns and not few.saturated
    assert few.busy < many.busy <= 1 and few.first_token_s[1] <= many.first_token_s[1]
    assert 0.8 < few.reused < 1 and few.first_token_s[0] <= few.first_token_s[1] <= few.first_token_s[2]
    assert few.turn_s[0] > few.first_token_s[0]


def test_a_box_that_is_too_slow_saturates_and_more_boxes_help() -> None:
    it = speed(fit(subject("kimi-k2-thinking"), find_machine("epyc-768gb")))
    alone, farm = Simulation(it, Team(40)).run(), Simulation(it, Team(40), boxes=200).run()
    assert alone.saturated and alone.busy > 0.95 and not farm.saturated
    assert farm.first_token_s[1] < alone.first_token_s[1]


@pytest.mark.parametrize(("machine", "developers"), [("8x-rtx-pro-6000", 60), ("gaming-pc-64gb", 4)])
def test_a_day_never_writes_more_than_caches_have_room_for(machine: str, developers: int) -> None:
    it = speed(fit(subject("kimi-k2-thinking"), find_machine(machine)))
    held: list[tuple[int, int]] = []

    class Watched(Simulation):
        def _plan(self, box: Any, now: float) -> None:
            under_way = [*box.writing, *([box.reading] if box.reading else [])]
            held.append((len(under_way), sum(turn.length for turn in under_way)))
            super()._plan(box, now)

    day = Watched(it, Team(developers))
    day.run()
    placed = it.placed_for(busiest(it, Team(developers)))
    assert placed and day.writing_tokens == placed.fit.writing_room
    assert max(tokens for count, tokens in held if count > 1) <= placed.fit.writing_room
    # Beside the weights there is room for these caches.
    fits, place = placed.fit, placed.fit.dense_place
    weights = sum(home.bytes for home in fits.homes if home.place == place and home.part != "cache")
    caches = fits.writing_room * fits.subject.cache_bytes_per_token
    assert weights + caches <= rooms(fits.machine, fits.wish)[place]


def test_thousands_on_many_boxes_wait_as_long_as_few_on_one() -> None:
    it = speed(fit(subject("kimi-k2-thinking"), find_machine("8x-h200"), Wish(sequences=16)))
    few, many = Simulation(it, Team(20)).run(), Simulation(it, Team(20 * 400), boxes=400).run()
    assert many.turns == pytest.approx(few.turns * 400, rel=0.25) and not many.saturated
    assert many.first_token_s[0] == pytest.approx(few.first_token_s[0], rel=0.25)


def test_a_day_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="turns must be at least 1"):
        Day(turns=0)
    with pytest.raises(ValueError, match="boxes"):
        Simulation(speed(fit(subject("nano"), find_machine("epyc-768gb"))), Team(), boxes=0)
