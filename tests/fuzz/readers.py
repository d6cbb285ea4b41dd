"""Every reader of outside data, by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzz.files import FILES
from tests.fuzz.google import GOOGLE
from tests.fuzz.knowledge import KNOWLEDGE
from tests.fuzz.personas import PERSONAS
from tests.fuzz.push import PUSH
from tests.fuzz.reader import Reader
from tests.fuzz.services import SERVICES
from tests.fuzz.texts import TEXTS

READERS: Mapping[str, Reader] = {
    reader.name: reader
    for reader in (*TEXTS, *GOOGLE, *PUSH, *FILES, *PERSONAS, *SERVICES, *KNOWLEDGE)
}
