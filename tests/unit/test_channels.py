"""Which push channels to open and which to stop, from any state that there can be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.channels import (
    Channel,
    ChannelAction,
    ChannelState,
    ForgetChannel,
    OpenChannel,
    StopChannel,
    serving,
    tend,
)
from tests.unit.builders import HOME, TEN, WORK

HERE = "https://locum.example.com/push"
ELSEWHERE = "https://old.example.com/push"
WEEK = timedelta(days=7)
MINUTE = timedelta(minutes=1)
EVERY = settings(derandomize=True, max_examples=1000, deadline=None)


def channel(name: str = "one", **changes: object) -> Channel:
    """Answer a channel that was opened now, for a week, and heard."""
    base = Channel(
        id=name,
        calendar=WORK,
        address=HERE,
        state=ChannelState.OPEN,
        asked_at=TEN,
        expires_at=TEN + WEEK,
        resource_id="res",
        heard_at=TEN,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def asked(name: str = "asked", **changes: object) -> Channel:
    unknown = {"state": ChannelState.ASKED, "resource_id": None, "heard_at": None}
    return channel(name, **{**unknown, **changes})


def test_a_calendar_without_a_channel_gets_one() -> None:
    """One for each that is wanted, none for another."""
    assert tend([], [WORK], HERE, TEN) == (OpenChannel(WORK),)
    assert tend([channel()], [WORK], HERE, TEN) == ()
    assert set(tend([channel()], [WORK, HOME], HERE, TEN)) == {OpenChannel(HOME)}


def test_a_channel_is_renewed_well_before_its_end() -> None:
    """With a quarter of its life left, a day at most; not before."""
    week, hour = channel(), channel(expires_at=TEN + timedelta(hours=1))
    assert week.renew_at == TEN + timedelta(days=6)
    assert hour.renew_at == TEN + timedelta(minutes=45)
    assert tend([hour], [WORK], HERE, hour.renew_at - MINUTE) == ()
    assert tend([hour], [WORK], HERE, hour.renew_at) == (OpenChannel(WORK),)


def test_the_old_one_is_stopped_once_the_new_one_is_heard() -> None:
    """Until then both are open: nothing else proves that messages arrive."""
    later = TEN + timedelta(days=6)
    old = channel("old")
    new = channel("new", asked_at=later, expires_at=later + WEEK, heard_at=None)
    assert tend([old, new], [WORK], HERE, later) == ()
    heard = replace(new, heard_at=later)
    assert tend([old, heard], [WORK], HERE, later) == (StopChannel(old),)


def test_a_channel_at_another_address_goes_when_its_successor_stands() -> None:
    """A changed address opens anew first."""
    old = channel("old", address=ELSEWHERE)
    assert tend([old], [WORK], HERE, TEN) == (OpenChannel(WORK),)
    new = channel("new", asked_at=TEN + MINUTE, heard_at=None)
    assert tend([old, new], [WORK], HERE, TEN + MINUTE) == (StopChannel(old),)


def test_what_nobody_wants_is_stopped() -> None:
    """Where a calendar or push itself has gone; what has no name ends by itself."""
    unnamed = asked()
    assert tend([channel(), unnamed], [], HERE, TEN) == (StopChannel(channel()),)
    assert tend([channel(), unnamed], [WORK], None, TEN) == (StopChannel(channel()),)
    named = replace(unnamed, resource_id="res")
    assert set(tend([channel(), named], [], HERE, TEN)) == {
        StopChannel(channel()),
        StopChannel(named),
    }


def test_what_was_asked_for_in_vain_is_asked_for_again() -> None:
    """By the same id, which tells whether it was opened after all."""
    assert tend([asked()], [WORK], HERE, TEN) == (OpenChannel(WORK, asked()),)
    elsewhere = asked(address=ELSEWHERE)
    assert tend([elsewhere], [WORK], HERE, TEN) == (OpenChannel(WORK),)


def test_a_lost_one_is_stopped_once_its_name_is_known() -> None:
    """Another channel's answer tells it; until then it stays."""
    lost = asked("lost", state=ChannelState.LOST)
    assert tend([lost], [WORK], HERE, TEN) == (OpenChannel(WORK),)
    assert tend([lost, channel()], [WORK], HERE, TEN) == ()
    named = replace(lost, resource_id="res")
    assert tend([named, channel()], [WORK], HERE, TEN) == (StopChannel(named),)


def test_what_has_ended_is_forgotten() -> None:
    """And never stopped: it is over."""
    end = TEN + WEEK
    assert tend([channel()], [], None, end) == (ForgetChannel(channel()),)
    assert set(tend([channel()], [WORK], HERE, end)) == {
        ForgetChannel(channel()),
        OpenChannel(WORK),
    }


_channels = st.lists(
    st.builds(
        Channel,
        id=st.uuids().map(str),
        calendar=st.sampled_from([WORK, HOME]),
        address=st.sampled_from([HERE, ELSEWHERE]),
        state=st.sampled_from(ChannelState),
        asked_at=st.integers(-100, 0).map(lambda n: TEN + n * MINUTE),
        expires_at=st.integers(-5, 100).map(lambda n: TEN + n * MINUTE),
        resource_id=st.sampled_from([None, "res"]),
        heard_at=st.sampled_from([None, TEN]),
    ).filter(lambda each: each.state is not ChannelState.OPEN or each.resource_id is not None),
    max_size=4,
)


def _obeyed(channels: list[Channel], actions: tuple[ChannelAction, ...]) -> list[Channel]:
    """Answer the channels after everything was done; then a message comes on each."""
    gone = {
        each.channel.id for each in actions if isinstance(each, (StopChannel, ForgetChannel))
    }
    again = {each.again.id for each in actions if isinstance(each, OpenChannel) and each.again}
    made = [
        channel(f"new {each.calendar}", calendar=each.calendar)
        for each in actions
        if isinstance(each, OpenChannel)
    ]
    left = [each for each in channels if each.id not in gone | again]
    return [replace(each, heard_at=TEN) for each in left] + made


@given(
    channels=_channels,
    wanted=st.sets(st.sampled_from([WORK, HOME])),
    address=st.sampled_from([None, HERE]),
)
@EVERY
def test_two_looks_bring_one_channel_to_each_calendar(
    channels: list[Channel], wanted: set[object], address: str | None
) -> None:
    """From any state: one for each that is wanted, and no other that could be stopped."""
    calendars = [each for each in (WORK, HOME) if each in wanted]
    for _ in range(3):
        before = channels
        channels = _obeyed(channels, tend(channels, calendars, address, TEN))
        for calendar in calendars:
            had = [each for each in before if each.calendar == calendar]
            has = [each for each in channels if each.calendar == calendar]
            # Whoever was heard goes on being heard.
            if any(each.heard_at for each in serving(had, address, TEN)):
                assert any(each.heard_at for each in serving(has, address, TEN))
    assert tend(channels, calendars, address, TEN) == ()
    for calendar in (WORK, HOME):
        theirs = [each for each in channels if each.calendar == calendar]
        nameable = [each for each in theirs if each.resource_id is not None]
        expected = 1 if calendar in calendars and address is not None else 0
        assert len(serving(nameable, address, TEN)) == len(nameable) == expected
        assert all(each.expires_at > TEN for each in theirs)
