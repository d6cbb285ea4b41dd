"""Any service with OpenAI's images call draws faces: what is sent, and what is taken of it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from locum.engines.openai_images import OpenAIImages
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.rehearsal.serving import served

KEY = "sk-planted-canary"
PICTURE = b"\x89PNG\r\n\x1a\n" + b"\1" * 2_000_000


@dataclass
class Service:
    """Answers as told, and remembers what it was asked."""

    base_url: str = ""
    status: int = 200
    answer: Any = None
    asked: list[tuple[dict[str, Any], str]] = field(default_factory=list)

    async def images(self, request: Request) -> Response:
        self.asked.append((await request.json(), request.headers.get("authorization", "")))
        if isinstance(self.answer, bytes):
            return Response(self.answer, self.status)
        encoded = base64.b64encode(PICTURE).decode()
        return JSONResponse(self.answer or {"data": [{"b64_json": encoded}]}, self.status)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    made = Service()
    app = Starlette(routes=[Route("/v1/images/generations", made.images, methods=["POST"])])
    with served(app) as server:
        made.base_url = f"{server.base_url}/v1"
        yield made


async def drawn(service: Service, key: Path | None = None, model: str = "flux") -> bytes:
    maker = OpenAIImages(service.base_url, model, key)
    try:
        return await maker.generate("a robin")
    finally:
        await maker.aclose()


@pytest.mark.anyio
async def test_one_image_is_asked_for_and_taken(service: Service, tmp_path: Path) -> None:
    """The call is OpenAI's; the image comes within its answer, of any usual size."""
    (tmp_path / "key").write_text(f"{KEY}\n")

    assert await drawn(service, tmp_path / "key") == PICTURE

    [(wanted, authorization)] = service.asked
    assert wanted == {
        "model": "flux",
        "prompt": "a robin",
        "size": "1024x1024",
        "n": 1,
        "response_format": "b64_json",
    }
    assert authorization == f"Bearer {KEY}"


@pytest.mark.anyio
async def test_gpt_image_isn_t_asked_for_a_format(service: Service) -> None:
    """OpenAI's own models refuse that key; a service without a key gets none."""
    await drawn(service, model="gpt-image-1-mini")

    [(wanted, authorization)] = service.asked
    assert "response_format" not in wanted
    assert authorization == ""


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (401, {"error": KEY}, HumanNeededError),
        (402, {"error": "pay"}, HumanNeededError),
        (400, {"error": "no"}, PermanentError),
        (302, {"error": "elsewhere"}, PermanentError),
        (429, {"error": "slow"}, TransientError),
        (500, {"error": "oops"}, TransientError),
        (200, {"data": [{"url": "http://169.254.169.254/"}]}, PermanentError),
        (200, {"data": []}, TransientError),
        (200, {"data": [{"b64_json": "%%%"}]}, TransientError),
        (200, [1], TransientError),
        (200, b"<html>", TransientError),
        (200, b"[" * 100_000, TransientError),
    ],
)
@pytest.mark.anyio
async def test_other_answers_are_errors(
    service: Service, tmp_path: Path, status: int, answer: Any, error: type[LocumError]
) -> None:
    """Each in its class; no address in an answer is ever fetched, and no key is echoed."""
    (tmp_path / "key").write_text(KEY)
    service.status, service.answer = status, answer

    with pytest.raises(error) as caught:
        await drawn(service, tmp_path / "key")
    assert KEY not in str(caught.value)
    assert len(service.asked) == 1


@pytest.mark.anyio
async def test_a_key_that_can_t_be_used_is_told(service: Service, tmp_path: Path) -> None:
    """A missing file and one that holds something else need a person."""
    (tmp_path / "two").write_text("two words")
    for name in ("none", "two"):
        with pytest.raises(HumanNeededError):
            await drawn(service, tmp_path / name)
    assert service.asked == []
