"""How any language model is reached: its address and key, its connection, its errors as ours.

For whoever asks one, after a meeting or in it. Nothing here imports pydantic-ai but
`connection`, and that only when a model is asked: who runs locum without one neither needs the
extra nor pays for it.
"""

from locum.providers.address import ModelAddress
from locum.providers.key import find_key

__all__ = ["ModelAddress", "find_key"]
