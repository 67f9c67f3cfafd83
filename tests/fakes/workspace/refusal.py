"""Errors as the API's gateway writes them."""

from __future__ import annotations

from tests.fakes.http import Answer, as_json

CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 412: 9, 429: 8, 500: 13, 501: 12, 503: 14, 504: 4}
"""gRPC's code for each HTTP status that the gateway sends."""


class Refusal(Exception):
    """Raised by a method that does not do what it was asked."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def refuse(status: int, code: int, message: str, **headers: str) -> Answer:
    """An error's answer: ``code`` is gRPC's."""
    return as_json({"error": message, "code": code, "message": message}, status, **headers)


def refusal(status: int, message: str, **headers: str) -> Answer:
    return refuse(status, CODES[status], message, **headers)
