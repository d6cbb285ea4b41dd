"""Delivers notices through apprise, which is an extra: `locum[notify]`.

It runs in a process of its own for each message. A thread can't be ended, so a receiver that
answers a byte a minute would keep one for ever, and one that answers without an end would
have our memory; and apprise's log lines, which can name addresses, stay out of ours.
"""

from locum.notify.targets import INSTALL, AppriseTarget, Targets
from locum.notify.urls import CREDENTIAL_NAME, find_urls, urls_file_problem

__all__ = [
    "CREDENTIAL_NAME",
    "INSTALL",
    "AppriseTarget",
    "Targets",
    "find_urls",
    "urls_file_problem",
]
