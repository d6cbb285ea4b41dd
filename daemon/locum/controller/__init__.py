"""From what is to what must be done: the agenda, the plan, the actions, one pass at a time."""

from locum.controller.loop import Controller
from locum.controller.setting import Setting

__all__ = ["Controller", "Setting"]
