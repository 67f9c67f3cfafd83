"""What cmlapi adds to the client that is generated from the API's specification."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from cmlapi.api.cml_service_api import CMLServiceApi
from cmlapi.api_client import ApiClient
from cmlapi.configuration import Configuration


def default_client(url: str | None = None, cml_api_key: str | None = None) -> CMLServiceApi:
    """Raises ValueError when neither an argument nor the environment gives address and key."""
    url, key = url or os.environ.get("CDSW_API_URL"), cml_api_key or os.environ.get("CDSW_APIV2_KEY")
    if not url:
        raise ValueError("url must be given, or CDSW_API_URL be set")
    if not key:
        raise ValueError("cml_api_key must be given, or CDSW_APIV2_KEY be set")
    configuration, parts = Configuration(), urlsplit(url)
    configuration.host = f"{parts.scheme}://{parts.netloc}"
    client = ApiClient(configuration)
    client.set_default_header("authorization", f"Bearer {key}")
    return CMLServiceApi(client)


class Cursor:
    """Walks the pages of a list method."""

    def __init__(self, method: Callable[..., Any], *arguments: Any, **keywords: Any) -> None:
        self.method, self.arguments, self.keywords = method, arguments, keywords

    def items(self) -> Iterator[Any]:
        keywords = dict(self.keywords)
        while True:
            page = self.method(*self.arguments, **keywords)
            (field,) = (name for name, type in page.swagger_types.items() if type.startswith("list["))
            yield from getattr(page, field) or []
            if not page.next_page_token:
                return
            keywords["page_token"] = page.next_page_token
