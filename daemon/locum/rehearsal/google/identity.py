"""Who may call, as what: clients, consent codes, refresh and access tokens, service keys.

Follows RFC 6749 (codes, refresh), RFC 7636 (PKCE) and RFC 7523 (JWT bearer) as far as
Google's documentation says that Google does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from locum.rehearsal.google.errors import ApiError, OAuthError

SCOPE_ROOT = "https://www.googleapis.com/auth/"
#: What a sign-in by Python is granted if nothing else is said: any client can then ask for
#: less, and gets it.
DEFAULT_SCOPES = tuple(
    SCOPE_ROOT + name
    for name in (
        "calendar",
        "calendar.readonly",
        "calendar.events",
        "calendar.events.readonly",
        "calendar.calendarlist.readonly",
    )
)
CLIENT_ID = "1234567890-stage.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-stage"  # noqa: S105 - Guards nothing but the stage.
#: google-auth signs for this address whatever address it then posts to.
_TOKEN_AUDIENCE = "https://oauth2.googleapis.com/token"  # noqa: S105 - An address, no secret.
_CODE_LIFETIME = timedelta(minutes=10)
_CLOCK_SKEW = timedelta(minutes=5)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class AccessGrant:
    """What an access token stands for."""

    email: str
    scopes: frozenset[str]
    expires_at: datetime
    client_id: str

    def allows(self, names: Iterable[str]) -> bool:
        return any(SCOPE_ROOT + name in self.scopes for name in names)


@dataclass(frozen=True)
class RefreshGrant:
    email: str
    scopes: frozenset[str]
    client_id: str
    issued_at: datetime


@dataclass(frozen=True)
class _Code:
    email: str
    scopes: frozenset[str]
    client_id: str
    redirect_uri: str
    challenge: str | None
    challenge_method: str
    offline: bool
    expires_at: datetime


@dataclass(frozen=True)
class _ServiceKey:
    key_id: str
    public: rsa.RSAPublicKey
    token_uri: str
    subjects: frozenset[str]


@dataclass
class Consent:
    """What the person at the consent page does. `email` None: whoever the client hints at."""

    email: str | None = None
    denies: bool = False
    withholds: frozenset[str] = frozenset()  #: Scopes that are left unticked.


@dataclass
class Identity:
    """Google's accounts server."""

    now: Callable[[], datetime]
    emails: set[str] = field(default_factory=set)
    consent: Consent = field(default_factory=Consent)
    access_lifetime: timedelta = timedelta(seconds=3600)
    refresh_lifetime: timedelta | None = None  #: Seven days for an app in "Testing".
    _codes: dict[str, _Code] = field(default_factory=dict)
    _refresh: dict[str, RefreshGrant] = field(default_factory=dict)
    _access: dict[str, AccessGrant] = field(default_factory=dict)
    _service: dict[str, _ServiceKey] = field(default_factory=dict)

    # ── what the API asks ────────────────────────────────────────────────────────────────

    def authenticate(self, authorization: str | None, scopes: Iterable[str]) -> AccessGrant:
        """Answer whom a request's `Authorization` header speaks for.

        Raises:
            ApiError: 401, no such token or not any more; 403, none of `scopes` was granted.
        """
        scheme, _, token = (authorization or "").partition(" ")
        grant = self._access.get(token.strip()) if scheme.lower() == "bearer" else None
        if grant is None or grant.expires_at <= self.now():
            raise ApiError(401, "authError")
        if not grant.allows(scopes):
            raise ApiError(403, "insufficientPermissions")
        return grant

    def describe(self, token: str) -> dict[str, str]:
        """Answer what `tokeninfo` says.

        Raises:
            OAuthError: No such token or not any more.
        """
        grant = self._access.get(token)
        if grant is None or grant.expires_at <= self.now():
            raise OAuthError("invalid_token", "Invalid Value")
        left = grant.expires_at - self.now()
        return {
            "azp": grant.client_id,
            "aud": grant.client_id,
            "scope": " ".join(sorted(grant.scopes)),
            "exp": str(int(grant.expires_at.timestamp())),
            "expires_in": str(int(left.total_seconds())),
            "access_type": "offline",
            "email": grant.email,
        }

    # ── what a rehearsal does ────────────────────────────────────────────────────────────

    def issue_refresh_token(self, email: str, scopes: Iterable[str] = DEFAULT_SCOPES) -> str:
        return self._new_refresh(email, frozenset(scopes), CLIENT_ID)

    def expire_access_tokens(self, email: str | None = None) -> None:
        """Let access tokens die early, so that clients have to refresh."""
        for token, grant in list(self._access.items()):
            if email in {None, grant.email}:
                del self._access[token]

    def revoke(self, email: str) -> None:
        """Take back everything that was granted to act for `email`."""
        self.expire_access_tokens(email)
        for token, grant in list(self._refresh.items()):
            if grant.email == email:
                del self._refresh[token]
        self._service.pop(email, None)

    def revoke_token(self, token: str) -> None:
        """Do what `/revoke` does.

        Raises:
            OAuthError: No such token.
        """
        grant = self._refresh.get(token) or self._access.get(token)
        if grant is None:
            raise OAuthError("invalid_token", "Token expired or revoked")
        self.revoke(grant.email)

    def new_service_key(
        self, email: str, token_uri: str, subjects: Iterable[str]
    ) -> dict[str, str]:
        """Make a service account's key; answers its file's content."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key_id = secrets.token_hex(20)
        self._service[email] = _ServiceKey(
            key_id, private.public_key(), token_uri, frozenset(subjects)
        )
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": "stage",
            "private_key_id": key_id,
            "private_key": pem.decode(),
            "client_email": email,
            "client_id": "100000000000000000001",
            "auth_uri": token_uri.removesuffix("/token") + "/o/oauth2/auth",
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        }

    # ── the consent page ─────────────────────────────────────────────────────────────────

    def give_consent(self, asked: Mapping[str, str]) -> dict[str, str]:
        """Answer what the redirect back to the client carries, besides its `state`.

        Raises:
            OAuthError: The client or its redirect address is none that we send people to.
        """
        if asked.get("client_id") != CLIENT_ID:
            raise OAuthError("invalid_client", "The OAuth client was not found.", 401)
        redirect = urlsplit(asked.get("redirect_uri", ""))
        if redirect.scheme != "http" or redirect.hostname not in _LOOPBACK:
            raise OAuthError("redirect_uri_mismatch", "A desktop client returns to loopback.")
        method = asked.get("code_challenge_method", "plain")
        if asked.get("response_type") != "code" or method not in {"plain", "S256"}:
            raise OAuthError("invalid_request", "Only code, with PKCE plain or S256.")
        scopes = frozenset(asked.get("scope", "").split())
        if not scopes:
            raise OAuthError("invalid_request", "Missing required parameter: scope")
        granted = scopes - self.consent.withholds
        if self.consent.denies or not granted:
            return {"error": "access_denied"}
        code = f"4/{secrets.token_urlsafe(32)}"
        self._codes[code] = _Code(
            email=self._who_signs_in(asked.get("login_hint")),
            scopes=granted,
            client_id=CLIENT_ID,
            redirect_uri=asked["redirect_uri"],
            challenge=asked.get("code_challenge"),
            challenge_method=method,
            offline=asked.get("access_type") == "offline",
            expires_at=self.now() + _CODE_LIFETIME,
        )
        return {"code": code, "scope": " ".join(sorted(granted))}

    def _who_signs_in(self, hint: str | None) -> str:
        for email in (self.consent.email, hint, *sorted(self.emails)):
            if email in self.emails and email is not None:
                return email
        raise OAuthError("access_denied", "Nobody has an account here.", 403)

    # ── the token address ────────────────────────────────────────────────────────────────

    def token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Answer a token request.

        Raises:
            OAuthError: With the code that the RFC, or Google, has for it.
        """
        grant_type = form.get("grant_type", "")
        if grant_type == "authorization_code":
            return self._redeem(form)
        if grant_type == "refresh_token":
            return self._refreshed(form)
        if grant_type == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return self._asserted(form.get("assertion", ""))
        raise OAuthError("unsupported_grant_type", f"Invalid grant_type: {grant_type}")

    def _redeem(self, form: Mapping[str, str]) -> dict[str, Any]:
        _check_client(form)
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.expires_at <= self.now():
            raise OAuthError("invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise OAuthError("redirect_uri_mismatch", "Bad Request")
        if code.challenge is not None:
            _check_verifier(code, form.get("code_verifier"))
        answer = self._new_access(code.email, code.scopes, code.client_id)
        if code.offline:
            answer["refresh_token"] = self._new_refresh(code.email, code.scopes, code.client_id)
            if self.refresh_lifetime is not None:
                seconds = int(self.refresh_lifetime.total_seconds())
                answer["refresh_token_expires_in"] = seconds
        return answer

    def _refreshed(self, form: Mapping[str, str]) -> dict[str, Any]:
        _check_client(form)
        grant = self._refresh.get(form.get("refresh_token", ""))
        expired = (
            grant is not None
            and self.refresh_lifetime is not None
            and self.now() >= grant.issued_at + self.refresh_lifetime
        )
        if grant is None or expired:
            raise OAuthError("invalid_grant", "Token has been expired or revoked.")
        scopes = frozenset(form.get("scope", "").split()) or grant.scopes
        if not scopes <= grant.scopes:
            raise OAuthError("invalid_scope", "Bad Request")
        return self._new_access(grant.email, scopes, grant.client_id)

    def _asserted(self, assertion: str) -> dict[str, Any]:
        header, claims, signed, signature = _split_jwt(assertion)
        issuer = str(claims.get("iss", ""))
        key = self._service.get(issuer)
        if key is None or header.get("kid") not in {None, key.key_id}:
            raise OAuthError("invalid_grant", "Invalid grant: account not found")
        try:
            key.public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature as error:
            raise OAuthError("invalid_grant", "Invalid JWT Signature.") from error
        if header.get("alg") != "RS256" or claims.get("aud") not in {
            key.token_uri,
            _TOKEN_AUDIENCE,
        }:
            raise OAuthError("invalid_grant", "Invalid JWT: Failed audience check.")
        self._check_times(claims)
        scopes = frozenset(str(claims.get("scope", "")).split())
        if not scopes:
            raise OAuthError("invalid_scope", "Empty or missing scope not allowed.")
        subject = str(claims.get("sub", issuer))
        if subject != issuer and subject not in key.subjects:
            raise OAuthError(
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or "
                "client not authorized for any of the scopes requested.",
                401,
            )
        return self._new_access(subject, scopes, issuer, tells_scope=False)

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        """Check that an assertion is fresh, by the stage's clock or by the host's.

        Client libraries sign with the host's time, which a rehearsal's may differ from.
        """
        try:
            issued, expires = float(claims["iat"]), float(claims["exp"])
        except (KeyError, TypeError, ValueError) as error:
            raise OAuthError("invalid_grant", "Invalid JWT: iat and exp needed.") from error
        skew = _CLOCK_SKEW.total_seconds()
        for now in (self.now().timestamp(), datetime.now(timezone.utc).timestamp()):
            if issued - skew <= now < expires + skew and expires - issued <= 3600 + skew:
                return
        raise OAuthError(
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
            "timeframe. Check your iat and exp values in the JWT claim.",
        )

    # ── making tokens ────────────────────────────────────────────────────────────────────

    def _new_refresh(self, email: str, scopes: frozenset[str], client_id: str) -> str:
        token = f"1//{secrets.token_urlsafe(48)}"
        self._refresh[token] = RefreshGrant(email, scopes, client_id, self.now())
        return token

    def _new_access(
        self, email: str, scopes: frozenset[str], client_id: str, *, tells_scope: bool = True
    ) -> dict[str, Any]:
        now = self.now()
        self._access = {k: v for k, v in self._access.items() if v.expires_at > now}
        token = f"ya29.{secrets.token_urlsafe(48)}"
        self._access[token] = AccessGrant(email, scopes, now + self.access_lifetime, client_id)
        answer: dict[str, Any] = {
            "access_token": token,
            "expires_in": max(0, int(self.access_lifetime.total_seconds()) - 1),
            "token_type": "Bearer",
        }
        if tells_scope:
            answer["scope"] = " ".join(sorted(scopes))
        return answer


def _check_client(form: Mapping[str, str]) -> None:
    if form.get("client_id") != CLIENT_ID:
        raise OAuthError("invalid_client", "The OAuth client was not found.", 401)
    if not hmac.compare_digest(form.get("client_secret", "").encode(), CLIENT_SECRET.encode()):
        raise OAuthError("invalid_client", "Unauthorized", 401)


def _check_verifier(code: _Code, verifier: str | None) -> None:
    if verifier is None:
        raise OAuthError("invalid_grant", "Missing code verifier.")
    shown = verifier
    if code.challenge_method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        shown = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    if not hmac.compare_digest(shown.encode(), (code.challenge or "").encode()):
        raise OAuthError("invalid_grant", "Invalid code verifier.")


def _split_jwt(assertion: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    try:
        head, body, signature = assertion.split(".")
        header, claims = dict(_part(head)), dict(_part(body))
        return header, claims, f"{head}.{body}".encode(), _unpadded(signature)
    except (ValueError, TypeError) as error:
        raise OAuthError("invalid_grant", "Bad Request: not a JWT.") from error


def _part(text: str) -> Any:
    return json.loads(_unpadded(text))


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
