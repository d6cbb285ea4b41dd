"""Who goes: a face, a voice, a name that says what it is, and how it behaves."""

from locum.persona.card import PersonaCard
from locum.persona.prompt import compile_prompt, introduction

__all__ = ["PersonaCard", "compile_prompt", "introduction"]
