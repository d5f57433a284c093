-- +goose Up

ALTER TABLE deployments ADD COLUMN image_name    TEXT NOT NULL DEFAULT ''; -- repository of the wanted image
ALTER TABLE deployments ADD COLUMN apply_command TEXT NOT NULL DEFAULT ''; -- name in the portal's configuration

ALTER TABLE deploys ADD COLUMN image       TEXT    NOT NULL DEFAULT ''; -- JSON of the slipway.Image that it brings, '' for none
ALTER TABLE deploys ADD COLUMN source      TEXT    NOT NULL DEFAULT ''; -- reference that the image was asked for by
ALTER TABLE deploys ADD COLUMN tag         TEXT    NOT NULL DEFAULT ''; -- kept for it in the portal's registry
ALTER TABLE deploys ADD COLUMN wants_dags  INTEGER NOT NULL DEFAULT 0;  -- announced, and not staged yet
ALTER TABLE deploys ADD COLUMN safe_switch TEXT    NOT NULL DEFAULT ''; -- JSON of a slipway.SafeSwitch, '' for none
ALTER TABLE deploys ADD COLUMN by_hand     INTEGER NOT NULL DEFAULT 0;  -- somebody restarts Airflow with its image himself
ALTER TABLE deploys ADD COLUMN rolling_at  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deploys ADD COLUMN mounting_at INTEGER NOT NULL DEFAULT 0;

CREATE UNIQUE INDEX deploys_tag ON deploys (deployment, tag) WHERE tag <> '';

-- A deploy may have two uploads: its DAGs and its image.
ALTER TABLE uploads RENAME TO uploads_before;

CREATE TABLE uploads (
	id         TEXT    PRIMARY KEY,      -- of the tus resource
	deploy     TEXT    NOT NULL REFERENCES deploys (id) ON DELETE CASCADE,
	image      INTEGER NOT NULL DEFAULT 0, -- it is an image; else DAGs
	length     INTEGER NOT NULL,
	folder     TEXT    NOT NULL,         -- below dags, where loose files go
	created_at INTEGER NOT NULL,
	touched_at INTEGER NOT NULL,         -- last byte
	arrived_at INTEGER NOT NULL DEFAULT 0,
	UNIQUE (deploy, image)
) STRICT;

INSERT INTO uploads (id, deploy, length, folder, created_at, touched_at, arrived_at)
	SELECT u.id, u.deploy, u.length, u.folder, u.created_at, u.touched_at, w.uploaded_at
	FROM uploads_before u JOIN deploys w ON w.id = u.deploy;

DROP TABLE uploads_before;

-- The images that deploys brought to a Deployment, or that are said to run there.
CREATE TABLE images (
	deployment  TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
	digest      TEXT    NOT NULL,
	name        TEXT    NOT NULL,        -- repository
	info        TEXT    NOT NULL,        -- JSON of a slipway.Image
	created_at  INTEGER NOT NULL,
	position    INTEGER NOT NULL DEFAULT 0, -- of the deploy that last made it the wanted one
	replaced_at INTEGER NOT NULL DEFAULT 0, -- 0 while no other has
	PRIMARY KEY (deployment, digest)
) STRICT, WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER deploys_replace_image AFTER UPDATE OF live_at ON deploys
WHEN OLD.live_at = 0 AND NEW.live_at > 0
BEGIN
	UPDATE images SET replaced_at = NEW.live_at
	WHERE deployment = NEW.deployment AND replaced_at = 0 AND position > 0 AND digest <> NEW.after ->> '$.Image';
	UPDATE images SET replaced_at = 0, position = NEW.position
	WHERE deployment = NEW.deployment AND digest = NEW.after ->> '$.Image';
END;
-- +goose StatementEnd

-- What the dags folder of an image holds, and what a deploy's rollout said.
CREATE TABLE image_files (
	deploy TEXT PRIMARY KEY REFERENCES deploys (id) ON DELETE CASCADE,
	files  TEXT NOT NULL                 -- JSON of a store.ImageFiles
) STRICT;

CREATE TABLE deploy_log (
	deploy TEXT    NOT NULL REFERENCES deploys (id) ON DELETE CASCADE,
	line   INTEGER NOT NULL,             -- counts from 1
	at     INTEGER NOT NULL,
	text   TEXT    NOT NULL,
	PRIMARY KEY (deploy, line)
) STRICT, WITHOUT ROWID;

-- Who the portal is to the registries of others.
CREATE TABLE registry_logins (
	workspace  TEXT    NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
	host       TEXT    NOT NULL,
	user       TEXT    NOT NULL,
	password   BLOB    NOT NULL,         -- sealed with the key file of the data folder
	by         TEXT    NOT NULL,         -- who set it, for people
	at         INTEGER NOT NULL,
	PRIMARY KEY (workspace, host)
) STRICT;

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
