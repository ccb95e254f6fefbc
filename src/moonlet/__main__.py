"""`python -m moonlet`: the command without an installed script."""

import sys

from moonlet.cli import main

code = main()
if "moonlet.train.sharded" in sys.modules:  # this was one of several processes that trained together
    from moonlet.train.sharded import leave

    leave(code)
sys.exit(code)
