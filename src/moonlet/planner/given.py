"""A number that somebody sent: read exactly, and within what can be reckoned with and printed."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

_LONGEST = 64  # characters
_DIGITS = 28  # as many as sums keep
_FINEST, _LARGEST = -12, 12  # powers of ten of the first digit: "1e-9999999999" is short, and written out it is 10 GB


def given(name: str, value: object) -> Decimal:
    """From 0 to a million million. Amounts may come as texts, so that nothing is rounded on the way. Raises ValueError
    with one line."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise InvalidOperation
        text = str(value)
        number = Decimal(text if len(text) <= _LONGEST else "NaN")
        if not number.is_finite() or not 0 <= number <= Decimal(10) ** _LARGEST:
            raise InvalidOperation
    except (InvalidOperation, ValueError):  # also a whole number that is too long to be printed
        shown = repr(value[:40]) if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else "another"
        raise ValueError(f"{name} must be a number from 0 on, got {shown}") from None
    if not _FINEST <= number.adjusted() <= _LARGEST or len(number.as_tuple().digits) > _DIGITS:
        raise ValueError(f"{name} must have at most {_DIGITS} digits and be no finer than 1e{_FINEST}, got {text!r}")
    return number
