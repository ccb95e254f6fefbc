"""What the page hears of an agent at work: the agent's events as JSON, one frame each."""

from __future__ import annotations

import base64
import codecs
from dataclasses import asdict
from typing import Any

import numpy as np

from moonlet.agent import CallResult, CallStarted, Ended, Event, Notice, Progress, Ruling
from moonlet.chat.messages import CallArguments, CallEnd, CallStart, Text, Thinking
from moonlet.ledger.keys import NANO
from moonlet.ledger.money import Price
from moonlet.llm import Done, Look, Usage

Frame = dict[str, Any]


class Frames:
    """Translates the events of one run."""

    def __init__(self, price: Price | None) -> None:
        self._price = price
        # Pieces of tokens may be parts of characters: a character is shown with the token that ends it.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def of(self, event: Event) -> Frame | None:
        """The frame of an event; None for what the page does not show."""
        match event:
            case Text(text):
                return {"type": "text", "text": text}
            case Thinking(text):
                return {"type": "thinking", "text": text}
            case CallStart(index, id, name):
                return {"type": "call", "index": index, "id": id, "name": name}
            case CallArguments(index, text):
                return {"type": "arguments", "index": index, "text": text}
            case CallEnd(index, call):
                return {"type": "called", "index": index, "id": call.id, "name": call.name, "arguments": call.arguments}
            case CallStarted(index, _, changes):
                return {"type": "started", "index": index, "changes": changes}
            case Progress(call, text):
                return {"type": "progress", "id": call.id, "text": text}
            case Ruling(index, _, allowed, by):
                return {"type": "ruling", "index": index, "allowed": allowed, "by": by}
            case CallResult():
                told = {"index": event.index, "id": event.call.id, "name": event.call.name, "text": event.text}
                return {"type": "result", **told, "failed": event.failed, "seconds": event.seconds}
            case Notice(text):
                return {"type": "notice", "text": text}
            case Look():
                return {"type": "look", **self._look(event)}
            case Done(_, finish, usage):
                return {"type": "reply", "finish": finish, "usage": self._usage(usage)}
            case Ended(reason, _, spent):
                return {"type": "ended", "reason": reason, "spent": asdict(spent)}
        return None

    def _usage(self, usage: Usage) -> Frame:
        told = asdict(usage)
        told["tokens_per_s"] = usage.tokens_per_s
        use = usage.experts
        told["experts"] = {"share": use.share, "chosen": use.chosen, "of": use.of} if use else None
        price = self._price
        nano = price.nano_usd(usage.prompt_tokens, usage.cached_tokens, usage.output_tokens) if price else None
        return {**told, "usd": None if nano is None else nano / NANO}

    def _look(self, look: Look) -> Frame:
        """Of the reply's tokens everything; of the prompt's, which are many, how often each expert was chosen.

        Arrays are base64 of little-endian numbers: `experts` u16, `weights` u8 (255: all of a layer's weight), `tiers`
        u8, each [T, layers, K]; `counts` u16 [layers, E of the model, as far as any was chosen].
        """
        told: Frame = {
            "start": look.start,
            "count": len(look.tokens),
            "prompt": look.prompt,
            "parts": look.parts_s,
            "step": look.step_tokens,
            "hits": look.hits,
            "misses": look.misses,
            "bytes": look.read_bytes,
        }
        if look.prompt:
            most = int(look.chosen.max(initial=-1)) + 1
            counts = [np.bincount(layer.ravel(), minlength=most) for layer in look.chosen]
            rows = np.array(counts, "<u2") if counts else np.zeros((0, 0), "<u2")
            return {**told, "width": most, "counts": _base64(rows)}
        share = look.weights / np.maximum(look.weights.sum(-1, keepdims=True), 1e-20)
        return {
            **told,
            "tokens": [self._decoder.decode(piece) for piece in look.tokens],
            "experts": _base64(look.chosen.transpose(1, 0, 2).astype("<u2")),
            "weights": _base64((share.transpose(1, 0, 2) * 255).round().astype(np.uint8)),
            "tiers": _base64(look.tiers.transpose(1, 0, 2).astype(np.uint8)),
        }


def _base64(array: np.ndarray[Any, np.dtype[Any]]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
