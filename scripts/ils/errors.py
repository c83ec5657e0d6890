"""The one exception that means: the user can act on this message."""


class UserError(Exception):
    """One line that names the key, file or job at fault and says what to do; shown without a traceback."""
