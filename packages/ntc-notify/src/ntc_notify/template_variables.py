"""Tell which variables a Django template uses, without rendering it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import singledispatch
from typing import Any

from django.template import Engine, Node, Template
from django.template.base import FilterExpression, Variable
from django.template.defaulttags import FilterNode, ForNode, WithNode
from django.template.loader_tags import ExtendsNode, IncludeNode
from django.template.smartif import TokenBase

__all__ = ["find_variables"]

#: Set by the template language itself.
_BUILT_IN = frozenset({"forloop", "block", "True", "False", "None"})


def find_variables(template: Template) -> frozenset[str]:
    """Return the top-level names the template expects, those of its parents included.

    `{{ payment.amount }}` expects `payment`. What `{% for %}` and `{% with %}` introduce is
    not expected. Templates that are named by a variable cannot be looked into.
    """
    # {% now "Y" as year %}: known in the rest of the template.
    named = {getattr(node, "asvar", None) for node in template.nodelist.get_nodes_by_type(Node)}
    return frozenset(_names(template.nodelist)) - _BUILT_IN - named


@singledispatch
def _names(part: Any) -> Iterator[str]:  # noqa: ARG001 - anything else uses no variable
    """Walk the compiled template; a node keeps its parts in its attributes."""
    return iter(())


@_names.register(list)
@_names.register(tuple)
def _(part: Iterable[Any]) -> Iterator[str]:
    for item in part:
        yield from _names(item)


@_names.register
def _(part: dict) -> Iterator[str]:  # type: ignore[type-arg]  # singledispatch needs the plain class
    yield from _names(list(part.values()))


@_names.register
def _(part: Variable) -> Iterator[str]:
    if part.lookups is not None:  # None: a literal
        yield part.lookups[0]


@_names.register
def _(part: FilterExpression) -> Iterator[str]:
    yield from _names(part.var)
    for _filter, arguments in part.filters:
        yield from _names([argument for is_variable, argument in arguments if is_variable])


@_names.register
def _(part: TokenBase) -> Iterator[str]:
    """Read the operators and values of `{% if %}`."""
    yield from _names([getattr(part, name, None) for name in ("value", "first", "second")])


@_names.register
def _(part: Node) -> Iterator[str]:
    yield from _names(list(vars(part).values()))


@_names.register
def _(part: ForNode) -> Iterator[str]:
    yield from _names(part.sequence)
    yield from set(_names(part.nodelist_loop)) - set(part.loopvars)
    yield from _names(part.nodelist_empty)


@_names.register
def _(part: FilterNode) -> Iterator[str]:
    # Django compiles {% filter upper %} as "var|upper".
    yield from set(_names(part.filter_expr)) - {"var"}
    yield from _names(part.nodelist)


@_names.register
def _(part: WithNode) -> Iterator[str]:
    yield from _names(part.extra_context)
    yield from set(_names(part.nodelist)) - set(part.extra_context)


@_names.register
def _(part: ExtendsNode) -> Iterator[str]:
    yield from _names(part.nodelist)
    yield from _names_in(part.parent_name)


@_names.register
def _(part: IncludeNode) -> Iterator[str]:
    yield from _names(part.extra_context)
    yield from _names_in(part.template) - set(part.extra_context)


def _names_in(template_name: Any) -> set[str]:
    """Return the variables of a template that is named in another one."""
    name = template_name.var
    if not isinstance(name, str):
        return set(_names(template_name))
    return set(find_variables(Engine.get_default().get_template(name)))
