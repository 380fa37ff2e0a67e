"""The errors a user can meet.

Does: name what went wrong with a stable code and one sentence.
Does not: print, log or choose an exit status; the command line and the service do that.
"""


class UserError(Exception):
    """Something the user gave cannot be used; they can mend it.

    `code` is stable (snake_case, part of the public interface, also sent over HTTP); `sentence`
    says what is wrong, where, and what to do about it.  The command line exits with status 2.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class EngineError(Exception):
    """The model server is away, starting or answered nonsense; trying later may help.

    The service answers 503 with Retry-After; the command line exits with status 1.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
