"""Many calendars, a quota that is too small for the wished-for pace, and the real daemon."""

from __future__ import annotations

from datetime import timedelta

from tests.bench.watched import Trial, most_in_a_minute, watch

LIMIT, QUOTA = 60, 72
"""As 540 stands to 600: what is under way at once may be let through a little bunched."""

TRIAL = Trial(
    calendars=50,
    accounts=1,
    events=4,
    near=0.3,
    edits=20,
    warm_up=timedelta(minutes=2),
    lasts=timedelta(minutes=7),
    speed=30,  # A busy host keeps up too, and the quota is what holds the daemon back.
    quota=QUOTA,
    calendar_settings=f"""
poll_near = "30s"
poll_idle = "90s"
requests_per_minute = {LIMIT}
""",
)


def test_fifty_calendars_stay_within_their_quota_and_every_edit_is_armed() -> None:
    """Not one request is refused; what there is no room for is read less often, and said."""
    seen = watch(TRIAL, print)
    assert seen.refused == 0
    assert most_in_a_minute([at for at, _, _ in seen.requests]) <= QUOTA
    # The quota was what held them back, not that there was nothing to ask.
    assert len(seen.requests) > LIMIT * 5
    assert (len(seen.edits), len(seen.armed_after_s)) == (TRIAL.edits, TRIAL.edits)
    assert seen.read_all_after_s is not None
    assert seen.log["calendar_pace_stretched"] >= 1
    assert "calendar_unreadable" not in seen.log
