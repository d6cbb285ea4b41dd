"""`[engines.NAME]`: what carries a persona into a meeting."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from locum.config.tables import Address, Duration, LocalPath, Table
from locum.config.values import Between


class PikaStream(Table):
    """`[engines.NAME]` with `type = "pikastream"`: the hosted engine, billed by the minute."""

    type: Literal["pikastream"]
    """Which engine this is."""
    base_url: Address = "https://7i30hpv4bo9ud5mhianq.pika.art"
    """PikaStream's API root. The environment's PIKA_API_BASE_URL wins over it."""
    api_key_file: LocalPath | None = None
    """A file with the key (begins with "dk_"). Otherwise the systemd credential
    "pika_dev_key", otherwise the environment's PIKA_DEV_KEY."""
    price_per_minute: float = Field(default=0.275, ge=0, le=100, allow_inf_nan=False)
    """US dollars; the higher of the two published figures."""
    minimum_balance: int = Field(default=100, ge=0)
    """Credits below which no join is tried."""
    credits_per_dollar: float = Field(default=100, gt=0, le=1_000_000, allow_inf_nan=False)
    """How many credits a US dollar buys, to tell ahead whether they suffice. Not published:
    an assumption."""
    ready_timeout: Annotated[Duration, Between(above="0s", most="10m")] = timedelta(seconds=90)
    """How long the service may take to bring a presence up before it is ended and tried anew."""


class ChromiumEngine(Table):
    """`[engines.NAME]` with `type = "chromium"`: our own engine, on this machine.

    Needs the extra: `pip install 'locum[chromium]'`, and a Chromium.
    """

    type: Literal["chromium"]
    """Which engine this is."""
    executable: LocalPath | None = None
    """The browser. Default: the chromium or google-chrome on the PATH."""
    account: str | None = None
    """The account of [[calendar.accounts]] as which it is in the room: `locum meet login NAME`
    signs its browser in. May stay out if there is only one account."""
    guest: bool = False
    """Whether it goes without being signed in. A guest waits in the lobby, and Meet turns away
    most that look automated."""
    width: int = Field(default=1280, ge=320, le=1920)
    """Pixels of the picture that it sends."""
    height: int = Field(default=720, ge=180, le=1080)
    """Pixels of the picture that it sends."""
    sandbox: bool = True
    """Whether Chromium's own sandbox is on. As root it can't be."""
    headless: bool = True
    """Whether it needs no screen."""
    captions: bool = True
    """Whether the room's captions are switched on and read."""
    accept_recording: bool = True
    """Whether it stays, and notes it, where a meeting is recorded or transcribed, or Gemini
    takes notes. If not, it leaves."""
    voice: str = Field(default="en-gb", pattern=r"^[A-Za-z0-9_.+-]{1,64}$")
    """With what it speaks: one of [voices], or a voice of espeak-ng's, which is robotic, and
    there on every machine."""
    memory_limit: int = Field(default=2048, ge=512, le=65_536)
    """MiB of memory that one meeting's browser may take before it is started anew."""
    meet_url: Address = "https://meet.google.com/"
    """Where rooms are; another one is for a stage (http on loopback only)."""


Engine = Annotated[PikaStream | ChromiumEngine, Field(discriminator="type")]
