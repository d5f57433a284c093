-- +goose Up

-- Times are Unix milliseconds in UTC, 0 for "not yet"; truth is 0 or 1.

CREATE TABLE users (
	id         TEXT    PRIMARY KEY,
	email      TEXT    NOT NULL UNIQUE,  -- lower case
	name       TEXT    NOT NULL,
	password   TEXT    NOT NULL,         -- argon2id, PHC string format
	admin      INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
	id         TEXT    PRIMARY KEY,      -- SHA-256 of what the cookie holds, hex
	user       TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	created_at INTEGER NOT NULL,
	seen_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_user ON sessions (user);

CREATE TABLE workspaces (
	id         TEXT    PRIMARY KEY,
	name       TEXT    NOT NULL UNIQUE,
	created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
	workspace TEXT    NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	user      TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	role      INTEGER NOT NULL CHECK (role BETWEEN 1 AND 4),
	since     INTEGER NOT NULL,
	PRIMARY KEY (workspace, user)
) STRICT;

CREATE INDEX members_user ON members (user);

CREATE TABLE invitations (
	id         TEXT    PRIMARY KEY,      -- SHA-256 of the link's secret, hex
	workspace  TEXT    NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	role       INTEGER NOT NULL CHECK (role BETWEEN 1 AND 4),
	email      TEXT    NOT NULL,
	by         TEXT    NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE deployments (
	id            TEXT    PRIMARY KEY,
	workspace     TEXT    NOT NULL REFERENCES workspaces (id),
	name          TEXT    NOT NULL,
	description   TEXT    NOT NULL,
	namespace     TEXT    NOT NULL UNIQUE,
	here          INTEGER NOT NULL,
	image         TEXT    NOT NULL,      -- the state that is wanted now, as slipway.State
	image_tag     TEXT    NOT NULL,
	runtime       TEXT    NOT NULL,
	version       TEXT    NOT NULL,
	mounted       INTEGER NOT NULL,
	dag_deploys   INTEGER NOT NULL,
	needs_image   INTEGER NOT NULL,
	before        TEXT    NOT NULL,      -- JSON of a slipway.State, '' for none
	image_role    INTEGER NOT NULL,
	cicd_enforced INTEGER NOT NULL,
	guard_api     INTEGER NOT NULL,
	platform      TEXT    NOT NULL,
	dags_path     TEXT    NOT NULL,
	airflow_url   TEXT    NOT NULL,
	keep_days     INTEGER NOT NULL,
	keep_versions INTEGER NOT NULL,
	creator       TEXT    NOT NULL,
	created_at    INTEGER NOT NULL,
	revision      INTEGER NOT NULL DEFAULT 1,  -- grows whenever something else is wanted
	last_number   INTEGER NOT NULL DEFAULT 0,  -- of a deploy
	last_position INTEGER NOT NULL DEFAULT 0,  -- in the queue
	last_version  TEXT    NOT NULL DEFAULT '', -- minted
	deleted_at    INTEGER NOT NULL DEFAULT 0   -- its folders are being removed, then the row goes
) STRICT;

CREATE UNIQUE INDEX deployments_name ON deployments (workspace, name) WHERE deleted_at = 0;

CREATE TABLE tokens (
	id           TEXT    PRIMARY KEY,
	secret       TEXT    NOT NULL UNIQUE, -- SHA-256, hex
	kind         TEXT    NOT NULL CHECK (kind IN ('api', 'agent')),
	name         TEXT    NOT NULL,
	workspace    TEXT    NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	deployment   TEXT             REFERENCES deployments (id) ON DELETE CASCADE, -- NULL: the whole Workspace
	role         INTEGER NOT NULL CHECK (role BETWEEN 1 AND 4),
	created_by   TEXT    NOT NULL,
	created_at   INTEGER NOT NULL,
	expires_at   INTEGER NOT NULL,        -- 0: never
	last_used_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE deploys (
	id           TEXT    PRIMARY KEY,
	deployment   TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
	number       INTEGER NOT NULL,
	kind         TEXT    NOT NULL,
	status       TEXT    NOT NULL,
	reason       TEXT    NOT NULL,
	note         TEXT    NOT NULL,
	description  TEXT    NOT NULL,
	by_user      TEXT    NOT NULL,
	by_token     TEXT    NOT NULL,
	by_name      TEXT    NOT NULL,
	by_via       TEXT    NOT NULL,
	by_ip        TEXT    NOT NULL,
	confirmed_by TEXT    NOT NULL,       -- JSON of a slipway.Actor, '' until then
	git          TEXT    NOT NULL,       -- JSON of a slipway.Git
	version      TEXT    NOT NULL,
	merge        TEXT    NOT NULL,
	upload       TEXT    NOT NULL,
	bytes        INTEGER NOT NULL,
	resumes      INTEGER NOT NULL,
	base         TEXT    NOT NULL,
	return_to    INTEGER NOT NULL,
	undone_by    INTEGER NOT NULL,
	after        TEXT    NOT NULL,       -- JSON of a slipway.State
	counts       TEXT    NOT NULL,       -- JSON of a slipway.Counts
	position     INTEGER NOT NULL,
	created_at   INTEGER NOT NULL,
	uploaded_at  INTEGER NOT NULL,
	staged_at    INTEGER NOT NULL,
	queued_at    INTEGER NOT NULL,
	deploying_at INTEGER NOT NULL,
	stored_at    INTEGER NOT NULL,
	live_at      INTEGER NOT NULL,
	ended_at     INTEGER NOT NULL,
	UNIQUE (deployment, number)
) STRICT;

-- Deploys of a Deployment go live one at a time.
CREATE UNIQUE INDEX deploys_one_running ON deploys (deployment) WHERE status = 'deploying';

CREATE INDEX deploys_queue ON deploys (deployment, position) WHERE status IN ('queued', 'deploying');
CREATE INDEX deploys_unfinished ON deploys (created_at) WHERE status IN ('initialized', 'staged');

-- The last deploy that made a state the wanted one.
CREATE INDEX deploys_live ON deploys (deployment, position) WHERE live_at > 0;

CREATE INDEX deploys_version ON deploys (deployment, version);
CREATE INDEX deploys_recent ON deploys (deployment, queued_at);

CREATE TABLE switches (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	deployment TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
	turn_on    INTEGER NOT NULL,
	by         TEXT    NOT NULL,         -- JSON of a slipway.Actor
	position   INTEGER NOT NULL,
	at         INTEGER NOT NULL,
	applied_at INTEGER NOT NULL,
	cancelled  INTEGER NOT NULL
) STRICT;

CREATE INDEX switches_of ON switches (deployment, id);

-- What an upload brought, kept from staging until its deploy has ended.
CREATE TABLE uploads (
	id         TEXT    PRIMARY KEY,      -- of the tus resource
	deploy     TEXT    NOT NULL UNIQUE REFERENCES deploys (id) ON DELETE CASCADE,
	length     INTEGER NOT NULL,
	folder     TEXT    NOT NULL,         -- below dags, where loose files go
	created_at INTEGER NOT NULL,
	touched_at INTEGER NOT NULL          -- last byte
) STRICT;

CREATE TABLE staged (
	deploy TEXT PRIMARY KEY REFERENCES deploys (id) ON DELETE CASCADE,
	files  BLOB NOT NULL,                -- the uploaded files, as package deploy encodes them
	report TEXT NOT NULL                 -- JSON: what was left out
) STRICT;

CREATE TABLE versions (
	deployment TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
	version    TEXT    NOT NULL,
	deploy     TEXT    NOT NULL,         -- that brought it
	number     INTEGER NOT NULL,         -- of that deploy
	files      INTEGER NOT NULL,
	size       INTEGER NOT NULL,         -- of its files, bytes
	stored     INTEGER NOT NULL,         -- for its manifest and its own pack, bytes
	created_at INTEGER NOT NULL,
	PRIMARY KEY (deployment, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE packs (
	deployment TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
	sha256     TEXT    NOT NULL,
	size       INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (deployment, sha256)
) STRICT, WITHOUT ROWID;

-- A deploy that is staged, queued or running, or whose version is kept, needs its packs.
CREATE TABLE pack_uses (
	deployment TEXT NOT NULL,
	pack       TEXT NOT NULL,
	deploy     TEXT NOT NULL REFERENCES deploys (id) ON DELETE CASCADE,
	PRIMARY KEY (deployment, pack, deploy),
	FOREIGN KEY (deployment, pack) REFERENCES packs (deployment, sha256) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX pack_uses_deploy ON pack_uses (deploy);

-- Where each content lies, so that no pack holds it twice.
CREATE TABLE contents (
	deployment TEXT    NOT NULL,
	sha256     BLOB    NOT NULL,
	pack       TEXT    NOT NULL,
	start      INTEGER NOT NULL,
	length     INTEGER NOT NULL,
	PRIMARY KEY (deployment, sha256),
	FOREIGN KEY (deployment, pack) REFERENCES packs (deployment, sha256) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX contents_pack ON contents (deployment, pack);

-- Which deploy did what to a file: its history.
CREATE TABLE file_changes (
	deployment TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
	path       TEXT    NOT NULL,
	number     INTEGER NOT NULL,         -- of the deploy
	op         TEXT    NOT NULL,
	sha256     BLOB    NOT NULL,         -- afterwards; empty for a link or a removed file
	PRIMARY KEY (deployment, path, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	at         INTEGER NOT NULL,
	workspace  TEXT    NOT NULL,
	deployment TEXT    NOT NULL,
	by         TEXT    NOT NULL,         -- JSON of a slipway.Actor
	action     TEXT    NOT NULL,
	target     TEXT    NOT NULL,
	detail     TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_workspace ON audit (workspace, id);

-- Keys made at first start, and the like.
CREATE TABLE settings (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
) STRICT;

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
