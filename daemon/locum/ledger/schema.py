"""The ledger's schema, one migration after the other."""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE sessions (
        key TEXT PRIMARY KEY,
        phase TEXT NOT NULL,
        room_id TEXT NOT NULL,
        room TEXT NOT NULL,
        engine TEXT NOT NULL,
        persona TEXT NOT NULL,
        join_at TEXT NOT NULL,
        leave_by TEXT NOT NULL,
        meetings TEXT NOT NULL,
        claimed_at TEXT NOT NULL,
        give_up_at TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        handle TEXT,
        retry_at TEXT,
        admitted_at TEXT,
        ended_at TEXT,
        end_reason TEXT,
        detail TEXT NOT NULL DEFAULT '',
        others_present INTEGER
    ) STRICT;
    -- Never two of us in a room: the database itself refuses the second.
    CREATE UNIQUE INDEX sessions_room_held ON sessions (room_id)
        WHERE phase IN ('joining', 'ambiguous', 'waiting', 'live', 'leaving');
    CREATE INDEX sessions_phase ON sessions (phase, ended_at);

    CREATE TABLE transitions (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL REFERENCES sessions (key),
        at TEXT NOT NULL,
        before TEXT,
        after TEXT NOT NULL,
        reason TEXT,
        detail TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE INDEX transitions_session ON transitions (session, id);

    CREATE TABLE attempts (
        session TEXT NOT NULL REFERENCES sessions (key),
        number INTEGER NOT NULL,
        engine TEXT NOT NULL,
        price_per_minute REAL NOT NULL,
        claimed_at TEXT NOT NULL,
        handle TEXT,
        answered_at TEXT,
        ended_at TEXT,
        outcome TEXT,
        notes TEXT,
        bodies TEXT,
        PRIMARY KEY (session, number)
    ) STRICT;

    CREATE TABLE calendars (
        account TEXT NOT NULL,
        calendar_id TEXT NOT NULL,
        read_at TEXT,
        access TEXT,
        sync_token TEXT,
        failing_since TEXT,
        problem TEXT,
        PRIMARY KEY (account, calendar_id)
    ) STRICT;

    CREATE TABLE events (
        account TEXT NOT NULL,
        calendar_id TEXT NOT NULL,
        event_id TEXT NOT NULL,
        revision TEXT NOT NULL,
        starts_at TEXT NOT NULL,
        ends_at TEXT NOT NULL,
        absences INTEGER NOT NULL DEFAULT 0,
        body TEXT NOT NULL,
        PRIMARY KEY (account, calendar_id, event_id)
    ) STRICT;

    CREATE TABLE marks (
        occurrence TEXT PRIMARY KEY,
        mark TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT;

    CREATE TABLE decisions (
        id INTEGER PRIMARY KEY,
        occurrence TEXT NOT NULL,
        meeting TEXT NOT NULL,
        title TEXT NOT NULL,
        starts_at TEXT NOT NULL,
        at TEXT NOT NULL,
        "join" INTEGER NOT NULL,
        code TEXT NOT NULL,
        reason TEXT NOT NULL,
        trace TEXT NOT NULL
    ) STRICT;
    CREATE INDEX decisions_occurrence ON decisions (occurrence, id);

    CREATE TABLE filings (
        meeting TEXT NOT NULL,
        session TEXT NOT NULL,
        sink TEXT NOT NULL,
        summary TEXT NOT NULL,
        put_at TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        retry_at TEXT,
        filed_at TEXT,
        location TEXT,
        problem TEXT,
        PRIMARY KEY (session, meeting, sink)
    ) STRICT;
    CREATE INDEX filings_open ON filings (filed_at, retry_at);
    """,
    """
    -- What the ledger knows of itself: see `Database.recovered_at`.
    CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT;
    """,
    """
    -- Money, in millionths of a dollar: what is set aside until an attempt is proved over, and
    -- what it cost. It goes on the account of the meeting that opened its session.
    ALTER TABLE attempts ADD COLUMN reserved_micros INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE attempts ADD COLUMN cost_micros INTEGER;
    ALTER TABLE attempts ADD COLUMN occurrence TEXT NOT NULL DEFAULT '';
    ALTER TABLE attempts ADD COLUMN organizer TEXT;
    UPDATE attempts SET occurrence = coalesce(
        (SELECT json_extract(meetings, '$[0].occurrence') FROM sessions WHERE key = session), ''
    ), organizer = (
        SELECT lower(json_extract(meetings, '$[0].organizer.email'))
        FROM sessions WHERE key = session
    );
    UPDATE attempts SET cost_micros = CAST(round(price_per_minute * 1000000) AS INTEGER) * max(1,
        (strftime('%s', ended_at) - strftime('%s', answered_at) + 59) / 60
    ) WHERE ended_at IS NOT NULL AND answered_at IS NOT NULL;
    UPDATE attempts SET cost_micros = 0 WHERE ended_at IS NOT NULL AND answered_at IS NULL;
    CREATE INDEX attempts_money
        ON attempts (claimed_at, cost_micros, reserved_micros, ended_at, organizer);
    CREATE INDEX attempts_organizer
        ON attempts (organizer, claimed_at, cost_micros, reserved_micros, ended_at);
    CREATE INDEX attempts_occurrence
        ON attempts (occurrence, cost_micros, reserved_micros, ended_at);
    CREATE INDEX attempts_unproved ON attempts (session) WHERE ended_at IS NULL;
    """,
    """
    -- Series in which somebody wants no stand-in.
    CREATE TABLE opt_outs (
        series TEXT PRIMARY KEY,
        at TEXT NOT NULL,
        said_by TEXT NOT NULL,
        title TEXT NOT NULL
    ) STRICT;
    """,
    """
    -- Whether anybody else was ever seen in the room: only then can it have emptied.
    ALTER TABLE sessions ADD COLUMN accompanied INTEGER NOT NULL DEFAULT 0;
    -- Since when a calendar is gone, or not shared any more; NULL while it merely fails.
    ALTER TABLE calendars ADD COLUMN refused_since TEXT;
    """,
    """
    -- What the owner was told, and which target has it: see `NoticeBook`.
    CREATE TABLE notices (
        key TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        name TEXT NOT NULL,
        starts_at TEXT,
        put_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        severity TEXT NOT NULL,
        title TEXT NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX notices_put ON notices (put_at);
    CREATE TABLE notice_deliveries (
        notice TEXT NOT NULL REFERENCES notices (key) ON DELETE CASCADE,
        target TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        problem TEXT,
        settled_at TEXT,
        outcome TEXT,
        PRIMARY KEY (notice, target)
    ) STRICT;
    CREATE INDEX notice_deliveries_open ON notice_deliveries (target) WHERE settled_at IS NULL;
    """,
    """
    -- Push channels, from before they are asked for until they are over.
    CREATE TABLE channels (
        id TEXT PRIMARY KEY,
        account TEXT NOT NULL,
        calendar_id TEXT NOT NULL,
        address TEXT NOT NULL,
        token_hash TEXT NOT NULL,
        state TEXT NOT NULL,
        asked_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        resource_id TEXT,
        heard_at TEXT
    ) STRICT;
    """,
    """
    -- As whom each attempt asked to join: an identity's hashes, as JSON.
    ALTER TABLE attempts ADD COLUMN identity TEXT;
    """,
    """
    -- Whether a presence ended while nobody watched: it may have been in, and is owed a summary.
    ALTER TABLE sessions ADD COLUMN unseen INTEGER NOT NULL DEFAULT 0;
    """,
    """
    -- What was said, as it was heard.
    CREATE TABLE utterances (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL REFERENCES sessions (key),
        source TEXT NOT NULL,
        at TEXT,
        until TEXT,
        speaker TEXT NOT NULL,
        text TEXT NOT NULL,
        by_us INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX utterances_session ON utterances (session, id);

    -- A summary stands once, in its newest edition, whatever the number of its sinks; `material`
    -- is a hash of what it was written from.
    CREATE TABLE summaries (
        session TEXT NOT NULL,
        meeting TEXT NOT NULL,
        edition INTEGER NOT NULL,
        material TEXT NOT NULL,
        said TEXT NOT NULL,
        put_at TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (session, meeting)
    ) STRICT;
    INSERT OR IGNORE INTO summaries
        SELECT session, meeting, 1, '', '', put_at, summary FROM filings;
    ALTER TABLE filings DROP COLUMN summary;
    """,
    """
    -- Who is still to be asked for which meeting, and what became of it: see `FetchBook`.
    CREATE TABLE fetches (
        session TEXT NOT NULL REFERENCES sessions (key),
        meeting TEXT NOT NULL,
        source TEXT NOT NULL,
        label TEXT NOT NULL,
        next_at TEXT NOT NULL,
        deadline TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        problem TEXT NOT NULL DEFAULT '',
        needs_person INTEGER NOT NULL DEFAULT 0,
        settled_at TEXT,
        outcome TEXT,
        participants TEXT NOT NULL DEFAULT '[]',
        notes TEXT NOT NULL DEFAULT '[]',
        PRIMARY KEY (session, meeting, source)
    ) STRICT;
    CREATE INDEX fetches_open ON fetches (next_at) WHERE settled_at IS NULL;
    """,
    """
    -- What stand-ins ask their owner for: see `RequestBook`.
    CREATE TABLE requests (
        id TEXT PRIMARY KEY,
        session TEXT NOT NULL,
        persona TEXT NOT NULL,
        title TEXT NOT NULL,
        tool TEXT NOT NULL,
        what TEXT NOT NULL,
        asked_by TEXT NOT NULL,
        at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        state TEXT NOT NULL,
        decided_at TEXT,
        ended_at TEXT,
        problem TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE INDEX requests_at ON requests (at);
    """,
    """
    -- What was asked in a meeting and taken along for the owner, as it was asked.
    CREATE TABLE deferrals (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL REFERENCES sessions (key),
        at TEXT NOT NULL,
        said_by TEXT NOT NULL,
        question TEXT NOT NULL
    ) STRICT;
    CREATE INDEX deferrals_session ON deferrals (session, id);
    """,
)
"""Each text moves the file one version on; the version stands in PRAGMA user_version."""
