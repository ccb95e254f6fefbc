"""A cluster: Kubernetes.

An engine on several machines is a group of a LeaderWorkerSet, on one a StatefulSet's pod; either way each has a name of
its own, so that fronts can send a conversation where its cache is.
"""

from __future__ import annotations

from typing import Any

from moonlet.deploy.wanted import (
    ENGINE_KEY,
    FRONTS,
    IMAGES,
    LEDGER,
    LEDGER_IMAGE,
    LEDGER_READY,
    LOAD_S,
    PORT,
    STOP_S,
    Wanted,
)

Object = dict[str, Any]

_HEAD = """\
# {name} in {kind}: {replicas} engines of {nodes} machines with {cards} cards each, {fronts} fronts, one ledger.
#   1. kubectl create namespace moonlet
#   2. kubectl -n moonlet create secret generic ledger --from-literal=password=...
#      kubectl -n moonlet create secret generic engine --from-literal=key=...       (anything long)
#   3. a volume claim `models` that many pods can read, with the checkpoint in /{name}{lws}
#   4. kubectl -n moonlet apply -f kubernetes.yaml
#   5. a first key, without which no front starts: kubectl -n moonlet port-forward svc/ledger 5432, and beside it
#      PGPASSWORD=... MOONLET_LEDGER=postgresql://moonlet@127.0.0.1/moonlet moonlet keys add NAME
# Fronts answer inside the cluster, at http://front.moonlet:{port}; give them an Ingress with TLS.
"""
_LWS = "\n#      and LeaderWorkerSet (leaderworkerset.x-k8s.io/v1), which the cluster must have"


def files(wanted: Wanted) -> dict[str, Any]:
    """The file by its name: its first lines, and the documents."""
    shape = wanted.shape
    head = _HEAD.format(
        name=wanted.name, kind=wanted.kind, replicas=shape.replicas, nodes=shape.nodes, cards=shape.cards,
        fronts=FRONTS, port=PORT, lws=_LWS if shape.nodes > 1 else "",
    )  # fmt: skip
    engines = [_group(wanted)] if shape.nodes > 1 else [_service("engine", headless=True), _single(wanted)]
    documents = [*_ledger(), *engines, _service("front"), _front(wanted), _front_stays(), *_policies()]
    return {"kubernetes.yaml": (head, documents)}


def _object(kind: str, name: str, api: str, spec: Object) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def _service(name: str, headless: bool = False, port: int = PORT) -> Object:
    spec: Object = {"selector": {"app": name}, "ports": [{"name": name, "port": port}]}
    return _object("Service", name, "v1", ({"clusterIP": "None"} if headless else {}) | spec)


# ---- engines ----


def _engine_pod(wanted: Wanted, node: str, answers: bool) -> Object:
    probe = {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 10, "timeoutSeconds": 5}
    probes = {
        "startupProbe": probe | {"failureThreshold": LOAD_S // 10},
        "livenessProbe": probe | {"failureThreshold": 6},
        "readinessProbe": probe | {"failureThreshold": 2},
    }
    container = {
        "name": "engine",
        "image": IMAGES[wanted.kind],
        "command": wanted.engine(f"$({ENGINE_KEY})", node, "$(LWS_LEADER_ADDRESS)"),
        "env": [
            *({"name": name, "value": value} for name, value in wanted.environment.items()),
            _engine_key(wanted.key),
        ],
        "ports": [{"containerPort": PORT}] if answers else [],
        "resources": {"limits": {"nvidia.com/gpu": str(wanted.shape.cards)}},
        "volumeMounts": [
            {"name": "models", "mountPath": "/models", "readOnly": True},
            {"name": "shm", "mountPath": "/dev/shm"},
        ],
        "securityContext": {"allowPrivilegeEscalation": False},
        **(probes if answers else {}),
    }
    return {
        "metadata": {"labels": {"app": "engine"}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": STOP_S,
            "containers": [container],
            "volumes": [
                {"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}},
            ],
        },
    }


def _single(wanted: Wanted) -> Object:
    spec = {
        "serviceName": "engine",
        "replicas": wanted.shape.replicas,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"app": "engine"}},
        "template": _engine_pod(wanted, "0", answers=True),
    }
    return _object("StatefulSet", "engine", "apps/v1", spec)


def _group(wanted: Wanted) -> Object:
    """Its controller makes the service without an address by which the leaders are found."""
    template = {
        "size": wanted.shape.nodes,
        "restartPolicy": "RecreateGroupOnPodRestart",
        "leaderTemplate": _engine_pod(wanted, "0", answers=True),
        "workerTemplate": _engine_pod(wanted, "$(LWS_WORKER_INDEX)", answers=False),
    }
    spec = {"replicas": wanted.shape.replicas, "startupPolicy": "LeaderCreated", "leaderWorkerTemplate": template}
    return _object("LeaderWorkerSet", "engine", "leaderworkerset.x-k8s.io/v1", spec)


# ---- fronts and the ledger ----


def _password(name: str) -> Object:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": "ledger", "key": "password"}}}


def _engine_key(name: str) -> Object:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": "engine", "key": "key"}}}


def _locked(user: int) -> tuple[Object, Object]:
    """The least that a pod and its container need to be allowed."""
    pod = {"runAsNonRoot": True, "runAsUser": user, "fsGroup": user, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    return pod, container


def _front(wanted: Wanted) -> Object:
    hosts = [f"engine-{number}.engine" for number in range(wanted.shape.replicas)]
    pod, locked = _locked(1000)
    probe = {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 5, "timeoutSeconds": 4}
    container = {
        "name": "front",
        "image": wanted.image,
        "args": wanted.front(hosts),
        "env": [
            _password("PGPASSWORD"),
            _engine_key(ENGINE_KEY),
            {"name": "MOONLET_LEDGER", "value": LEDGER},
            {"name": "MOONLET_HOME", "value": "/tmp/moonlet"},
        ],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": probe,
        # While no engine answers /health says so, and starting the front anew would not help.
        "livenessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 10},
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "securityContext": locked,
    }
    template = {
        "metadata": {"labels": {"app": "front"}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": STOP_S,
            "securityContext": pod,
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }
    spec = {"replicas": FRONTS, "selector": {"matchLabels": {"app": "front"}}, "template": template}
    return _object("Deployment", "front", "apps/v1", spec)


def _front_stays() -> Object:
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "front"}}}
    return _object("PodDisruptionBudget", "front", "policy/v1", spec)


def _ledger() -> list[Object]:
    pod, locked = _locked(999)
    container = {
        "name": "ledger",
        "image": LEDGER_IMAGE,
        "env": [
            {"name": "POSTGRES_USER", "value": "moonlet"},
            {"name": "POSTGRES_DB", "value": "moonlet"},
            {"name": "PGDATA", "value": "/data/ledger"},
            _password("POSTGRES_PASSWORD"),
        ],
        "ports": [{"containerPort": 5432}],
        "readinessProbe": {"exec": {"command": list(LEDGER_READY)}, "periodSeconds": 5},
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "run", "mountPath": "/var/run/postgresql"},
            {"name": "run", "mountPath": "/tmp"},
        ],
        "securityContext": locked,
    }
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}},
    }
    spec = {
        "serviceName": "ledger",
        "replicas": 1,
        "selector": {"matchLabels": {"app": "ledger"}},
        "template": {
            "metadata": {"labels": {"app": "ledger"}},
            "spec": {
                "automountServiceAccountToken": False,
                "securityContext": pod,
                "containers": [container],
                "volumes": [{"name": "run", "emptyDir": {}}],
            },
        },
        "volumeClaimTemplates": [claim],
    }
    return [_service("ledger", port=5432), _object("StatefulSet", "ledger", "apps/v1", spec)]


# ---- who may speak to whom ----


def _policies() -> list[Object]:
    front = {"podSelector": {"matchLabels": {"app": "front"}}}
    engine = {"podSelector": {"matchLabels": {"app": "engine"}}}
    # The machines of one engine speak to one another on ports that they choose.
    to_engine: list[Object] = [{"from": [front], "ports": [{"port": PORT}]}, {"from": [engine]}]
    return [
        _policy("engine", to_engine, [{"to": [engine]}, _names()]),  # weights lie in a volume: nothing goes out
        _policy("ledger", [{"from": [front], "ports": [{"port": 5432}]}], []),
        _policy("front", [{"ports": [{"port": PORT}]}], None),
    ]


def _names() -> Object:
    return {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}


def _policy(app: str, ingress: list[Object], egress: list[Object] | None) -> Object:
    spec: Object = {"podSelector": {"matchLabels": {"app": app}}, "policyTypes": ["Ingress"], "ingress": ingress}
    if egress is not None:
        spec |= {"policyTypes": ["Ingress", "Egress"], "egress": egress}
    return _object("NetworkPolicy", app, "networking.k8s.io/v1", spec)
