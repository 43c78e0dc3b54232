"""The script of faults: which request, or which connection, meets which."""

import threading
from collections import deque
from collections.abc import Callable, Iterable

import attrs

from voxsms.sandbox.faults import KINDS, OK, Fault, parse


def _own(fault: Fault) -> Fault:
    """Give each entry of a script its own object, by which the sandbox knows it."""
    return attrs.evolve(fault)


class FaultScript:
    """The faults still to come, in order; may be changed from any thread.

    A request with good credentials meets the first fault that fits its method; one without is
    refused and uses up none. A fault of the connection has its turn when it stands first; requests
    that arrive before it are answered as usual.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.RLock()
        self._entries: deque[Fault] = deque(map(_own, faults))
        self._happened: list[Fault] = []
        self.on_change: Callable[[], None] | None = None
        """Called after each change, while a sandbox is running; for the sandbox."""

    def add(
        self, kind: str, *, times: int = 1, method: str | None = None, **options: object
    ) -> Fault:
        """Put a fault at the end of the script."""
        fault = Fault(kind, times, method, options)
        self.script([fault])
        return fault

    def script(self, faults: str | Iterable[Fault | str]) -> None:
        """Put several at the end, as `Fault`s, as names, or in the text form of `parse`."""
        given = parse(faults) if isinstance(faults, str) else faults
        entries = [f for each in given for f in (parse(each) if isinstance(each, str) else [each])]
        with self._lock:
            self._entries += map(_own, entries)
        self._changed()

    def clear(self) -> None:
        """Forget what is still to come; a listener that was closed opens again."""
        with self._lock:
            self._entries.clear()
        self._changed()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()

    @property
    def pending(self) -> tuple[Fault, ...]:
        """What is still to come."""
        with self._lock:
            return tuple(self._entries)

    @property
    def happened(self) -> tuple[Fault, ...]:
        """What was met, one entry a request or connection."""
        with self._lock:
            return tuple(self._happened)

    def connecting(self) -> Fault | None:
        """Give the fault that the next connection meets, if it is its turn; for the sandbox."""
        with self._lock:
            first = self._entries[0] if self._entries else OK
            return first if KINDS[first.kind].connecting else None

    def take(self, method: str) -> Fault:
        """Take the fault that a request meets, `OK` if none; for the sandbox."""
        with self._lock:
            position = self._position(method)
            if position is None:
                return OK
            fault = self._use(position)
        self._changed()
        return fault

    def _position(self, method: str) -> int | None:
        for position, fault in enumerate(self._entries):
            if KINDS[fault.kind].connecting:
                return None
            if fault.method in (None, method):
                return position
        return None

    def take_connecting(self, fault: Fault) -> bool:
        """Use up one time of a fault of the connection if it is still first; for the sandbox."""
        with self._lock:
            if self.connecting() is not fault:
                return False
            self._use(0)
        self._changed()
        return True

    def _use(self, position: int) -> Fault:
        fault = self._entries[position]
        if fault.times == 1:
            del self._entries[position]
        else:
            self._entries[position] = attrs.evolve(fault, times=fault.times - 1)
        self._happened.append(fault)
        return fault
