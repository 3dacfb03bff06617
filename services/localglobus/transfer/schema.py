"""The tables of the Transfer side. `role` also holds the roles on endpoints, `subject_id` being a collection or an endpoint."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS endpoint (
    id TEXT PRIMARY KEY, node TEXT NOT NULL UNIQUE, display_name TEXT NOT NULL, gcs_address TEXT NOT NULL, organization TEXT NOT NULL,
    owner_id TEXT NOT NULL, node_url TEXT NOT NULL, node_instance TEXT, node_seen_at REAL, created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS storage_gateway (
    id TEXT PRIMARY KEY, endpoint_id TEXT NOT NULL REFERENCES endpoint(id), display_name TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS gateway_assurance ( -- of gateways that ask for more than a token
    gateway_id TEXT PRIMARY KEY REFERENCES storage_gateway(id) ON DELETE CASCADE, is_high_assurance INTEGER NOT NULL,
    timeout_mins INTEGER NOT NULL, requires_mfa INTEGER NOT NULL, domains TEXT NOT NULL, policy_id TEXT
);
CREATE TABLE IF NOT EXISTS gateway_bucket ( -- of gateways of the S3 connector
    gateway_id TEXT PRIMARY KEY REFERENCES storage_gateway(id) ON DELETE CASCADE, endpoint TEXT NOT NULL, buckets TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS gateway_restriction ( -- of gateways that not every account may use: JSON lists of accounts, or null
    gateway_id TEXT PRIMARY KEY REFERENCES storage_gateway(id) ON DELETE CASCADE, users_allow TEXT, users_deny TEXT
);
CREATE TABLE IF NOT EXISTS identity_mapping (
    gateway_id TEXT NOT NULL REFERENCES storage_gateway(id), identity_id TEXT NOT NULL, account TEXT NOT NULL, home TEXT NOT NULL,
    PRIMARY KEY (gateway_id, identity_id)
);
CREATE TABLE IF NOT EXISTS user_credential (
    id TEXT PRIMARY KEY, gateway_id TEXT NOT NULL REFERENCES storage_gateway(id), identity_id TEXT NOT NULL, username TEXT NOT NULL,
    display_name TEXT, created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS credential_policy ( -- JSON: what a user credential says beside its account; never a secret
    credential_id TEXT PRIMARY KEY REFERENCES user_credential(id) ON DELETE CASCADE, policies TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS collection (
    id TEXT PRIMARY KEY, endpoint_id TEXT NOT NULL REFERENCES endpoint(id), gateway_id TEXT NOT NULL REFERENCES storage_gateway(id),
    kind TEXT NOT NULL CHECK (kind IN ('mapped', 'guest')), mapped_id TEXT REFERENCES collection(id), display_name TEXT NOT NULL,
    description TEXT, organization TEXT NOT NULL, base_path TEXT NOT NULL, owner_id TEXT NOT NULL, user_credential_id TEXT,
    is_public INTEGER NOT NULL, is_high_assurance INTEGER NOT NULL DEFAULT 0, has_anonymous_writes INTEGER NOT NULL DEFAULT 0,
    rule_version INTEGER NOT NULL DEFAULT 1, created_at TEXT NOT NULL,
    CHECK ((kind = 'guest') = (mapped_id IS NOT NULL))
);
CREATE TABLE IF NOT EXISTS data_path (
    collection_id TEXT PRIMARY KEY REFERENCES collection(id) ON DELETE CASCADE, engine TEXT NOT NULL CHECK (engine IN ('https', 'gridftp')),
    forces_encryption INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS collection_policy (
    collection_id TEXT PRIMARY KEY REFERENCES collection(id) ON DELETE CASCADE, policies TEXT NOT NULL -- JSON
);
CREATE TABLE IF NOT EXISTS role (
    id TEXT PRIMARY KEY, subject_id TEXT NOT NULL, principal_type TEXT NOT NULL, principal TEXT NOT NULL, role TEXT NOT NULL,
    UNIQUE (subject_id, principal_type, principal, role)
);
CREATE INDEX IF NOT EXISTS role_principal ON role (principal);
CREATE TABLE IF NOT EXISTS access_rule (
    id TEXT PRIMARY KEY, collection_id TEXT NOT NULL REFERENCES collection(id) ON DELETE CASCADE, principal_type TEXT NOT NULL,
    principal TEXT NOT NULL, path TEXT NOT NULL, permissions TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT,
    notify_email TEXT, notify_message TEXT, UNIQUE (collection_id, principal_type, principal, path)
);
CREATE INDEX IF NOT EXISTS access_rule_principal ON access_rule (principal, principal_type);
CREATE TABLE IF NOT EXISTS recent_use (
    identity_id TEXT NOT NULL, collection_id TEXT NOT NULL, used_at TEXT NOT NULL, PRIMARY KEY (identity_id, collection_id)
);
CREATE TABLE IF NOT EXISTS submission (id TEXT PRIMARY KEY, owner_id TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS task (
    id TEXT PRIMARY KEY, submission_id TEXT NOT NULL UNIQUE, owner_id TEXT NOT NULL, type TEXT NOT NULL, status TEXT NOT NULL,
    label TEXT, requested_at TEXT NOT NULL, deadline TEXT NOT NULL, completed_at TEXT, source_id TEXT NOT NULL, destination_id TEXT,
    source_name TEXT NOT NULL, destination_name TEXT, options TEXT NOT NULL, n_items INTEGER NOT NULL,
    files INTEGER NOT NULL DEFAULT 0, files_transferred INTEGER NOT NULL DEFAULT 0, files_skipped INTEGER NOT NULL DEFAULT 0,
    directories INTEGER NOT NULL DEFAULT 0, bytes_transferred INTEGER NOT NULL DEFAULT 0, bytes_checksummed INTEGER NOT NULL DEFAULT 0,
    faults INTEGER NOT NULL DEFAULT 0, is_ok INTEGER NOT NULL DEFAULT 1, nice_status TEXT NOT NULL DEFAULT 'OK', nice_details TEXT,
    fatal_code TEXT, fatal_description TEXT, is_cancel_asked INTEGER NOT NULL DEFAULT 0,
    CHECK (status IN ('ACTIVE', 'INACTIVE', 'SUCCEEDED', 'FAILED')),
    CHECK ((completed_at IS NOT NULL) = (status IN ('SUCCEEDED', 'FAILED')))
);
CREATE INDEX IF NOT EXISTS task_owner ON task (owner_id, requested_at);
CREATE INDEX IF NOT EXISTS task_open ON task (deadline) WHERE completed_at IS NULL;
CREATE TABLE IF NOT EXISTS task_item (
    task_id TEXT NOT NULL REFERENCES task(id), position INTEGER NOT NULL, source_path TEXT NOT NULL, destination_path TEXT,
    is_recursive INTEGER NOT NULL, checksum TEXT, PRIMARY KEY (task_id, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task_event (
    id INTEGER PRIMARY KEY, task_id TEXT NOT NULL REFERENCES task(id), time TEXT NOT NULL, code TEXT NOT NULL, description TEXT NOT NULL,
    details TEXT NOT NULL, is_error INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS task_event_task ON task_event (task_id);
CREATE TABLE IF NOT EXISTS task_result (
    id INTEGER PRIMARY KEY, task_id TEXT NOT NULL REFERENCES task(id), source_path TEXT NOT NULL, destination_path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL, checksum TEXT, status TEXT NOT NULL, error_code TEXT, error_details TEXT, recorded_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS task_result_task ON task_result (task_id, status, id);
CREATE TABLE IF NOT EXISTS copy_order (
    id TEXT PRIMARY KEY, task_id TEXT NOT NULL UNIQUE REFERENCES task(id), node TEXT NOT NULL, instance TEXT,
    leased_until REAL NOT NULL DEFAULT 0, held_until REAL NOT NULL DEFAULT 0, last_sequence INTEGER NOT NULL DEFAULT 0,
    is_finished INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS copy_order_open ON copy_order (node) WHERE is_finished = 0;
CREATE TABLE IF NOT EXISTS ticket (
    digest TEXT PRIMARY KEY, task_id TEXT NOT NULL REFERENCES task(id), collection_id TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS described (
    subject_id TEXT PRIMARY KEY, texts TEXT NOT NULL -- JSON: what a collection or endpoint says of itself beyond its own columns
);
CREATE TABLE IF NOT EXISTS bookmark (
    id TEXT PRIMARY KEY, owner_id TEXT NOT NULL, name TEXT NOT NULL, collection_id TEXT NOT NULL, path TEXT NOT NULL,
    is_pinned INTEGER NOT NULL DEFAULT 0, UNIQUE (owner_id, name)
);
CREATE TABLE IF NOT EXISTS task_links (task_id TEXT PRIMARY KEY REFERENCES task(id), symlinks INTEGER NOT NULL); -- those that it kept
CREATE TABLE IF NOT EXISTS task_authority (
    task_id TEXT PRIMARY KEY REFERENCES task(id), client_id TEXT NOT NULL, root TEXT NOT NULL -- JSON: the path above the token's scopes
);
CREATE INDEX IF NOT EXISTS task_open_owner ON task (owner_id) WHERE completed_at IS NULL;
CREATE TABLE IF NOT EXISTS pause_rule (
    id TEXT PRIMARY KEY, subject_id TEXT NOT NULL, identity_id TEXT, message TEXT NOT NULL, starts_at TEXT NOT NULL,
    modified_by TEXT NOT NULL, operations TEXT NOT NULL -- JSON: {pause_ls: true, ...}
);
CREATE INDEX IF NOT EXISTS pause_rule_subject ON pause_rule (subject_id);
CREATE TABLE IF NOT EXISTS task_pause (
    task_id TEXT PRIMARY KEY REFERENCES task(id), message TEXT NOT NULL, side TEXT NOT NULL, paused_by TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS admin_cancel (id TEXT PRIMARY KEY, requested_by TEXT NOT NULL, message TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS canceled_by_admin (
    task_id TEXT PRIMARY KEY REFERENCES task(id), cancel_id TEXT NOT NULL REFERENCES admin_cancel(id), side TEXT NOT NULL
);
"""
