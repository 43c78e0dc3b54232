"""Values that may be shown to strangers: numbers masked, texts gone."""

from collections.abc import Callable, Mapping

from voxsms.masking import mask_number, mask_runs

_MASKS: Mapping[str, Callable[[str], str]] = {
    "source_number": mask_number,
    "destination_number": mask_number,
    "error_message": mask_runs,
    "text": lambda _: "***",
}


def masked(name: str, value: object) -> object:
    """Mask the value of a field, if it is one that has something to hide."""
    mask = _MASKS.get(name)
    return value if mask is None or value is None else mask(str(value))
