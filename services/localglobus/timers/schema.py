"""The tables of Timers. A timer keeps whose consents and which sign-in it rests on, never a token."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS timer (
    id TEXT PRIMARY KEY, owner_id TEXT NOT NULL, name TEXT NOT NULL, callback TEXT, -- JSON: address and body of a timer made as a job
    body TEXT NOT NULL, schedule TEXT NOT NULL, status TEXT NOT NULL, inactive_reason TEXT, submitted_at TEXT NOT NULL, next_run_at TEXT,
    last_ran_at TEXT, n_runs INTEGER NOT NULL DEFAULT 0, n_errors INTEGER NOT NULL DEFAULT 0, client_id TEXT NOT NULL, root TEXT NOT NULL,
    session TEXT NOT NULL, token_issued_at INTEGER NOT NULL, CHECK (status IN ('new', 'loaded', 'inactive', 'ended')),
    CHECK ((inactive_reason IS NOT NULL) = (status = 'inactive')), CHECK (status = 'inactive' OR (next_run_at IS NULL) = (status = 'ended'))
);
CREATE INDEX IF NOT EXISTS timer_owner ON timer (owner_id, submitted_at);
CREATE INDEX IF NOT EXISTS timer_due ON timer (next_run_at) WHERE status IN ('new', 'loaded');
CREATE TABLE IF NOT EXISTS timer_run (
    id INTEGER PRIMARY KEY, timer_id TEXT NOT NULL REFERENCES timer(id) ON DELETE CASCADE, ran_at TEXT NOT NULL, task_id TEXT, error TEXT,
    http_status INTEGER NOT NULL, CHECK ((task_id IS NULL) = (error IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS timer_run_timer ON timer_run (timer_id, id);
"""
