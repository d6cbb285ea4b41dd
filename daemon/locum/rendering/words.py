"""The words that stand around a summary, in the meeting's language where we have them.

What was said is quoted in its own language anyway; only headings are ours. The record of the
attendance (how it ended, what isn't known) stays in English: it is about locum, not about what
was said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Words:
    carried: str
    late: str
    promised: str
    decisions: str
    actions: str
    due: str
    nobody: str
    asked: str  #: With {owner}.
    questions: str
    more: str  #: With {count}.
    topics: str
    spoke: str
    unclear: str
    evidence: str
    dropped: str  #: With {count}.
    nothing: str
    someone: str


_ENGLISH = Words(
    carried="Open from before",
    late="late",
    promised="promised",
    decisions="Decided",
    actions="To do",
    due="due",
    nobody="nobody named",
    asked="Asked of {owner}",
    questions="Open questions",
    more="and {count} more, below",
    topics="Topics",
    spoke="Who spoke",
    unclear="Unclear",
    evidence="Evidence",
    dropped="Left out, because nothing in the transcript proves it: {count}.",
    nothing="Nothing was decided, promised or left open that could be told from what was said.",
    someone="somebody",
)

_GERMAN = Words(
    carried="Noch offen von vorher",
    late="überfällig",
    promised="zugesagt",
    decisions="Beschlossen",
    actions="Zu tun",
    due="bis",
    nobody="niemand genannt",
    asked="Fragen an {owner}",
    questions="Offene Fragen",
    more="und {count} weitere, siehe unten",
    topics="Themen",
    spoke="Wer sprach",
    unclear="Unklar",
    evidence="Belege",
    dropped="Weggelassen, weil nichts im Transkript es belegt: {count}.",
    nothing="Aus dem Gesagten ging kein Beschluss, keine Zusage und keine offene Frage hervor.",
    someone="jemand",
)

_FRENCH = Words(
    carried="Encore ouvert",
    late="en retard",
    promised="promis",
    decisions="Décidé",
    actions="À faire",
    due="pour le",
    nobody="personne nommé",
    asked="Demandé à {owner}",
    questions="Questions ouvertes",
    more="et {count} de plus, ci-dessous",
    topics="Sujets",
    spoke="Qui a parlé",
    unclear="Pas clair",
    evidence="Preuves",
    dropped="Omis, faute de preuve dans la transcription : {count}.",
    nothing="Aucune décision, promesse ou question ouverte ne ressort de ce qui a été dit.",
    someone="quelqu'un",
)

_SPANISH = Words(
    carried="Pendiente de antes",
    late="con retraso",
    promised="prometido",
    decisions="Decidido",
    actions="Por hacer",
    due="para el",
    nobody="nadie nombrado",
    asked="Preguntas para {owner}",
    questions="Preguntas abiertas",
    more="y {count} más, abajo",
    topics="Temas",
    spoke="Quién habló",
    unclear="Poco claro",
    evidence="Pruebas",
    dropped="Omitido, porque nada en la transcripción lo prueba: {count}.",
    nothing="De lo dicho no se desprende ninguna decisión, promesa ni pregunta abierta.",
    someone="alguien",
)

_LANGUAGES: Mapping[str, Words] = {
    "en": _ENGLISH,
    "de": _GERMAN,
    "fr": _FRENCH,
    "es": _SPANISH,
}


def words_in(language: str) -> Words:
    """Answer the words for an ISO 639-1 code; English where we have none."""
    return _LANGUAGES.get(language.partition("-")[0].lower(), _ENGLISH)


LANGUAGES = tuple(_LANGUAGES)
NAMES = tuple(field.name for field in fields(Words))
