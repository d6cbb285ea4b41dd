"""The page where points are dragged: who may open it, what it takes, and that it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from locum.persona.rigging.editor import Editor
from locum.persona.rigging.points import Points, usual_points

SIZE = (400, 300)
PNG = b"\x89PNG\r\n\x1a\nnot looked at here"

Visit = Callable[[httpx.AsyncClient, str], Awaitable[None]]


def edited(visit: Visit, *, patience: timedelta = timedelta(seconds=20)) -> Points | None:
    """Run the page, and `visit` it once it is open; answers what was saved."""

    async def run() -> Points | None:
        editor = Editor(PNG, SIZE, usual_points(SIZE), patience=patience)
        async with httpx.AsyncClient(trust_env=False) as client:
            return await asyncio.wait_for(
                editor.run(lambda address: visit(client, address)), timeout=60
            )

    return asyncio.run(run())


async def save(client: httpx.AsyncClient, address: str, points: object) -> httpx.Response:
    headers = {"Locum-Points": json.dumps({"points": points})}
    return await client.post(f"{address}save", headers=headers)


def test_what_is_dragged_is_saved() -> None:
    """The page, its picture and its points are served, and the points come back."""
    moved = {**usual_points(SIZE), "chin": (201.5, 290.0)}

    async def visit(client: httpx.AsyncClient, address: str) -> None:
        page = await client.get(address)
        for name in ("editor.js", "editor.css"):
            assert f'"{name}"' in page.text
            assert (await client.get(address + name)).status_code == 200
        assert (await client.get(f"{address}picture.png")).content == PNG
        start = (await client.get(f"{address}points.json")).json()
        assert start["size"] == list(SIZE)
        assert set(start["points"]) == set(moved)
        assert (await save(client, address, moved)).json()["told"].startswith("Saved")

    assert edited(visit) == moved


def test_the_page_may_run_nothing_but_its_own_script() -> None:
    """No inline script, no other site, no frame, no string that becomes markup."""

    async def visit(client: httpx.AsyncClient, address: str) -> None:
        answer = await client.get(address)
        policy = answer.headers["content-security-policy"]
        for part in (
            "default-src 'none'", "script-src 'self'", "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ):  # fmt: skip
            assert part in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        script = (await client.get(f"{address}editor.js")).text
        assert not any(word in script for word in ("innerHTML", "eval(", "document.write"))
        await client.post(f"{address}cancel", headers={"Locum-Points": "{}"})

    assert edited(visit) is None


def test_who_does_not_know_the_address_gets_nothing() -> None:
    """Neither the page nor a save; nor does a name that was made to lead here."""

    async def visit(client: httpx.AsyncClient, address: str) -> None:
        parts = urlsplit(address)
        root = f"http://{parts.netloc}/"
        for path in ("", "x/", "editor.js", f"{parts.path.strip('/')[:-1]}x/"):
            assert (await client.get(root + path)).status_code == 404
        assert (await save(client, f"{root}wrong/", usual_points(SIZE))).status_code == 404
        rebound = await client.get(address, headers={"Host": "evil.example"})
        assert rebound.status_code == 421
        for odd in ("../../etc/passwd", "page/editor.html", "save"):
            assert (await client.get(address + odd)).status_code in {400, 404}
        await client.post(f"{address}cancel", headers={"Locum-Points": "{}"})

    assert edited(visit) is None


def test_a_form_of_another_site_can_not_save() -> None:
    """Points come in a header, which no form can send."""

    async def visit(client: httpx.AsyncClient, address: str) -> None:
        body = {"points": json.dumps(usual_points(SIZE))}
        assert (await client.post(f"{address}save", data=body)).status_code == 400
        await client.post(f"{address}cancel", headers={"Locum-Points": "{}"})

    assert edited(visit) is None


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ({**usual_points(SIZE), "chin": (200, 999)}, "Outside of the picture"),
        ({**usual_points(SIZE), "chin": (200, 1)}, "must be above chin"),
        ({"chin": (1, 1)}, "missing"),
        ("x", 'no table of "points"'),
    ],
)
def test_points_that_make_no_face_are_told_and_the_page_goes_on(
    points: object, told: str
) -> None:
    """One corrects them there, and saves again."""

    async def visit(client: httpx.AsyncClient, address: str) -> None:
        answer = await save(client, address, points)
        assert answer.status_code == 422
        assert told in answer.json()["told"]
        assert (await save(client, address, usual_points(SIZE))).status_code == 200

    assert edited(visit) == usual_points(SIZE)


def test_left_alone_it_ends() -> None:
    """Nobody came: nothing was changed, and nothing listens any more."""
    seen: list[str] = []

    async def visit(_: httpx.AsyncClient, address: str) -> None:
        seen.append(address)

    assert edited(visit, patience=timedelta(milliseconds=50)) is None
    with pytest.raises(httpx.ConnectError):
        httpx.get(seen[0], trust_env=False)
