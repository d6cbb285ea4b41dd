"""Every setting there is, with its default and meaning: the schema is made from this.

A key stands here only if something reads it. Secrets never do: they are files, systemd
credentials or environment variables, and the config names where.
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from locum.config.tables import (
    Address,
    Dollars,
    Duration,
    Host,
    LocalPath,
    MailAddress,
    Name,
    Organizer,
    PushAddress,
    ShownName,
    Table,
    Tag,
)
from locum.config.talking import (
    Conduct,
    HearingTable,
    LiveTable,
    McpTable,
    ToolTable,
    VoiceTable,
)
from locum.config.values import Between, parse_bind_address
from locum.core.compartments import parse_compartment_name
from locum.core.model import Platform


class Account(Table):
    """`[[calendar.accounts]]`: one Google sign-in and the calendars read through it."""

    name: Name
    """How locum calls this sign-in: `locum auth login NAME`."""
    provider: Literal["google"] = "google"
    """Whose calendar it is."""
    calendars: tuple[str, ...] = ("primary",)
    """Calendar ids, as in Google Calendar's settings; "primary" is the account's own."""
    client_secrets: LocalPath | None = None
    """The OAuth client downloaded from the Google Cloud console (type "Desktop app")."""
    token_file: LocalPath | None = None
    """Where the sign-in is kept, as an authorized-user JSON (0600). Default: in the state directory."""
    service_account: LocalPath | None = None
    """A service account's key, instead of a personal sign-in; share the calendar with its address."""
    subject: str | None = None
    """With domain-wide delegation: the one user that the service account acts for."""
    persona: str | None = None
    """The persona for invitations to this account."""
    meet_transcripts: bool = False
    """Whether Google Meet's own transcripts are fetched after meetings. It takes a sign-in that
    allows it: `locum auth login NAME`, after this is in the config. There is one only where
    somebody with a Google Workspace plan that has it switched transcription on."""


class Push(Table):
    """`[calendar.push]`: Google tells of changes, through your reverse proxy. Off unless given.

    A message is only a reason to look, and some get lost: polls go on. Where messages are
    proved to arrive, a calendar with no meeting near is polled only every `safety_poll`.
    """

    public_url: PushAddress
    """Where Google sends messages: https, with a certificate that everybody trusts. The proxy
    passes them on with this path."""
    listen_host: Annotated[str, AfterValidator(parse_bind_address)] = "127.0.0.1"
    """The address of this machine on which the proxy finds locum. It speaks plain HTTP."""
    listen_port: int = Field(ge=1, le=65535)
    """The TCP port there."""
    ttl: Annotated[Duration, Between(least="1m", most="30d")] = timedelta(days=7)
    """How long a channel is asked for; it is renewed before it ends."""
    safety_poll: Annotated[Duration, Between(above="0s", most="1h")] = timedelta(minutes=30)
    """Between reads of a calendar whose messages arrive, while no meeting is near: the most
    that a lost message costs. Never less than poll_idle."""


class Calendar(Table):
    """`[calendar]`: what is watched, and how often."""

    accounts: tuple[Account, ...] = ()
    """The sign-ins that are watched."""
    poll_near: Annotated[Duration, Between(above="0s", most="1h")] = timedelta(seconds=45)
    """Between reads of a calendar with a meeting near or running: 5s at least, but on a stage."""
    poll_idle: Annotated[Duration, Between(above="0s", most="1h")] = timedelta(minutes=5)
    """Between reads otherwise; 5s at least, but on a stage."""
    requests_per_minute: int = Field(default=540, ge=10, le=100_000)
    """The most requests in any minute for one account. Google's quota for a user is 600;
    where it isn't enough, calendars are read less often, those with a meeting near last."""
    requests_per_day: int = Field(default=900_000, ge=1000, le=1_000_000_000)
    """The most requests in any day for all accounts. Google's quota for a project is
    1,000,000 (and 10,000 a minute, of which 9,000 are used at most)."""
    delta_from: int = Field(default=21, ge=1)
    """With that many calendars, ask only for changes and read a calendar when it has some."""
    horizon: Annotated[Duration, Between(least="1h", most="14d")] = timedelta(hours=48)
    """How far ahead meetings are armed."""
    keep_refused: Annotated[Duration, Between(most="14d")] = timedelta(hours=24)
    """How long meetings stay armed whose calendar is gone, or not shared any more. A calendar
    that can't be read for any other reason keeps them without limit."""
    push: Push | None = None
    """Google's messages that something changed."""
    api_root: Address = "https://www.googleapis.com/"
    """Google's API root; another one is for a stage or a proxy (http on loopback only)."""
    token_uri: Address = "https://oauth2.googleapis.com/token"  # noqa: S105 - An address, no secret.
    """Google's token address; as above."""


class Attend(Table):
    """`[attend]`: which invitations are accepted as a reason to be there, and how."""

    lead: Annotated[Duration, Between(most="1h")] = timedelta(seconds=30)
    """How long before the start we join."""
    grace: Annotated[Duration, Between(most="24h")] = timedelta(minutes=10)
    """How long a failed join is tried again, and a lobby waited in; never past the end."""
    capacity: int = Field(default=4, ge=1, le=1000)
    """How many meetings at the same time."""
    max_length: Annotated[Duration, Between(above="0s", most="24h")] = timedelta(hours=4)
    """The longest presence in one meeting, whatever the calendar says."""
    merge_window: Annotated[Duration, Between(most="4h")] = timedelta(minutes=2)
    """Meetings in the same room with at most this gap are one presence."""
    trusted_organizers: tuple[Organizer, ...] = ()
    """Addresses ("boss@example.com") or domains ("example.com") whose invitations need no answer."""
    join_unanswered: bool = False
    """Whether to join invitations from strangers that nobody answered."""
    join_all_day: bool = False
    """Whether to join all-day events that carry a link."""
    leave_when_cancelled: bool = True
    """Whether to leave a running meeting that is cancelled or declined while we are in it.
    If not, we stay to its end, or until an engine that sees the participants sees none."""
    stay_with_people: bool = True
    """Whether to stay with people who are still in the room when their meeting is moved away
    (until the room empties) or cut short (to its former end). Only an engine that sees the
    participants can: another one leaves as if nobody were there."""
    platforms: tuple[Platform, ...] = (Platform.GOOGLE_MEET,)
    """Where to go by default; a rule can allow another platform for what it matches."""
    persona: str | None = None
    """The persona where nothing else names one; may stay out if there is only one."""
    engine: str | None = None
    """The engine where nothing else names one; may stay out if there is only one."""


class Match(Table):
    """What a rule applies to; every key given must fit. Texts are shell patterns, any case."""

    title: str | None = None
    """The event's title."""
    organizer: str | None = None
    """An address, a domain ("example.com") or a pattern ("*@example.com")."""
    attendee: str | None = None
    """Somebody on the guest list, written like an organizer."""
    calendar: str | None = None
    """A calendar's id or an account's name."""
    platform: Platform | None = None
    """Where the meeting is held; needed to allow one that attend.platforms leaves out."""


class RuleAction(Enum):
    JOIN = "join"
    SKIP = "skip"
    USE = "use"  #: Only set persona or engine; whether to join is decided as usual.


class Rule(Table):
    """`[[rules]]`: skip beats join; among equals the first that matches."""

    name: str = ""
    """What decisions call it when they give it as their reason."""
    match: Match = Match()
    """What it applies to; without any key, to everything."""
    action: RuleAction
    """"join" or "skip" what matches, or only "use" another persona or engine for it."""
    persona: str | None = None
    """Who goes to what matches."""
    engine: str | None = None
    """Which engine carries it there."""


class PersonaTable(Conduct):
    """`[personas.NAME]`: who goes. Either a folder, or all of it here.

    With nothing but `folder`, or with nothing at all, it is what `locum persona new NAME` made:
    its face, voice and consents are kept there, version by version. Written here instead, it
    needs display_name, owner and image.
    """

    folder: LocalPath | None = None
    """The persona's folder. Default: personas/NAME in the state directory."""
    display_name: ShownName | None = None
    """The stand-in's own name. The tile always says whose stand-in it is."""
    owner: ShownName | None = None
    """Whom it stands in for: "(AI stand-in for OWNER)" is added to the name."""
    image: LocalPath | None = None
    """The face: one local PNG or JPEG, of more than 1 KB and at most 16 MB."""
    voice_id: str = "English_radiant_girl"
    """A voice of the engine's own; a cloned one needs a persona's folder, and its consent."""
    instructions: str = Field(default="", max_length=8000)
    """How to behave and what to know, in the owner's words."""

    @property
    def is_in_folder(self) -> bool:
        return self.display_name is None and self.owner is None and self.image is None


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


class MarkdownSink(Table):
    """`[[sinks]]` with `type = "markdown"`: a folder of Markdown and JSON files by date."""

    type: Literal["markdown"]
    """What kind of place this is."""
    folder: LocalPath
    """Where the files go; made if it isn't there."""
    name: Name = "markdown"
    """How locum calls this place; two of a kind need names of their own."""
    obsidian: bool = False
    """Whether notes get tags and aliases, and links to their people and series."""
    tags: tuple[Tag, ...] = ("meeting",)
    """The tags, where `obsidian` is on."""
    git: bool = False
    """Whether each filing is committed to the git repository that the folder is in. No hook
    runs, and nothing is pushed."""


class OnEvent(Enum):
    ATTACH = "attach"
    PRIVATE = "private"
    NONE = "none"


class GoogleDocSink(Table):
    """`[[sinks]]` with `type = "google_doc"`: a Google Doc in the Drive of a watched account.

    Nobody else can open it: locum never shares. It takes a sign-in that allows it: `locum auth
    login`, after this table is in the config.
    """

    type: Literal["google_doc"]
    """What kind of place this is."""
    account: str
    """The account of [[calendar.accounts]] whose Drive it is."""
    folder: str = Field(default="Meetings (locum)", min_length=1, max_length=100)
    """The Drive folder's name. locum makes one, and sees none that others made."""
    on_event: OnEvent = OnEvent.ATTACH
    """Whether the event gets the document's address. "attach" attaches it where the account
    organizes the event: guests then see that there is one, and can't open it. Where it doesn't,
    and with "private", the address goes into a field that only locum's own copy has; with
    "none" nowhere. Nobody is notified."""
    name: Name = "google_doc"
    """How locum calls this place; two of a kind need names of their own."""


class MailEncryption(Enum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"  #: On this machine itself.


class EmailSink(Table):
    """`[[sinks]]` with `type = "email"`: mails with the summary, to you alone by default."""

    type: Literal["email"]
    """What kind of place this is."""
    host: Host
    """The mail server."""
    port: int = Field(default=587, ge=1, le=65535)
    """Its port: 587 for "starttls", mostly 465 for "tls"."""
    encryption: MailEncryption = MailEncryption.STARTTLS
    """"starttls" or "tls"; "none" is for this machine only."""
    username: str = Field(default="", max_length=320)
    """Whom to log in as; empty is nobody."""
    password_file: LocalPath | None = None
    """A file with the password (chmod 600). Otherwise the systemd credential
    "smtp_password"."""
    sender: MailAddress
    """Your address: the mails come from it, and go to it."""
    to: tuple[MailAddress, ...] = Field(default=(), max_length=20)
    """Who gets them instead. Nothing in a meeting changes that."""
    name: Name = "email"
    """How locum calls this place; two of a kind need names of their own."""


class WebhookSink(Table):
    """`[[sinks]]` with `type = "webhook"`: the JSON twin, posted and signed.

    The signature is that of Standard Webhooks, which has libraries in most languages.
    """

    type: Literal["webhook"]
    """What kind of place this is."""
    url: Address
    """Where to: https, or http on this machine."""
    secret_file: LocalPath | None = None
    """A file with the secret (chmod 600): whsec_ and then 24 to 64 bytes in base64. Otherwise
    the systemd credential "webhook_secret"."""
    allow_private: bool = False
    """Whether the address may be in a private network."""
    name: Name = "webhook"
    """How locum calls this place; two of a kind need names of their own."""


class MessageSink(Table):
    """`[[sinks]]` with `type = "apprise"`: the gist, to Slack, Matrix, ntfy and a hundred more.

    Needs the extra: `pip install 'locum[notify]'`.
    """

    type: Literal["apprise"]
    """What kind of place this is."""
    urls_file: LocalPath | None = None
    """A file with one apprise address a line (chmod 600). Otherwise the systemd credential
    "message_urls"."""
    name: Name = "apprise"
    """How locum calls this place; two of a kind need names of their own."""


Sink = Annotated[
    MarkdownSink | GoogleDocSink | EmailSink | WebhookSink | MessageSink,
    Field(discriminator="type"),
]


class WorkspaceTable(Table):
    """`[[workspace]]`: a folder of your work that the stand-in may know of. Read, never run."""

    name: Name
    """How locum calls it."""
    folder: LocalPath
    """Where it is."""
    include: tuple[str, ...] = ("updates.md",)
    """Which files: patterns like "docs/**/*.md". Those that may hold secrets are left out."""
    exclude: tuple[str, ...] = ()
    """Which of these not."""
    git_log: Annotated[Duration, Between(most="90d")] = timedelta(days=7)
    """How far back its commits are told, where it is a git repository; "0s" tells none."""
    audience: tuple[str, ...] = ("internal",)
    """Who may hear of it: "internal" (your own people), clients by their domain, or "anyone"."""


class Contacts(Table):
    """`[contacts]`: who the people are that you meet."""

    files: tuple[LocalPath, ...] = ()
    """vCards, or CSV with a header line ("name,email,company,role,notes")."""


class Skills(Table):
    """`[skills]`: what the stand-in knows how to do, as SKILL.md folders (agentskills.io)."""

    folders: tuple[LocalPath, ...] = ()
    """Folders of such folders. Each skill counts once you have approved it."""
    run: tuple[str, ...] = Field(default=(), max_length=50)
    """Which skills' scripts may be run, as they were approved: in the sandbox, without network."""


class BriefingTable(Table):
    """`[briefing]`: what the stand-in is told before a meeting."""

    enabled: bool = True
    """Whether it is told anything beside the invitation and the persona's instructions."""
    tokens: int = Field(default=2000, ge=100, le=100_000)
    """How much, at most; PikaStream takes some 4000."""


class Summaries(Table):
    """`[summary]`: how summaries are written."""

    template: LocalPath | None = None
    """A jinja2 template of your own for the Markdown (`locum summarise --show-template` prints
    ours). It runs in a sandbox; one that can't be used makes way for ours."""
    hold: Annotated[Duration, Between(most="24h")] = timedelta(minutes=30)
    """How long a mail or message waits after the meeting, where a transcript is still awaited:
    it can't be taken back. Folders and documents are filed at once, and anew."""


class Transcripts(Table):
    """`[transcripts]`: what is fetched after a meeting, from an account's `meet_transcripts`.

    Asked with growing pauses: at a first_after of 2m after 2, 5, 10, 20, 40 minutes more.
    """

    first_after: Annotated[Duration, Between(least="1s", most="1h")] = timedelta(minutes=2)
    """How long after the end of a meeting it is first asked for."""
    give_up_after: Annotated[Duration, Between(least="1m", most="29d")] = timedelta(days=1)
    """How long it is asked for. Google deletes a transcript's entries after 30 days."""


class Budget(Table):
    """`[budget]`: the most that may be spent, in US dollars. What is left out isn't capped.

    Before a join, all that the stay may cost is set aside, with five minutes more; what was
    not needed comes free when it is over. A meeting that doesn't fit isn't joined. Days and
    months are the calendar's, in this machine's time zone; a presence counts where it began.
    """

    per_meeting: Dollars | None = None
    """For one meeting, however often it is entered, with what follows it in its room."""
    per_day: Dollars | None = None
    """For all that is joined on one day."""
    per_month: Dollars | None = None
    """For all that is joined in one month."""
    per_organizer_month: Dollars | None = None
    """For what one and the same organizer invites to in one month. What you ask for with
    `locum join` is nobody's."""
    check_ahead: Annotated[Duration, Between(most="24h")] = timedelta(minutes=30)
    """How long before a billed join its engine's account is asked whether it can pay for what
    is planned by then; "0s" is never."""


class Privacy(Table):
    """`[privacy]`: what is owed to the others in the room."""

    forget_on_opt_out: bool = True
    """Whether what was heard in a meeting is deleted when somebody there says "opt out". The
    stand-in leaves and stays away from the series in any case."""


class CompartmentTable(Table):
    """`[[memory.compartments]]`: who belongs together, whatever their domains."""

    name: Annotated[str, AfterValidator(parse_compartment_name)]
    """What they are called: one word."""
    attendees: Annotated[tuple[str, ...], Field(min_length=1, max_length=1000)]
    """Addresses, domains ("example.com") or shell patterns ("*@*.example.com")."""


class Memory(Table):
    """`[memory]`: what earlier meetings left, and who may be told of it.

    What was said among one client's people (those of one domain) is never told to another's,
    nor what was said among your own people to any client. You alone see everything.
    """

    enabled: bool = True
    """Whether anything is remembered. Off, what is known stays until it is forgotten."""
    own_domains: tuple[Organizer, ...] = ()
    """Whose people are your own: domains, or single addresses. Without any, those of your own
    address's domain, unless it is one where strangers live (gmail.com …)."""
    keep: Annotated[Duration, Between(least="1d", most="3650d")] | None = None
    """How long lines are kept after their meeting; without it, until they are forgotten."""
    compartments: Annotated[tuple[CompartmentTable, ...], Field(max_length=1000)] = ()
    """Clients with several domains, or with public addresses. The first that fits counts."""


class Images(Table):
    """`[images]`: what draws faces for `locum persona avatar generate`.

    Any service with OpenAI's images call, hosted or on this machine. Without this table, a
    PikaStream engine draws them.
    """

    base_url: Address = "https://api.openai.com/v1"
    """The API's root; /images/generations is added to it."""
    model: str = Field(default="gpt-image-1-mini", min_length=1, max_length=200)
    """The model, as the service calls it."""
    api_key_file: LocalPath | None = None
    """A file with the key, if the service wants one."""


class BrainTable(Table):
    """`[brain]`: a language model writes the minutes. Needs the extra: `pip install 'locum[brain]'`.

    Without this table, or where the model fails, they are written without one. What was said in
    the meetings is sent to the provider, and nowhere else.
    """

    type: Literal["model"] = "model"
    """What kind of brain this is."""
    model: str = Field(min_length=1, max_length=200)
    """A provider and its model, as pydantic-ai writes them ("openai:NAME", "anthropic:NAME",
    "google:NAME" …); or, with base_url, what the server there calls it."""
    base_url: Address | None = None
    """The root of any server with OpenAI's chat completions, such as one on this machine:
    /chat/completions is added to it."""
    api_key_file: LocalPath | None = None
    """A file with the key (chmod 600). Otherwise the systemd credential "brain_api_key",
    otherwise the environment's LOCUM_BRAIN_API_KEY, otherwise the provider's own variable."""
    timeout: Annotated[Duration, Between(least="1s", most="6h")] = timedelta(minutes=15)
    """The most that the model may take for one meeting."""
    max_words: int = Field(default=6000, ge=200, le=500_000)
    """The most words of a meeting that are sent in one request; a longer one is cut where a
    topic ends, and the parts are merged."""
    fallback: bool = True
    """Whether the minutes are written without the model where it fails for good, or would
    come too late. They say so."""
    live: LiveTable = LiveTable()
    """The model in meetings."""


class Metrics(Table):
    """`[metrics]`: Prometheus figures and /healthz, on loopback only. Off unless a port is given."""

    port: int = Field(ge=0, le=65535)
    """The TCP port; 0 takes any that is free."""


class NoticeKinds(Table):
    """`[notify.kinds]`: what the owner is told, beside what comes next (`before`)."""

    called_off: bool = True
    """That it won't go, after it was said that it would."""
    missed: bool = True
    """A meeting that nobody was in, or that it dropped out of, and why."""
    refused: bool = True
    """That a room turned it away or put it out."""
    orphan: bool = True
    """That a stand-in may be running that can't be named."""
    left_running: bool = True
    """That one can't be ended."""
    over_budget: bool = True
    """That a cap of [budget] keeps it away."""
    credits: bool = True
    """That the engine's account can't pay, ahead of the meeting where possible."""
    calendar: bool = True
    """That a calendar can't be read, or a sign-in has ended; and when it is over."""
    config: bool = True
    """That an edit of this file was rejected."""
    ledger: bool = True
    """That the ledger was restored, and joins wait; and when it is over."""
    approval: bool = True
    """That a persona asks for your approval, to run something."""
    filed: bool = False
    """Where a summary was filed."""


class Notify(Table):
    """`[notify]`: tells the owner. Needs the extra: `pip install 'locum[notify]'`."""

    urls_file: LocalPath | None = None
    """A file with one apprise address a line (chmod 600). Otherwise the systemd credential
    "notify_urls"."""
    before: Annotated[Duration, Between(most="24h")] = timedelta(minutes=10)
    """How long before each join it says so, and how to keep it away; "0s" is never."""
    kinds: NoticeKinds = NoticeKinds()
    """What else is told."""


class Stage(Table):
    """`[stage]`: for rehearsals. Refused unless every address is on loopback."""

    speed: float = Field(default=1.0, gt=0, le=10_000, allow_inf_nan=False)
    """How many seconds pass in a second of the host's."""
    epoch_host: AwareDatetime | None = None
    """The host's instant at which both clocks agreed …"""
    epoch: AwareDatetime | None = None
    """… and what the stage's clock said then."""


class Config(Table):
    """The whole of locum.toml. Relative paths start at the config file's folder."""

    state_dir: LocalPath | None = None
    """Where the ledger and the sign-ins are kept. Default: systemd's STATE_DIRECTORY,
    otherwise $XDG_STATE_HOME/locum, otherwise ~/.local/state/locum."""
    runtime_dir: LocalPath | None = None
    """Where the control socket is. Default: systemd's RUNTIME_DIRECTORY, otherwise
    $XDG_RUNTIME_DIR/locum, otherwise the state directory."""
    calendar: Calendar = Calendar()
    """What is watched, and how often."""
    attend: Attend = Attend()
    """Which invitations are a reason to be there, and how."""
    rules: tuple[Rule, ...] = ()
    """Exceptions by title, organizer, attendee, calendar or platform."""
    personas: dict[Name, PersonaTable] = Field(default={})
    """Who goes, by name."""
    engines: dict[Name, Engine] = Field(default={})
    """What carries a persona into a meeting, by name."""
    sinks: tuple[Sink, ...] = ()
    """Where summaries go."""
    briefing: BriefingTable = BriefingTable()
    """What the stand-in is told before a meeting."""
    workspace: tuple[WorkspaceTable, ...] = ()
    """Folders of your work that it may know of."""
    contacts: Contacts = Contacts()
    """Who the people are."""
    skills: Skills = Skills()
    """What it knows how to do."""
    hearing: HearingTable = HearingTable()
    """What makes words of what our own engine hears."""
    voices: dict[Name, VoiceTable] = Field(default={})
    """Voices that an engine of ours speaks with, by name."""
    tools: tuple[ToolTable, ...] = ()
    """Programs that a persona may run. None, unless it is told so."""
    mcp: tuple[McpTable, ...] = ()
    """MCP servers whose tools a persona may use. None, unless it is told so."""
    summary: Summaries = Summaries()
    """How summaries are written."""
    transcripts: Transcripts = Transcripts()
    """What is fetched after a meeting."""
    budget: Budget = Budget()
    """The most that may be spent."""
    privacy: Privacy = Privacy()
    """What is owed to the others in the room."""
    memory: Memory = Memory()
    """What is kept of earlier meetings, and who may be told of it."""
    images: Images | None = None
    """What draws faces."""
    brain: BrainTable | None = None
    """What writes the minutes, where it is a language model."""
    notify: Notify | None = None
    """Whether and how the owner is told."""
    metrics: Metrics | None = None
    """Figures for Prometheus."""
    stage: Stage | None = None
    """For rehearsals only."""
