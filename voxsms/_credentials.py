"""What all credentials share: how they are read, and that they are never shown."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import NoReturn, Self, TypeVar

from voxsms.errors import CredentialsInvalid

T = TypeVar("T")
AROUND = " \t\r\n\ufeff"
"""White space, and the byte order mark that some editors put at the start of a text."""


def variable(environ: Mapping[str, str], name: str) -> str:
    """Return a variable's value; `docker --env-file` and similar tools keep quotes and blanks."""
    value = environ.get(name, "").strip(AROUND)
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1].strip(AROUND) if quoted else value


class Secret:
    """A value that cannot be pickled; it never changes, so copying returns the object itself."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        name = type(self).__name__
        raise TypeError(f"{name} is not pickled, as it holds a secret: read it where it is used")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


def forgetful(cls: type[T]) -> type[T]:
    """Keep the arguments of a class out of the frames of the errors they cause."""
    made: Callable[..., None] = cls.__init__

    @wraps(made)
    def init(self: object, *args: object, **kwargs: object) -> None:
        try:
            return made(self, *args, **kwargs)
        except CredentialsInvalid as error:
            problem = error.with_traceback(None)
        finally:
            del args, kwargs
        raise problem

    type.__setattr__(cls, "__init__", init)
    return cls
