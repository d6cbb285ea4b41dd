"""Permissions beyond reading calendars: asked for by the config, and done without where refused."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
import typer

from locum.app.accounts import google_account
from locum.calendars.google_auth import TokenStatus, sign_in
from locum.calendars.google_token import CALENDAR_SCOPE, PERMISSIONS
from locum.cli.signing import _permitted
from locum.config.calendars import Account, Calendar
from locum.config.model import Config
from locum.config.sinks import GoogleDocSink, OnEvent
from locum.rehearsal.google.identity import Consent
from tests.integration.google_rig import ANNA, GoogleRig
from tests.integration.test_google_auth import (  # noqa: F401 - A fixture by name.
    Person,
    browse,
    consent_address,
    rig,
)

DOCS, EVENTS = PERMISSIONS["docs"].scope, PERMISSIONS["events"].scope


def signed_in(rig: GoogleRig, *permissions: str) -> tuple[TokenStatus, set[str]]:  # noqa: F811
    """Answer how the sign-in fares, and the scopes that were asked for."""
    person = Person(browse)
    account = replace(rig.account, permissions=frozenset(permissions))
    found = sign_in(
        account, open_browser=False, prompt=None, tell=person.tell, now=rig.clock.now
    )
    asked = parse_qs(urlsplit(consent_address(person.told)).query)["scope"][0].split()
    return found, set(asked)


def test_a_sign_in_asks_for_what_the_account_is_for(rig: GoogleRig) -> None:  # noqa: F811
    """Reading, and each permission by its scope; the sign-in has them all."""
    found, asked = signed_in(rig, "docs", "events")

    assert asked == set(found.scopes) == {CALENDAR_SCOPE, DOCS, EVENTS}
    assert found.warnings == ()


def test_a_permission_that_was_left_unticked_is_a_warning(rig: GoogleRig) -> None:  # noqa: F811
    """The calendar can be read, so the sign-in is kept; what is missing is said."""
    rig.stage.consent = Consent(email=ANNA, withholds=frozenset({DOCS}))
    found, _ = signed_in(rig, "docs")

    assert found.scopes == (CALENDAR_SCOPE,)
    [warning] = found.warnings
    assert "doesn't allow locum to file documents (docs)" in warning


@pytest.mark.parametrize(
    ("on_event", "expected"),
    [
        (OnEvent.ATTACH, {"docs", "events"}),
        (OnEvent.PRIVATE, {"docs", "events"}),
        (OnEvent.NONE, {"docs"}),
    ],
)
def test_the_config_decides_what_is_asked_for(
    rig: GoogleRig,  # noqa: F811
    on_event: OnEvent,
    expected: set[str],
) -> None:
    """No more than it makes use of, and only for the account that it is."""
    work, home = (Account(name=name, token_file=rig.folder / name) for name in ("work", "home"))
    sink = GoogleDocSink(type="google_doc", account="work", on_event=on_event)
    config = Config(calendar=Calendar(accounts=(work, home)), sinks=(sink,))

    assert google_account(work, config, rig.folder).permissions == expected
    assert google_account(home, config, rig.folder).permissions == frozenset()


def test_a_login_can_ask_for_more_by_name(rig: GoogleRig) -> None:  # noqa: F811
    """`--with docs`; an unknown name ends with those that there are."""
    assert _permitted(rig.account, ["docs"]).scopes == (CALENDAR_SCOPE, DOCS)
    with pytest.raises(typer.BadParameter, match="there is docs"):
        _permitted(rig.account, ["everything"])
