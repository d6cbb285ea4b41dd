"""Clones voices at PikaStream (its MiniMax calls): upload a recording, then make the voice."""

from __future__ import annotations

import json
import re
import secrets
import time
from typing import Any

import httpx

from locum.engines.http import BoundedClient, Payload
from locum.engines.pikastream import PikaStreamSettings
from locum.engines.pikastream_api import PikaStreamApi
from locum.errors import PermanentError, TransientError


class PikaStreamVoices:
    """A `VoiceCloner`."""

    def __init__(
        self,
        settings: PikaStreamSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        client = BoundedClient(
            settings.base_url, headers={"X-Skill-Name": "locum"}, transport=transport
        )
        self._api = PikaStreamApi(
            client,
            settings.key,
            request_deadline=settings.join_deadline,
            join_deadline=settings.join_deadline,
        )

    async def clone(
        self, sample: bytes, filename: str, *, name: str, noise_reduction: bool
    ) -> str:
        boundary = secrets.token_hex(16)
        head = (
            f"--{boundary}\r\nContent-Disposition: form-data; "
            f'name="purpose"\r\n\r\nvoice_clone\r\n--{boundary}\r\n'
            f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = (head.encode(), sample, f"\r\n--{boundary}--\r\n".encode())
        uploaded = await self._answer(
            "/proxy/minimax/v1/files/upload",
            Payload(f"multipart/form-data; boundary={boundary}", body),
        )
        voice_id = f"voice_{re.sub(r'[^A-Za-z0-9]', '_', name)}_{time.time_ns() // 1000}"
        wanted = {
            "file_id": uploaded["file"]["file_id"],
            "voice_id": voice_id,
            "model": "speech-2.8-hd",
            "need_noise_reduction": noise_reduction,
            "need_volume_normalization": True,
        }
        await self._answer(
            "/proxy/minimax/v1/voice_clone",
            Payload("application/json", (json.dumps(wanted).encode(),)),
        )
        return voice_id

    async def _answer(self, path: str, payload: Payload) -> dict[str, Any]:
        answer = await self._api._call("POST", path, payload=payload)  # noqa: SLF001
        try:
            found = json.loads(answer.body)
            status = found["base_resp"]["status_code"]
        except (ValueError, KeyError, TypeError) as error:
            raise TransientError("PikaStream's answer can't be read") from error
        if status != 0:
            raise PermanentError(f"PikaStream refuses the recording ({status})")
        return dict(found)

    async def aclose(self) -> None:
        await self._api.aclose()
