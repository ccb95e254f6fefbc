"""Pages of the latent cache: who holds which, and which can be used again.

A page holds PAGE tokens of every layer. Full pages are known by what they hold, which is all the tokens up to their
end; a new prompt that begins with the same tokens uses them where they lie. Pages nobody uses are kept until their
place is needed, the longest unused first.
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
        self._free = list(range(pages - 1, -1, -1))
        self._users = [0] * pages
        self._key_of: list[bytes | None] = [None] * pages
        self._page_of: dict[bytes, int] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()  # known pages without users, longest unused first

    @property
    def available(self) -> int:
        """Pages that take() could give."""
        return len(self._free) + len(self._idle)

    def find(self, ids: Sequence[int]) -> list[int]:
        """Pages of the longest known beginning of `ids`, now used by the caller; at least one token is left over."""
        found: list[int] = []
        for key in page_keys(ids, (len(ids) - 1) // PAGE):
            page = self._page_of.get(key)
            if page is None:
                break
            found.append(page)
        for page in found:
            if self._users[page] == 0:
                del self._idle[page]
            self._users[page] += 1
        return found

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

    def learn(self, ids: Sequence[int], pages: Sequence[int]) -> None:
        """`pages` hold `ids`; the full ones become known to find()."""
        for key, page in zip(page_keys(ids, len(ids) // PAGE), pages):
            if key not in self._page_of:
                self._page_of[key] = page
                self._key_of[page] = key

    def release(self, pages: Sequence[int]) -> None:
        """The caller uses them no more."""
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


def page_keys(ids: Sequence[int], count: int) -> list[bytes]:
    """For each of the first `count` pages of `ids`, a digest of all tokens up to its end."""
    numbers = np.asarray(ids[: count * PAGE], np.int32)
    digest = hashlib.blake2b(digest_size=16)
    keys = []
    for page in range(count):
        digest.update(numbers[page * PAGE : (page + 1) * PAGE].tobytes())
        keys.append(digest.digest())
    return keys
