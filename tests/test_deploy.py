"""Manifests: what they say is checked against schemas where there are some, and against the plan."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from moonlet.cli import main
from moonlet.fleet.launch import shown

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


def test_no_manifest_holds_a_secret_and_only_fronts_are_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = documents(printed(tmp_path, capsys, TWO))
    assert shown(_group(found, "leader")["command"])["--api-key"] == "$(MOONLET_ENGINE_KEY)"
    password = next(e for e in _container(found["StatefulSet", "ledger"])["env"] if e["name"] == "POSTGRES_PASSWORD")
    assert password["valueFrom"]["secretKeyRef"] == {"name": "ledger", "key": "password"}
    policies = {name: one["spec"] for (kind, name), one in found.items() if kind == "NetworkPolicy"}
    assert set(policies) == {"engine", "ledger", "front"}
    assert policies["ledger"]["ingress"][0]["from"] == [{"podSelector": {"matchLabels": {"app": "front"}}}]
    assert policies["ledger"]["egress"] == []
    for kind, name in (("Deployment", "front"), ("StatefulSet", "ledger")):
        locked = _container(found[kind, name])["securityContext"]
        assert locked["readOnlyRootFilesystem"] and locked["capabilities"] == {"drop": ["ALL"]}


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
    assert _compose_config(tmp_path, text) is None


def _compose_config(tmp_path: Path, text: str) -> str | None:
    """What docker compose finds wrong, where it is installed; it asks no engine."""
    if shutil.which("docker") is None:
        return None
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        return None
    (tmp_path / "compose.yaml").write_text(text)
    (tmp_path / ".env").write_text("LEDGER_PASSWORD=x\nMOONLET_ENGINE_KEY=y\n")
    done = subprocess.run(["docker", "compose", "config", "-q"], cwd=tmp_path, capture_output=True, text=True)
    return done.stderr if done.returncode else None


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
    assert ("--host 127.0.0.1" in engine) == ("--api-key" not in engine) == (cluster is ONE)  # no key, no neighbours
    assert "--tensor-parallel-size 8" in engine and ("MOONLET_LEADER" in engine) == (cluster is TWO)
    if shutil.which("systemd-analyze"):
        paths = [str(file).replace("@.", "@1.") for file in written]
        for file, path in zip(written, paths):
            file.rename(path)
        done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True)
        told = [line for line in done.stderr.splitlines() if "moonlet-" in line]
        assert not told, told


@pytest.mark.parametrize(
    ("cluster", "words", "told"),
    [
        (TWO, ["--print", "--to", "compose"], "takes 2 machines"),
        (None, ["--print"], "has no cards"),
        (ONE, ["--print", "--models", "here"], "--models here"),
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
