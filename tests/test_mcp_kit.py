"""The official conformance kit and the reference servers. Minutes, and npm: only with `-m slow`."""

import shutil

import pytest
from bench import conformance, reference_servers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


@pytest.fixture(autouse=True)
def node() -> None:
    if shutil.which("npm") is None and not (conformance.PLACE / "node_modules").exists():
        pytest.skip("npm is not installed, so the kit cannot be")


@pytest.mark.parametrize("revision", conformance.REVISIONS)
@pytest.mark.parametrize("leg", ["client", "server"])
def test_every_scored_scenario_passes(leg: str, revision: str) -> None:
    results = conformance.run(leg, revision)
    assert len(results) > 10
    assert [name for name, passed, _ in results if not passed] == []


def test_six_servers_that_are_not_ours_in_one_run() -> None:
    assert reference_servers.main() == 0
