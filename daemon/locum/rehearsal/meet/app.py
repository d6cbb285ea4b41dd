"""The meeting page over HTTP: its shell, its scripts, the sign-in, and the home screen.

Every page is under the Content-Security-Policy that the settings name, with a new nonce each
time; nothing in here puts what others wrote into HTML without escaping it.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from locum.rehearsal.faults import control_routes, with_faults
from locum.rehearsal.meet.accounts import Account
from locum.rehearsal.meet.connection import COOKIE, Connections
from locum.rehearsal.meet.settings import Locale, Policy
from locum.rehearsal.meet.state import MeetStage
from locum.rehearsal.meet.voices import StageVoices

_CODE = re.compile(r"[a-z]{3}-[a-z]{4}-[a-z]{3}")
_ASSET = re.compile(r"[a-z0-9-]+\.(?:js|css)")
_KINDS = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
_LONGEST_FIELD = 300


def meet_app(stage: MeetStage, voices: StageVoices | None = None) -> ASGIApp:
    """Serve the meeting page of `stage`: `/abc-defg-hij`, `/ws`, `/signin`, and `/` for home.

    Args:
        stage: What it shows.
        voices: Sound and picture; None is a page without.
    """
    pages = _Pages(stage)
    connections = Connections(stage, None if voices is None else voices.negotiate)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if voices is not None:
            voices.begin()
        yield
        if voices is not None:
            await voices.aclose()

    routes = [
        Route("/", pages.home),
        Route("/assets/{name}", pages.asset),
        Route("/signin", pages.sign_in, methods=["GET", "POST"]),
        # As accounts.google.com calls it.
        Route("/ServiceLogin", pages.sign_in, methods=["GET", "POST"]),
        Route("/Logout", pages.sign_out),
        WebSocketRoute("/ws", connections.serve),
        *control_routes(stage.faults, stage.log),
        Route("/{code}", pages.meeting),
    ]
    return with_faults(Starlette(routes=routes, lifespan=lifespan), stage.faults, stage.log)


class _Pages:
    def __init__(self, stage: MeetStage) -> None:
        self._stage = stage

    async def meeting(self, request: Request) -> Response:
        """The meeting's page. Its parameters (hl, authuser, pli …) are taken as Meet takes them."""
        code = str(request.path_params["code"])
        if not _CODE.fullmatch(code):
            return self._page(request, "meet", {"room": None})
        return self._page(request, "meet", {"room": code})

    async def home(self, request: Request) -> Response:
        return self._page(request, "home", {})

    async def asset(self, request: Request) -> Response:
        name = str(request.path_params["name"])
        content = _asset(name) if _ASSET.fullmatch(name) else None
        if content is None:
            return Response(status_code=404)
        kind = _KINDS[name.rpartition(".")[2]]
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type=kind, headers=headers)

    async def sign_in(self, request: Request) -> Response:
        """Two pages as Google's: the address, then the password; a cookie at the end."""
        form: Mapping[str, Any] = {}
        if request.method == "POST":
            form = await request.form(max_files=0, max_fields=10, max_part_size=4096)
        email = str(form.get("identifier", ""))[:_LONGEST_FIELD]
        goes_on = _own_path(
            str(form.get("continue", request.query_params.get("continue", "/")))
        )
        shown = {"continue": goes_on, "email": email, "step": "email", "problem": ""}
        if "Passwd" in form:
            cookie = self._stage.sign_in(email, str(form["Passwd"])[:_LONGEST_FIELD])
            if cookie is not None:
                answer = RedirectResponse(goes_on, status_code=303)
                answer.set_cookie(COOKIE, cookie, max_age=86_400 * 365, httponly=True)
                return answer
            shown |= {"step": "password", "problem": "wrong_password"}
        elif email:
            known = self._stage.knows(email)
            shown |= {"step": "password"} if known else {"problem": "unknown_account"}
        return self._page(request, "signin", shown)

    async def sign_out(self, request: Request) -> Response:
        answer = RedirectResponse(_own_path(request.query_params.get("continue", "/")))
        answer.delete_cookie(COOKIE)
        return answer

    def _page(self, request: Request, kind: str, facts: dict[str, Any]) -> Response:
        room = facts.get("room")
        settings = self._stage.settings(room)
        account = self._stage.account_of(request.cookies.get(COOKIE))
        locale = spoken(request, account, settings.locale)
        nonce = secrets.token_urlsafe(16)
        config = {
            **facts,
            "page": kind,
            "locale": locale.value,
            "generation": settings.generation,
            "devicesRefused": settings.devices_refused,
            "account": account and {"email": account.email, "name": account.name},
            "signIn": f"/signin?continue={quote(str(request.url.path))}",
            "texts": texts(locale),
        }
        shell = _shell(nonce, locale, config)
        answer = HTMLResponse(shell, headers={"Cache-Control": "no-store"})
        for policy in policies(settings.policy, nonce):
            answer.headers.append("Content-Security-Policy", policy)
        return answer


def spoken(request: Request, account: Account | None, otherwise: Locale) -> Locale:
    """Answer the page's language, as Meet decides: `hl`, the account's, the browser's."""
    wanted = [request.query_params.get("hl", "")]
    if account is not None and account.locale is not None:
        wanted.append(account.locale.value)
    wanted += _languages(request.headers.get("accept-language", ""))
    known = {locale.value: locale for locale in Locale}
    for each in wanted:
        found = known.get(each.strip().lower().partition("-")[0])
        if found is not None:
            return found
    return otherwise


def _languages(header: str) -> list[str]:
    """Answer the languages of an Accept-Language header, the best first."""
    weighed: list[tuple[float, str]] = []
    for part in header[:1_000].split(","):
        name, _, weight = part.partition(";")
        match = re.fullmatch(r"\s*q=([01](?:\.\d{1,3})?)\s*", weight)
        weighed.append((float(match[1]) if match else 1.0, name.strip()))
    weighed.sort(key=lambda each: -each[0])  # Stable: equals stay in the browser's order.
    return [name for weight, name in weighed if weight > 0]


def policies(policy: Policy, nonce: str) -> tuple[str, ...]:
    """Answer the page's policies; all of them hold at once, as on the real page.

    Meet's real ones were noted in 2026: no eval, no blob workers, no strings into innerHTML,
    but Trusted Types policies of any name, and connections anywhere.
    """
    if policy is Policy.NONE:
        return ()
    trusted = "require-trusted-types-for 'script'"
    scripts = (
        f"script-src 'report-sample' 'nonce-{nonce}' 'unsafe-inline'; "
        "object-src 'none'; base-uri 'self'; worker-src 'self'"
    )
    hosts = "script-src 'unsafe-inline' 'unsafe-eval' blob: data: 'self'"
    if policy is Policy.MEET:
        return (trusted, scripts, hosts)
    strict = (
        f"default-src 'self'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "worker-src 'none'; object-src 'none'; base-uri 'none'; img-src 'self' data:; "
        "media-src 'self' blob: mediastream:; style-src 'self'; trusted-types default"
    )
    return (trusted, strict)


@lru_cache(maxsize=8)
def texts(locale: Locale) -> dict[str, Any]:
    """Answer every text of the page in a language, by its name."""
    file = files("locum.rehearsal.meet") / "texts" / f"{locale.value}.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _asset(name: str) -> bytes | None:
    file = files("locum.rehearsal.meet") / "page" / name
    return file.read_bytes() if file.is_file() else None


def _shell(nonce: str, locale: Locale, config: dict[str, Any]) -> str:
    # "<" is escaped: a name such as "</script>" must not end the element.
    content = json.dumps(config).replace("<", "\\u003c")
    title = html.escape(f"Meet – {config['room']}" if config.get("room") else "Google Meet")
    return f"""<!doctype html>
<html lang="{locale.value}" dir="ltr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/assets/style.css">
<link rel="icon" href="data:,">
<script type="application/json" id="config" nonce="{nonce}">{content}</script>
<script type="module" src="/assets/main.js" nonce="{nonce}"></script>
</head>
<body></body>
</html>
"""


def _own_path(address: str) -> str:
    """Answer where to go on, on this server alone."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or not parts.path.startswith("/") or "\\" in address:
        return "/"
    return address[:_LONGEST_FIELD]
