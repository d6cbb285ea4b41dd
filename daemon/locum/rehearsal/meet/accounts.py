"""A stand-in for accounts.google.com: who has an account, who is signed in where.

A sign-in is a random cookie. It dies at `sign_out`, as a real one does when the password
changes or Google asks for a second look: the page then takes the browser for a guest's.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from locum.rehearsal.meet.settings import Locale

_MOST_SESSIONS = 1_000


@dataclass(frozen=True)
class Account:
    """`locale` is the language that the account is set to; it goes before the browser's."""

    email: str
    name: str
    password: str = field(repr=False)
    locale: Locale | None = None


class Accounts:
    """Not thread-safe; its owner holds a lock."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._sessions: dict[str, str] = {}

    def add(self, account: Account) -> None:
        self._accounts[account.email.lower()] = account

    def find(self, email: str) -> Account | None:
        return self._accounts.get(email.strip().lower())

    def sign_in(self, email: str, password: str) -> str | None:
        """Answer a new session's cookie, or None where the password isn't that account's."""
        account = self.find(email)
        if account is None or not secrets.compare_digest(
            account.password.encode(), password.encode()
        ):
            return None
        while len(self._sessions) >= _MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        cookie = secrets.token_urlsafe(24)
        self._sessions[cookie] = account.email.lower()
        return cookie

    def signed_in(self, cookie: str | None) -> Account | None:
        email = self._sessions.get(cookie or "")
        return None if email is None else self._accounts.get(email)

    def sign_out(self, email: str | None = None) -> int:
        """End every session (of one account, or all); answers how many there were."""
        gone = [
            cookie
            for cookie, owner in self._sessions.items()
            if email is None or owner == email.lower()
        ]
        for cookie in gone:
            del self._sessions[cookie]
        return len(gone)
