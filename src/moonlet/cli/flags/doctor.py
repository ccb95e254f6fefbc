"""The flags of `moonlet doctor`."""

from __future__ import annotations

import argparse


def add_flags(doctor: argparse.ArgumentParser) -> None:
    doctor.add_argument("model", nargs="?", metavar="MODEL", help="a folder or a pulled model")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
