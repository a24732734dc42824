"""What cannot be done, said to a person before anything starts."""


class Refused(Exception):
    """The wish cannot be met: the text says what, where, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super(Refused, self).__init__("\n".join(part for part in (message, hint) if part))
        self.message = message
        self.hint = hint
