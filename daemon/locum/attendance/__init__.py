"""One session, from its join to its end: the only place that holds a live presence."""

from locum.attendance.attendance import Attendance, AttendanceFactory, attendances
from locum.attendance.company import Company, StopSignal

__all__ = ["Attendance", "AttendanceFactory", "Company", "StopSignal", "attendances"]
