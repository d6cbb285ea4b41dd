"""A brain that is a language model: any of pydantic-ai's providers, or OpenAI's API anywhere.

Nothing here imports pydantic-ai but `clerk`, and that only when a model is asked: who runs
locum without one neither needs the extra nor pays for it.
"""

from locum.brains.model.brain import ModelBrain
from locum.brains.model.settings import ModelSettings, Resolve, Segment

__all__ = ["ModelBrain", "ModelSettings", "Resolve", "Segment"]
