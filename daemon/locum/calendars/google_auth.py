"""Signs a person in to Google, says how that sign-in fares, and ends it.

Google takes no passwords from programs: the person's browser goes to Google, which sends it
back to an address on this machine with a code. Where the browser runs elsewhere, a tunnel
brings it here, or the person pastes the address at which it failed. For a terminal: the
functions block, and talk through the callables that they are given.
"""

from __future__ import annotations

import contextlib
import enum
import os
import queue
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from locum.calendars.google_events import one_line
from locum.calendars.google_return import Return, ask_for_paste, await_code, loopback_server
from locum.calendars.google_token import (
    GoogleAccount,
    StoredToken,
    can_read_events,
    delete_token,
    is_loopback,
    is_safe_address,
    permission_problem,
    read_json_file,
    read_scopes,
    read_token,
    token_lock,
    write_token,
)
from locum.errors import HumanNeededError, PermanentError, TransientError

TESTING_AGE = timedelta(days=7)
"""After so long, Google ends the sign-ins of apps whose status is "Testing"."""

WARN_AGE = timedelta(days=5)
_PATIENCE = timedelta(minutes=10)
_CONSOLE_HINT = (
    'Create an OAuth client of type "Desktop app" in the Google Cloud console, download its '
    "JSON, and name the file as client_secrets."
)


class TokenKind(enum.Enum):
    PERSONAL = "personal"
    SERVICE_ACCOUNT = "service_account"


@dataclass(frozen=True)
class TokenStatus:
    """How a sign-in fares, as far as its file tells; nobody was asked.

    `email` is known for service accounts only: our scope doesn't tell a person's address.
    """

    account: str
    kind: TokenKind
    email: str | None = None
    scopes: tuple[str, ...] = ()
    obtained_at: datetime | None = None
    age: timedelta | None = None
    warnings: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        if self.kind is TokenKind.SERVICE_ACCOUNT:
            return f"service account {self.email or '(no address)'}"
        if self.obtained_at is None or self.age is None:
            return "signed in"
        return f"signed in on {self.obtained_at:%Y-%m-%d}, {self.age.days} days ago"


def _host_time() -> datetime:
    return datetime.now(timezone.utc)


def status(account: GoogleAccount, *, now: Callable[[], datetime] = _host_time) -> TokenStatus:
    """Say what the account's sign-in looks like on disk.

    Raises:
        HumanNeededError: There is no usable one; the message names the file.
    """
    if account.service_account is not None:
        return _service_account_status(account)
    token = read_token(account)
    age = None if token.obtained_at is None else now() - token.obtained_at
    warnings = [permission_problem(account.token_file), _age_problem(token, age, now())]
    if token.scopes:
        warnings += [
            f"the sign-in doesn't allow locum {each.what} ({each.name}): sign in again"
            for each in account.missing(token.scopes)
        ]
    folder = Path(os.path.realpath(account.token_file)).parent
    if not os.access(folder, os.W_OK):
        warnings.append(f"{folder} can't be written: every start renews the sign-in anew")
    return TokenStatus(
        account=account.name,
        kind=TokenKind.PERSONAL,
        scopes=token.scopes,
        obtained_at=token.obtained_at,
        age=age,
        warnings=tuple(warning for warning in warnings if warning is not None),
    )


def _service_account_status(account: GoogleAccount) -> TokenStatus:
    assert account.service_account is not None  # noqa: S101 - The caller's branch.
    try:
        info = read_json_file(account.service_account, what="the service account's key")
    except (PermanentError, FileNotFoundError) as error:
        raise HumanNeededError(
            f"account {account.name}: {error}.",
            hint="Download a new key from the Google Cloud console.",
        ) from error
    warning = permission_problem(account.service_account)
    return TokenStatus(
        account=account.name,
        kind=TokenKind.SERVICE_ACCOUNT,
        email=one_line(account.subject or info.get("client_email"), limit=200) or None,
        scopes=account.scopes,
        warnings=() if warning is None else (warning,),
    )


def _age_problem(token: StoredToken, age: timedelta | None, now: datetime) -> str | None:
    """Warn before a sign-in ends that Google lets live for a week only."""
    if token.refresh_expires_at is not None:
        left = token.refresh_expires_at - now
        if left > TESTING_AGE - WARN_AGE:
            return None
        return (
            f"the sign-in ends on {token.refresh_expires_at:%Y-%m-%d %H:%M} UTC, since the OAuth "
            'app is in "Testing": publish it in the Google Cloud console, then sign in again'
        )
    # Older than that, and it has outlived what would have ended it.
    if age is None or not WARN_AGE <= age < TESTING_AGE + timedelta(days=1):
        return None
    return (
        f"the sign-in is {age.days} days old; if the OAuth app is in "
        '"Testing", it ends after 7 days: publish the app in the Google Cloud console, or sign '
        "in again now"
    )


# ── signing in ───────────────────────────────────────────────────────────────────────────


def sign_in(
    account: GoogleAccount,
    *,
    open_browser: bool,
    prompt: Callable[[str], str] | None,
    tell: Callable[[str], None],
    now: Callable[[], datetime] = _host_time,
    within: timedelta = _PATIENCE,
) -> TokenStatus:
    """Let a person allow us to read their calendar, and keep the sign-in.

    Whichever comes first counts: the browser's return to this machine, or the address that
    `prompt` answers (None: there is no terminal to ask at). An abandoned `prompt` stays
    behind in a daemon thread, since reading a terminal can't be interrupted.

    Raises:
        HumanNeededError: No usable client file, a refusal, or nobody came back in time.
        TransientError: Google can't be reached.
    """
    if account.service_account is not None:
        raise HumanNeededError(
            f"account {account.name} is a service account: nobody needs to sign in.",
            hint=f"Its key is {account.service_account}.",
        )
    client = _client_file(account)
    returns: queue.Queue[Return] = queue.Queue()
    state = secrets.token_urlsafe(32)
    done = threading.Event()
    with loopback_server(state, returns) as port, contextlib.ExitStack() as stack:
        stack.callback(done.set)
        flow = _flow(account, client, redirect_uri=f"http://127.0.0.1:{port}/")
        with _plain_http_allowed(client.auth_uri):
            address, _ = flow.authorization_url(
                state=state, access_type="offline", prompt="consent"
            )
        _show_the_way(address, port, open_browser=open_browser, tell=tell)
        if prompt is not None:
            ask_for_paste(prompt, tell, state, returns, done=done)
        code = await_code(account, returns, within)
    token = _exchange(account, flow, client, code, now)
    with token_lock(account.token_file, within=account.request_timeout):
        try:
            write_token(account.token_file, token)
        except OSError as error:
            raise HumanNeededError(
                f"account {account.name}: the sign-in can't be kept in {account.token_file} "
                f"({error.strerror}).",
                hint="Make its folder writable, then sign in again.",
            ) from error
    return status(account, now=now)


@dataclass(frozen=True)
class _Client:
    client_id: str
    client_secret: str
    auth_uri: str


def _client_file(account: GoogleAccount) -> _Client:
    path = account.client_secrets
    if path is None:
        raise HumanNeededError(
            f"account {account.name}: no client_secrets configured.", hint=_CONSOLE_HINT
        )
    try:
        content = read_json_file(path, what="the OAuth client")
    except FileNotFoundError as error:
        raise HumanNeededError(
            f"account {account.name}: there is no OAuth client in {path}.", hint=_CONSOLE_HINT
        ) from error
    except PermanentError as error:
        raise HumanNeededError(
            f"account {account.name}: {error}.", hint=_CONSOLE_HINT
        ) from error
    section = content.get("installed")
    if not isinstance(section, dict):
        raise HumanNeededError(
            f'account {account.name}: {path} is no OAuth client of type "Desktop app".',
            hint=_CONSOLE_HINT,
        )
    client_id, client_secret = section.get("client_id"), section.get("client_secret")
    auth_uri = account.auth_uri or section.get("auth_uri")
    if not (
        isinstance(client_id, str)
        and isinstance(client_secret, str)
        and isinstance(auth_uri, str)
        and is_safe_address(auth_uri)
    ):
        raise HumanNeededError(
            f"account {account.name}: {path} lacks client_id, client_secret or an https auth_uri.",
            hint=_CONSOLE_HINT,
        )
    return _Client(client_id, client_secret, auth_uri)


def _flow(account: GoogleAccount, client: _Client, *, redirect_uri: str) -> Any:
    from google_auth_oauthlib.flow import Flow

    flow = Flow.from_client_config(
        {
            "installed": {
                "client_id": client.client_id,
                "client_secret": client.client_secret,
                "auth_uri": client.auth_uri,
                "token_uri": account.token_uri,
            }
        },
        scopes=list(account.scopes),
        redirect_uri=redirect_uri,
        # PKCE: whoever else on this machine sees the code can't use it.
        autogenerate_code_verifier=True,
    )
    if is_loopback(account.token_uri):
        flow.oauth2session.trust_env = False  # A proxy can't reach our own loopback.
    return flow


def _show_the_way(
    address: str, port: int, *, open_browser: bool, tell: Callable[[str], None]
) -> None:
    if open_browser and webbrowser.open(address):
        tell(f"A browser should have opened. If not, open this address in one:\n\n{address}\n")
        return
    tell(f"Open this address in a browser:\n\n{address}\n")
    tell(
        "If that browser runs on another machine, first let it reach this one:\n\n"
        f"    ssh -L {port}:127.0.0.1:{port} {socket.gethostname()}\n\n"
        "Or allow the access and paste here the address (http://127.0.0.1…) of the page that "
        "then fails to open."
    )


def _exchange(
    account: GoogleAccount,
    flow: Any,
    client: _Client,
    code: str,
    now: Callable[[], datetime],
) -> StoredToken:
    """Trade the code for tokens."""
    import requests
    from oauthlib.oauth2 import OAuth2Error  # type: ignore[import-untyped]

    try:
        with _plain_http_allowed(account.token_uri):
            answer = flow.fetch_token(
                code=code, timeout=account.request_timeout.total_seconds()
            )
    except requests.RequestException as error:
        raise TransientError(
            f"account {account.name}: {account.token_uri} can't be reached "
            f"({type(error).__name__})"
        ) from error
    except OAuth2Error as error:
        raise HumanNeededError(
            f"account {account.name}: Google didn't take the code "
            f"({one_line(error.error or str(error), limit=200)}).",
            hint=account.login_hint,
        ) from error
    except Warning as error:
        # oauthlib raises this, bare, when the scopes aren't those that were asked for. What
        # was left unticked may be something that we can do without: the token is with it.
        answer = getattr(error, "token", None)
        if not isinstance(answer, Mapping):
            raise _not_allowed(account) from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise TransientError(
            f"account {account.name}: the answer of {account.token_uri} can't be read"
        ) from error
    return _token_from(account, answer, client, now())


def _token_from(
    account: GoogleAccount, answer: Any, client: _Client, obtained_at: datetime
) -> StoredToken:
    scopes = read_scopes(answer.get("scope")) or account.scopes
    if not can_read_events(scopes):
        raise _not_allowed(account)
    refresh_token = answer.get("refresh_token")
    if not isinstance(refresh_token, str) or not refresh_token:
        raise HumanNeededError(
            f"account {account.name}: Google gave no lasting sign-in.",
            hint="Remove locum at https://myaccount.google.com/permissions, then: "
            f"{account.login_hint}",
        )
    access_token = answer.get("access_token")
    # Google names this end for apps in "Testing"; others have none.
    ends_in = _seconds(answer.get("refresh_token_expires_in"))
    expires_in = _seconds(answer.get("expires_in"))
    return StoredToken(
        client_id=client.client_id,
        client_secret=client.client_secret,
        refresh_token=refresh_token,
        access_token=access_token if isinstance(access_token, str) else None,
        # google-auth reads it by the host's clock, whatever ours says.
        expiry=None if expires_in is None else _host_time() + expires_in,
        scopes=scopes,
        obtained_at=obtained_at,
        refresh_expires_at=None if ends_in is None else obtained_at + ends_in,
    )


def _seconds(value: object) -> timedelta | None:
    try:
        seconds = int(value) if isinstance(value, (int, str)) else 0
    except ValueError:
        return None
    return timedelta(seconds=seconds) if 0 < seconds < 10**9 else None


def _not_allowed(account: GoogleAccount) -> HumanNeededError:
    return HumanNeededError(
        f"account {account.name}: the permission to read calendar events wasn't given.",
        hint=f"{account.login_hint} Leave the calendar permission ticked.",
    )


@contextlib.contextmanager
def _plain_http_allowed(address: str) -> Iterator[None]:
    """Let oauthlib talk plain http to a server on our own loopback, and to no other."""
    key = "OAUTHLIB_INSECURE_TRANSPORT"
    if not (address.startswith("http://") and is_loopback(address)):
        yield
        return
    before = os.environ.get(key)
    os.environ[key] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[key]
        else:
            os.environ[key] = before


# ── signing out ──────────────────────────────────────────────────────────────────────────


def revoke(account: GoogleAccount) -> str | None:
    """End the sign-in at Google and delete its file; answer what went wrong, if anything.

    The file goes even where Google can't be told: then the sign-in must be ended by hand.

    Raises:
        HumanNeededError: There is no sign-in, or it is a service account's.
    """
    import httpx

    if account.service_account is not None:
        raise HumanNeededError(
            f"account {account.name} is a service account: there is no sign-in to end.",
            hint="Delete its key in the Google Cloud console.",
        )
    by_hand = "End it at https://myaccount.google.com/permissions."
    problem: str | None = None
    try:
        token = read_token(account)
    except HumanNeededError as error:
        if not delete_token(account.token_file):
            raise
        return f"{error.args[0]} The file is deleted. {by_hand}"
    address = account.token_uri.removesuffix("/token") + "/revoke"
    try:
        with httpx.Client(
            timeout=account.request_timeout.total_seconds(),
            trust_env=not is_loopback(address),
        ) as client:
            response = client.post(address, data={"token": token.refresh_token})
        # 400 invalid_token: it had ended already, which is what we want.
        if response.status_code not in {200, 400}:
            problem = f"Google answered HTTP {response.status_code}. {by_hand}"
    except httpx.HTTPError as error:
        problem = f"Google can't be told ({type(error).__name__}). {by_hand}"
    delete_token(account.token_file)
    return problem
