"""The errors that stop a command. What only reports is a finding, not an error."""

from __future__ import annotations

from studio.core.findings import Position


class StudioError(Exception):
    """A condition the user can act on: what is wrong, where, and what to do next."""

    def __init__(self, message: str, hint: str = "", position: Position | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.position = position


class UsageError(StudioError):
    """The command line or the place it was run in is wrong."""


class StateLockedError(StudioError):
    """Another process holds the state's lease."""


class StalePlanError(StudioError):
    """The world moved on since the plan was made."""


class LeaseLostError(StudioError):
    """This process's lease expired and was taken over; nothing more may be written."""


class BackendError(StudioError):
    """The backend refused or could not be reached."""


class RefusedError(BackendError):
    """The backend understood the question and said no: the same question would get the same answer."""


class JobError(StudioError):
    """A job cannot go on; the message ends up in its ``result.json``."""
