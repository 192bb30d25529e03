"""The one exception that bad input raises."""


class InputError(ValueError):
    """An input that cannot be used: the message names the file or argument and says what to do."""
