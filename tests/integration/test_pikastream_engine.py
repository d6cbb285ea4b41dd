"""The engine against a PikaStream with state and faults: joins, money, lost answers."""

from __future__ import annotations

import socket
import traceback
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from locum.core.secret import Secret
from locum.engines.pikastream import PikaStreamSettings
from locum.engines.pikastream_key import find_key
from locum.errors import (
    AmbiguousError,
    ConfigError,
    HumanNeededError,
    LocumError,
    PermanentError,
    TransientError,
)
from locum.ports import Health
from locum.rehearsal.faults import Fault
from locum.rehearsal.pikastream import Hostile
from tests.integration.pikastream_rig import (
    BALANCE,
    CODE,
    CREATE,
    KEY,
    Rig,
    eventually,
    rigged,
    settings_for,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as built:
        yield built


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port where nobody listens, nor can."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where the system accepts connections and nobody ever reads them."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield int(listener.getsockname()[1])


def everything_told(error: BaseException) -> str:
    """Write an error with its chain, its attributes and the variables of each frame."""
    seen = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join((repr(error), str(error), repr(vars(error)), *seen.format()))


# ── joining ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_a_join_sends_everything_and_names_the_session(rig: Rig) -> None:
    """Every field reaches the service as it was given, whatever characters are in it."""
    request = rig.request()
    session = await rig.engine.join(request)
    (running,) = rig.stage.live_sessions()
    assert session.handle == running.id
    sent = running.request
    assert (sent.room, sent.platform, sent.voice_id) == (
        CODE,
        "google_meet",
        "English_radiant_girl",
    )
    assert sent.bot_name == request.face.display_name
    assert sent.system_prompt == request.system_prompt
    assert sent.image_bytes == rig.image.stat().st_size
    assert sent.meeting_password is None


@pytest.mark.anyio
async def test_a_changed_image_is_read_again(rig: Rig) -> None:
    """The cache of images knows a new file from an old one."""
    await rig.joined()
    rig.image.write_bytes(rig.image.read_bytes() + b"\0" * 100)
    await rig.joined()
    first, second = (state.request.image_bytes for state in rig.stage.sessions())
    assert second == first + 100


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"\x89PNG", "more than 1024"), (b"<svg>" * 999, "PNG nor JPEG")],
)
@pytest.mark.anyio
async def test_an_image_that_can_t_be_used_is_refused(
    rig: Rig, content: bytes, told: str
) -> None:
    """No request is made with an image that the service would refuse."""
    rig.image.write_bytes(content)
    with pytest.raises(PermanentError, match=told):
        await rig.joined()
    assert rig.calls(CREATE) == 0


VERDICTS: list[tuple[int, type[LocumError]]] = [
    (301, PermanentError),
    (400, PermanentError),
    (401, HumanNeededError),
    (402, HumanNeededError),
    (403, HumanNeededError),
    (404, PermanentError),
    (408, AmbiguousError),
    (409, TransientError),
    (413, PermanentError),
    (422, PermanentError),
    (429, TransientError),
    (500, AmbiguousError),
    (502, AmbiguousError),
    (503, TransientError),
    (504, AmbiguousError),
]


@pytest.mark.parametrize(("status", "kind"), VERDICTS)
@pytest.mark.anyio
async def test_each_refusal_has_its_verdict(
    rig: Rig, status: int, kind: type[LocumError]
) -> None:
    """A status decides whether we may retry, must wait for a person, or may be paying."""
    rig.stage.faults.add(Fault(CREATE, status=status, body={"detail": f"no\n{KEY}\x1b[2J"}))
    with pytest.raises(LocumError) as caught:
        await rig.joined()
    assert isinstance(caught.value, kind)
    assert KEY not in everything_told(caught.value)
    assert "\x1b" not in str(caught.value)
    if status not in {301, 401, 403, 402}:
        assert "no [redacted]" in str(caught.value)


@pytest.mark.parametrize(
    ("header", "waited"),
    [
        ({"Retry-After": "77"}, 77),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "999999999999"}, 3600),
        ({"Retry-After": "soon"}, 15),
        ({}, 15),
    ],
)
@pytest.mark.anyio
async def test_a_busy_service_says_when(rig: Rig, header: dict[str, str], waited: int) -> None:
    """Retry-After is taken over, within an hour; nonsense is as good as none."""
    rig.stage.faults.add(Fault(CREATE, status=429, headers=header))
    with pytest.raises(TransientError) as caught:
        await rig.joined()
    assert caught.value.retry_after == timedelta(seconds=waited)


LOST: list[tuple[str, Fault]] = [
    ("answer lost", Fault(CREATE, after=True)),
    ("dropped", Fault(CREATE, drop=True)),
    ("endless", Fault(CREATE, endless=True)),
    ("dripping", Fault(CREATE, drip_s=0.06)),
    ("late", Fault(CREATE, delay_s=1.5)),
    ("not JSON", Fault(CREATE, body="<html>welcome</html>")),
    ("a bomb", Fault(CREATE, body="[" * 200_000)),
    ("no id", Fault(CREATE, body={"ok": True})),
    ("climbing id", Fault(CREATE, body={"session_id": "../../developer/topup"})),
    ("dots", Fault(CREATE, body={"session_id": ".."})),
    ("long id", Fault(CREATE, body={"session_id": "a" * 201})),
]


@pytest.mark.parametrize("fault", [fault for _, fault in LOST], ids=[name for name, _ in LOST])
@pytest.mark.anyio
async def test_a_lost_answer_is_ambiguous(rig: Rig, fault: Fault) -> None:
    """Whatever may have begun a session that we can't name is said to be ambiguous, once."""
    rig.stage.faults.add(fault)
    engine = rig.another_engine(join_deadline=timedelta(seconds=1))
    with pytest.raises(AmbiguousError) as caught:
        await engine.join(rig.request())
    assert KEY not in everything_told(caught.value)
    await eventually(lambda: rig.calls(CREATE))  # It is logged once the stage is done with it.
    assert rig.calls(CREATE) == 1


@pytest.mark.anyio
async def test_a_refused_connection_cost_nothing(rig: Rig, unused_port: int) -> None:
    """Nobody listens: that is a passing trouble, not a lost join."""
    engine = rig.another_engine(base_url=f"http://127.0.0.1:{unused_port}")
    with pytest.raises(TransientError, match="ConnectError") as caught:
        await engine.join(rig.request())
    assert KEY not in everything_told(caught.value)


@pytest.mark.anyio
async def test_a_server_that_accepts_and_never_answers_is_ambiguous(
    rig: Rig, silent_port: int
) -> None:
    """As if the server were stopped: the total deadline ends it, and it may have been heard."""
    engine = rig.another_engine(
        base_url=f"http://127.0.0.1:{silent_port}",
        request_deadline=timedelta(seconds=0.2),
        join_deadline=timedelta(seconds=0.3),
    )
    with pytest.raises(AmbiguousError, match=r"within 0\.3 s"):
        await engine.join(rig.request())
    with pytest.raises(TransientError, match=r"within 0\.2 s"):
        await engine.prepare()


# ── money ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_joins_at_once_read_one_balance(rig: Rig) -> None:
    """Joins that fall together share one balance, and all get in."""
    handles: set[str] = set()

    async def join(code: str) -> None:
        await rig.engine.prepare()
        handles.add((await rig.engine.join(rig.request(code))).handle)

    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(join, f"abc-defg-h{chr(97 + number // 26)}{chr(97 + number % 26)}")
    assert len(handles) == len(rig.stage.live_sessions()) == 40
    assert rig.calls(BALANCE) == 1


@pytest.mark.anyio
async def test_too_little_left_shows_where_to_pay(rig: Rig) -> None:
    """A person is given the link for the smallest package; nothing is bought or opened."""
    rig.stage.configure(balance=Decimal(99))
    with pytest.raises(HumanNeededError, match="99 credits left") as caught:
        await rig.engine.prepare()
    assert f"Top up at 127.0.0.1: {rig.base_url}/checkout/" in caught.value.hint
    assert rig.calls("/checkout/") == 0
    with pytest.raises(HumanNeededError):
        await rig.joined()
    assert rig.calls(CREATE) == 0
    assert rig.calls("/developer/topup", "POST") == 1
    rig.stage.configure(balance=Decimal(500))
    assert (await rig.joined()).handle


@pytest.mark.anyio
async def test_a_link_on_another_host_is_shown_with_its_host(rig: Rig) -> None:
    """We can't know who handles payments, so the host is named and the link never opened."""
    rig.stage.configure(balance=Decimal(0), hostile=frozenset({Hostile.CHECKOUT_ELSEWHERE}))
    with pytest.raises(HumanNeededError) as caught:
        await rig.engine.prepare()
    assert "Top up at pika-art.example.net: https://pika-art.example.net/" in caught.value.hint


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/developer/topup", status=500, times=None),
        Fault("/developer/topup/products", body={"data": {"products": []}}),
        Fault("/developer/topup", method="POST", body={"checkout_url": "javascript:alert(1)"}),
        Fault("/developer/topup", method="POST", body={"checkout_url": "https://a@evil.test/"}),
    ],
)
@pytest.mark.anyio
async def test_without_a_link_the_hint_does_without(rig: Rig, fault: Fault) -> None:
    """A failing top-up call changes the hint and nothing else."""
    rig.stage.faults.add(fault)
    rig.stage.faults.add(Fault(CREATE, status=402, body={"error": "insufficient credits"}))
    with pytest.raises(HumanNeededError, match="insufficient credits") as caught:
        await rig.joined()
    assert caught.value.hint == "Top up the PikaStream account."


@pytest.mark.parametrize(
    "fault",
    [
        Fault(BALANCE, status=500),
        Fault(BALANCE, drop=True),
        Fault(BALANCE, body='{"data": {"balance": NaN}}'),
        Fault(BALANCE, body={"data": {"balance": None}}),
        Fault(BALANCE, body='{"balance": 1' + "0" * 5000 + "}"),
    ],
)
@pytest.mark.anyio
async def test_an_unreadable_balance_is_not_an_empty_one(rig: Rig, fault: Fault) -> None:
    """`prepare` says "not now", and a join goes on without a balance."""
    rig.stage.faults.add(fault)
    with pytest.raises(TransientError):
        await rig.engine.prepare()
    rig.stage.faults.add(fault)
    assert (await rig.joined()).handle


@pytest.mark.anyio
async def test_an_account_last_seen_empty_must_be_seen_filled(rig: Rig) -> None:
    """Where the last balance was too low, a failing call is no permission to try."""
    rig.stage.configure(balance=Decimal(1))
    with pytest.raises(HumanNeededError):
        await rig.engine.prepare()
    rig.stage.faults.add(Fault(BALANCE, status=500))
    with pytest.raises(TransientError):
        await rig.joined()
    assert rig.calls(CREATE) == 0


@pytest.mark.anyio
async def test_what_can_be_afforded_is_asked_anew_each_time(rig: Rig) -> None:
    """In credits for those dollars, and never less than a join needs; it spends nothing."""
    rig.stage.configure(balance=Decimal(962))
    await rig.engine.afford(9.62)
    await rig.engine.afford(0)
    with pytest.raises(HumanNeededError, match=r"962 credits left.* may take 963\.") as caught:
        await rig.engine.afford(9.63)
    assert caught.value.hint.startswith("Top up at 127.0.0.1: http://127.0.0.1:")
    await rig.another_engine(credits_per_dollar=50).afford(19.24)
    rig.stage.configure(balance=Decimal(99))
    with pytest.raises(HumanNeededError, match="100 are the least"):
        await rig.engine.afford(0.1)
    assert rig.calls(BALANCE) == 5
    assert rig.stage.bills == ()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "fault",
    [
        Fault(path=BALANCE, times=None, status=500),
        Fault(path=BALANCE, times=None, drop=True),
        Fault(path=BALANCE, times=None, body="nonsense"),
        Fault(path=BALANCE, times=None, body={"balance": None}),
        Fault(path=BALANCE, times=None, status=404),
    ],
)
async def test_what_can_not_be_told_is_not_too_little(rig: Rig, fault: Fault) -> None:
    """A failed balance check is never reported as "not funded"."""
    rig.stage.faults.add(fault)
    with pytest.raises((TransientError, PermanentError)):
        await rig.engine.afford(1)


# ── keys, checks, settings ───────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_a_refused_key_needs_a_person_and_is_read_again(rig: Rig) -> None:
    """A revoked key is said to be one; its replacement works without a restart."""
    keys = iter(["dk_revoked-canary", KEY])
    engine = rig.another_engine(key=lambda: Secret(next(keys)))
    with pytest.raises(HumanNeededError, match="refuses the key") as caught:
        await engine.prepare()
    told = everything_told(caught.value)
    assert "revoked-canary" not in told
    await engine.prepare()


@pytest.mark.anyio
async def test_check_finds_everything_in_order(rig: Rig) -> None:
    """Key, address and balance are found well, and nothing was spent."""
    findings = await rig.engine.check()
    assert [finding.health for finding in findings] == [Health.OK, Health.OK]
    assert "10000 credits left" in findings[1].detail
    assert rig.stage.balance == Decimal(10_000)


@pytest.mark.anyio
async def test_check_names_the_next_step(rig: Rig, tmp_path: Path) -> None:
    """An open key file, an empty account and a missing key each come with what to do."""
    key_file = tmp_path / "key"
    key_file.write_text(f"  {KEY}\n")
    key_file.chmod(0o644)
    rig.stage.configure(balance=Decimal(5))
    engine = rig.another_engine(key=lambda: find_key(key_file, {}), key_file=key_file)
    key, balance = await engine.check()
    assert (key.health, balance.health) == (Health.WARNING, Health.BROKEN)
    assert "0644" in key.detail
    assert "/checkout/" in balance.next_step
    (missing,) = await rig.another_engine(key=lambda: find_key(None, {})).check()
    assert missing.health is Health.BROKEN
    for place in ("api_key_file", "pika_dev_key", "PIKA_DEV_KEY"):
        assert place in missing.next_step


@pytest.mark.anyio
async def test_check_survives_an_unreachable_service(rig: Rig, unused_port: int) -> None:
    """`check` raises nothing, whatever is broken."""
    engine = rig.another_engine(base_url=f"http://127.0.0.1:{unused_port}")
    _, reach = await engine.check()
    assert reach.health is Health.BROKEN
    assert "ConnectError" in reach.detail


@pytest.mark.anyio
async def test_nothing_of_ours_shows_the_key(rig: Rig) -> None:
    """Settings, engine and its parts can be printed and logged without giving the key away."""
    await rig.engine.prepare()
    session = await rig.joined()
    settings = settings_for(base_url=rig.base_url)
    client = rig.engine._api._client
    shown = [settings, rig.engine, session, *vars(rig.engine).items(), *vars(client).items()]
    shown += [*vars(rig.engine._api).items(), client._headers]
    assert KEY not in repr(shown)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.example.com",
        "ftp://127.0.0.1",
        "https://",
        "https://u:p@x.test",
        "https://x/?a=1",
    ],
)
def test_an_address_that_would_show_the_key_is_refused(base_url: str) -> None:
    """Plain http beyond loopback, logins and queries in the address are config errors."""
    with pytest.raises(ConfigError, match="base_url"):
        PikaStreamSettings(base_url=base_url, key=lambda: Secret(KEY))
