"""From a method's arguments to a request, and from an answer to a model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cmlapi import models
from cmlapi.configuration import Configuration
from cmlapi.fields import Fields
from cmlapi.rest import ApiException, RESTClientObject

OPTIONS = ("async_req", "_return_http_data_only", "_preload_content", "_request_timeout")
PRIMITIVES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}


class ApiClient:
    """``default_headers`` go with every request."""

    def __init__(self, configuration: Configuration | None = None) -> None:
        self.configuration = configuration or Configuration()
        self.rest_client = RESTClientObject(self.configuration)
        self.default_headers: dict[str, str] = {"User-Agent": "Swagger-Codegen/stand-in/python"}
        self.last_response: Any = None
        self._pool: ThreadPool | None = None

    @property
    def user_agent(self) -> str:
        return self.default_headers["User-Agent"]

    @user_agent.setter
    def user_agent(self, value: str) -> None:
        self.default_headers["User-Agent"] = value

    def set_default_header(self, name: str, value: str) -> None:
        self.default_headers[name] = value

    def call_api(
        self, http: str, method: str, arguments: Mapping[str, Any], query: tuple[str, ...], returns: str,
        keywords: dict[str, Any], form: tuple[str, ...] = (),
    ) -> Any:  # fmt: skip
        """``http`` is verb and path. Raises TypeError for an unknown keyword, ValueError for a missing argument."""
        for name in keywords:
            if name not in (*query, *OPTIONS):
                raise TypeError(f"Got an unexpected keyword argument '{name}' to method {method}")
        for name, value in arguments.items():
            if value is None:
                raise ValueError(f"Missing the required parameter `{name}` when calling `{method}`")
        if keywords.pop("async_req", False):
            self._pool = self._pool or ThreadPool()
            return self._pool.apply_async(self._call, (http, arguments, query, returns, keywords, form))
        return self._call(http, arguments, query, returns, keywords, form)

    def _call(
        self, http: str, arguments: Mapping[str, Any], query: tuple[str, ...], returns: str,
        keywords: Mapping[str, Any], form: tuple[str, ...],
    ) -> Any:  # fmt: skip
        verb, path = http.split(" ")
        preload = keywords.get("_preload_content", True)
        response = self.rest_client.request(
            verb, self.configuration.host + self._path(path, arguments),
            [(name, keywords[name]) for name in query if name in keywords],
            {**self.default_headers, "Accept": "application/json", "Content-Type": "application/json"},
            self.sanitize_for_serialization(arguments["body"]) if "body" in arguments else None,
            [(name, _file(arguments[name])) for name in form], preload, keywords.get("_request_timeout"),
        )  # fmt: skip
        self.last_response = response
        made = (self.deserialize(response, returns) if returns else None) if preload else response
        if keywords.get("_return_http_data_only", True):
            return made
        return made, response.status, response.headers

    def _path(self, path: str, arguments: Mapping[str, Any]) -> str:
        safe = self.configuration.safe_chars_for_path_param
        return re.sub(r"\{([\w.]+)\}", lambda found: quote(str(arguments[found[1].replace(".", "_")]), safe=safe), path)

    def sanitize_for_serialization(self, value: Any) -> Any:
        """Plain values for JSON; fields of a model that are None are left out."""
        if isinstance(value, Fields):
            given = {value.attribute_map[name]: getattr(value, name) for name in value.swagger_types}
            value = {name: each for name, each in given.items() if each is not None}
        if isinstance(value, dict):
            return {name: self.sanitize_for_serialization(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.sanitize_for_serialization(each) for each in value]
        return value.isoformat() if isinstance(value, datetime) else value

    def deserialize(self, response: Any, type: str) -> Any:
        """A model of an answer; an answer that is no JSON is taken for a text."""
        try:
            data = json.loads(response.data)
        except ValueError:
            data = response.data
        return self._made(data, type)

    def _made(self, data: Any, type: str) -> Any:
        if data is None:
            return None
        if type.startswith("list["):
            return [self._made(each, type[5:-1]) for each in data]
        if type.startswith("dict("):
            return {name: self._made(each, type[5:-1].split(", ")[1]) for name, each in data.items()}
        if type in PRIMITIVES:
            return _primitive(data, PRIMITIVES[type])
        if type == "datetime":
            return _time(data)
        return self._model(data, getattr(models, type))

    def _model(self, data: Any, made: type[Fields]) -> Any:
        if not made.swagger_types and not isinstance(data, dict):
            return data  # the name of an enumeration's member
        names = made.attribute_map if isinstance(data, dict) else {}
        held = {name: data[sent] for name, sent in names.items() if sent in data}
        return made(**{name: self._made(value, made.swagger_types[name]) for name, value in held.items()})


def _primitive(data: Any, type: type) -> Any:
    try:
        return type(data)
    except (TypeError, ValueError):
        return data


def _time(data: str) -> datetime:
    try:
        return datetime.fromisoformat(data)
    except ValueError:
        raise ApiException(status=0, reason=f"Failed to parse `{data}` as datetime object") from None


def _file(path: str) -> tuple[str, bytes]:
    return Path(path).name, Path(path).read_bytes()
