"""How a request crosses the network: the seam, and what implements it.

A transport sends one form and returns the answer, and on the way notes how far the request came.
That evidence is what tells a send that failed from one that may have been delivered. This door has
what a transport of your own needs; the transports themselves load when they are first used.
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
