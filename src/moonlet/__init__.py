"""Own a Kimi-K2-class agent instead of renting one.

with moonlet.load("nano") as model:
    print(model.generate("What is the weather in Oslo?").content)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moonlet.local import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # `import moonlet` stays cheap: the engine is imported by whoever asks for it.
    if name == "load":
        from moonlet.local import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
