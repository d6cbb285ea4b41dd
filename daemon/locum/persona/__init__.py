"""Who goes: a face, a voice, a name that says what it is, and how it behaves."""

from locum.persona.card import PersonaCard
from locum.persona.prompt import compile_prompt, greeting, introduction, manners_of
from locum.persona.wardrobe import Appearance, Wardrobe

__all__ = [
    "Appearance",
    "PersonaCard",
    "Wardrobe",
    "compile_prompt",
    "greeting",
    "introduction",
    "manners_of",
]
