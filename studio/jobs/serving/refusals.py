"""Why a request gets no answer: each reason with the HTTP status and the words that OpenAI's clients know it by."""

from __future__ import annotations

from studio.core.errors import StudioError

KINDS: dict[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
    504: "server_error",
}
"""Status to OpenAI's ``type`` of an error; every other status is an ``invalid_request_error``."""


class Refusal(StudioError):
    """A request that is not answered. ``param`` names the part of it that is wrong, ``code`` the reason."""

    status = 400
    code: str | None = None

    def __init__(self, message: str, hint: str = "", *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, hint)
        self.param = param
        self.code = code or self.code

    @property
    def kind(self) -> str:
        return KINDS.get(self.status, "invalid_request_error")

    @property
    def words(self) -> str:
        """Message and hint as one sentence or two."""
        return f"{self.message}; {self.hint}" if self.hint else self.message


class Unauthorised(Refusal):
    status, code = 401, "invalid_api_key"


class Forbidden(Refusal):
    status = 403


class NotFound(Refusal):
    status = 404


class WrongMethod(Refusal):
    status = 405

    def __init__(self, allowed: str) -> None:
        super().__init__("this path is not asked that way", f"use {allowed}")
        self.allowed = allowed


class TooSlow(Refusal):
    status = 408


class TooLarge(Refusal):
    status, code = 413, "request_too_large"


class WrongType(Refusal):
    status = 415


class Busy(Refusal):
    status, code = 429, "queue_full"

    def __init__(self, waiting: int) -> None:
        super().__init__(f"one request is being answered and {waiting} wait, which is all that may", "try again later")


class Unavailable(Refusal):
    status = 503


class Closing(Unavailable):
    code = "closing"

    def __init__(self) -> None:
        super().__init__("the server is closing")


class Loading(Unavailable):
    code = "loading"

    def __init__(self) -> None:
        super().__init__("the model is being loaded", "GET /ready says when it is")


class TimedOut(Refusal):
    status, code = 504, "timeout"


class Bug(Refusal):
    status = 500

    def __init__(self) -> None:
        super().__init__("the server hit a bug of its own", "its log has more")
