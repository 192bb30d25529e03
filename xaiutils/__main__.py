"""python -m xaiutils"""

import signal
import sys

from xaiutils.cli import main

# ended by make or a time limit: leave through `finally`, so that no kernel is left running
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
sys.exit(main())
