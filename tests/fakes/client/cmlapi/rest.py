"""Requests over urllib3 with its own idea of repeating: what it repeats, this client repeats."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import certifi
import urllib3

from cmlapi.configuration import Configuration


class ApiException(Exception):
    """``status`` is HTTP's; ``body`` is what came with it."""

    def __init__(self, status: int | None = None, reason: str | None = None, http_resp: Any = None) -> None:
        super().__init__(status, reason)
        self.status = http_resp.status if http_resp is not None else status
        self.reason = http_resp.reason if http_resp is not None else reason
        self.body = http_resp.data if http_resp is not None else None
        self.headers = http_resp.headers if http_resp is not None else None

    def __str__(self) -> str:
        headers = f"HTTP response headers: {self.headers}\n" if self.headers else ""
        body = f"HTTP response body: {self.body}\n" if self.body else ""
        return f"({self.status})\nReason: {self.reason}\n{headers}{body}"


class RESTResponse:
    """A response that was read to its end."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.urllib3_response = response
        self.status, self.reason = response.status, response.reason
        self.data = response.data.decode("utf-8")
        self.headers = response.headers

    def getheaders(self) -> Mapping[str, str]:
        return self.headers

    def getheader(self, name: str, default: str | None = None) -> str | None:
        return self.headers.get(name, default)


class RESTClientObject:
    def __init__(self, configuration: Configuration) -> None:
        self.pool_manager = urllib3.PoolManager(
            num_pools=4, maxsize=configuration.connection_pool_maxsize,
            cert_reqs=ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE,
            ca_certs=configuration.ssl_ca_cert or certifi.where(),
        )  # fmt: skip

    def request(
        self, method: str, url: str, query: list[tuple[str, Any]], headers: Mapping[str, str], body: Any,
        files: list[tuple[str, tuple[str, bytes]]], _preload_content: bool, _request_timeout: Any,
    ) -> Any:  # fmt: skip
        """Raises ApiException for an answer that is not 2xx, urllib3's exceptions when there is none."""
        if query:
            url = f"{url}?{urlencode(query)}"
        options: dict[str, Any] = {"preload_content": _preload_content, "timeout": _timeout(_request_timeout)}
        if files:
            options["fields"], options["encode_multipart"] = files, True
            headers = {name: value for name, value in headers.items() if name != "Content-Type"}
        elif method != "GET" and body is not None:
            options["body"] = json.dumps(body)
        try:
            raw = self.pool_manager.request(method, url, headers=dict(headers), **options)
        except urllib3.exceptions.SSLError as error:
            raise ApiException(status=0, reason=f"{type(error).__name__}\n{error}") from error
        response = RESTResponse(raw) if _preload_content else raw
        if not 200 <= response.status <= 299:
            raise ApiException(http_resp=response)
        return response


def _timeout(given: Any) -> urllib3.Timeout | None:
    """Seconds: one number for all, or a pair for connecting and reading."""
    if isinstance(given, int | float):
        return urllib3.Timeout(total=given)
    return urllib3.Timeout(connect=given[0], read=given[1]) if given else None
