"""One machine with cards: docker compose."""

from __future__ import annotations

from typing import Any

from moonlet.deploy.wanted import (
    ENGINE_KEY,
    IMAGES,
    LEDGER,
    LEDGER_IMAGE,
    LEDGER_READY,
    LOAD_S,
    PORT,
    STOP_S,
    DeployError,
    Wanted,
)

_HEAD = """\
# {name} in {kind}, with moonlet before it, on one machine.
#   1. LEDGER_PASSWORD=... and {key}=... (anything long) in a file .env beside this one; the checkpoint in
#      {folder}/{name}
#   2. docker compose run --rm front keys add NAME      (a front for others does not start without a key)
#   3. docker compose up -d
# The front listens on this machine only. Put TLS before it, or give it --cert and --key-file and another address.
"""


def files(wanted: Wanted) -> dict[str, Any]:
    """The file by its name: its first lines, and the document. Raises DeployError."""
    machines = wanted.shape.nodes * wanted.shape.replicas
    if machines > 1:
        raise DeployError(f"{wanted.model} takes {machines} machines, and compose is for one")
    password, key = (f"${{{name}:?set it in .env}}" for name in ("LEDGER_PASSWORD", ENGINE_KEY))
    document = {
        "name": "moonlet",
        "services": {
            "ledger": {
                "image": LEDGER_IMAGE,
                "environment": {
                    "POSTGRES_USER": "moonlet",
                    "POSTGRES_DB": "moonlet",
                    "POSTGRES_PASSWORD": password,
                },
                "volumes": ["ledger:/var/lib/postgresql/data"],
                "networks": ["inside"],
                "healthcheck": {"test": ["CMD", *LEDGER_READY], "interval": "5s", "retries": 12},
                "restart": "unless-stopped",
            },
            "engine": {
                "image": IMAGES[wanted.kind],
                "entrypoint": [],
                "command": wanted.engine(key),
                "environment": {**wanted.environment, wanted.key: key},
                "volumes": [f"{wanted.folder}:/models:ro"],
                "networks": ["inside"],
                "shm_size": "16gb",
                "stop_grace_period": f"{STOP_S}s",
                "deploy": {
                    "resources": {
                        "reservations": {
                            "devices": [{"driver": "nvidia", "count": wanted.shape.cards, "capabilities": ["gpu"]}]
                        }
                    }
                },
                "healthcheck": _probe("python3") | {"start_period": f"{LOAD_S}s"},
                "restart": "unless-stopped",
            },
            "front": {
                "image": wanted.image,
                "command": wanted.front(["engine"]),
                "environment": {
                    "MOONLET_LEDGER": LEDGER,
                    "PGPASSWORD": password,
                    "MOONLET_HOME": "/tmp/moonlet",
                    ENGINE_KEY: key,
                },
                "networks": ["inside", "outside"],
                "ports": [f"127.0.0.1:{PORT}:{PORT}"],
                "depends_on": {"ledger": {"condition": "service_healthy"}},
                "read_only": True,
                "tmpfs": ["/tmp"],
                "cap_drop": ["ALL"],
                "security_opt": ["no-new-privileges:true"],
                "stop_grace_period": f"{STOP_S}s",
                "healthcheck": _probe("python"),
                "restart": "unless-stopped",
            },
        },
        "networks": {"inside": {"internal": True}, "outside": {}},
        "volumes": {"ledger": {}},
    }
    head = _HEAD.format(name=wanted.name, kind=wanted.kind, folder=wanted.folder, key=ENGINE_KEY)
    return {"compose.yaml": (head, [document])}


def _probe(python: str) -> dict[str, Any]:
    ask = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{PORT}/health', timeout=4)"
    return {"test": ["CMD", python, "-c", ask], "interval": "10s", "timeout": "5s", "retries": 3}
