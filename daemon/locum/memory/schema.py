"""The tables of memory, and how a file of an older version becomes one of this."""

from __future__ import annotations

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- A meeting that we were in. One that was forgotten leaves its keys, so that it isn't taken
-- in once more from the summaries that the ledger keeps.
CREATE TABLE visits (
    id INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    meeting TEXT NOT NULL,
    series TEXT NOT NULL,
    compartment TEXT NOT NULL,
    title TEXT NOT NULL,
    at TEXT NOT NULL,
    edition INTEGER NOT NULL,
    language TEXT NOT NULL,
    UNIQUE (session, meeting)
);
CREATE INDEX visits_by_series ON visits (series, at);
CREATE INDEX visits_by_instant ON visits (at);
CREATE INDEX visits_by_compartment ON visits (compartment);

-- `owner` and `due` are as that meeting has them; with `_now`, `standing`, `settled_` and
-- `same_as` it stands as all meetings of the series together have it, for the owner's eyes.
-- `words` are stems of a promise; `said` and `around` are what is searched.
CREATE TABLE lines (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    visit INTEGER NOT NULL REFERENCES visits (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    topic TEXT NOT NULL,
    owner TEXT,
    due TEXT,
    words TEXT NOT NULL,
    position INTEGER NOT NULL,
    hands_over INTEGER NOT NULL,
    owner_now TEXT,
    due_now TEXT,
    standing TEXT NOT NULL,
    settled_visit INTEGER,
    settled_place INTEGER,
    same_as TEXT,
    approved INTEGER NOT NULL,
    said TEXT NOT NULL,
    around TEXT NOT NULL
);
CREATE INDEX lines_by_visit ON lines (visit, place);
CREATE INDEX lines_open ON lines (kind, standing, due_now);

CREATE TABLE quotes (
    line INTEGER NOT NULL REFERENCES lines (number) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    utterance TEXT NOT NULL,
    quote TEXT NOT NULL,
    speaker TEXT NOT NULL,
    at TEXT,
    PRIMARY KEY (line, place)
) WITHOUT ROWID;

-- Who owns a line or is quoted in it. Names are folded, addresses too; either may be empty.
CREATE TABLE people (
    line INTEGER NOT NULL REFERENCES lines (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (line, name, address)
) WITHOUT ROWID;
CREATE INDEX people_by_name ON people (name, line);
CREATE INDEX people_by_address ON people (address, line);

-- Sentences that say of something that it is done or dropped: see `locum.core.commitments`.
CREATE TABLE signs (
    visit INTEGER NOT NULL REFERENCES visits (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    turn TEXT NOT NULL,
    words TEXT NOT NULL,
    context TEXT NOT NULL,
    by_doer INTEGER NOT NULL,
    speaker TEXT NOT NULL,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    position INTEGER NOT NULL,
    utterance TEXT NOT NULL,
    quote TEXT NOT NULL,
    at TEXT,
    due TEXT,
    PRIMARY KEY (visit, place)
) WITHOUT ROWID;
"""

MIGRATIONS = (_FIRST,)

# Not a migration: an SQLite without FTS5 uses the same file without it.
MAKE_INDEX = (
    "CREATE VIRTUAL TABLE found USING fts5(said, around, content = 'lines', "
    "content_rowid = 'number', tokenize = 'unicode61 remove_diacritics 0')"
)
