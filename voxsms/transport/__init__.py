"""How a request crosses the network: the seam, and what implements it.

A transport sends one form and returns the answer, and records how far the request got. That
evidence distinguishes a send that failed from one that may have been delivered. This module has
what a transport of your own needs; the transports themselves load on first use.
"""

from voxsms.transport._seam import (
    MAX_BYTES,
    BodyReader,
    Evidence,
    FaultKind,
    Phase,
    Request,
    Timeouts,
    Transport,
    TransportFault,
    is_file,
)

__all__ = [
    "MAX_BYTES",
    "BodyReader",
    "Evidence",
    "FaultKind",
    "Phase",
    "Request",
    "Timeouts",
    "Transport",
    "TransportFault",
    "is_file",
]
