"""Messages: their alphabet, the fragments they take, and how to make them take fewer.

Pure: no clock, no network. The names below are the whole interface; the modules are private.
"""

from voxsms.text._changes import Change
from voxsms.text._gsm7 import FOREIGN
from voxsms.text._message import Message
from voxsms.text._predictions import Cause, Count, Prediction, Predictor, TemplatePredictor
from voxsms.text._replacements import Homoglyph
from voxsms.text._segments import (
    Bounds,
    Encoding,
    ForcedBy,
    Segmentation,
    count_fragments,
    find_faults,
    segment,
)
from voxsms.text._template import ForcedByField, RenderedMessage, Room, Template, WorstCase

__all__ = [
    "FOREIGN",
    "Bounds",
    "Cause",
    "Change",
    "Count",
    "Encoding",
    "ForcedBy",
    "ForcedByField",
    "Homoglyph",
    "Message",
    "Prediction",
    "Predictor",
    "RenderedMessage",
    "Room",
    "Segmentation",
    "Template",
    "TemplatePredictor",
    "WorstCase",
    "count_fragments",
    "find_faults",
    "segment",
]
