"""What a daemon and the process of one meeting tell each other: JSON, one object a line.

The daemon writes to the child's stdin: first an `Order`, then {"stop": REASON}, if ever. Its
end, however it comes, is the end of that pipe. The child writes what it counts and how it is
to a pipe of its own. Nothing that anybody said in a meeting goes this way, and no secret.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from locum.core.model import EndReason, Phase
from locum.errors import PermanentError

LONGEST_LINE = 2 * 1024 * 1024  # A config's 256 KiB, escaped.
LONGEST_WORD = 500

HEARTBEAT = timedelta(seconds=2)
"""How often a child says that it is alive; the host's time."""

OUTCOMES = frozenset({
    "answered", "admitted", *(each.value for each in EndReason), *(each.value for each in Phase)
})  # fmt: skip
"""What becomes of joins, as metrics have it: others would be series without end."""


@dataclass(frozen=True)
class Order:
    """What a child must know before it can read the ledger.

    `config` and `source` are the path and the text of the config that the daemon has taken,
    `daemon` is its process, `version` that of its code.
    """

    version: str
    daemon: int
    state: str
    config: str
    source: str
    log_json: bool | None
    log_level: str

    def line(self) -> bytes:
        return _line({"order": asdict(self)})

    @classmethod
    def parse(cls, line: bytes) -> Order:
        """Read the first line of a child's stdin.

        Raises:
            PermanentError: It is none.
        """
        order = parse(line).get("order")
        kinds: dict[str, Any] = dict.fromkeys(
            ("version", "state", "config", "source", "log_level"), str
        )
        kinds |= {"daemon": int, "log_json": bool | None}
        if not isinstance(order, dict) or order.keys() != kinds.keys():
            raise PermanentError("What came on stdin is no order of locum's daemon.")
        if not all(isinstance(order[name], kind) for name, kind in kinds.items()):
            raise PermanentError("The order that came on stdin is damaged.")
        return cls(**order)


def stop_line(reason: EndReason) -> bytes:
    return _line({"stop": reason.value})


def told_line(**words: Any) -> bytes:
    return _line(words)


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def parse(line: bytes) -> dict[str, Any]:
    """Read one line; an empty object where it is none."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
