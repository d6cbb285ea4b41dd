"""Push: calendars that ring when they change, so that they needn't be asked so often.

A message is only ever a reason to look. What it says is not believed, and what it doesn't
say (it was lost, or came late) is found by the polls, which go on.
"""

from locum.push.bell import Bell
from locum.push.keeper import Push, PushReport, PushSettings

__all__ = ["Bell", "Push", "PushReport", "PushSettings"]
