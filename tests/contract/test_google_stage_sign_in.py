"""Signing in at the stage's Google: consent, PKCE, refreshing, revoking, service accounts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from google.auth.exceptions import RefreshError
from google.oauth2 import service_account
from google_auth_oauthlib.flow import InstalledAppFlow

from locum.rehearsal.google.identity import CLIENT_ID, CLIENT_SECRET, SCOPE_ROOT, Consent
from tests.contract.google_rig import ANNA, BEN, GoogleRig, google_rig, hour, refusal

READ = f"{SCOPE_ROOT}calendar.events.readonly"
ROBOT = "robot@stage.iam.gserviceaccount.com"
REDIRECT = "http://127.0.0.1:8765/"
VERIFIER = "v" * 64
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)


@pytest.fixture
def rig() -> Iterator[GoogleRig]:
    with google_rig() as ready:
        yield ready


@pytest.fixture
def web(rig: GoogleRig) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=rig.base_url) as client:
        yield client


def _consent(web: httpx.Client, **changes: str) -> httpx.Response:
    asked = {
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scope": READ,
        "state": "s1",
        "access_type": "offline",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "login_hint": BEN,
    }
    return web.get("/o/oauth2/auth", params={**asked, **changes})


def _returned(response: httpx.Response) -> dict[str, str]:
    location = urlsplit(response.headers["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == REDIRECT
    return {name: values[0] for name, values in parse_qs(location.query).items()}


def _redeem(web: httpx.Client, code: str, **changes: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }
    return web.post("/token", data={**form, **changes})


def _list(client: Any) -> Any:
    return client.events().list(calendarId="primary")


# ── consent ──────────────────────────────────────────────────────────────────────────────


def test_google_s_own_flow_signs_in(rig: GoogleRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """google-auth-oauthlib, with the stage's client file, ends with working credentials."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    rig.stage.consent = Consent(email=BEN)
    rig.stage.insert_event(BEN, hour(21, summary="Ben's"))
    flow = InstalledAppFlow.from_client_config(rig.stage.client_secrets(rig.base_url), [READ])
    flow.redirect_uri = REDIRECT
    address, state = flow.authorization_url()
    location = httpx.get(address).headers["location"]
    assert parse_qs(urlsplit(location).query)["state"] == [state]
    flow.fetch_token(authorization_response=location)
    flow.oauth2session.close()
    client = rig.client_with(flow.credentials)
    assert _list(client).execute()["items"][0]["summary"] == "Ben's"
    rig.stage.expire_access_tokens()
    assert len(_list(client).execute()["items"]) == 1


def test_the_consent_page_returns_code_and_state(web: httpx.Client) -> None:
    """A redirect to the loopback address, and tokens for the person who was hinted at."""
    returned = _returned(_consent(web))
    assert (returned["state"], returned["scope"]) == ("s1", READ)
    tokens = _redeem(web, returned["code"]).json()
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == (
        "Bearer",
        3599,
        READ,
    )
    info = web.get("/tokeninfo", params={"access_token": tokens["access_token"]}).json()
    assert (info["email"], info["aud"]) == (BEN, CLIENT_ID)
    assert "refresh_token" in tokens


def test_a_code_works_once_and_for_ten_minutes(rig: GoogleRig, web: httpx.Client) -> None:
    """Used again, or late: invalid_grant."""
    code = _returned(_consent(web))["code"]
    assert _redeem(web, code).status_code == 200
    assert _redeem(web, code).json()["error"] == "invalid_grant"
    late = _returned(_consent(web))["code"]
    rig.clock.advance(timedelta(minutes=10))
    assert _redeem(web, late).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 64}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:1/"}, "redirect_uri_mismatch"),
        ({"client_secret": "guessed"}, "invalid_client"),
        ({"client_id": "someone else"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_code_is_for_who_asked_for_it(
    web: httpx.Client, changes: dict[str, str], error: str
) -> None:
    """Verifier, redirect address and client must be those of the request."""
    code = _returned(_consent(web))["code"]
    response = _redeem(web, code, **changes)
    assert (response.status_code // 100, response.json()["error"]) == (4, error)


def test_a_code_with_a_challenge_needs_its_verifier(web: httpx.Client) -> None:
    """Leaving the verifier out is no way around PKCE; without a challenge none is needed."""
    code = _returned(_consent(web))["code"]
    assert _redeem(web, code, code_verifier="").json()["error"] == "invalid_grant"
    plain = _returned(_consent(web, code_challenge_method="plain", code_challenge=VERIFIER))
    assert _redeem(web, plain["code"]).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"client_id": "unknown"}, 401),
        ({"redirect_uri": "https://evil.example/"}, 400),
        ({"redirect_uri": "http://evil.example/"}, 400),
        ({"response_type": "token"}, 400),
        ({"code_challenge_method": "S1"}, 400),
        ({"scope": ""}, 400),
    ],
)
def test_bad_requests_are_never_sent_anywhere(
    web: httpx.Client, changes: dict[str, str], status: int
) -> None:
    """No redirect for an unknown client, another host, or another kind of answer."""
    response = _consent(web, **changes)
    assert (response.status_code, "location" in response.headers) == (status, False)


def test_the_person_may_refuse_or_untick(rig: GoogleRig, web: httpx.Client) -> None:
    """Refused: access_denied with the state. Unticked: a token for the rest."""
    rig.stage.consent = Consent(denies=True)
    assert _returned(_consent(web)) == {"state": "s1", "error": "access_denied"}
    drive = f"{SCOPE_ROOT}drive.file"
    rig.stage.consent = Consent(withholds=frozenset({drive}))
    returned = _returned(_consent(web, scope=f"{READ} {drive}"))
    assert _redeem(web, returned["code"]).json()["scope"] == READ


# ── tokens ───────────────────────────────────────────────────────────────────────────────


def test_an_expired_token_is_refreshed_by_the_client(rig: GoogleRig) -> None:
    """An hour later on the stage's clock the API says 401, and google-auth refreshes."""
    client = rig.client()
    _list(client).execute()
    rig.clock.advance(timedelta(hours=1))
    assert _list(client).execute()["items"] == []
    assert len(rig.stage.log.matching("/token")) == 2
    statuses = [each.status for each in rig.stage.log.matching("/calendar/v3/")]
    assert statuses == [200, 401, 200]


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic eDp5", "Bearer"])
def test_without_a_token_nobody_is_let_in(web: httpx.Client, header: str | None) -> None:
    """401 authError, whatever stands in its place."""
    headers = {} if header is None else {"authorization": header}
    response = web.get("/calendar/v3/calendars/primary/events", headers=headers)
    assert response.status_code == 401
    assert response.json()["error"]["errors"][0]["reason"] == "authError"


def test_a_revoked_sign_in_is_gone_for_good(rig: GoogleRig, web: httpx.Client) -> None:
    """Refreshing answers invalid_grant, by Python's revoke or by the address for it."""
    client = rig.client()
    _list(client).execute()
    rig.stage.revoke(ANNA)
    with pytest.raises(RefreshError, match="invalid_grant: Token has been expired or revoked"):
        _list(client).execute()
    token = rig.stage.issue_refresh_token(BEN)
    assert web.post("/revoke", data={"token": token}).status_code == 200
    assert web.post("/revoke", data={"token": token}).json()["error"] == "invalid_token"


def test_an_app_in_testing_loses_its_sign_ins_after_a_week(rig: GoogleRig) -> None:
    """`refresh_lifetime` is Google's rule for apps whose consent screen is in Testing."""
    rig.stage.refresh_lifetime = timedelta(days=7)
    client = rig.client()
    _list(client).execute()
    rig.clock.advance(timedelta(days=6, hours=23))
    _list(client).execute()
    rig.clock.advance(timedelta(hours=2))
    with pytest.raises(RefreshError, match="invalid_grant"):
        _list(client).execute()


def test_a_refresh_can_not_widen_its_scopes(rig: GoogleRig, web: httpx.Client) -> None:
    """Less than was granted is given, more is invalid_scope."""
    form = {
        "grant_type": "refresh_token",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": rig.stage.issue_refresh_token(ANNA, [READ]),
    }
    assert web.post("/token", data={**form, "scope": READ}).json()["scope"] == READ
    wider = {**form, "scope": f"{SCOPE_ROOT}calendar"}
    assert web.post("/token", data=wider).json()["error"] == "invalid_scope"


def test_tokens_of_nobody_tell_nothing(web: httpx.Client) -> None:
    """`tokeninfo` of an unknown token answers 400."""
    response = web.get("/tokeninfo", params={"access_token": "nonsense"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_token")


# ── service accounts ─────────────────────────────────────────────────────────────────────


def _robot(rig: GoogleRig, **more: Any) -> Any:
    info = rig.stage.service_account_info(ROBOT, f"{rig.base_url}/token", subjects=[BEN])
    make: Any = service_account.Credentials.from_service_account_info
    return make(info, scopes=[READ], **more)


def test_a_service_account_reads_what_is_shared_with_it(rig: GoogleRig) -> None:
    """Its own primary calendar is empty; Anna's is read by id once she shares it."""
    rig.stage.insert_event(ANNA, hour(21, summary="Shared"))
    client = rig.client_with(_robot(rig))
    assert _list(client).execute()["items"] == []
    request = client.events().list(calendarId=ANNA)
    assert refusal(request) == (404, "notFound")
    rig.stage.set_access(ANNA, ROBOT, "reader")
    assert request.execute()["items"][0]["summary"] == "Shared"


def test_delegation_is_for_named_subjects_only(rig: GoogleRig) -> None:
    """The robot acts for Ben, for whom it was let, and not for Anna."""
    rig.stage.insert_event(BEN, hour(21, summary="Ben's"))
    client = rig.client_with(_robot(rig, subject=BEN))
    assert _list(client).execute()["items"][0]["summary"] == "Ben's"
    with pytest.raises(RefreshError, match="unauthorized_client"):
        _list(rig.client_with(_robot(rig, subject=ANNA))).execute()


def test_a_foreign_key_is_refused(rig: GoogleRig) -> None:
    """A new key for the account makes the old one worthless, as does revoking."""
    old = rig.client_with(_robot(rig))
    new = rig.client_with(_robot(rig))
    with pytest.raises(RefreshError, match="invalid_grant"):
        _list(old).execute()
    assert _list(new).execute()["items"] == []
    rig.stage.revoke(ROBOT)
    with pytest.raises(RefreshError, match="invalid_grant"):
        _list(new).execute()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"aud": "https://elsewhere.example/token"}, "invalid_grant"),
        ({"scope": ""}, "invalid_scope"),
        ({"iat": 0, "exp": 3600}, "invalid_grant"),
        ({"exp": 4_000_000_000}, "invalid_grant"),
        ({"iat": "yesterday"}, "invalid_grant"),
    ],
)
def test_assertions_are_checked(
    rig: GoogleRig, web: httpx.Client, changes: dict[str, Any], error: str
) -> None:
    """Signed by the right key is not enough: audience, scope and times count."""
    now = int(datetime.now(timezone.utc).timestamp())
    claims = {
        "iss": ROBOT,
        "aud": f"{rig.base_url}/token",
        "scope": READ,
        "iat": now,
        "exp": now + 3600,
    }
    signer = _robot(rig).signer

    def post(wanted: dict[str, Any], forged: bytes = b"") -> httpx.Response:
        parts = [{"alg": "RS256", "typ": "JWT", "kid": signer.key_id}, wanted]
        coded = [base64.urlsafe_b64encode(json.dumps(each).encode()) for each in parts]
        signed = b".".join(coded)
        signature = base64.urlsafe_b64encode(signer.sign(signed + forged))
        grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        assertion = (signed + b"." + signature).decode()
        return web.post("/token", data={"grant_type": grant_type, "assertion": assertion})

    assert post(claims).status_code == 200
    assert post(claims, b"forged").json()["error_description"] == "Invalid JWT Signature."
    assert post({**claims, **changes}).json()["error"] == error


@pytest.mark.parametrize("assertion", ["", "a.b", "a.b.c", "W10.W10.W10", "e30.e30.e30"])
def test_nonsense_is_no_assertion(web: httpx.Client, assertion: str) -> None:
    """What isn't a JWT of ours answers invalid_grant, not a crash."""
    grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    response = web.post("/token", data={"grant_type": grant_type, "assertion": assertion})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
