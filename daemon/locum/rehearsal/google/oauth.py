"""The addresses of the sign-in: consent page, tokens, revocation, token info.

The consent page shows nothing: whoever is named in the stage's `consent` agrees at once,
and the browser, or the test that plays one, is sent back to the client.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from locum.rehearsal.google.errors import OAuthError
from locum.rehearsal.google.identity import Identity

_FORM = "application/x-www-form-urlencoded"


def _client_of(request: Request) -> dict[str, str]:
    """Answer the client that a request names by HTTP Basic (RFC 6749, section 2.3.1)."""
    scheme, _, coded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        name, _, secret = base64.b64decode(coded).decode().partition(":")
    except ValueError:
        return {}
    return {"client_id": unquote(name), "client_secret": unquote(secret)}


def oauth_routes(identity: Identity, lock: AbstractContextManager[object]) -> list[Route]:
    """Answer the routes; every change of `identity` is made under `lock`."""

    def guarded(answer: Callable[[Mapping[str, str]], Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            given = dict(request.query_params) | _client_of(request)
            if request.headers.get("content-type", "").startswith(_FORM):
                given |= {name: str(value) for name, value in (await request.form()).items()}
            try:
                with lock:
                    return answer(given)
            except OAuthError as error:
                return JSONResponse(error.body, error.status)

        return endpoint

    def consent(given: Mapping[str, str]) -> Response:
        carried = identity.give_consent(given)
        if "state" in given:
            carried = {"state": given["state"], **carried}
        redirect = urlsplit(given["redirect_uri"])
        query = "&".join(filter(None, [redirect.query, urlencode(carried)]))
        return RedirectResponse(urlunsplit(redirect._replace(query=query)), status_code=302)

    def token(given: Mapping[str, str]) -> Response:
        return JSONResponse(identity.token(given), headers={"cache-control": "no-store"})

    def revoke(given: Mapping[str, str]) -> Response:
        identity.revoke_token(given.get("token", ""))
        return JSONResponse({})

    def token_info(given: Mapping[str, str]) -> Response:
        return JSONResponse(identity.describe(given.get("access_token", "")))

    return [
        Route("/o/oauth2/auth", guarded(consent), methods=["GET"]),
        Route("/o/oauth2/v2/auth", guarded(consent), methods=["GET"]),
        Route("/token", guarded(token), methods=["POST"]),
        Route("/revoke", guarded(revoke), methods=["POST"]),
        Route("/tokeninfo", guarded(token_info), methods=["GET", "POST"]),
    ]
