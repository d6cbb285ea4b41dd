"""The stage's Google Meet: a meeting page, its server, and what becomes of those who come by it.

What the page looks like and when is drawn from public material on Google Meet; nothing of it
was compared with the live page. It says so by being wrong in a way of its own: it has no
obfuscated class that anything needs, so that whoever joins it goes by role and accessible name.

`state` is the meeting's truth (with `Rooms`), `protocol` what page and server say to each
other, `connection` and `app` serve it, `page/` is what the browser runs, `media/` is sound and
picture. Only `connection` and `media` need the extra `stage`.
"""

from locum.rehearsal.meet.settings import (
    Composer,
    Consent,
    Guests,
    JoinButton,
    Lobby,
    LobbyText,
    Locale,
    Modal,
    PageSettings,
    Policy,
)
from locum.rehearsal.meet.state import MeetStage, Phase, Seen

__all__ = [
    "Composer",
    "Consent",
    "Guests",
    "JoinButton",
    "Lobby",
    "LobbyText",
    "Locale",
    "MeetStage",
    "Modal",
    "PageSettings",
    "Phase",
    "Policy",
    "Seen",
]
