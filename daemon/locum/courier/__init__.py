"""Carries short messages through apprise, which is an extra: `locum[notify]`.

It runs in a process of its own for each message. A thread can't be ended, so a receiver that
answers a byte a minute would keep one for ever, and one that answers without an end would
have our memory; and apprise's log lines, which can name addresses, stay out of ours.

Notices and summaries both go this way.
"""

from locum.courier.process import INSTALL, Courier, apprise_is_there
from locum.courier.urls import Addresses, Line, find_urls, urls_file_problem, urls_path

__all__ = [
    "INSTALL",
    "Addresses",
    "Courier",
    "Line",
    "apprise_is_there",
    "find_urls",
    "urls_file_problem",
    "urls_path",
]
