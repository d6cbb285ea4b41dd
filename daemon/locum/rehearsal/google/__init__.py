"""A stand-in of Google Calendar (API v3) and of Google's sign-in, with state and faults.

Follows the public documentation and discovery document, so that Google's own client works
on it unchanged once that document names our address. See `stage` for what tests use.
"""

from locum.rehearsal.google.api import google_app
from locum.rehearsal.google.errors import ApiError, error_body
from locum.rehearsal.google.identity import Consent
from locum.rehearsal.google.listing import Quirks
from locum.rehearsal.google.stage import GoogleStage

__all__ = ["ApiError", "Consent", "GoogleStage", "Quirks", "error_body", "google_app"]
