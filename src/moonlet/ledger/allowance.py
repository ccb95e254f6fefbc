"""What may be spent in a month at an engine that is rented for overflow: exact between servers that share a ledger.

As with quotas, the most that a request can cost is taken when it begins, and what it did not need given back at its
end. What a server had taken when it was killed stays taken: the engine may have been paid for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from .database import Database, DatabaseError
from .quota import month

_log = logging.getLogger("moonlet.ledger")


class Allowance:
    """Safe to use from any thread."""

    def __init__(self, database: Database, engine: str, nano_usd: int, clock: Callable[[], float] = time.time) -> None:
        """`nano_usd`: a month, UTC."""
        self._database, self._most, self._clock = database, nano_usd, clock
        self._name = f"overflow:{engine}"  # beside the keys, whose ids have no colon

    def take(self, nano_usd: int) -> str | None:
        """The month that so much was taken from; None if that is not left, or the books cannot say so."""
        period = month(self._clock())
        try:
            with self._database.transaction() as connection:
                connection.run("INSERT INTO spent VALUES (?, ?, 0, 0) ON CONFLICT DO NOTHING", (self._name, period))
                wanted = "SELECT nano_usd FROM spent WHERE key_id = ? AND period = ?"
                ((spent,),) = connection.run(wanted + connection.lock_rows, (self._name, period))
                if spent + nano_usd > self._most:
                    return None
                self._add(connection.run, period, nano_usd)
        except DatabaseError as error:
            _log.error("nothing is rented while the ledger cannot be written: %s", error)
            return None
        return period

    def give_back(self, period: str, nano_usd: int) -> None:
        """What was taken and not needed."""
        try:
            with self._database.transaction() as connection:
                self._add(connection.run, period, -nano_usd)
        except DatabaseError as error:  # the limit is then reached earlier, never exceeded
            _log.error("%s could not be given back to the allowance of %s: %s", nano_usd, self._name, error)

    def _add(self, run: Callable[..., object], period: str, nano_usd: int) -> None:
        run("UPDATE spent SET nano_usd = nano_usd + ? WHERE key_id = ? AND period = ?", (nano_usd, self._name, period))
