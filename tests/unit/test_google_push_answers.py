"""What Google's answer to a watch request is taken for: an end that makes sense, or nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from locum.calendars.google_push import _opened
from locum.core.channels import Channel, ChannelState
from locum.errors import TransientError
from tests.unit.builders import TEN, WORK

CHANNEL = Channel(
    id="ours",
    calendar=WORK,
    address="https://locum.example.com/push",
    state=ChannelState.ASKED,
    asked_at=TEN,
    expires_at=TEN + timedelta(days=7),
)


def _milliseconds(days: float) -> int:
    return round((TEN + timedelta(days=days)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("expiration", "days"),
    [
        (str(_milliseconds(3)), 3),
        (_milliseconds(3), 3),
        (str(_milliseconds(7)), 7),
        (str(_milliseconds(400)), 8),
    ],
)
def test_googles_end_counts_but_for_one_beyond_our_wish(expiration: Any, days: int) -> None:
    """A text or a number; far beyond what was asked it is a slip, and the wish counts."""
    opened = _opened({"id": "ours", "resourceId": "r", "expiration": expiration}, CHANNEL, TEN)
    assert (opened.resource_id, opened.expires_at) == ("r", TEN + timedelta(days=days))


def test_without_an_end_the_wish_counts() -> None:
    """The field is optional."""
    opened = _opened({"id": "ours", "resourceId": "r"}, CHANNEL, TEN)
    assert opened.expires_at == CHANNEL.expires_at


@pytest.mark.parametrize(
    "change",
    [
        {"id": "another"},
        {"id": None},
        {"resourceId": ""},
        {"resourceId": 5},
        {"resourceId": "r" * 1025},
        {"expiration": "soon"},
        {"expiration": None},
        {"expiration": str(_milliseconds(0))},
        {"expiration": "9" * 400},
        {"expiration": "-1"},
        {"expiration": float("nan")},
        {"expiration": {}},
    ],
)
def test_nonsense_is_no_channel(change: dict[str, Any]) -> None:
    """It may be open all the same: whoever asked finds out by asking again."""
    answer = {"id": "ours", "resourceId": "r", "expiration": str(_milliseconds(7)), **change}
    with pytest.raises(TransientError, match="work/primary"):
        _opened(answer, CHANNEL, TEN)
