"""What a request costs: exact money by the price, and joules by the processor's counters or a model."""

import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from moonlet.ledger import report
from moonlet.ledger.books import Books, Took
from moonlet.ledger.database import open_database
from moonlet.ledger.energy import find_meter
from moonlet.ledger.money import Price, PriceError

TOOK = Took(100, 40, 10, 3, queue_s=0.5, prefill_s=1.0, decode_s=2.0, expert_hits=7, expert_reads=2, bytes_read=4096)


def test_money_is_exact() -> None:
    price = Price.read("0.60/0.15/2.50")
    assert price == Price(Decimal("0.60"), Decimal("0.15"), Decimal("2.50")) and str(price) == "0.60/0.15/2.50"
    assert price.nano_usd(1_000_000, 0, 0) == 600_000_000 and price.nano_usd(1, 1, 0) == 150
    assert sum(price.nano_usd(1, 0, 0) for _ in range(10_000)) == price.nano_usd(10_000, 0, 0)
    assert price.most_nano_usd(10, 2) == price.nano_usd(10, 0, 2)
    assert Price.read("1/2/1").most_nano_usd(10, 0) == 20_000
    for text in ("1", "1/2", "a/b/c", "-1/0/0", "nan/0/0", "inf/0/0", "1/2/3/4"):
        with pytest.raises(PriceError, match="dollars a million"):
            Price.read(text)


def _rapl(place: Path, name: str, joules: float) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    (place / "name").write_text(name + "\n")
    (place / "max_energy_range_uj").write_text("1000000000\n")
    (place / "energy_uj").write_text(f"{joules * 1e6:.0f}\n")
    return place / "energy_uj"


def test_joules_are_shared_among_the_requests_under_way(tmp_path: Path) -> None:
    package = _rapl(tmp_path / "intel-rapl:0", "package-0", 990)
    memory = _rapl(tmp_path / "intel-rapl:0:1", "dram", 5)
    _rapl(tmp_path / "intel-rapl:0:0", "core", 1)  # within the package
    _rapl(tmp_path / "intel-rapl:1", "psys", 1)  # contains the package
    meter = find_meter(watts=50, powercap=tmp_path)
    assert meter is not None and meter.origin == "rapl"
    package.write_text("995000000")  # nobody asked: nobody's
    with closing(Books(open_database(str(tmp_path / "ledger")), meter=meter)) as kept:
        first = kept.admit(None, "chat", "nano", 1, 1)
        package.write_text("999000000")  # 4 J, all the first one's
        second = kept.admit(None, "chat", "nano", 1, 1)
        package.write_text("3000000")  # the counter began anew: 4 J, shared
        memory.write_text("7000000")  # 2 J, shared
        a = kept.settle(first, "done", TOOK)
        memory.write_text("8000000")
        b = kept.settle(second, "done", TOOK)
        assert a.joules == pytest.approx(7) and b.joules == pytest.approx(4) and a.joules_from == "rapl"
        package.unlink()
        gone = kept.settle(kept.admit(None, "chat", "nano", 1, 1), "done", TOOK)
        assert gone.joules is None and gone.joules_from is None
        (line,) = report.sums(kept.database, None)
        assert line.joules_measured == pytest.approx(11) and line.joules_modelled is None


def test_without_counters_joules_are_modelled_or_absent(tmp_path: Path) -> None:
    assert find_meter(powercap=tmp_path) is None
    meter = find_meter(watts=100, powercap=tmp_path)
    assert meter is not None
    with closing(Books(open_database(str(tmp_path / "ledger")), meter=meter)) as kept:
        entry = kept.admit(None, "chat", "nano", 1, 1)
        time.sleep(0.05)
        closed = kept.settle(entry, "done", TOOK)
        assert closed.joules is not None and closed.joules >= 4.9 and closed.joules_from == "modelled"
        (line,) = report.sums(kept.database, None)
        assert line.joules_modelled == closed.joules and line.joules_measured is None
