"""What the page's scripts tell, checked where it comes in: a page can be anybody's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

_Number = Annotated[int, Field(ge=0, le=2**31)]
_Count = Annotated[int, Field(ge=0, le=2**53)]
_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Name = Annotated[str, Field(max_length=256)]
_Text = Annotated[str, Field(max_length=300)]
_Device = Literal["unasked", "stopped", "muted", "live"]


class _Told(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )


class Trouble(_Told):
    kind: Literal["trouble"]
    where: _Text
    what: _Text


class SaidSoFar(_Told):
    """An utterance is over: how many samples of it were heard, and why there aren't more."""

    kind: Literal["said"]
    id: _Number
    frames: _Count
    why: Literal["said", "hushed", "muted"]


class CameraAsked(_Told):
    """Somebody wants to see us: what is to be shown?"""

    kind: Literal["camera"]


class NewTrack(_Told):
    kind: Literal["track"]
    track: _Number
    id: _Name
    streams: Annotated[tuple[_Name, ...], Field(max_length=8)]
    mid: _Name


class EndedTrack(_Told):
    kind: Literal["untrack"]
    track: _Number


class Sources(_Told):
    kind: Literal["sources"]
    track: _Number
    sources: Annotated[tuple[tuple[_Count, _Amount], ...], Field(max_length=16)]


Message = Trouble | SaidSoFar | CameraAsked | NewTrack | EndedTrack | Sources
MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


class ProofTold(_Told):
    states: Annotated[tuple[_Name, ...], Field(max_length=64)]
    frames_encoded: _Count
    frames_sent: _Count
    frame_width: _Count
    frame_height: _Count
    sound_packets_sent: _Count
    sound_energy_sent: _Amount
    sound_packets_received: _Count
    sound_energy_received: _Amount
    sound_energy_heard: _Amount
    camera: _Device
    microphone: _Device


class StatsTold(_Told):
    drawn: _Count
    skipped: _Count
    failed: _Count
    rate: _Amount
    busy_ms: _Amount
    width: _Count
    height: _Count
    in_worker: bool
    late: _Count
    hush_ms: _Amount
    lead_ms: _Amount
    context: _Name
