"""python -m xaiutils"""

import os
import sys

# Python looks for modules in the folder where it is started before its own: a numpy.py among
# somebody's data would be run. The package itself is found by now.
if not sys.flags.safe_path and sys.path[:1] and sys.path[0] in ("", os.getcwd()):
    del sys.path[0]

import signal

from xaiutils.cli import main

# ended by make or a time limit: leave through `finally`, so that no kernel is left running
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
sys.exit(main())
