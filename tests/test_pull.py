"""Pulling a repository: shard by shard, verified, resumable; against a mirror on loopback."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tiny
from mirror import Mirror, digest
from moonlet.model.assemble import Shards, make_steps, room_needed
from moonlet.model.checkpoint import Checkpoint
from moonlet.model.convert import ConvertError, ConvertOptions, convert
from moonlet.model.hub import PullError
from moonlet.model.pull import pull
from moonlet.model.recipe import make_recipe

NAME = "owner/model"
SHARDS = [f"model-{i:05d}-of-00005.safetensors" for i in range(1, 6)]


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    tiny.write(tmp_path / "origin", "k2.5", "int4", shards=5)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with Mirror({NAME: tmp_path / "origin"}) as mirror:
        monkeypatch.setenv("HF_ENDPOINT", mirror.url)
        yield mirror


def weights(folder: Path) -> dict[str, str]:
    return {path.name: digest(path) for path in folder.glob("*.safetensors")}


def test_gives_what_a_conversion_gives(mirror: Mirror, tmp_path: Path) -> None:
    report = pull(NAME, tmp_path / "pulled")
    report.folder.verify_checksums()
    convert(tmp_path / "origin", tmp_path / "converted")
    assert weights(tmp_path / "pulled") == weights(tmp_path / "converted")
    assert report.folder.meta["source"] == {"name": NAME, "revision": mirror.commit}
    assert (tmp_path / "pulled" / "tiktoken.model").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["converted", "origin", "pulled"]
    assert [file for file in mirror.fetched() if file in SHARDS] == SHARDS


@pytest.mark.parametrize("dtype", ["bf16", "fp8"])
def test_a_single_file(mirror: Mirror, tmp_path: Path, dtype: str) -> None:
    tiny.write(tmp_path / "one", "v2-lite", dtype)
    mirror.repositories["owner/one"] = tmp_path / "one"
    pull("owner/one", tmp_path / "pulled")
    convert(tmp_path / "one", tmp_path / "converted")
    assert weights(tmp_path / "pulled") == weights(tmp_path / "converted")
    assert not (tmp_path / "pulled.source").exists()


def test_needs_one_shard_at_a_time(mirror: Mirror, tmp_path: Path) -> None:
    most = 0

    def look(done: int, total: int) -> None:
        nonlocal most
        most = max(most, len(list((tmp_path / "pulled.source").glob("*.safetensors"))))

    pull(NAME, tmp_path / "pulled", progress=look)
    assert 1 <= most <= 2  # two while an expert lies in both


def test_progress_counts_every_byte_once(mirror: Mirror, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    report = pull(NAME, tmp_path / "pulled", progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1]
    downloaded = sum((tmp_path / "origin" / shard).stat().st_size for shard in SHARDS)
    assert told[-1][1] == pytest.approx(2 * downloaded + 2 * report.bytes, rel=0.1)


def test_keep_leaves_the_whole_checkpoint(mirror: Mirror, tmp_path: Path) -> None:
    pull(NAME, tmp_path / "pulled", keep=True)
    kept = tmp_path / "pulled.source"
    assert sorted(p.name for p in kept.iterdir()) == sorted(p.name for p in (tmp_path / "origin").iterdir())
    for path in kept.iterdir():
        assert path.read_bytes() == (tmp_path / "origin" / path.name).read_bytes()


def test_pulled_already(mirror: Mirror, tmp_path: Path) -> None:
    first = pull(NAME, tmp_path / "pulled")
    mirror.log.clear()
    assert pull(NAME, tmp_path / "pulled") == first
    assert mirror.log == []
    with pytest.raises(ConvertError, match="holds another model or other number formats"):
        pull(NAME, tmp_path / "pulled", ConvertOptions(dense="int8"))


def test_lives_by_its_name_unless_told_otherwise(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path / "home"))
    assert pull(NAME).folder.path == tmp_path / "home" / "models" / "owner" / "model"
    assert pull(tmp_path / "origin").folder.path == tmp_path / "home" / "models" / "origin"
    with pytest.raises(PullError, match="is a model folder already"):
        pull(tmp_path / "home" / "models" / "origin")


def test_token_is_sent(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror.token = "hf_secret"
    with pytest.raises(PullError, match=r"^owner/model: there is no such repository, or it is private"):
        pull(NAME, tmp_path / "pulled")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pull(NAME, tmp_path / "pulled")


# ---- what goes wrong on the way -------------------------------------------------------------------------------------


def test_a_cut_connection_does_not_end_it(mirror: Mirror, tmp_path: Path) -> None:
    mirror.cut_off[SHARDS[2]] = (tmp_path / "origin" / SHARDS[2]).stat().st_size // 2
    pull(NAME, tmp_path / "pulled").folder.verify_checksums()
    assert mirror.fetched().count(SHARDS[2]) == 2


def test_wrong_bytes_are_noticed_and_only_they_are_fetched_again(mirror: Mirror, tmp_path: Path) -> None:
    good = (tmp_path / "origin" / SHARDS[3]).read_bytes()
    mirror.replaced[SHARDS[3]] = good[:-1] + bytes([good[-1] ^ 1])
    with pytest.raises(PullError, match=rf"^owner/model/{SHARDS[3]}: its sha256 differs from the hub's"):
        pull(NAME, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()
    mirror.replaced.clear()
    mirror.log.clear()
    pull(NAME, tmp_path / "pulled").folder.verify_checksums()
    again = [file for file in mirror.fetched() if file in SHARDS]
    assert SHARDS[0] not in again and again[-2:] == SHARDS[3:]


def test_an_unfinished_pull_goes_on_with_its_commit(mirror: Mirror, tmp_path: Path) -> None:
    mirror.replaced[SHARDS[4]] = b"?" * (tmp_path / "origin" / SHARDS[4]).stat().st_size
    with pytest.raises(PullError):
        pull(NAME, tmp_path / "pulled")
    mirror.replaced.clear()
    began_with, mirror.commit = mirror.commit, "f" * 40
    report = pull(NAME, tmp_path / "pulled")
    assert report.folder.meta["source"]["revision"] == began_with


_KILLED = """
import sys
from pathlib import Path
from moonlet.model import assemble
from moonlet.model.pull import pull
import huggingface_hub
assemble._SYNC_BYTES = 1
print("begun", flush=True)
pull(sys.argv[1], Path(sys.argv[2]))
"""


@pytest.mark.long
def test_killed_while_pulling(mirror: Mirror, tmp_path: Path) -> None:
    convert(tmp_path / "origin", tmp_path / "converted")
    moments = random.Random(1)
    for _ in range(4):
        command = [sys.executable, "-c", _KILLED, NAME, str(tmp_path / "pulled")]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline() == b"begun\n"
            time.sleep(moments.uniform(0.05, 0.8))
            process.kill()
        pull(NAME, tmp_path / "pulled").folder.verify_checksums()
        assert weights(tmp_path / "pulled") == weights(tmp_path / "converted")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["converted", "origin", "pulled"]
        shutil.rmtree(tmp_path / "pulled")


def test_what_a_killed_download_left_is_removed(mirror: Mirror, tmp_path: Path) -> None:
    torn = tmp_path / "pulled.source" / ".cache" / "huggingface" / "download" / "abc.incomplete"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(bytes(1000))
    pull(NAME, tmp_path / "pulled", keep=True)
    assert not torn.exists()


@pytest.mark.parametrize(
    "name", ["nowhere", "./no/such", "a/b/c", "../x/y", "owner/", "owner/ model", "", "~no/x", "x" * 5000]
)
def test_neither_folder_nor_repository(
    mirror: Mirror, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "origin")
    if not name:
        (tmp_path / "origin" / "config.json").unlink()  # "" is the folder one is in
    with pytest.raises(Exception) as error:
        pull(name, tmp_path / "pulled")
    assert "\n" not in str(error.value) and len(str(error.value)) > 20
    assert mirror.log == [] or name == ""


def test_unknown_repository(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(PullError, match=r"^owner/other: there is no such repository"):
        pull("owner/other", tmp_path / "pulled")


def test_hub_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens here
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(PullError, match=r"^owner/model: cannot be fetched from http://127") as error:
            pull(NAME, tmp_path / "pulled")
    assert "\n" not in str(error.value)


def test_repository_without_a_model(mirror: Mirror, tmp_path: Path) -> None:
    for file in (tmp_path / "origin").glob("*.safetensors*"):
        file.unlink()
    with pytest.raises(PullError, match=r"owner/model: holds no model\.safetensors\.index\.json and no model"):
        pull(NAME, tmp_path / "pulled")
    (tmp_path / "origin" / "config.json").unlink()
    with pytest.raises(PullError, match=r"owner/model: holds no config\.json"):
        pull(NAME, tmp_path / "pulled")


def test_index_of_a_repository_is_not_trusted(mirror: Mirror, tmp_path: Path) -> None:
    index = tmp_path / "origin" / "model.safetensors.index.json"
    good = index.read_text()
    index.write_text(good.replace(SHARDS[0], "../" + SHARDS[0]))
    with pytest.raises(Exception, match="is not the name of a safetensors file in this folder"):
        pull(NAME, tmp_path / "pulled")
    index.write_text(good)
    shutil.rmtree(tmp_path / "pulled.source")
    (tmp_path / "origin" / SHARDS[1]).unlink()
    with pytest.raises(PullError, match=rf"names {SHARDS[1]}, which the repository does not hold"):
        pull(NAME, tmp_path / "pulled")


def test_room_for_the_result_and_the_shards_held_at_once(mirror: Mirror, tmp_path: Path) -> None:
    with Checkpoint(tmp_path / "origin") as checkpoint:
        recipe = make_recipe(checkpoint, "bf16", None)
        steps = make_steps(checkpoint, recipe.parts, ())
        sizes = {shard: (tmp_path / "origin" / shard).stat().st_size for shard in SHARDS}

        def room(stay: bool) -> int:
            return room_needed(recipe, tmp_path / "pulled.part", steps, Shards(print, print, sizes, stay)) - recipe.size

        assert room(stay=True) == sum(sizes.values())
        assert max(sizes.values()) <= room(stay=False) <= 2 * max(sizes.values())


def test_no_room(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil._ntuple_diskusage(0, 0, 400_000)
    monkeypatch.setattr("moonlet.model.convert.shutil.disk_usage", lambda path: free)
    with pytest.raises(ConvertError, match="make room or choose another place"):
        pull(NAME, tmp_path / "pulled")
    assert not [file for file in mirror.fetched() if file in SHARDS]
    assert not (tmp_path / "pulled.journal").exists() and not (tmp_path / "pulled.part").exists()


def test_the_mirror_is_what_the_client_believes(mirror: Mirror, tmp_path: Path) -> None:
    """The mirror in these tests against the client alone, so that they test our code and not a misunderstanding."""
    from huggingface_hub import HfApi, hf_hub_download

    info = HfApi(endpoint=mirror.url).model_info(NAME, files_metadata=True)
    assert info.sha == mirror.commit and info.siblings is not None
    assert {s.rfilename for s in info.siblings} == set(os.listdir(tmp_path / "origin"))
    path = hf_hub_download(NAME, "config.json", endpoint=mirror.url, local_dir=tmp_path / "there")
    assert json.loads(Path(path).read_text()) == json.loads((tmp_path / "origin" / "config.json").read_text())
