"""Async client for Voximplant's SMS API that never sends twice and tells the price first."""

from voxsms._version import __version__

__all__ = ["__version__"]
