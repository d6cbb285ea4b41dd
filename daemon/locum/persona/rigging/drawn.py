"""Where the parts of locum's own drawn face are: known from its drawing, to the pixel.

`persona new` and `config init` draw a face that everybody sees first, on machines where no model
has ever been pulled. The numbers are those of the drawing (in units of its side); a test holds
them to its pixels.
"""

from __future__ import annotations

import numpy as np

from locum.persona.rigging.outline import LID_STEPS, LIP_STEPS, Array, EyeOutline, Outline

_EYES = ((0.405, 0.408), (0.595, 0.592))  #: The middles of the white and of the pupil, across.
_EYE_Y, _EYE_RX, _EYE_RY, _PUPIL_Y = 0.47, 0.042, 0.046, 0.475
_PUPIL_RX, _PUPIL_RY = 0.024, 0.028
_SMILE_Y, _RADIUS, _WIDTH = 0.555, 0.115, 0.018
_BEGINS = 0.35
"""The smile is drawn where it is lower than this part of its radius."""


def drawn_outline(side: float) -> Outline:
    """Answer the outline of the drawn face, `side` pixels square."""
    left, right = (_eye(white, pupil) for white, pupil in _EYES)
    made = Outline(
        outer_upper=_smile(_RADIUS - _WIDTH / 2),
        inner_upper=_smile(_RADIUS, inset=0.02),
        inner_lower=_smile(_RADIUS, inset=0.02),
        outer_lower=_smile(_RADIUS + _WIDTH / 2),
        eyes=(left, right),
        brows=(_brow(left), _brow(right)),
        forehead=np.array([0.5, 0.21]),
        chin=np.array([0.5, 0.79]),
        side_left=np.array([0.25, 0.5]),
        side_right=np.array([0.75, 0.5]),
        flatness=0.55,
    )
    return made.moved(side, np.zeros(2))


def _smile(radius: float, *, inset: float = 0.0) -> Array:
    """Answer an arc of the smile's ring; all of them meet at the smile's ends."""
    across = np.linspace(-1, 1, LIP_STEPS + 1)
    end = float(np.arccos(_BEGINS)) - inset
    # Towards the ends the edges run together into the middle of the stroke: there the lips meet.
    run = radius + (_RADIUS - radius) * np.abs(across) ** 6
    angle = across * end
    return np.column_stack([0.5 + run * np.sin(angle), _SMILE_Y + run * np.cos(angle)])


def _eye(white: float, pupil: float) -> EyeOutline:
    angle = np.linspace(np.pi, 0, LID_STEPS + 1)
    # A hair wider than the white, so that no rim of it stays outside of the lids.
    rx, ry = _EYE_RX * 1.03, _EYE_RY * 1.03
    x = white + rx * np.cos(angle)
    upper = np.column_stack([x, _EYE_Y - ry * np.sin(angle)])
    lower = np.column_stack([x, _EYE_Y + ry * np.sin(angle)])
    return EyeOutline(
        upper, lower, np.array([pupil, _PUPIL_Y]), np.array([_PUPIL_RX, _PUPIL_RY])
    )


def _brow(eye: EyeOutline) -> Array:
    """It has no brows: where they would be."""
    return np.asarray(eye.upper[[0, LID_STEPS // 2, LID_STEPS]] - [0.0, 0.05])
