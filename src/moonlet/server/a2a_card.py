"""The agent's card: what it says of itself, and its signature."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentExtension,
    AgentInterface,
    AgentSkill,
    HTTPAuthSecurityScheme,
    SecurityRequirement,
    SecurityScheme,
    StringList,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from moonlet.chat.messages import ToolSpec
from moonlet.tools.a2a import USAGE

PATH = "/a2a"
CARD_PATH = "/.well-known/agent-card.json"
KEYS_PATH = "/.well-known/jwks.json"
MODES = ("text/plain", "application/json")


class SigningKeyError(Exception):
    """The key that cards are signed with cannot be read or made."""


@dataclass(frozen=True, slots=True)
class Face:
    """What callers are told of the agent."""

    url: str  # of this server, as callers reach it, without a path
    name: str
    description: str
    version: str = "0.1.0"
    skills: tuple[AgentSkill, ...] = ()
    keys_needed: bool = False
    modes: tuple[str, ...] = MODES  # media types that it takes; */* is any
    grpc: str = ""  # host:port, as callers reach it over gRPC; none: they cannot


def make_card(face: Face, tools: Sequence[ToolSpec] = ()) -> AgentCard:
    """The card; with `tools` the one for callers with a key, who are told which tools the agent has."""
    url = face.url.rstrip("/") + PATH
    task = AgentSkill(id="task", name="Tasks", description=face.description, tags=["task"])
    has = [AgentSkill(id=tool.name, name=tool.name, description=tool.description, tags=["tool"]) for tool in tools]
    card = AgentCard(
        name=face.name,
        description=face.description,
        version=face.version,
        supported_interfaces=[
            AgentInterface(url=place, protocol_binding=binding, protocol_version=version)
            for version in ("1.0", "0.3")
            for binding, place in (("JSONRPC", url), ("HTTP+JSON", url), ("GRPC", face.grpc))
            if place
        ],
        capabilities=AgentCapabilities(
            streaming=True,
            push_notifications=True,
            extended_agent_card=face.keys_needed,
            extensions=[AgentExtension(uri=USAGE, description="What a task took, in its metadata")],
        ),
        default_input_modes=face.modes,
        default_output_modes=["text/plain"],
        skills=[*(face.skills or [task]), *has],
    )
    if face.keys_needed:
        scheme = HTTPAuthSecurityScheme(scheme="bearer", description="A key of this server")
        card.security_schemes["key"].CopyFrom(SecurityScheme(http_auth_security_scheme=scheme))
        card.security_requirements.append(SecurityRequirement(schemes={"key": StringList()}))
    return card


class Signer:
    """Signs cards with a P-256 key (ES256); its public half is served as a JSON Web Key Set."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        numbers = key.public_key().public_numbers()
        self._public = {"crv": "P-256", "kty": "EC", "x": _base64(numbers.x), "y": _base64(numbers.y)}
        # RFC 7638: the thumbprint of the required members, in their order, without spaces.
        digest = hashlib.sha256(json.dumps(self._public, sort_keys=True, separators=(",", ":")).encode()).digest()
        self.key_id = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    @staticmethod
    def open(path: Path) -> Signer:
        """The key in a PEM file; where there is no file, a new key is made, for its owner alone. Raises
        SigningKeyError."""
        try:
            if not path.exists():
                _write_new(path)
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except OSError as error:
            raise SigningKeyError(f"{path}: {error.strerror}") from None
        except (ValueError, TypeError):
            raise SigningKeyError(f"{path}: not a private key in PEM without a passphrase") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise SigningKeyError(f"{path}: cards are signed with an EC key on P-256 (prime256v1)")
        return Signer(key)

    def sign(self, card: AgentCard, url: str) -> AgentCard:
        """The card with a signature that names where its key is published."""
        from a2a.utils.signing import create_agent_card_signer  # needs PyJWT, which only signing does

        signed = AgentCard()
        signed.CopyFrom(card)
        where = url.rstrip("/") + KEYS_PATH
        head = {"kid": self.key_id, "alg": "ES256", "jku": where, "typ": "JOSE"}
        return create_agent_card_signer(self.private_pem(), head)(signed)  # type: ignore[arg-type]

    def private_pem(self) -> bytes:
        """The key as it is kept in its file."""
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return self._key.private_bytes(serialization.Encoding.PEM, form, plain)

    def key_set(self) -> Mapping[str, Any]:
        """The JSON Web Key Set with the public key."""
        return {"keys": [{**self._public, "kid": self.key_id, "alg": "ES256", "use": "sig"}]}


def _write_new(path: Path) -> None:
    pem = Signer(ec.generate_private_key(ec.SECP256R1())).private_pem()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    os.rename(beside, path)


def _base64(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
