"""The one exception that bad input raises, and what a command line makes of it."""

import sys
from collections.abc import Callable


class InputError(ValueError):
    """An input that cannot be used: the message names the file or argument and says what to do."""


class WriteError(InputError):
    """A file that cannot be written: what comes after it could not be kept either, so a study ends
    here, where any other error of an image would be a row of its errors table."""


class UnusableFile(InputError):
    """A stored file that is there, but damaged or of another version: not the same as missing."""


def exit_status(command: Callable[[], int]) -> int:
    """What a command line's `main` returns: the command's own status, 2 for bad input (one line on
    stderr), 130 for Ctrl-C."""
    try:
        return command()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: what was computed is kept; run again to go on", file=sys.stderr)
        return 130
