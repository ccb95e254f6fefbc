"""Each peer in an environment of its own, at the version written here. What does not install is said, not raised."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers.task import here

PLACE = here() / "build" / "peers"


@dataclass(frozen=True)
class Environment:
    name: str
    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()  # those installed without what they ask for
    flags: tuple[str, ...] = ()  # of pip
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        return PLACE / self.name / "bin" / "python"

    @property
    def stamp(self) -> Path:
        """Holds what was installed; another wish here, and it is installed anew."""
        return PLACE / self.name / "installed"

    def wish(self) -> str:
        return "\n".join([*self.packages, *self.alone, *self.flags, *(f"{k}={v}" for k, v in self.variables.items())])

    def install(self) -> str:
        """Makes it unless it is there. Empty when it is there then, else why not; pip's output is kept beside."""
        if self.stamp.exists() and self.stamp.read_text() == self.wish():
            return ""
        log = PLACE / f"{self.name}.log"
        PLACE.mkdir(parents=True, exist_ok=True)
        pip = [self.python, "-m", "pip", "install", *self.flags]
        commands = [[sys.executable, "-m", "venv", "--clear", PLACE / self.name], [*pip, *self.packages]]
        commands += [[*pip, "--no-deps", *self.alone]] if self.alone else []
        with log.open("w") as out:
            for command in commands:
                if subprocess.call(command, stdout=out, stderr=out, env=os.environ | self.variables):
                    last = [line for line in log.read_text().splitlines() if line.strip()][-1:]
                    return f"does not install: {' '.join(last)[:160]} ({log.relative_to(here())})"
        self.stamp.write_text(self.wish())
        return ""


GGUF = Environment("gguf", ("numpy==2.4.6", "gguf==0.19.0"))
# Built here, for this processor; without LLAVA_BUILD=OFF it would build the parts for images as well.
LLAMA_CPP = Environment(
    "llama.cpp",
    ("llama-cpp-python==0.3.36",),
    flags=("--no-binary", "llama-cpp-python"),
    variables={"CMAKE_ARGS": "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF"},
)
TRANSFORMERS = Environment("transformers", ("torch==2.13.0", "transformers==5.24.0", "numpy==2.4.6"))
# It asks for an older torch; its kernels use torch for the addresses of numbers only.
KT_KERNEL = Environment(
    "kt-kernel",
    ("torch==2.13.0", "numpy==2.4.6", "gguf==0.19.0", "safetensors==0.8.0"),
    alone=("kt-kernel==0.7.2",),
)
