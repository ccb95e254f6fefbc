"""`python -m moonlet`: the command without an installed script."""

from moonlet.cli import run

run()
