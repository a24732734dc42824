"""The journal's tables. Never change a script that was released: add one."""

MIGRATIONS = (
    """
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        user TEXT NOT NULL,
        state INTEGER NOT NULL,
        queued_at INTEGER NOT NULL,
        status BLOB NOT NULL,
        spec BLOB NOT NULL
    );
    CREATE INDEX jobs_of_user ON jobs (user, number, state);
    CREATE INDEX jobs_in_state ON jobs (state, queued_at);

    CREATE TABLE events (
        job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
        sequence INTEGER NOT NULL,
        event BLOB NOT NULL,
        PRIMARY KEY (job, sequence)
    ) WITHOUT ROWID;

    -- The files of the present attempt, so that nobody has to read all events for them.
    CREATE TABLE results (
        job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
        filename TEXT NOT NULL,
        file BLOB NOT NULL,
        UNIQUE (job, filename)
    );

    -- The blobs a job needs or has made.
    CREATE TABLE claims (
        job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
        sha256 TEXT NOT NULL,
        size INTEGER NOT NULL,
        PRIMARY KEY (job, sha256)
    ) WITHOUT ROWID;
    CREATE INDEX claims_of_blob ON claims (sha256);

    CREATE TABLE requests (
        user TEXT NOT NULL,
        request_id TEXT NOT NULL,
        body TEXT NOT NULL,
        job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
        PRIMARY KEY (user, request_id)
    ) WITHOUT ROWID;
    CREATE INDEX requests_of_job ON requests (job)
    """,
    """
    -- Where a job that is begun again goes on.
    CREATE TABLE resumptions (
        job INTEGER PRIMARY KEY REFERENCES jobs ON DELETE CASCADE,
        -- How far it was when it was last begun, 0..1.
        begun_at REAL NOT NULL,
        -- What decides the bytes of the files in `results`.
        finish TEXT NOT NULL DEFAULT ''
    )
    """,
    """
    -- What the queue looks at: kept apart, since reading past a long `spec` takes time.
    CREATE TABLE places (
        job INTEGER PRIMARY KEY REFERENCES jobs ON DELETE CASCADE,
        priority INTEGER NOT NULL,
        size TEXT NOT NULL
    );

    -- When users had a device, for the last hour. Deleting a job does not give the time back.
    CREATE TABLE runs (job INTEGER NOT NULL, user TEXT NOT NULL, began INTEGER NOT NULL, ended INTEGER);
    CREATE INDEX runs_ended ON runs (ended);
    CREATE INDEX runs_of_job ON runs (job);

    -- The stages of each job's latest run.
    CREATE TABLE stages (
        job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
        stage TEXT NOT NULL,
        key TEXT NOT NULL,
        decided_by TEXT NOT NULL,
        reused INTEGER NOT NULL,
        seconds REAL NOT NULL,
        size INTEGER NOT NULL
    );
    CREATE INDEX stages_of_job ON stages (job);

    -- What estimates are made from.
    CREATE TABLE stage_times (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        stage TEXT NOT NULL,
        maker TEXT NOT NULL,
        volume INTEGER NOT NULL,
        seconds REAL NOT NULL
    );
    CREATE INDEX stage_times_of ON stage_times (stage, maker);
    CREATE TABLE methods (name TEXT PRIMARY KEY, stages TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE plates (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        frames INTEGER NOT NULL,
        work_pixels INTEGER NOT NULL,
        delivered INTEGER NOT NULL,
        pixels INTEGER NOT NULL,
        side INTEGER NOT NULL
    )
    """,
    """
    -- The key of the stage that was begun last: while it is not done, parts of it are kept.
    ALTER TABLE resumptions ADD COLUMN stage TEXT NOT NULL DEFAULT '';
    CREATE INDEX resumptions_of_stage ON resumptions (stage);
    CREATE INDEX stages_of_key ON stages (key)
    """,
    """
    -- Whether it ran since its stored result was damaged.
    ALTER TABLE stages ADD COLUMN damaged INTEGER NOT NULL DEFAULT 0;
    -- Whether one of the files in `results` was, since the files were made.
    ALTER TABLE resumptions ADD COLUMN damaged INTEGER NOT NULL DEFAULT 0;
    -- Seconds that the files in `results` took, and the time since when the next ones have been at work.
    ALTER TABLE resumptions ADD COLUMN took REAL NOT NULL DEFAULT 0;
    ALTER TABLE resumptions ADD COLUMN since INTEGER NOT NULL DEFAULT 0
    """,
    """
    -- How many of a user's jobs wait is counted at every CreateJob.
    CREATE INDEX jobs_of_user_in_state ON jobs (state, user);
    -- The runs of a stage in the order in which they ended.
    CREATE INDEX stages_of_name ON stages (stage);
    -- Keys of stage results that deleted jobs had, until they are dropped: a running job may have come across one.
    CREATE TABLE leftovers (key TEXT PRIMARY KEY) WITHOUT ROWID
    """,
)
