"""What all models of the API have: attributes by name, made by keyword, turned into plain values and back."""

from __future__ import annotations

from collections.abc import Mapping
from pprint import pformat
from typing import Any, ClassVar


class Fields:
    """``swagger_types`` are the types of the fields in the order of positional arguments."""

    swagger_types: ClassVar[Mapping[str, str]] = {}
    attribute_map: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls) -> None:
        cls.attribute_map = {name: name for name in cls.swagger_types}

    def __init__(self, *values: Any, **fields: Any) -> None:
        names = list(self.swagger_types)
        if len(values) > len(names):
            raise TypeError(f"__init__() takes {len(names) + 1} positional arguments but {len(values) + 1} were given")
        given = dict(zip(names, values, strict=False))
        for name in fields:
            if name not in self.swagger_types:
                raise TypeError(f"__init__() got an unexpected keyword argument {name!r}")
            if name in given:
                raise TypeError(f"__init__() got multiple values for argument {name!r}")
        given.update(fields)
        for name in names:
            setattr(self, name, given.get(name))

    def to_dict(self) -> dict[str, Any]:
        return {name: _plain(getattr(self, name)) for name in self.swagger_types}

    def to_str(self) -> str:
        return pformat(self.to_dict())

    def __repr__(self) -> str:
        return self.to_str()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


def _plain(value: Any) -> Any:
    if isinstance(value, Fields):
        return value.to_dict()
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value
