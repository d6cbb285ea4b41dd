"""What thinks in a meeting: with a language model, or without one.

Both are held to the same mandate (`locum.core.mandate`), whatever they come up with.
"""

from locum.minds.bounds import Bounds, GuessedError, Patience
from locum.minds.brief import Brief, Known
from locum.minds.model import ModelMind
from locum.minds.plain import PlainMind

__all__ = ["Bounds", "Brief", "GuessedError", "Known", "ModelMind", "Patience", "PlainMind"]
