"""Every error that locum raises on purpose.

Two questions decide the class: may we try again, and must a person act?
"""

from __future__ import annotations

from datetime import timedelta


class LocumError(Exception):
    """Base of all errors raised by locum itself."""


class TransientError(LocumError):
    """The other side may recover; try again after `retry_after`."""

    def __init__(self, message: str, *, retry_after: timedelta = timedelta(seconds=30)) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OutOfQuotaError(TransientError):
    """The whole account has asked too often: none of its calendars before `retry_after`."""


class PermanentError(LocumError):
    """Trying again can't help; record it and go on with the rest."""


class GoneError(PermanentError):
    """The other side itself says that it is gone, or not ours to see any more."""


class HumanNeededError(LocumError):
    """Nothing more will work until a person acts; `hint` says what to do."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        return f"{super().__str__()} {self.hint}"


class AmbiguousError(LocumError):
    """A request that costs money was sent and its answer was lost: it may have worked.

    Never repeat such a request blindly.
    """


class ConfigError(LocumError):
    """The configuration can't be used; `problems` holds every finding, one a line."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
