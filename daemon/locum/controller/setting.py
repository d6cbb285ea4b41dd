"""What passes go by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from locum.core.policy import Policy
from locum.ledger import Purse
from locum.ports import PresenceEngine


@dataclass(frozen=True)
class Setting:
    """What a reload may exchange; sessions that are running keep what they began with."""

    policy: Policy
    engines: Mapping[str, PresenceEngine]
    prices: Mapping[str, float]
    purse: Purse | None = None
    notice: timedelta = timedelta(0)
    """How long before a join the owner is told; zero is never."""
    funds_ahead: timedelta = timedelta(0)
    """How long before a billed join its engine's account is looked at; zero is never."""
