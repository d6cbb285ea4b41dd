"""Delivers notices to the owner, through `locum.courier`."""

from locum.courier import INSTALL, urls_file_problem
from locum.notify.places import CREDENTIAL_NAME, find_urls, notice_addresses
from locum.notify.targets import AppriseTarget, Targets

__all__ = [
    "CREDENTIAL_NAME",
    "INSTALL",
    "AppriseTarget",
    "Targets",
    "find_urls",
    "notice_addresses",
    "urls_file_problem",
]
