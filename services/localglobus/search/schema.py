"""The tables of Search. `search_visible` says per entry who may see it: the one place where a query looks for that."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS search_index (
    id TEXT PRIMARY KEY, display_name TEXT NOT NULL, description TEXT NOT NULL, created_at TEXT NOT NULL, deleted_at TEXT
);
CREATE TABLE IF NOT EXISTS search_role (
    id INTEGER PRIMARY KEY AUTOINCREMENT, index_id TEXT NOT NULL REFERENCES search_index(id) ON DELETE CASCADE,
    principal_type TEXT NOT NULL, principal TEXT NOT NULL, role_name TEXT NOT NULL, created_at TEXT NOT NULL,
    UNIQUE (index_id, principal, role_name), CHECK (role_name IN ('owner', 'admin', 'writer'))
);
CREATE INDEX IF NOT EXISTS search_role_principal ON search_role (principal);
CREATE TABLE IF NOT EXISTS search_entry (
    id INTEGER PRIMARY KEY, index_id TEXT NOT NULL REFERENCES search_index(id) ON DELETE CASCADE, subject TEXT NOT NULL,
    entry_id TEXT NOT NULL, -- '' for the entry whose id is null
    content TEXT NOT NULL, visible_to TEXT NOT NULL, principal_sets TEXT NOT NULL, UNIQUE (index_id, subject, entry_id)
);
CREATE TABLE IF NOT EXISTS search_visible (
    entry INTEGER NOT NULL REFERENCES search_entry(id) ON DELETE CASCADE, principal TEXT NOT NULL, PRIMARY KEY (entry, principal)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE IF NOT EXISTS search_text USING fts5 (words); -- rowid is the entry's id
CREATE TABLE IF NOT EXISTS search_task (
    id TEXT PRIMARY KEY, index_id TEXT NOT NULL REFERENCES search_index(id) ON DELETE CASCADE, task_type TEXT NOT NULL,
    state TEXT NOT NULL, message TEXT, document TEXT NOT NULL, created_at TEXT NOT NULL, completed_at TEXT,
    CHECK (state IN ('PENDING', 'SUCCESS', 'FAILED')), CHECK ((completed_at IS NULL) = (state = 'PENDING'))
);
CREATE INDEX IF NOT EXISTS search_task_pending ON search_task (created_at) WHERE state = 'PENDING';
CREATE INDEX IF NOT EXISTS search_task_index ON search_task (index_id, created_at);
"""
