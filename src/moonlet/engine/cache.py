"""Pages of the latent cache: who holds which, and which can be used again.

A page holds PAGE tokens of every layer. Full pages are known by what they hold, which is all the tokens up to their
end; a sequence that begins with the same tokens uses them where they lie, also while the first one is still at work.
Pages nobody uses are kept until their place is needed, the longest unused first.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from moonlet.kernels import PAGE


class PageCache:
    """Hands out page numbers 0..pages-1. Not safe for threads: the engine's loop owns it."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self.changes = 0  # counts what may let a waiting sequence in: pages that came free or became known
        self._free = list(range(pages - 1, -1, -1))
        self._users = [0] * pages
        self._key_of: list[bytes | None] = [None] * pages
        self._page_of: dict[bytes, int] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()  # known pages without users, longest unused first

    @property
    def available(self) -> int:
        """Pages that take() could give."""
        return len(self._free) + len(self._idle)

    def known(self, keys: Sequence[bytes]) -> int:
        """How many of `keys`, from the first, have their page here."""
        return next((at for at, key in enumerate(keys) if key not in self._page_of), len(keys))

    def find(self, keys: Sequence[bytes]) -> list[int]:
        """Pages of the longest known beginning of `keys`, now used by the caller."""
        found = [self._page_of[key] for key in keys[: self.known(keys)]]
        self.share(found)
        return found

    def share(self, pages: Sequence[int]) -> None:
        """One more user for pages that are known or in use."""
        for page in pages:
            if self._users[page] == 0:
                del self._idle[page]
            self._users[page] += 1

    def take(self, count: int) -> list[int] | None:
        """So many fresh pages, or None if there are not enough."""
        if count > self.available:
            return None
        taken = []
        for _ in range(count):
            if self._free:
                page = self._free.pop()
            else:
                page, _ = self._idle.popitem(last=False)
                self._forget(page)
            self._users[page] = 1
            taken.append(page)
        return taken

    def learn(self, key: bytes, page: int) -> None:
        """`page`, which the caller uses, holds what `key` says and is not written again."""
        if key not in self._page_of:
            self._page_of[key] = page
            self._key_of[page] = key
            self.changes += 1

    def release(self, pages: Sequence[int]) -> None:
        """The caller uses them no more."""
        self.changes += 1
        for page in reversed(pages):  # the end of a prompt is forgotten before its beginning
            self._users[page] -= 1
            if self._users[page] == 0:
                if self._key_of[page] is None:
                    self._free.append(page)
                else:
                    self._idle[page] = None

    def _forget(self, page: int) -> None:
        key = self._key_of[page]
        if key is not None:
            del self._page_of[key]
            self._key_of[page] = None


def extend_keys(keys: list[bytes], ids: Sequence[int]) -> None:
    """Appends what is missing, one key for each full page of `ids`: a digest of all tokens up to the page's end."""
    first, count = len(keys), len(ids) // PAGE
    if first >= count:
        return
    numbers = np.asarray(ids[first * PAGE : count * PAGE], np.int32)
    key = keys[-1] if keys else b""
    for page in range(count - first):
        key = hashlib.blake2b(key + numbers[page * PAGE : (page + 1) * PAGE].tobytes(), digest_size=16).digest()
        keys.append(key)
