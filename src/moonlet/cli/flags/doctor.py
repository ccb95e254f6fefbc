"""The flags of `moonlet doctor`."""

from __future__ import annotations

import argparse


def add_flags(doctor: argparse.ArgumentParser) -> None:
    doctor.add_argument("model", nargs="?", metavar="MODEL", help="a folder or a pulled model")
    doctor.add_argument("--tools", action="store_true", help="also try how MODEL, which may be a URL, uses tools")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
