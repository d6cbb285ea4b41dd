"""A voice out of a recording: uploaded, then cloned, through PikaStream's proxy to MiniMax.

A clone is deleted there after seven days without use, and nobody can be asked for a list or
a deletion: whoever clones keeps the recording, the name and the day.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import PurePath

import httpx

from locum.clock import SystemClock
from locum.engines.http import BoundedClient
from locum.engines.pikastream import PikaStreamSettings
from locum.engines.pikastream_api import (
    NoCreditsError,
    PikaStreamApi,
    VoiceNameTakenError,
)
from locum.engines.pikastream_body import sample_body
from locum.engines.pikastream_funds import topup_hint
from locum.errors import HumanNeededError, PermanentError
from locum.ports import Clock

LARGEST_SAMPLE = 20 * 1024 * 1024
"""Bytes; MiniMax's limit."""

_KINDS = {".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".wav": "audio/wav"}
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 200
_MOST_NAMES = 5


class PikaStreamVoices:
    """Clones voices. Belongs to one event loop; close it with `aclose`.

    `clock` dates their names; without one, the host's does.
    """

    def __init__(
        self,
        settings: PikaStreamSettings,
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._deadline = settings.voice_deadline
        self._api = PikaStreamApi(
            BoundedClient(
                settings.base_url, headers={"X-Skill-Name": "locum"}, transport=transport
            ),
            settings.key,
            request_deadline=settings.request_deadline,
            join_deadline=settings.join_deadline,
        )

    async def clone(
        self, sample: bytes, filename: str, *, name: str, noise_reduction: bool
    ) -> str:
        """Clone a voice from 10 s to 5 min of speech; answers the voice id for joins.

        Not idempotent: each call makes another voice. It asks nobody for consent.

        Args:
            sample: An mp3, m4a or wav file's content.
            filename: Only its ending is used and sent.
            name: Whose voice; what a voice id can't hold becomes "-".
            noise_reduction: Whether the service is to take noise out first.

        Raises:
            TransientError: Not now, or an answer is lost: a clone may stay there, unused.
            HumanNeededError: Credits (with the top-up link) or the key.
            PermanentError: This sample or name will never be taken; the message says why.
        """
        suffix = PurePath(filename).suffix.lower()
        if suffix not in _KINDS:
            raise PermanentError(f"{filename!r}: a voice's sample is .mp3, .m4a or .wav.")
        if not 0 < len(sample) <= LARGEST_SAMPLE:
            raise PermanentError(
                f"{filename!r} has {len(sample):,} bytes; a voice's sample has at most"
                f" {LARGEST_SAMPLE:,}, and more than none."
            )
        plain_name = _NOT_IN_A_NAME.sub("-", name)
        if not 0 < len(plain_name) <= _LONGEST_NAME:
            raise PermanentError(f"A voice's name has 1 to {_LONGEST_NAME} characters.")
        try:
            file_id = await self._api.upload_sample(
                sample_body(sample, suffix, _KINDS[suffix]), deadline=self._deadline
            )
            return await self._make(file_id, plain_name, noise_reduction=noise_reduction)
        except NoCreditsError as error:
            hint = await topup_hint(self._api.checkout_url)
            raise HumanNeededError(str(error), hint=hint) from error

    async def _make(self, file_id: int | str, name: str, *, noise_reduction: bool) -> str:
        """Name it by the second; of several in the same one, each takes the next."""
        now = self._clock.now()
        taken: VoiceNameTakenError | None = None
        for later in range(_MOST_NAMES):
            voice_id = f"voice_{name}_{now + timedelta(seconds=later):%Y%m%d%H%M%S}"
            try:
                await self._api.clone_voice(
                    file_id, voice_id, noise_reduction=noise_reduction, deadline=self._deadline
                )
            except VoiceNameTakenError as error:
                taken = error
            else:
                return voice_id
        raise PermanentError(f"No name is free for the voice: {taken}") from taken

    async def aclose(self) -> None:
        await self._api.aclose()
