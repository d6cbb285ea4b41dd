"""Has PikaStream draw a face: its OpenAI-shaped images call."""

from __future__ import annotations

import base64
import json

import httpx

from locum.engines.http import BoundedClient, Payload
from locum.engines.pikastream import PikaStreamSettings
from locum.engines.pikastream_api import PikaStreamApi
from locum.errors import TransientError


class PikaStreamImages:
    """An `ImageMaker`."""

    def __init__(
        self,
        settings: PikaStreamSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        client = BoundedClient(
            settings.base_url,
            headers={
                "X-Skill-Name": "locum",
                "X-Generation-Type": "image",
                "X-Model": "gpt-image-1-mini",
            },
            max_answer_bytes=32 * 1024 * 1024,
            transport=transport,
        )
        self._api = PikaStreamApi(
            client,
            settings.key,
            request_deadline=settings.join_deadline,
            join_deadline=settings.join_deadline,
        )

    async def generate(self, description: str) -> bytes:
        wanted = {
            "model": "gpt-image-1-mini",
            "prompt": description,
            "size": "1024x1024",
            "n": 1,
            "quality": "medium",
            "output_format": "png",
        }
        payload = Payload("application/json", (json.dumps(wanted).encode(),))
        answer = await self._api._call(  # noqa: SLF001
            "POST", "/proxy/openai/v1/images/generations", payload=payload
        )
        try:
            return base64.b64decode(json.loads(answer.body)["data"][0]["b64_json"])
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise TransientError("PikaStream's image can't be read") from error

    async def aclose(self) -> None:
        await self._api.aclose()
