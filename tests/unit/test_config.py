"""The config: what it refuses, in which words, and that nothing else ever comes out of it."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from locum.app.chromium import account_of
from locum.app.parts import prices_of
from locum.config.attendance import PersonaTable
from locum.config.engines import ChromiumEngine, PikaStream
from locum.config.example import example_text
from locum.config.lines import dotted
from locum.config.load import LoadedConfig, load
from locum.config.model import Config
from locum.config.notices import Notify
from locum.config.schema import schema
from locum.config.sinks import MarkdownSink
from locum.config.talking import PocketTable
from locum.config.values import format_duration, is_loopback, parse_duration
from locum.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)
EVERY = settings(derandomize=True, max_examples=1000, deadline=None)

PERSONA = """
[personas.asta]
display_name = "Asta"
owner = "Ada Example"
image = "face.png"
"""
GOOD = f"""
[[calendar.accounts]]
name = "work"
token_file = "token.json"
{PERSONA}
[engines.pika]
type = "pikastream"

[[sinks]]
type = "markdown"
folder = "~/meetings"
"""

PUSH = """[calendar.push]
public_url = "https://locum.example.com/push"
listen_port = 9465
"""

Loader = Callable[..., LoadedConfig]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Make a folder that another user may enter, with a face in it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        Path(name, "face.png").write_bytes(PNG)
        Path(name, "standin.png").write_bytes(PNG)
        yield Path(name)


@pytest.fixture(scope="module")
def load_text(folder: Path) -> Loader:
    """Answer a function that writes a text as locum.toml and loads it."""

    def load_it(text: str | bytes, **environ: str) -> LoadedConfig:
        path = folder / "locum.toml"
        path.unlink(missing_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(path, environ={"HOME": "/home/ada", **environ})

    return load_it


@pytest.fixture(scope="module")
def problems_of(load_text: Loader) -> Callable[..., tuple[str, ...]]:
    """Answer a function that gives the problems of a text; none if it is good."""

    def find(text: str | bytes, **environ: str) -> tuple[str, ...]:
        try:
            load_text(text, **environ)
        except ConfigError as error:
            return error.problems
        return ()

    return find


Finder = Callable[..., tuple[str, ...]]


# ── good ones ────────────────────────────────────────────────────────────────────────────


def test_push_needs_an_address_and_a_port_only(load_text: Loader) -> None:
    """It is off unless given; then it listens on this machine only."""
    assert load_text(GOOD).config.calendar.push is None
    push = load_text(GOOD + PUSH).config.calendar.push
    assert push is not None
    assert (push.listen_host, push.ttl, push.safety_poll) == (
        "127.0.0.1",
        timedelta(days=7),
        timedelta(minutes=30),
    )


def test_example_loads_once_its_picture_is_there(load_text: Loader, folder: Path) -> None:
    """The shipped example is a whole config, without so much as a warning."""
    loaded = load_text(example_text())

    assert loaded.warnings == ()
    assert loaded.config.personas["standin"].image == folder / "standin.png"
    [sink] = loaded.config.sinks
    assert isinstance(sink, MarkdownSink)
    assert sink.folder == Path("/home/ada/meetings")
    engine = loaded.config.engines["pika"]
    assert isinstance(engine, PikaStream)
    assert engine.api_key_file == folder / "pika.key"


def test_example_wants_nothing_but_its_picture(tmp_path: Path) -> None:
    """As shipped, the only thing missing is the face, and the message says which file."""
    path = tmp_path / "locum.toml"
    path.write_text(example_text(), encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load(path)

    [problem] = caught.value.problems
    line = example_text().splitlines().index(next(
        line for line in example_text().splitlines() if line.startswith("image")
    )) + 1  # fmt: skip
    assert problem == (
        f'locum.toml:{line}: personas.standin.image: "{tmp_path / "standin.png"}": '
        "no such file; name a PNG or JPEG file"
    )


def test_example_shows_the_true_defaults(load_text: Loader, folder: Path) -> None:
    """What the example has commented out as the default is the default."""
    uncommented, told = without_notices(example_text())
    for line in uncommented.splitlines():
        if (
            line.startswith("# ")
            and " = " in line
            and "[" not in line
            and "service" not in line
        ):
            uncommented = uncommented.replace(line, line[2:])
    uncommented = uncommented.replace("port = 9464", "")

    assert uncommented.count("lead =") == 1
    assert load_text(uncommented).config == load_text(example_text()).config
    assert load_text(f"{example_text()}\n{told}").config.notify == Notify(
        urls_file=folder / "notify.urls"
    )


def test_every_sink_of_the_example_can_be_used_as_it_stands(load_text: Loader) -> None:
    """Uncommented, each is what its table says, and shows its defaults."""
    lines = [
        line.removeprefix("# ") if "# [sinks" in line else line
        for line in example_text().splitlines()
    ]
    sinks = load_text("\n".join(lines)).config.sinks

    assert [sink.type for sink in sinks] == [
        "markdown",
        "google_doc",
        "email",
        "webhook",
        "apprise",
    ]
    shown = [line.partition(" = ")[0] for line in lines if "[sinks, default]" in line]
    assert shown == ["folder", "on_event", "port", "encryption", "allow_private"]
    for sink, names in zip(sinks[1:4], (shown[:2], shown[2:4], shown[4:]), strict=True):
        for name in names:
            assert getattr(sink, name) == type(sink).model_fields[name].default


def without_notices(text: str) -> tuple[str, str]:
    """Take the tables out that turn notices on; answers the rest, and them uncommented."""
    before, start, rest = text.partition("# [notify]")
    tables, end, after = rest.partition("# ──")
    lines = f"{start}{tables}".splitlines()
    return before + end + after, "\n".join(line.removeprefix("# ") for line in lines)


def test_bom_and_windows_line_ends_are_taken(load_text: Loader) -> None:
    """What Windows editors write is read as meant."""
    loaded = load_text(b"\xef\xbb\xbf[attend]\r\nlead = '5s'\r\n")

    assert loaded.config.attend.lead == timedelta(seconds=5)


def test_digest_and_path_are_of_the_file(load_text: Loader, folder: Path) -> None:
    """The digest is SHA-256 of the bytes: the empty file's is well known."""
    loaded = load_text(b"")

    assert loaded.path == folder / "locum.toml"
    assert loaded.digest.startswith("e3b0c44298fc1c149afbf4c8996fb924")
    assert len(loaded.warnings) == 4


def test_file_open_to_others_is_warned_about(load_text: Loader, folder: Path) -> None:
    """Who may write to the config may send the stand-in anywhere."""
    assert load_text(GOOD).warnings == ()
    path = folder / "locum.toml"
    path.chmod(0o620)

    [warning] = load(path).warnings
    assert warning == f"locum.toml: others may write to it; `chmod go-w {path}`"


def test_more_calendars_than_the_quota_reads_as_often_are_warned_about(
    load_text: Loader,
) -> None:
    """With what is read instead, and what to change; what fits says nothing."""
    text = f"[calendar]\npoll_idle = '5s'\nrequests_per_minute = 10\n{GOOD}"
    [warning] = load_text(text).warnings

    assert warning.startswith(
        "locum.toml: calendar.poll_idle: account work: for Google's quota"
    )
    assert "calendars are read every 7 s instead of every 5 s" in warning
    assert load_text(text.replace("= 10", "= 540")).warnings == ()


def test_environment_moves_the_engines(load_text: Loader) -> None:
    """PIKA_API_BASE_URL wins over the file, and a note says so."""
    loaded = load_text(GOOD, PIKA_API_BASE_URL="http://127.0.0.1:8001")

    engine = loaded.config.engines["pika"]
    assert isinstance(engine, PikaStream)
    assert engine.base_url == "http://127.0.0.1:8001"
    [note] = loaded.warnings
    assert note.startswith('engines.pika.base_url is "http://127.0.0.1:8001", by PIKA_API_BASE')


def test_bad_address_in_the_environment_is_named(problems_of: Finder) -> None:
    """A variable has no line; its name says where to look."""
    [problem] = problems_of(GOOD, PIKA_API_BASE_URL="http://example.com")

    assert problem.startswith("PIKA_API_BASE_URL in the environment: ")
    assert "use https" in problem


# ── one thing wrong ──────────────────────────────────────────────────────────────────────

WRONG = [
    ("[[rules]]\naction='use'\npersna='x'", '3: rules[1].persna: unknown key. Did you mean "persona"?'),
    ("rules = [\n {action='join'},\n {action='join', persna='x'},\n]", "3: rules[2].persna: unknown key."),
    ("[[rules]]\naction='jion'", '2: rules[1].action: "jion" isn\'t known here. Did you mean "join"?'),
    ("[[rules]]\nname='x'", "1: rules[1].action: is missing."),
    ("[[rules]]\naction='join'\n[rules.match]\nplatform='zom'", '4: rules[1].match.platform: "zom"'),
    ("[attend]\ncapacity = true", "2: attend.capacity: must be a whole number, not true"),
    ("[attend]\ncapacity = 0", "2: attend.capacity: must be at least 1, not 0"),
    ("[attend]\njoin_unanswered = 'yes'", "2: attend.join_unanswered: must be true or false"),
    ("attend.lead = 30", "1: attend.lead: a duration is a text with a unit"),
    ("attend.lead = '30'", '1: attend.lead: "30" is no duration'),
    ("attend.lead = '61m'", "1: attend.lead: 1h1m is too long; 1h is the most"),
    ("attend.max_length = '0s'", "1: attend.max_length: 0s is too short"),
    ("attend.max_length = '25h'", "1: attend.max_length: 1d1h is too long; 24h is the most"),
    ("calendar.horizon = '59m'", "1: calendar.horizon: 59m is too short; 1h is the least"),
    ("calendar.horizon = '15d'", "1: calendar.horizon: 15d is too long; 14d is the most"),
    ("calendar.poll_near = '4s'", '1: calendar.poll_near: "4s" is too often for Google'),
    ("calendar.poll_idle = '0s'", "1: calendar.poll_idle: 0s is too short"),
    ("attend.persona = 'asat'\n" + PERSONA, '1: attend.persona: there is no persona "asat". Did you mean "asta"?'),
    ("attend.engine = 'x'", '1: attend.engine: there is no engine "x". Make a [engines.NAME] table.'),
    ("calendar.accounts=[{name='a',token_file='t',persona='x'}]", "1: calendar.accounts[1].persona: there is no"),
    ("[[rules]]\naction='use'\nengine='x'", '3: rules[1].engine: there is no engine "x".'),
    (PERSONA + PERSONA.replace("asta", "bo"), "7: attend.persona: is missing. There are 2 personas (asta, bo)"),
    ("[engines.a]\ntype='pikastream'\n[engines.b]\ntype='pikastream'\n[attend]", "5: attend.engine: is missing."),
    ("[engines.a]\ntype='picastream'", '2: engines.a.type: "picastream" isn\'t known here. Did you mean "pikastream"?'),
    ("[[calendar.accounts]]\nname='a'", "1: calendar.accounts[1]: nothing to sign in with."),
    ("calendar.accounts=[{name='a',token_file='t',service_account='s'}]", "1: calendar.accounts[1].service_account: an account signs in by"),
    ("calendar.accounts=[{name='a',token_file='t',subject='s'}]", "1: calendar.accounts[1].subject: is for a service_account only"),
    ("[[calendar.accounts]]\nname='a'\ntoken_file='t'\n[[calendar.accounts]]\nname='a'\ntoken_file='u'", '5: calendar.accounts[2].name: "a" is taken by number 1'),
    ("[[sinks]]\ntype='markdown'\nfolder='a'\n[[sinks]]\ntype='markdown'\nfolder='b'", '4: sinks[2].name: "markdown" is taken'),
    ("[[sinks]]\ntype='fax'", '2: sinks[1].type: "fax" isn\'t known here. There are: apprise, email'),
    ("[[sinks]]\nfolder='a'", "1: sinks[1].type: is missing: it says what kind of table"),
    ("[[sinks]]\ntype='email'\nhost='h'", "1: sinks[1].sender: is missing. Your address"),
    ("[[sinks]]\ntype='email'\nhost='h'\nsender='a@b.c'\nusrname='x'", '5: sinks[1].usrname: unknown key. Did you mean "username"?'),
    ("[[sinks]]\ntype='email'\nhost='h'\nsender='a@b.c'\npassword='x'", "5: sinks[1].password: unknown key; if it is meant for a secret"),
    ("[[sinks]]\ntype='email'\nhost='h'\nsender='a@b.c'\npassword_file='x'", "5: sinks[1].username: is missing: a password goes with it"),
    ("[[sinks]]\ntype='email'\nhost='h'\nsender='A <a@b.c>'", '4: sinks[1].sender: "A <a@b.c>" is no mail address'),
    ("[[sinks]]\ntype='email'\nhost='h'\nsender='a@b.c'\nto=['x@y.z\\r\\nBcc']", "5: sinks[1].to[1]:"),
    ("[[sinks]]\ntype='email'\nhost='h:25'\nsender='a@b.c'", '3: sinks[1].host: "h:25" is no host'),
    ("[[sinks]]\ntype='email'\nhost='h'\nsender='a@b.c'\nencryption='none'", '5: sinks[1].encryption: "none" would show the mails to the network'),
    ("[[sinks]]\ntype='webhook'\nurl='http://example.com/x'", '3: sinks[1].url: "http://example.com/x" is plain http'),
    ("[[sinks]]\ntype='webhook'\nurl='https://u:p@example.com/x'", "3: sinks[1].url: an address carries no user"),
    ("[[sinks]]\ntype='google_doc'\naccount='wrok'\n[[calendar.accounts]]\nname='work'\ntoken_file='t'", '3: sinks[1].account: there is no account "wrok". Did you mean "work"?'),
    ("[[sinks]]\ntype='google_doc'\naccount='a'\non_event='shout'", '4: sinks[1].on_event: "shout" isn\'t known here.'),
    ("[[sinks]]\ntype='markdown'\nfolder='a'\ntags=['a b']", '4: sinks[1].tags[1]: "a b" is no tag'),
    ("[[sinks]]\ntype='email'\nhost='smtp.example.com'\nsender='a@b.c'\n[stage]", '3: sinks[1].host: "smtp://smtp.example.com" isn\'t on this machine'),
    ("[[sinks]]\ntype='webhook'\nurl='https://example.com/x'\n[stage]", '3: sinks[1].url: "https://example.com/x" isn\'t on this machine'),
    ("[calendar]\napi_root = 'http://example.com/'", '2: calendar.api_root: "http://example.com/" is plain http'),
    ("[calendar]\napi_root = 'http://localhost.example.com/'", '2: calendar.api_root: "http://localhost.ex'),
    ("[calendar]\ntoken_uri = 'https://u:p@example.com/'", "2: calendar.token_uri: an address carries no user"),
    ("[calendar]\ntoken_uri = 'http://127.0.0.1\\@example.com/'", "2: calendar.token_uri: an address is plain ASCII"),
    ("[calendar]\ntoken_uri = 'ftp://example.com/'", '2: calendar.token_uri: "ftp://example.com/" is no address'),
    ("[calendar]\ntoken_uri = 'https://[::1'", '2: calendar.token_uri: "https://[::1" is no address'),
    ("[calendar]\ntoken_uri = 'https://h:99999/'", '2: calendar.token_uri: "https://h:99999/" is no address'),
    ("[stage]", "1: calendar.api_root: \"https://www.googleapis.com/\" isn't on this machine"),
    (PUSH.replace("https://locum.example.com/push", "http://locum.example.com/push"), '2: calendar.push.public_url: "http://locum.example.com/push" is plain http'),
    (PUSH.replace("locum.example.com", "127.0.0.1"), '2: calendar.push.public_url: "https://127.0.0.1/push" is this machine, where Google'),
    (PUSH.replace("https://locum.example.com", "http://localhost"), '2: calendar.push.public_url: "http://localhost/push" is this machine'),
    (PUSH.replace("/push", "/a/../b"), '2: calendar.push.public_url: "/a/../b" is no plain path'),
    (PUSH.replace("/push", "/a%2fb"), '2: calendar.push.public_url: "/a%2fb" is no plain path'),
    (PUSH.replace("/push", "/?key=secret"), "2: calendar.push.public_url: an address here has neither ? nor #"),
    (PUSH.replace("/push", "/" + "p" * 1000), "2: calendar.push.public_url: the address is too long"),
    (PUSH.replace("9465", "0"), "3: calendar.push.listen_port:"),
    (PUSH.replace("9465", "65536"), "3: calendar.push.listen_port:"),
    (PUSH.replace("listen_port = 9465", ""), "1: calendar.push.listen_port: is missing"),
    (PUSH + "listen_host = 'localhost'", '4: calendar.push.listen_host: "localhost" is no IP address; write one, like "127.0.0.1"'),
    (PUSH + "ttl = '59s'", "4: calendar.push.ttl: 59s is too short; 1m is the least"),
    (PUSH + "ttl = '31d'", "4: calendar.push.ttl: 31d is too long; 30d is the most"),
    (PUSH + "safety_poll = '2h'", "4: calendar.push.safety_poll: 2h is too long; 1h is the most"),
    (PUSH + "publik_url = 'x'", '4: calendar.push.publik_url: unknown key. Did you mean "public_url"?'),
    ("[attend]\ntrusted_organizers = [\n'a@example.com',\n'*.example.com']", '4: attend.trusted_organizers[2]: "*.example.com" is neither'),
    (PERSONA.replace("Asta", "A\u202esta"), "3: personas.asta.display_name: the character U+202E"),
    (PERSONA.replace("Ada ", "Ada\u200b"), "4: personas.asta.owner: the character U+200B"),
    (PERSONA.replace("Ada ", "Ada\u3164"), "4: personas.asta.owner: the character U+3164"),
    (PERSONA.replace("Ada Example", " "), "4: personas.asta.owner: a name neither begins nor ends"),
    (PERSONA.replace("Ada Example", ""), "4: personas.asta.owner: must not be empty"),
    (PERSONA.replace("Ada Example", "A" * 61), "4: personas.asta.owner: is too long; 60"),
    (PERSONA.replace("owner", "#owner"), "2: personas.asta.owner: is missing. Whom it stands in for"),
    ("[personas.asta]\nfolder='x'\nowner='B'", "3: personas.asta.owner: stands beside folder"),
    ("[personas.asta]\ninstructions='x'", "1: personas.asta.display_name: is missing."),
    ("[personas.asta]\nvoice_id='x'", "1: personas.asta.image: is missing. The face"),
    ("[personas.'..']", "a persona in a folder has a name that begins with no dot"),
    ("[stage]\n[images]", "1: images.base_url: \"https://api.openai.com/v1\" isn't on this machine"),
    ("[stage]\n[brain]\nmodel='openai:x'", "1: brain.base_url: \"the address of the model's provider\" isn't on this machine"),
    ("[brain]\nmodel='gpt'", '2: brain.model: "gpt" names no provider; write it like "openai:NAME"'),
    ("[brain]\nbase_url='http://127.0.0.1:1/v1'", "brain.model: is missing. A provider and its model"),
    ("[brain]\nmodel='a:b'\napi_key='sk-1'", "3: brain.api_key: unknown key; if it is meant for a secret"),
    (PERSONA.replace("personas.asta", "personas.'a b'"), '2: personas."a b": a name must be made of letters'),
    (PERSONA.replace("face.png", "no.png"), 'no.png": no such file; name a PNG or JPEG file'),
    (PERSONA.replace("face.png", ""), "5: personas.asta.image: an empty path names no file"),
    (PERSONA.replace("face.png", "~nobody-here/x"), "5: personas.asta.image: this machine has no user"),
    (PERSONA.replace("face.png", "."), "it is a folder, not a file"),
    (PERSONA.replace("face.png", "locum.toml"), "is neither PNG nor JPEG by its first bytes"),
    (PERSONA.replace('"face.png"', "3"), '5: personas.asta.image: must be a text in "quotes"'),
    ("[engines.p]\ntype='pikastream'\nprice_per_minute=nan", "3: engines.p.price_per_minute: must be a finite number"),
    ("[engines.p]\ntype='pikastream'\nprice_per_minute=-inf", "3: engines.p.price_per_minute: must be a finite number"),
    ("metrics.port = 65536", "1: metrics.port: must be at most 65535, not 65536"),
    ("sinks = 3", "1: sinks: must be a list in [ ], or tables under [[ ]]"),
    ("calendar = 3", "1: calendar: must be a table"),
    ("[[personas]]", "1: personas: must be a table"),
    ("state_dir = 07:32:00", "1: state_dir: is a date or a time of day"),
    ('state_dir = "a\\u0000b"', "1: state_dir: holds a NUL character"),
    ("attend.capacity = 0xfffffffffffffffff", "1: attend.capacity: is too large a number"),
    ("[stage]\nepoch = 2026-11-22T09:00:00", "2: stage.epoch: must be an instant with its offset"),
    ("[stage]\n\nepoch = 2026-11-22T09:00:00Z", "3: stage.epoch_host: is missing; it goes with epoch"),
    ("lead = 5m", "1: not valid TOML: expected newline"),
    ("a = 1\n\nb = [\n1,\n2\n", "3: not valid TOML: unclosed array"),
    ("a = 1\nb = '''\nx\ny = 1\n", "2: not valid TOML: expected"),
    ("a = 1\na = 2\n", "2: not valid TOML: cannot overwrite a value"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), WRONG, ids=[expected for _, expected in WRONG])
def test_one_mistake_is_named_by_line_key_and_remedy(
    problems_of: Finder, text: str, expected: str
) -> None:
    """Each mistake gets one line that says where it is and what would be right."""
    found = problems_of(text)

    wanted = [problem for problem in found if expected in problem]
    assert len(wanted) == 1, found
    assert wanted[0].startswith("locum.toml:")
    assert "\n" not in wanted[0]


def test_everything_wrong_is_said_at_once_and_by_line(problems_of: Finder) -> None:
    """A type error hides no unknown name, and a missing file hides no bad address."""
    found = problems_of(
        "[attend]\nlead = 5\npersona = 'x'\n[calendar]\napi_root = 'http://example.com'\n"
        + PERSONA.replace("face.png", "no.png").replace("owner", "owned")
    )

    assert [problem.split(": ")[1] for problem in found] == [
        "attend.lead",
        "attend.persona",
        "calendar.api_root",
        "personas.asta.owner",
        "personas.asta.owned",
        "personas.asta.image",
    ]


def test_very_many_mistakes_are_counted_not_listed(problems_of: Finder) -> None:
    """A thousand unknown keys are a hundred lines and a number."""
    found = problems_of("".join(f"k{number} = 1\n" for number in range(1000)))

    assert len(found) == 101
    assert found[-1] == "locum.toml: and 900 problems more"


@pytest.mark.parametrize("size", [0, 1000, 1024, 20 * 1024 * 1024 + 1])
def test_face_of_an_odd_size_is_refused(folder: Path, problems_of: Finder, size: int) -> None:
    """A face has more than 1 KB and at most 20 MB."""
    with (folder / "odd.png").open("wb") as file:
        file.write(PNG[:8])
        file.truncate(size)

    [problem] = problems_of(PERSONA.replace("face.png", "odd.png"))

    assert ("by its first bytes" if size == 0 else f"{size:,} bytes") in problem


def test_stage_takes_short_polls_and_loopback_only(problems_of: Finder) -> None:
    """A rehearsal runs fast, and nowhere but here; the environment counts too."""
    stage = """
    [calendar]
    poll_near = "50ms"
    api_root = "http://127.0.0.1:1/"
    token_uri = "http://localhost:1/token"
    [engines.pika]
    type = "pikastream"
    base_url = "http://[::1]:2"
    [stage]
    """

    assert problems_of(stage) == ()
    [away] = problems_of(stage, PIKA_API_BASE_URL="https://example.com/")
    assert 'engines.pika.base_url: "https://example.com/" isn\'t on this machine' in away
    [default] = problems_of(stage.replace('base_url = "http://[::1]:2"', ""))
    assert "engines.pika.base_url" in default
    pushed = f"{stage}\n{PUSH}"
    assert (
        problems_of(pushed.replace("https://locum.example.com", "http://127.0.0.1:9465")) == ()
    )
    [push] = problems_of(pushed)
    assert 'public_url: "https://locum.example.com/push" isn\'t on this machine' in push


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://127.0.0.1/", True),
        ("http://127.255.0.1:80/", True),
        ("http://[::1]:80/", True),
        ("http://LOCALHOST/", True),
        ("http://[::ffff:127.0.0.1]/", False),
        ("http://128.0.0.1/", False),
        ("http://0.0.0.0/", False),
        ("http://127.0.0.1.example.com/", False),
        ("http://2130706433/", False),
        ("http://[::1/", False),
    ],
)
def test_loopback_is_told_by_the_address_alone(address: str, *, expected: bool) -> None:
    """Only 127.0.0.0/8, ::1 and localhost are this machine."""
    assert is_loopback(address) is expected


# ── secrets ──────────────────────────────────────────────────────────────────────────────

SECRETS = (
    "dk_Zq81hXw29LmQ0",
    "ya29.Zq81hXw29LmQ0",
    "1//Zq81hXw29LmQ0",
    "sk-proj-Zq81hXw29LmQ0",
)
SPOTS = [
    "[engines.p]\ntype='pikastream'\napi_key = '{}'",
    "[engines.p]\ntype='pikastream'\napi_key_file = '{}'",
    "[engines.p]\ntype='pikastream'\nbase_url = 'https://h/?k={}'",
    "[engines.p]\ntype='{}'",
    "[[rules]]\naction='{}'",
    "[[rules]]\naction=['{}']",
    "attend.lead = ' {}'",
    "attend.persona = '{}'",
    "attend.trusted_organizers = ['{}']",
    "calendar.accounts = [{{name='{}'}}]",
    "[personas.'{}']",
    "'{}' = 1",
    "{} = 1",
    "a = {}",
    "a = '{}",
    "'{0}' = 1\n'{0}' = 2",
    "['{0}']\n['{0}']",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("spot", SPOTS)
def test_secret_is_never_echoed(load_text: Loader, spot: str, secret: str) -> None:
    """Wherever a secret was typed, neither the message nor the traceback shows it."""
    with pytest.raises(ConfigError) as caught:
        load_text(spot.format(secret))

    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.problems)
    assert "Zq81" not in told


def test_secret_is_shown_its_place(problems_of: Finder) -> None:
    """The sentence says where a key belongs, and nothing else is said of that line."""
    found = problems_of("[engines.p]\ntype='pikastream'\napi_key = 'dk_abcdefghijkl'")

    [problem] = found
    assert problem.startswith("locum.toml:3: engines.p.api_key: a secret doesn't belong")
    assert "api_key_file" in problem
    assert "pika_dev_key" in problem


# ── values ───────────────────────────────────────────────────────────────────────────────


@EVERY
@given(st.integers(0, 10**12))
def test_duration_is_read_as_written(milliseconds: int) -> None:
    """Writing a duration and reading it again changes nothing."""
    duration = timedelta(milliseconds=milliseconds)

    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize("text", ["", "5", "5 m", "-5m", "5m ", "m", "1h30", "٥m", "1e3s"])
def test_duration_without_a_plain_unit_is_refused(text: str) -> None:
    """A bare number hides its unit; other digits and signs hide more."""
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)


# ── schema ───────────────────────────────────────────────────────────────────────────────


def test_schema_accepts_the_example_and_refuses_a_typo() -> None:
    """An editor with the schema says the same as locum does."""
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(schema())
    example = tomllib.loads(example_text())

    assert [error.message for error in validator.iter_errors(example)] == []
    for key, value in (("lead", 30), ("lead", "30"), ("laed", "30s"), ("capacity", 0)):
        assert not validator.is_valid({**example, "attend": {key: value}})
    assert not validator.is_valid({"personas": {"a b": example["personas"]["standin"]}})


def test_schema_says_what_every_setting_means() -> None:
    """Each setting has a description, and each default can be written in TOML."""
    made = schema()
    tables = {"locum.toml": made, **made["$defs"]}
    for table, definition in tables.items():
        for key, setting in definition.get("properties", {}).items():
            assert setting.get("description"), f"{table}.{key}"
            assert setting.get("default", "") is not None, f"{table}.{key}"
    assert made["$defs"]["Attend"]["properties"]["lead"]["default"] == "30s"
    assert made["$defs"]["Account"]["properties"]["subject"]["type"] == "string"
    assert "null" not in str(made)


def test_schema_key_for_editors_is_passed_over(load_text: Loader) -> None:
    """A "$schema" at the top is the editor's business."""
    assert load_text('"$schema" = "locum.schema.json"').config == Config()


def test_every_path_setting_is_resolved(folder: Path, load_text: Loader) -> None:
    """No setting comes out as a relative path: the daemon's own folder means nothing."""
    account = "calendar.accounts=[{name='a',client_secrets='c',token_file='t'},{name='b',service_account='s'}]"
    loaded = load_text(f"state_dir='s'\nruntime_dir='r'\n{account}\n{PERSONA}\n"
                       "[engines.p]\ntype='pikastream'\napi_key_file='k'\n"
                       "[[sinks]]\ntype='markdown'\nfolder='f'")  # fmt: skip

    found = list(_paths(loaded.config))
    assert len(found) == 8
    assert {path.parent for path in found} == {folder}


def _paths(value: object) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _paths(getattr(value, name))
    elif isinstance(value, dict | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _paths(item)


def test_model_alone_leaves_paths_as_they_are() -> None:
    """Code that builds a config by hand needs no folder."""
    persona = PersonaTable(display_name="A", owner="B", image=Path("face.png"))

    assert persona.image == Path("face.png")
    assert dotted(("a b", 0, "c")) == '"a b"[1].c'


# ── our own engine ───────────────────────────────────────────────────────────────────────

OWN = "[engines.own]\ntype = 'chromium'\n"


def test_own_engine_goes_as_the_only_account(load_text: Loader) -> None:
    """With one account nobody needs to name it; its price is nothing."""
    config = load_text(GOOD.replace('type = "pikastream"', 'type = "chromium"')).config
    engine = config.engines["pika"]

    assert isinstance(engine, ChromiumEngine)
    assert account_of(engine, config) == "work"
    assert prices_of(config) == {"pika": 0.0}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (OWN, "1: engines.own.account: is missing. There is no account: name the one"),
        (OWN + "account = 'wrk'", '3: engines.own.account: there is no account "wrk".'),
        (OWN + "guest = true\naccount = 'work'", "3: engines.own.guest: a guest isn't signed in"),
        (OWN + "guest = true\nwidth = 10", "4: engines.own.width: must be at least 320, not 10"),
        (OWN + "guest = true\nprice_per_minute = 1", "4: engines.own.price_per_minute: unknown key."),
        ("[stage]\n" + OWN + "guest = true", '1: engines.own.meet_url: "https://meet.google.com/" isn\'t'),
    ],
)  # fmt: skip
def test_own_engine_is_held_to_its_keys(problems_of: Finder, text: str, problem: str) -> None:
    """As whom it goes is said once, and an address of a stage is on this machine."""
    found = [each.removeprefix("locum.toml:") for each in problems_of(text)]

    assert any(each.startswith(problem) for each in found), found


def test_own_engine_of_two_accounts_must_name_one(problems_of: Finder) -> None:
    """Nobody guesses as whom somebody is in a room."""
    two = GOOD + "[[calendar.accounts]]\nname = 'home'\ntoken_file = 'h.json'\n"
    own = two.replace('type = "pikastream"', 'type = "chromium"')

    [problem] = problems_of(own)
    assert "engines.pika.account: is missing. There are 2 accounts" in problem
    named = own.replace('type = "chromium"', "type = \"chromium\"\naccount = 'home'")
    assert problems_of(named) == ()


def test_environment_moves_only_the_hosted_engine(load_text: Loader) -> None:
    """PIKA_API_BASE_URL means nothing to a browser."""
    text = f"attend.engine = 'own'\n{GOOD}{OWN}"
    loaded = load_text(text, PIKA_API_BASE_URL="http://127.0.0.1:8001")

    assert loaded.config.engines["own"].type == "chromium"
    assert len(loaded.warnings) == 1


def test_own_engine_of_the_example_can_be_used_as_it_stands(load_text: Loader) -> None:
    """Uncommented, it is taken, and what it shows as defaults are the defaults."""
    lines = [
        line.removeprefix("# ") if "# [own" in line else line
        for line in example_text().splitlines()
    ]
    text = "attend.engine = 'own'\n" + "\n".join(lines).replace("[attend]\n", "", 1)
    engine = load_text(text).config.engines["own"]

    shown = [line.partition(" = ")[0] for line in lines if "# [own, default]" in line]
    assert shown[:3] == ["guest", "width", "height"]
    for name in shown:
        assert getattr(engine, name) == ChromiumEngine.model_fields[name].default


def test_voices_of_the_example_can_be_used_as_they_stand(load_text: Loader) -> None:
    """Uncommented, each is a voice of its kind, and what it shows as defaults are the defaults."""
    lines = [
        line.removeprefix("# ") if "# [voices" in line else line
        for line in example_text().splitlines()
    ]
    voices = load_text("\n".join(lines)).config.voices

    kinds = {name: voice.type for name, voice in voices.items()}
    assert kinds == {
        "joe": "sherpa",
        "mine": "pocket",
        "hosted": "openai",
        "eleven": "elevenlabs",
    }
    for name in ("speaker", "speed", "cloned"):
        assert getattr(voices["joe"], name) == type(voices["joe"]).model_fields[name].default
    assert PocketTable.model_fields["model"].default == "english"


def test_a_persona_speaks_with_a_voice_that_there_is(
    load_text: Loader, problems_of: Finder
) -> None:
    """Its voice is named as [voices] has it, else the mistake is shown with what was meant."""
    voice = "[voices.joe]\ntype = 'sherpa'\nmodel = 'voice-joe'\n"
    persona = "[personas.robin]\nspeaks_with = 'jo'\n"

    [problem] = problems_of(f"{voice}{persona}")
    assert 'personas.robin.speaks_with: there is no voice "jo". Did you mean "joe"?' in problem
    loaded = load_text(voice + persona.replace("jo'", "joe'"))
    assert loaded.config.personas["robin"].speaks_with == "joe"


def test_a_stage_speaks_to_no_voice_elsewhere(problems_of: Finder) -> None:
    """On a stage, a hosted voice is on this machine, or it is none."""
    text = """
    [calendar]
    api_root = "http://127.0.0.1:1/"
    token_uri = "http://localhost:1/token"
    [voices.a]
    type = "elevenlabs"
    voice = "x"
    [stage]
    """

    [problem] = problems_of(text)
    assert 'voices.a.base_url: "https://api.elevenlabs.io" isn\'t on this machine' in problem
