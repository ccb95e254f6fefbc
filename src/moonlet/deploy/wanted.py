"""What is to be deployed, and the words that all manifests share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from moonlet.fleet.launch import UNTOLD, Kind, Shape, command

PORT = 8000  # of engines and fronts, each on a machine or in a container of its own
IMAGES: Mapping[Kind, str] = {
    "vllm": "vllm/vllm-openai:v0.33.0",
    "sglang": "lmsysorg/sglang:v0.5.23",
}
LEDGER_IMAGE = "postgres:17.6"
LEDGER = "postgresql://moonlet@ledger/moonlet"  # its password is PGPASSWORD: in a URL many signs would mean something
# Over TCP: the server that initdb starts for itself listens on a socket alone, and is not the one to wait for.
LEDGER_READY = ("pg_isready", "-h", "127.0.0.1", "-U", "moonlet")
FRONTS = 2  # one may be stopped
ENGINE_KEY = "MOONLET_ENGINE_KEY"  # the variable with what fronts show to engines
STOP_S = 60  # for replies under way
LOAD_S = 3600  # for weights on their way into cards


class DeployError(Exception):
    """A plan that this kind of manifest cannot say."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model's engines and the fronts before them."""

    model: str  # as the plan calls it
    shape: Shape
    kind: Kind
    image: str  # of moonlet, which its owner builds
    folder: str  # of the machines, with the checkpoint below it
    price: str | None = None

    @property
    def name(self) -> str:
        """To clients, and of the checkpoint's folder."""
        return self.model.rpartition("/")[2]

    @property
    def environment(self) -> Mapping[str, str]:
        """Of an engine: it fetches nothing, and tells nobody what it does."""
        return {"HF_HUB_OFFLINE": "1", **(UNTOLD if self.kind == "vllm" else {})}

    @property
    def key(self) -> str:
        """The variable with the key that an engine's server wants. vLLM reads its own: an argument would be seen by
        every user of the machine. SGLang has a flag alone."""
        return "VLLM_API_KEY" if self.kind == "vllm" else ENGINE_KEY

    def engine(self, key: str, node: str = "0", leader: str = "", folder: str = "/models") -> list[str]:
        """The words that start an engine's server on one of its machines. `key`: what fronts must show; without one it
        listens on its own machine only."""
        host = "0.0.0.0" if key else "127.0.0.1"
        words = command(self.kind, f"{folder}/{self.name}", self.name, self.shape, host, str(PORT), node, leader)
        words += ["--api-key", key] if key and self.kind == "sglang" else []
        return ["python3", *words[1:]] if self.kind == "sglang" else words

    def front(self, hosts: list[str], key: bool = True, port: int = PORT) -> list[str]:
        """The words after `moonlet` that start a front before engines on these hosts, which want a `key` or not."""
        words = ["serve", self.name, "--host", "0.0.0.0", "--port", str(port)]
        for host in hosts:
            words += ["--engine", f"http://{host}:{PORT}/v1{f',key={ENGINE_KEY}' if key else ''}"]
        return [*words, *(["--price", self.price] if self.price else [])]
