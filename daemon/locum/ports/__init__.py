"""What locum needs from the world. Adapters implement these; nothing else crosses.

The ledger has no port: tests use the real thing.
"""

from locum.ports.acting import Done, Tool, Toolbox, ToolOutcome, Verdict
from locum.ports.calendars import (
    CalendarSource,
    ChannelExistsError,
    ChannelSource,
    Delta,
    OpenedChannel,
)
from locum.ports.checks import Finding, Health
from locum.ports.conversing import (
    Aloud,
    Deferred,
    Doing,
    Endpointer,
    InChat,
    Mind,
    Prompted,
    Recognition,
    Recognizer,
    Thought,
)
from locum.ports.dispatch import Dispatcher
from locum.ports.filing import Attendance, Summary, SummarySink
from locum.ports.making import ImageMaker, VoiceCloner
from locum.ports.presence import (
    OBSERVED,
    Admitted,
    Embodied,
    Ended,
    EngineNote,
    EngineTraits,
    Face,
    HandRaised,
    HeardSound,
    JoinRequest,
    LostJoin,
    MeetingSession,
    Picture,
    PresenceEngine,
    Remains,
    Rig,
    Rigger,
    Roster,
    Said,
    SessionEvent,
    Waiting,
)
from locum.ports.speaking import Voice, VoiceSample, VoiceSampler
from locum.ports.telling import NoticeTarget
from locum.ports.thinking import Answer, Brain, Passage
from locum.ports.time import Clock
from locum.ports.transcripts import Fetched, TranscriptSource

__all__ = [
    "OBSERVED",
    "Admitted",
    "Aloud",
    "Answer",
    "Attendance",
    "Brain",
    "CalendarSource",
    "ChannelExistsError",
    "ChannelSource",
    "Clock",
    "Deferred",
    "Delta",
    "Dispatcher",
    "Doing",
    "Done",
    "Embodied",
    "Ended",
    "Endpointer",
    "EngineNote",
    "EngineTraits",
    "Face",
    "Fetched",
    "Finding",
    "HandRaised",
    "Health",
    "HeardSound",
    "ImageMaker",
    "InChat",
    "JoinRequest",
    "LostJoin",
    "MeetingSession",
    "Mind",
    "NoticeTarget",
    "OpenedChannel",
    "Passage",
    "Picture",
    "PresenceEngine",
    "Prompted",
    "Recognition",
    "Recognizer",
    "Remains",
    "Rig",
    "Rigger",
    "Roster",
    "Said",
    "SessionEvent",
    "Summary",
    "SummarySink",
    "Thought",
    "Tool",
    "ToolOutcome",
    "Toolbox",
    "TranscriptSource",
    "Verdict",
    "Voice",
    "VoiceCloner",
    "VoiceSample",
    "VoiceSampler",
    "Waiting",
]
