"""Whatever a client sends, it is answered, and never with a fault of ours. `bench/fuzz.py` sends much more."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

import moonlet
import speaking
from malformed import BASES, malformed
from moonlet.local import Local
from serving import serving


class Brief:
    """A model whose replies are a few tokens, so that many requests take little time."""

    def __init__(self, model: Local) -> None:
        self._model, self.name = model, model.name

    def reply(self, messages: Any, tools: Any, options: Any) -> Any:
        return self._model.reply(messages, tools, replace(options, max_tokens=min(options.max_tokens or 60, 60)))

    def complete(self, prompt: Any, options: Any) -> Any:
        return self._model.complete(prompt, replace(options, max_tokens=min(options.max_tokens or 60, 60)))

    def count(self, *asked: Any) -> int:
        return self._model.count(*asked)


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brief]:
    folder = tmp_path_factory.mktemp("checkpoint")
    speaking.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOONLET_HOME", str(tmp_path_factory.mktemp("home")))
        with moonlet.load(folder, threads=1, cache_tokens=4096) as loaded:
            yield Brief(loaded)


@pytest.mark.long
def test_malformed_bodies_are_answered_and_never_by_a_fault_of_ours(brief: Brief) -> None:
    statuses: dict[int, int] = {}
    with serving(brief) as url, httpx.Client(base_url=url.removesuffix("/v1"), timeout=20) as client:
        for path, body in malformed(120, brief.name):
            answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code < 500, (path, body[:3000], answer.text[:500])
            assert '"server_error"' not in answer.text and '"api_error"' not in answer.text, (path, body, answer.text)
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        assert client.get("/health").json() == {"status": "ok"}
    assert statuses.get(400, 0) > 20 and statuses.get(200, 0) > 8, statuses


@pytest.mark.parametrize("path", BASES)
def test_the_bodies_that_are_changed_were_right(brief: Brief, path: str) -> None:
    body = json.loads(json.dumps(BASES[path]).replace("MODEL", brief.name))
    with serving(brief) as url:
        answer = httpx.post(url.removesuffix("/v1") + path, json=body, timeout=20)
    assert answer.status_code == 200, answer.text


def test_halves_of_surrogate_pairs_and_numbers_beyond_all_bounds(brief: Brief) -> None:
    with serving(brief) as url:
        for said in ('"\\ud800 x"', '"\\udfff"'):
            body = f'{{"model": "{brief.name}", "max_tokens": 2, "messages": [{{"role": "user", "content": {said}}}]}}'
            for path in ("chat/completions", "messages"):
                headers = {"Content-Type": "application/json"}
                assert httpx.post(f"{url}/{path}", content=body, headers=headers).status_code == 200
        body = f'{{"model": "{brief.name}", "input": "x", "max_output_tokens": 2, "metadata": {{"a": 1e999}}}}'
        answer = httpx.post(f"{url}/responses", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400 and "1e999" in answer.text
