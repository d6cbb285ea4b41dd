"""The schema of a summary's JSON twin: published, and what `as_json` is held to in tests."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from locum.core.model import EndReason
from locum.core.transcript import Source


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class TwinIdentity(_Part):
    """As whom the stand-in joined: SHA-256 in hex."""

    digest: str = Field(pattern="^[0-9a-f]{64}$")
    version: int | None
    image: str
    voice_id: str
    sample: str | None
    consents: list[str]


class TwinAttendance(_Part):
    joined_at: datetime | None
    left_at: datetime | None
    end_reason: EndReason | None
    detail: str
    attempts: int


class TwinNote(_Part):
    """Something that the engine gave back, word for word."""

    source: str
    text: str


class TwinCost(_Part):
    amount: float
    currency: Literal["USD"]


class TwinUtterance(_Part):
    id: str
    speaker: str
    """As shown by its source; empty where nobody can tell."""
    person: str | None
    """The address of the invited person whom that is; null where it couldn't be resolved."""
    text: str
    at: datetime | None
    until: datetime | None
    source: Source
    by_us: bool
    """Whether the stand-in itself said it."""


class TwinEvidence(_Part):
    utterance: str
    """The id of an utterance of this file's transcript."""
    quote: str
    """Stands in that utterance word for word."""


class TwinClaim(_Part):
    text: str
    evidence: list[TwinEvidence] = Field(min_length=1)


class TwinAction(TwinClaim):
    owner: str | None
    due: date | None
    due_said: str | None
    """How it was said ("by Friday")."""


class TwinTopic(_Part):
    title: str
    first: str
    last: str
    began_at: datetime | None
    ended_at: datetime | None
    points: list[TwinClaim]


class TwinShare(_Part):
    speaker: str
    turns: int
    words: int
    seconds: float | None


class TwinMinutes(_Part):
    """What the meeting came to; every claim has its evidence in the transcript."""

    written_by: str
    remark: str
    language: str
    tldr: list[TwinClaim]
    decisions: list[TwinClaim]
    actions: list[TwinAction]
    questions: list[TwinClaim]
    asked: list[TwinClaim]
    topics: list[TwinTopic]
    shares: list[TwinShare]
    unclear: list[TwinClaim]
    dropped: int
    """How many claims were left out because nothing in the transcript proves them."""


class TwinCommitment(_Part):
    """Promised in an earlier meeting of the series, and not known to be done."""

    text: str
    owner: str | None
    due: date | None
    promised_at: datetime
    is_late: bool


class Twin(_Part):
    """One summary of one attended meeting, as filed by locum."""

    schema_version: Literal[1] = Field(alias="schema")
    key: str
    session: str
    edition: int
    """Counts up when more became known after the first was filed."""
    title: str
    start: datetime
    end: datetime
    room: str
    organizer: str | None
    invited: list[str]
    present: list[str]
    """Who was there besides the stand-in, where a source tells; otherwise empty."""
    owner: str
    """Whom the stand-in stood in for."""
    persona: str
    identity: TwinIdentity | None
    engine: str
    attendance: TwinAttendance
    source: str
    awaited: list[str]
    notes: list[TwinNote]
    unknown: list[str]
    estimated_cost: TwinCost | None
    carried: list[TwinCommitment]
    minutes: TwinMinutes | None
    transcript: list[TwinUtterance]


def json_schema() -> dict[str, Any]:
    """Answer the JSON schema of the twin."""
    schema = Twin.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
