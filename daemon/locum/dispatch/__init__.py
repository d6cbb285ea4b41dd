"""Where an attendance runs. Today: as a supervised task in the daemon itself."""

from locum.dispatch.inprocess import InProcess

__all__ = ["InProcess"]
