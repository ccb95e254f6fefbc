"""`python -m moonlet`: the command without an installed script."""

import sys

from moonlet.cli import main

sys.exit(main())
