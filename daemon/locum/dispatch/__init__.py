"""Where an attendance runs: as a task of the daemon, or in a process of its own."""

from locum.dispatch.children import ATTEND, Children, Nursery
from locum.dispatch.inprocess import InProcess
from locum.dispatch.orders import Order
from locum.dispatch.routed import Routed
from locum.dispatch.seats import Seat, sweep

__all__ = ["ATTEND", "Children", "InProcess", "Nursery", "Order", "Routed", "Seat", "sweep"]
