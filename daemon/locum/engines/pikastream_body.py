"""Writes what is uploaded, as multipart/form-data (RFC 7578): a join's fields and face, a voice.

By hand rather than by httpx, because 200 meetings can begin in one second: the image is
wrapped once, and every join sends those same bytes.
"""

from __future__ import annotations

import secrets

from locum.engines.http import Payload
from locum.errors import PermanentError
from locum.ports import JoinRequest, Picture

SMALLEST_IMAGE = 1024
LARGEST_IMAGE = 16 * 1024 * 1024
_IMAGES_KEPT = 16
_MAGIC = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}


class JoinBodies:
    """Makes bodies, and keeps the last few images that they need."""

    def __init__(self) -> None:
        # Random, so that no text of a calendar can pretend to be a part of the body.
        self._boundary = secrets.token_hex(16)
        self._images: dict[str, bytes] = {}

    def body(self, request: JoinRequest) -> Payload:
        """Write the body for one join.

        Raises:
            PermanentError: The image isn't one that the service takes.
        """
        image_part = self._image_part(request.face.image)
        fields = {
            "voice_id": request.face.voice_id,
            "meet_url": request.room.url,
            "bot_name": request.face.display_name,
            "platform": request.room.platform.value,
        }
        if request.room.password:
            fields["meeting_password"] = request.room.password
        if request.system_prompt:
            fields["system_prompt"] = request.system_prompt
        head = "".join(
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        return Payload(
            content_type=f"multipart/form-data; boundary={self._boundary}",
            chunks=(head.encode("utf-8", "replace"), image_part),
        )

    def _image_part(self, picture: Picture) -> bytes:
        """Answer the last part of the body, with what ends it."""
        part = self._images.get(picture.sha256)
        if part is None:
            part = self._wrapped(picture.content, _kind(picture.content))
            if len(self._images) >= _IMAGES_KEPT:
                del self._images[next(iter(self._images))]
            self._images[picture.sha256] = part
        return part

    def _wrapped(self, image: bytes, kind: str) -> bytes:
        head = (
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="image"; filename="face.{kind}"\r\n'
            f"Content-Type: image/{kind}\r\n\r\n"
        )
        return b"".join((head.encode(), image, f"\r\n--{self._boundary}--\r\n".encode()))


def sample_body(sample: bytes, suffix: str, kind: str) -> Payload:
    """Write the body that hands in a recording.

    Its file's own name stays here: it is nobody's business, and could pretend to be a part.
    """
    boundary = secrets.token_hex(16)
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="purpose"\r\n\r\nvoice_clone\r\n'
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="sample{suffix}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    )
    return Payload(
        content_type=f"multipart/form-data; boundary={boundary}",
        chunks=(head.encode(), sample, f"\r\n--{boundary}--\r\n".encode()),
    )


def _kind(image: bytes) -> str:
    if not SMALLEST_IMAGE < len(image) <= LARGEST_IMAGE:
        raise PermanentError(
            f"The persona's image has {len(image)} bytes; PikaStream needs more than "
            f"{SMALLEST_IMAGE}, and {LARGEST_IMAGE} are the most that locum sends."
        )
    for magic, kind in _MAGIC.items():
        if image.startswith(magic):
            return kind
    raise PermanentError("The persona's image is neither PNG nor JPEG.")
