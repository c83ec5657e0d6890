"""The one exception that means: the user can act on this message."""

MOST = 1000  # characters; what is at fault stands at the start, what to do at the end


class UserError(Exception):
    """One line that names the key, file or job at fault and says what to do; shown without a
    traceback.

    File names and the words of other libraries may hold anything: line breaks and control
    characters are written out.
    """

    def __init__(self, message):
        line = "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode()
            for c in str(message).strip()
        )
        super().__init__(line if len(line) <= MOST else f"{line[: MOST - 305]} ... {line[-300:]}")
