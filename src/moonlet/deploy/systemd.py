"""Machines without containers: systemd units, one for an engine's server on each of its machines, one for a front."""

from __future__ import annotations

from moonlet.deploy.wanted import ENGINE_KEY, PORT, STOP_S, Wanted

_SAFE = """\
DynamicUser=yes
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
LockPersonality=yes
"""

_ENGINE = """\
# {name} in {kind}{where}.{node}
[Unit]
Description={kind} with {name}
After=network-online.target
Wants=network-online.target

[Service]
{environment}
ExecStart={command}
Restart=always
RestartSec=5
TimeoutStopSec={stop}
CacheDirectory=moonlet-engine
Environment=HOME=%C/moonlet-engine
LimitMEMLOCK=infinity
{safe}
[Install]
WantedBy=multi-user.target
"""

_FRONT = """\
# moonlet before {engines}. /etc/moonlet/front.env, which only root may read, holds
#   MOONLET_LEDGER=postgresql://moonlet@HOST/moonlet
#   PGPASSWORD=, the ledger's{key}
# A first key: systemd-run --pipe --property=EnvironmentFile=/etc/moonlet/front.env moonlet keys add NAME
[Unit]
Description=moonlet with {name}
After=network-online.target
Wants=network-online.target

[Service]
EnvironmentFile=/etc/moonlet/front.env
StateDirectory=moonlet
Environment=MOONLET_HOME=%S/moonlet
ExecStart={command}
Restart=always
RestartSec=2
TimeoutStopSec={stop}
KillSignal=SIGINT
PrivateDevices=yes
CapabilityBoundingSet=
{safe}
[Install]
WantedBy=multi-user.target
"""


_NODE = """
# /etc/moonlet/node.env, which only root may read, holds {key}=, anything long."""
_NODES = f"""{_NODE}
# It holds MOONLET_LEADER= too, the address of an engine's first machine. There moonlet-engine runs, on the others
# moonlet-engine@1, @2..."""


def files(wanted: Wanted) -> dict[str, str]:
    """The units by their names. One engine on one machine has its front beside it, and nobody else."""
    shape = wanted.shape
    alone, several = shape.nodes == shape.replicas == 1, shape.nodes > 1
    hosts = ["127.0.0.1"] if alone else [f"engine{number}" for number in range(shape.replicas)]
    environment = [f"Environment={name}={value}" for name, value in wanted.environment.items()]
    environment += [] if alone else ["EnvironmentFile=/etc/moonlet/node.env"]
    common = {"name": wanted.name, "kind": wanted.kind, "stop": STOP_S, "safe": _SAFE}
    key = "" if alone else f"${{{ENGINE_KEY}}}"
    found = {}
    for number, unit in (("0", "moonlet-engine.service"), ("%i", "moonlet-engine@.service"))[: 1 + several]:
        found[unit] = _ENGINE.format(
            where=f", on {shape.nodes} machines" if several else "",
            node=(_NODES if several else "" if alone else _NODE).format(key=wanted.key),
            environment="\n".join(environment),
            command=_line(wanted.engine(key, number, "${MOONLET_LEADER}", wanted.folder)),
            **common,
        )
    front = wanted.front(hosts, key=not alone, port=8080 if alone else PORT)
    found["moonlet-front.service"] = _FRONT.format(
        engines=", ".join(hosts),
        key="" if alone else f"\n#   {ENGINE_KEY}=, what {wanted.key} is on the engines' machines",
        command=_line(["moonlet", *front]),
        **common,
    )
    return found


def _line(words: list[str]) -> str:
    """As systemd reads it: a program by its path, and a line for each flag with its value."""
    return " ".join(["/usr/bin/env", *words]).replace(" --", " \\\n    --")
