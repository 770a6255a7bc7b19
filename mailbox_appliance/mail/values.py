"""What every frozen value here is made with: a dataclass whose methods are written when they are first called.

The standard decorator writes, compiles and keeps six functions for each class when its module is imported: 14 KiB and
0.4 ms, six hundred times over, for classes of which most never have an instance (an event that does not happen, an
answer nobody asks for). Here a class begins with functions that all of them share; the first call of one of them has
the standard library write the real one in its place. What comes out is the same, and ``dataclasses.fields``,
``replace`` and ``asdict`` work on it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

_UNUSED: dict[str, Any] = {"init": False, "repr": False, "eq": False}


def _lazy(
    cls: type[Any] | None = None,
    /,
    *,
    frozen: bool = False,
    slots: bool = False,
    kw_only: bool = False,
    eq: bool = True,
) -> Any:
    """As ``dataclasses.dataclass``, with the arguments that are used here.

    Raises TypeError as the standard one does, and when a frozen class comes from one that is not, or the reverse.
    """

    def made(plain: type[Any]) -> type[Any]:
        own = set(plain.__dict__)
        if plain.__doc__ is None:
            plain.__doc__ = plain.__name__  # else the signature, at a high price
        for base in plain.__mro__[1:]:
            if "__dataclass_fields__" in base.__dict__ and frozen != _is_frozen(base):
                raise TypeError("a frozen class comes from a frozen one, and the reverse")
        value = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(plain)
        shared: dict[str, Any] = {"__init__": _init, "__repr__": _repr}
        if eq:
            shared |= {"__eq__": _eq, "__hash__": _hash if frozen else None}
        if frozen:
            shared |= {"__setattr__": _refuse_set, "__delattr__": _refuse_delete}
            shared |= {"__getstate__": _state, "__setstate__": _set_state}
        for name, function in shared.items():
            if name not in own or (name == "__hash__" and plain.__dict__[name] is None):
                setattr(value, name, function)
        return value

    return made if cls is None else made(cls)


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # so that type checkers know what it makes
else:
    dataclass = _lazy


# ------------------------------------------------------------ what all classes share until it is called


def _init(self: Any, *args: Any, **named: Any) -> None:
    _written(self, _init, "__init__", init=True)(self, *args, **named)


def _repr(self: Any) -> str:
    return str(_written(self, _repr, "__repr__", repr=True)(self))


def _eq(self: Any, other: object) -> Any:
    return _written(self, _eq, "__eq__", eq=True)(self, other)


def _hash(self: Any) -> int:
    return int(_written(self, _hash, "__hash__", eq=True)(self))


def _refuse_set(self: object, name: str, value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


def _is_frozen(cls: Any) -> bool:
    return cls.__setattr__ is _refuse_set


def _written(self: Any, shared: Callable[..., Any], name: str, **wanted: bool) -> Callable[..., Any]:
    """Write method ``name`` for the class that still has the shared one, and put it there."""
    owner = next((cls for cls in type(self).__mro__ if cls.__dict__.get(name) is shared), None)
    if owner is None:  # another thread was faster
        found: Callable[..., Any] = getattr(type(self), name)
        return found
    fields = dataclasses.fields(owner)
    body: dict[str, Any] = {
        "__doc__": owner.__name__,
        "__module__": owner.__module__,
        "__qualname__": owner.__qualname__,
        "__annotations__": {field.name: field.type for field in fields},
        **{field.name: field for field in fields},
    }
    write: Callable[[type[Any]], type[Any]] = dataclasses.dataclass(frozen=_is_frozen(owner), **(_UNUSED | wanted))
    model = write(type(owner.__name__, (), body))
    method: Callable[..., Any] = model.__dict__[name]
    setattr(owner, name, method)
    return method
