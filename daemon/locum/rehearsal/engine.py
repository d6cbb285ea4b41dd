"""With what a persona goes to the stage's rooms. Imported by the command line: nothing heavy."""

import enum


class StageEngine(enum.Enum):
    PIKASTREAM = "pikastream"
    CHROMIUM = "chromium"
