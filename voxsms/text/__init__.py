"""What a message is: its alphabet, the fragments it takes, and how it is brought back to fewer."""

from voxsms.text.changes import Change
from voxsms.text.homoglyphs import Homoglyph
from voxsms.text.message import Message
from voxsms.text.room import Room, WorstCase
from voxsms.text.segments import (
    Bounds,
    Encoding,
    ForcedBy,
    Segmentation,
    count_fragments,
    segment,
)
from voxsms.text.template import ForcedByField, RenderedMessage, Template

__all__ = [
    "Bounds",
    "Change",
    "Encoding",
    "ForcedBy",
    "ForcedByField",
    "Homoglyph",
    "Message",
    "RenderedMessage",
    "Room",
    "Segmentation",
    "Template",
    "WorstCase",
    "count_fragments",
    "segment",
]
