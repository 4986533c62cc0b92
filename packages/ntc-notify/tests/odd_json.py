"""JSON that is nearly what a company documents: one value of it is something else."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["2026-11-20T08:00:01", "2026-11-20", "a@x.example", ""])
    | st.text(max_size=5)
)
_ODD = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@st.composite
def odd_versions(draw: st.DrawFn, value: Any) -> Any:
    """Return the value with one part of it, however deep, replaced or gone."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 3)) == 0:
        return draw(_ODD)
    if isinstance(value, list):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], draw(odd_versions(value[place])), *value[place + 1 :]]
    name = draw(st.sampled_from(sorted(value)))
    if draw(st.booleans()):
        return value | {name: draw(odd_versions(value[name]))}
    return {known: part for known, part in value.items() if known != name}
