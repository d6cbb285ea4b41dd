"""The whole daemon on virtual time, against seeded calendars, faults and crashes.

`python -m tests.campaign --seeds 1000` plays a thousand schedules; every one can be replayed
by its seed. What is asked of each is judged from the stage's own books, not from locum's.
"""
