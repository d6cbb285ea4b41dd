"""A face out of a description: PikaStream's image call, in OpenAI's shape.

The picture is taken only where it stands in the answer itself. OpenAI's shape knows an address
instead, which its present models don't use: that one is shown to a person and never opened,
since whoever answers could point it at anything that this machine can reach.
"""

from __future__ import annotations

import httpx

from locum.engines.http import BoundedClient
from locum.engines.pikastream import PikaStreamSettings
from locum.engines.pikastream_answers import LARGEST_DRAWING
from locum.engines.pikastream_api import NoCreditsError, PikaStreamApi
from locum.engines.pikastream_funds import topup_hint
from locum.errors import HumanNeededError, PermanentError

LONGEST_DESCRIPTION = 32_000
"""Characters; the documented limit of the model."""

_MAX_ANSWER_BYTES = LARGEST_DRAWING * 4 // 3 + 64 * 1024


class PikaStreamImages:
    """Draws faces. Belongs to one event loop; close it with `aclose`."""

    def __init__(
        self, settings: PikaStreamSettings, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._deadline = settings.image_deadline
        self._api = PikaStreamApi(
            BoundedClient(
                settings.base_url,
                headers={"X-Skill-Name": "locum"},
                max_answer_bytes=_MAX_ANSWER_BYTES,
                transport=transport,
            ),
            settings.key,
            request_deadline=settings.request_deadline,
            join_deadline=settings.join_deadline,
        )

    async def generate(self, description: str) -> bytes:
        """Draw one square picture; answers a PNG or JPEG file of at most 8 MiB, not decoded.

        Not idempotent, and it may cost something.

        Raises:
            TransientError: Not now, or the answer is lost: it may have been drawn and billed.
            HumanNeededError: Credits (with the top-up link) or the key.
            PermanentError: This description is refused, or only an address came.
        """
        wanted = description.strip()
        if not 0 < len(wanted) <= LONGEST_DESCRIPTION:
            raise PermanentError(
                f"A description has 1 to {LONGEST_DESCRIPTION:,} characters; this one has"
                f" {len(wanted):,}."
            )
        try:
            drawn = await self._api.draw_image(wanted, deadline=self._deadline)
        except NoCreditsError as error:
            hint = await topup_hint(self._api.checkout_url)
            raise HumanNeededError(str(error), hint=hint) from error
        if isinstance(drawn, str):
            raise PermanentError(
                "PikaStream answers with an address instead of the picture, and locum opens no"
                f" address that it is given. Look at it yourself, and save it: {drawn}"
            )
        return drawn

    async def aclose(self) -> None:
        await self._api.aclose()
