"""Hypothesis strategies for what a table says a library takes, and for what it may not take."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from studio.libraries.types import AnyOf, Choice, Items, Leaf, Record, Type

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(["", "no", "true", "2e-4", "steps", "all-linear", "nf4", "nf5", "auto", "{}", "{", "None", "12"]),
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "r"]), inner, max_size=2)
)


def fitting(type: Type) -> st.SearchStrategy[Any]:
    """Values of a type."""
    match type:
        case Leaf():
            return _leaf(type)
        case Choice(values):
            return st.sampled_from(values)
        case Items(item, places, least, most):
            if places:
                return st.tuples(*map(fitting, places)).map(list)
            return st.lists(fitting(item), min_size=least, max_size=most or 3)
        case Record(keys, _, required):
            needed = {name: fitting(keys[name].type) for name in required}
            return st.fixed_dictionaries(
                needed, optional={name: fitting(key.type) for name, key in keys.items() if name not in needed}
            )
        case AnyOf(options):
            return st.one_of([fitting(option) for option in options])


def _leaf(type: Leaf) -> st.SearchStrategy[Any]:
    least, most = type.least if type.above is None else type.above, type.most if type.below is None else type.below
    match type.name:
        case "any":
            return st.just("x")
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(int(least or 0), int(most or 1000))
        case "number":
            floats = st.floats(
                least if least is not None else -1e6, most if most is not None else 1e6,
                exclude_min=type.above is not None, exclude_max=type.below is not None,
            )  # fmt: skip
            return floats if type.strict_float else floats | st.integers(1, 1)
        case "string":
            if type.json:
                return st.just("{}")
            return st.from_regex(type.pattern, fullmatch=True) if type.pattern else st.text("abc", min_size=1)


def mappings(root: Record, without: frozenset[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Some keys of a table: most with values that fit, now and then one with any value."""
    names = sorted(set(root.keys) - without)

    def filled(chosen: list[str]) -> st.SearchStrategy[dict[str, Any]]:
        held = {
            name: st.integers(0, 3).flatmap(lambda n, t=root.keys[name].type: fitting(t) if n else ANYTHING)
            for name in chosen
        }
        return st.fixed_dictionaries(held)

    return st.lists(st.sampled_from(names), min_size=1, max_size=8, unique=True).flatmap(filled)
