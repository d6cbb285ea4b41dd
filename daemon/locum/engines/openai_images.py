"""Has a face drawn by any service with OpenAI's images call, hosted or on this machine.

Only images that come within the answer are taken: an address in it would be a stranger's, and
is never fetched. https://platform.openai.com/docs/api-reference/images/create
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from locum.core.secret import Secret
from locum.engines.http import Answer, AnswerLostError, BoundedClient, NotSentError, Payload
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.files import UnreadableError, read_regular

_DEADLINE = timedelta(seconds=180)
_LARGEST_ANSWER = 32 * 1024 * 1024
_LARGEST_KEY = 4096
_TOLD = 300


class OpenAIImages:
    """An `ImageMaker`."""

    def __init__(
        self,
        base_url: str,
        model: str,
        key_file: Path | None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._model = model
        self._key_file = key_file
        self._host = httpx.URL(base_url).host
        self._client = BoundedClient(
            base_url, headers={}, max_answer_bytes=_LARGEST_ANSWER, transport=transport
        )

    async def generate(self, description: str) -> bytes:
        wanted: dict[str, Any] = {
            "model": self._model,
            "prompt": description,
            "size": "1024x1024",
            "n": 1,
        }
        if not self._model.startswith("gpt-image"):
            # These answer with the image itself, and refuse to be asked for it.
            wanted["response_format"] = "b64_json"
        key = self._key()
        headers = httpx.Headers({"Authorization": f"Bearer {key.reveal()}"} if key else {})
        try:
            answer = await self._client.send(
                "POST",
                "/images/generations",
                deadline=_DEADLINE,
                headers=headers,
                payload=Payload("application/json", (json.dumps(wanted).encode(),)),
            )
        except (NotSentError, AnswerLostError) as error:
            raise TransientError(f"{self._host} draws nothing: {error}") from error
        if answer.status != 200:
            raise self._refused(answer, key)
        return _image(answer.body, self._host)

    def _key(self) -> Secret | None:
        if self._key_file is None:
            return None
        try:
            content, _ = read_regular(self._key_file, limit=_LARGEST_KEY)
        except UnreadableError as error:
            raise HumanNeededError(
                f"The images' key file {self._key_file}: {error}.",
                hint="Correct images.api_key_file in the config.",
            ) from None
        text = content.decode("ascii", "replace").strip()
        if not text.isascii() or not text.isprintable() or " " in text or not text:
            raise HumanNeededError(
                f"What stands in {self._key_file} is no key.", hint="Put the key there, alone."
            )
        return Secret(text)

    def _refused(self, answer: Answer, key: Secret | None) -> LocumError:
        told = " ".join(answer.body[:2000].decode("utf-8", "replace").split())
        told = (key.scrub(told) if key else told)[:_TOLD]
        message = f"{self._host} draws nothing ({answer.status}: {told})."
        if answer.status in {401, 402, 403}:
            return HumanNeededError(message, hint="Check the key, and the account's credits.")
        if answer.status == 429 or answer.status >= 500:
            wait = answer.retry_after or timedelta(seconds=30)
            return TransientError(message, retry_after=wait)
        return PermanentError(message)

    async def aclose(self) -> None:
        await self._client.aclose()


def _image(body: bytes, host: str) -> bytes:
    try:
        entry = json.loads(body)["data"][0]
        encoded = entry.get("b64_json")
        if isinstance(encoded, str):
            return base64.b64decode(encoded, validate=True)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, binascii.Error):
        raise TransientError(f"{host}'s answer holds no image.") from None
    except RecursionError:
        raise TransientError(f"{host}'s answer can't be read.") from None
    raise PermanentError(
        f"{host} answers with an address instead of an image, and addresses aren't fetched."
    )
