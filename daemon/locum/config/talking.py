"""The tables about talking: how a persona behaves, hears, sounds, and what it may do."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Annotated, Literal

from pydantic import Field

from locum.config.tables import Address, Duration, LocalPath, Name, Table
from locum.config.values import Between
from locum.core.talk import Attention

Topic = Annotated[str, Field(min_length=1, max_length=200)]

ParameterName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""A parameter's name, as it stands between braces in `argv`."""

EnvironName = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]{0,63}$")]
"""A variable's name in the environment."""


class Conduct(Table):
    """What of `[personas.NAME]` is about its conduct in a conversation, on an engine of ours."""

    attention: Attention = Attention.WHEN_ADDRESSED
    """"listen": it only says who it is, when asked. "when_addressed": it answers those who
    address it. "active": it also offers what it knows, where nobody else speaks."""
    may_say: tuple[Topic, ...] = ()
    """What it may tell of, beside what the briefing lets it; in a few words each."""
    may_commit: tuple[Topic, ...] = ()
    """What it may promise for its owner, in a few words each. All else it takes along."""
    must_defer: tuple[Topic, ...] = ()
    """What it never answers, and takes along as a question for its owner."""
    update: LocalPath | None = None
    """A text file with the owner's prepared update: read in each meeting, when it is asked for."""
    tools: tuple[Name, ...] = ()
    """Which of [[tools]] and [[mcp]] it may use, and "calendar", "contacts", "workspace",
    "memory" and "skills" for what locum itself can look up. None, unless it is named here."""
    tells_titles: bool = False
    """Whether "calendar" tells what a meeting is called to those who may know of it; else only
    when the owner is busy."""

    speaks_with: Name | None = None
    """Which of [voices] it speaks with, in the place of its engine's."""


class HearingTable(Table):
    """`[hearing]`: what makes words of what our own engine hears in a room."""

    type: Literal[
        "local", "moonshine", "pocketsphinx", "sherpa", "deepgram", "openai", "captions"
    ] = "local"
    """local: moonshine where it can be used and English is spoken, else pocketsphinx. On this
    machine: moonshine (good English, with a model that you pull), pocketsphinx (poor English,
    everywhere), sherpa (with a model of yours). deepgram, openai (or any server like it): hosted.
    captions: Meet's."""
    language: str = Field(default="en", pattern=r"^[a-z]{2}(-[A-Z]{2})?$")
    """The language that is spoken."""
    model: str = Field(default="", max_length=300)
    """The model: a pulled or added one's name, or its folder with a slash in it, for "sherpa" (and
    for "moonshine", in the place of the one of that name); otherwise as the service calls it."""
    base_url: Address | None = None
    """The service's root, where it isn't the usual one."""
    api_key_file: LocalPath | None = None
    """A file with the service's key (chmod 600). Otherwise the systemd credential
    "hearing_api_key", otherwise LOCUM_HEARING_API_KEY in the environment."""
    streams: int = Field(default=8, ge=1, le=32)
    """How many speakers are listened to at once; who speaks besides isn't understood."""


class EspeakTable(Table):
    """`[voices.NAME]` with `type = "espeak"`: robotic, and there on every machine."""

    type: Literal["espeak"]
    """What kind of voice this is."""
    voice: str = Field(default="en-gb", pattern=r"^[A-Za-z0-9_+-]{1,40}$")
    """The voice, as espeak-ng calls it."""


class SherpaTable(Table):
    """`[voices.NAME]` with `type = "sherpa"`: a model on this machine, by sherpa-onnx.

    Needs the extra: `pip install 'locum[sherpa]'`.
    """

    type: Literal["sherpa"]
    """What kind of voice this is."""
    model: str = Field(min_length=1, max_length=500)
    """The model: one that `locum models` lists, or the folder that it lies in."""
    speaker: int = Field(default=0, ge=0, le=10_000)
    """Which of the model's speakers, where it has several."""
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    """How fast it speaks; 1.0 is the model's own pace."""
    threads: int = Field(default=1, ge=1, le=16)
    """How many cores it may use at a time."""
    cloned: bool = False
    """Whether it speaks with the persona's recorded voice, which the model must be able to do,
    and to which its owner's consent must be on file."""
    said_in_recording: str = Field(default="", max_length=2000)
    """What is said in that recording, word for word: ZipVoice's models must know."""


class PocketTable(Table):
    """`[voices.NAME]` with `type = "pocket"`: Kyutai's pocket-tts, on this machine.

    Needs the extra: `pip install 'locum[pocket]'`, which brings PyTorch.
    """

    type: Literal["pocket"]
    """What kind of voice this is."""
    model: str = Field(default="english", min_length=1, max_length=500)
    """One of its own languages ("english", "german" …), or a model's name or folder with a YAML
    file in it. Its own come from where pocket-tts fetches them: see the README."""
    voice: str = Field(default="alba", pattern=r"^[a-z0-9_]{1,40}$")
    """One of its own voices, where it isn't cloned."""
    quantized: bool = False
    """Whether it reckons in 8 bits: quicker, and needs torchao."""
    cloned: bool = False
    """Whether it speaks with the persona's recorded voice, to which its owner's consent must be
    on file."""


class SpeechServiceTable(Table):
    """`[voices.NAME]` with `type = "openai"`: OpenAI, or any server with its /audio/speech."""

    type: Literal["openai"]
    """What kind of voice this is."""
    base_url: Address = "https://api.openai.com/v1"
    """The API's root."""
    model: str = Field(default="gpt-4o-mini-tts", min_length=1, max_length=200)
    """The model, as the service calls it."""
    voice: str = Field(default="alloy", min_length=1, max_length=200)
    """The voice, as the service calls it."""
    instructions: str = Field(default="", max_length=1000)
    """How it is to speak, for models that can be told."""
    rate: int = Field(default=24_000, ge=8_000, le=48_000)
    """Samples a second of the sound that it sends."""
    api_key_file: LocalPath | None = None
    """A file with the service's key (chmod 600). Otherwise the systemd credential
    "voice_api_key", otherwise LOCUM_VOICE_API_KEY in the environment."""
    cloned: bool = False
    """Whether that voice is a real person's: then the consent must be on file with the persona."""


class ElevenLabsTable(Table):
    """`[voices.NAME]` with `type = "elevenlabs"`: hosted, and tells where each letter is."""

    type: Literal["elevenlabs"]
    """What kind of voice this is."""
    voice: str = Field(pattern=r"^[A-Za-z0-9]{1,64}$")
    """The voice's id."""
    model: str = Field(default="eleven_flash_v2_5", pattern=r"^[a-z0-9_]{1,64}$")
    """The model's id."""
    base_url: Address = "https://api.elevenlabs.io"
    """The API's root."""
    rate: Literal[16_000, 22_050, 24_000] = 24_000
    """Samples a second of the sound that it sends."""
    api_key_file: LocalPath | None = None
    """A file with the service's key (chmod 600). Otherwise the systemd credential
    "voice_api_key", otherwise LOCUM_VOICE_API_KEY in the environment."""
    cloned: bool = False
    """Whether that voice is a real person's: then the consent must be on file with the persona."""


VoiceTable = Annotated[
    EspeakTable | SherpaTable | PocketTable | SpeechServiceTable | ElevenLabsTable,
    Field(discriminator="type"),
]


class Approval(Enum):
    """Whether a call waits for its owner."""

    ALWAYS = "always"
    NEVER = "never"


class ParameterTable(Table):
    """`[tools.parameters.NAME]`: one value that the model may give."""

    about: str = Field(default="", max_length=300)
    """What it is: the model reads this."""
    type: Literal["text", "integer"] = "text"
    """What kind of value it is."""
    pattern: str = Field(default="", max_length=300)
    """A regular expression that the whole of it must fit."""
    choices: tuple[str, ...] = Field(default=(), max_length=100)
    """The only values that there are. Empty: any."""
    max_length: int = Field(default=200, ge=1, le=4000)
    """Its longest length, in characters."""
    default: str | None = Field(default=None, max_length=4000)
    """What stands for it where it isn't given. Without one, it has to be."""
    may_be_option: bool = False
    """Whether it may begin with "-": a program may then take it for an option."""
    lines: bool = False
    """Whether it may have several lines."""


class ToolTable(Table):
    """`[[tools]]`: a program that a persona may run, in a sandbox.

    It sees its own system's programs, `folder` and `reads`, and nothing else: no home, no state
    of locum's, no network.
    """

    name: Name
    """How personas and the model call it."""
    about: str = Field(min_length=1, max_length=1000)
    """What it is for, and when: the model reads this."""
    argv: tuple[str, ...] = Field(min_length=1, max_length=64)
    """The program and its arguments; "{name}" is filled in by the model, see `parameters`. No
    shell: what is filled in is always one argument, or a part of one."""
    parameters: dict[ParameterName, ParameterTable] = Field(default={}, max_length=16)
    """What the model may fill in, by name."""
    folder: LocalPath | None = None
    """Where it runs: a folder that it can read. Default: an empty one that it can write."""
    reads: tuple[LocalPath, ...] = Field(default=(), max_length=32)
    """What it can read besides, as a virtual environment."""
    writes: tuple[LocalPath, ...] = Field(default=(), max_length=8)
    """What it can write."""
    network: bool = False
    """Whether it reaches the network, this machine's own services included."""
    effect: bool = True
    """Whether it changes anything, anywhere. What doesn't may be done while a question isn't
    even finished."""
    approve: Approval = Approval.ALWAYS
    """"always": each call waits until you approve it (`locum approve`); "never"."""
    announce: str = Field(default="", max_length=200)
    """What the persona says when it takes long, as "Let me check the build."."""
    timeout: Annotated[Duration, Between(least="1s", most="10m")] = timedelta(seconds=30)
    """How long it may take before it is ended."""
    output_limit: int = Field(default=16_384, ge=256, le=262_144)
    """Bytes of its output that are read; then it is ended."""
    memory_limit: int = Field(default=512, ge=16, le=16_384)
    """MiB of memory that each of its processes may take."""
    env: tuple[EnvironName, ...] = Field(default=(), max_length=32)
    """Variables of the daemon's environment that it gets too."""
    secrets: dict[EnvironName, LocalPath] = Field(default={}, max_length=8)
    """Variables whose value is a secret in a file (chmod 600). It is taken out of the output."""


class McpTable(Table):
    """`[[mcp]]`: an MCP server whose tools a persona may use. Needs locum[mcp].

    A program is run in the sandbox, like [[tools]].
    """

    name: Name
    """How personas call it."""
    argv: tuple[str, ...] = Field(default=(), max_length=64)
    """The program that is the server, over its stdin and stdout, …"""
    url: Address | None = None
    """… or its address (streamable HTTP)."""
    token_file: LocalPath | None = None
    """A file with the bearer token for `url` (chmod 600)."""
    tools: tuple[str, ...] = Field(default=(), max_length=64)
    """Which of its tools there are. Its others don't exist."""
    looks: tuple[str, ...] = Field(default=(), max_length=64)
    """Which of these change nothing anywhere. What the server says of that doesn't count."""
    approve: Approval = Approval.ALWAYS
    """"always": each call of what isn't in `looks` waits until you approve it; "never"."""
    announce: str = Field(default="", max_length=200)
    """What the persona says when it takes long."""
    timeout: Annotated[Duration, Between(least="1s", most="10m")] = timedelta(seconds=30)
    """How long an answer may take."""
    output_limit: int = Field(default=16_384, ge=256, le=262_144)
    """Bytes of an answer that are taken."""
    folder: LocalPath | None = None
    """Where the program runs: a folder that it can read."""
    reads: tuple[LocalPath, ...] = Field(default=(), max_length=32)
    """What it can read besides, as a virtual environment."""
    writes: tuple[LocalPath, ...] = Field(default=(), max_length=8)
    """What it can write."""
    network: bool = False
    """Whether the program reaches the network."""
    memory_limit: int = Field(default=1024, ge=16, le=16_384)
    """MiB of memory that each of its processes may take."""
    env: tuple[EnvironName, ...] = Field(default=(), max_length=32)
    """Variables of the daemon's environment that the program gets too."""
    secrets: dict[EnvironName, LocalPath] = Field(default={}, max_length=8)
    """Variables whose value is a secret in a file (chmod 600)."""
