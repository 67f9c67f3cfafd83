"""A resource's identity as text and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.references import Ref


@given(st.text(min_size=1).filter(lambda kind: "/" not in kind), st.text(min_size=1))
def test_a_reference_reads_back_as_it_was_printed(kind: str, name: str) -> None:
    assert Ref.parse(str(Ref(kind, name))) == Ref(kind, name)


@pytest.mark.parametrize("text", ["", "/", "Dataset", "Dataset/", "/tickets"])
def test_a_reference_without_kind_or_name_is_refused_with_its_form(text: str) -> None:
    with pytest.raises(ValueError, match="is not of the form Kind/name"):
        Ref.parse(text)


def test_references_sort_by_kind_then_name() -> None:
    refs = [Ref("Model", "a"), Ref("Dataset", "b"), Ref("Dataset", "a")]
    assert [str(ref) for ref in sorted(refs)] == ["Dataset/a", "Dataset/b", "Model/a"]
