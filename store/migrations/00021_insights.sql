-- +goose Up

-- Sums for the pages of Insights, by day, Deployment and kind of deploy.
CREATE TABLE insights (
	deployment TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
	day        INTEGER NOT NULL,         -- of the first byte: days since 1 January 1970, UTC
	kind       TEXT    NOT NULL,
	sums       BLOB    NOT NULL,         -- insights.Sums
	PRIMARY KEY (deployment, day, kind)
) STRICT, WITHOUT ROWID;

-- What each deploy is counted as in the sums, so that it can be taken away
-- again when its outcome changes.
CREATE TABLE insights_counted (
	deployment TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
	number     INTEGER NOT NULL,         -- of the deploy
	weight     BLOB    NOT NULL,         -- insights.Weight
	PRIMARY KEY (deployment, number)
) STRICT, WITHOUT ROWID;

-- Deploys that ended or changed since they were counted.
CREATE TABLE insights_changed (
	deployment TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
	number     INTEGER NOT NULL,
	PRIMARY KEY (deployment, number)
) STRICT, WITHOUT ROWID;

-- Deploys of before this migration: the numbers up to last are still to be
-- counted, the newest first.
CREATE TABLE insights_fill (
	deployment TEXT    PRIMARY KEY REFERENCES deployments (id) ON DELETE CASCADE,
	last       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO insights_fill (deployment, last)
	SELECT d.id, (SELECT MAX(w.number) FROM deploys w WHERE w.deployment = d.id) FROM deployments d
	WHERE d.deleted_at = 0 AND EXISTS (SELECT 1 FROM deploys w WHERE w.deployment = d.id);

-- +goose StatementBegin
CREATE TRIGGER deploys_count AFTER INSERT ON deploys
WHEN NEW.status IN ('deployed', 'failed')
BEGIN
	INSERT INTO insights_changed (deployment, number) VALUES (NEW.deployment, NEW.number) ON CONFLICT DO NOTHING;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER deploys_count_again AFTER UPDATE OF kind, status, undone_by, position, counts, created_at, uploaded_at,
	staged_at, queued_at, deploying_at, stored_at, live_at, ended_at ON deploys
WHEN NEW.status IN ('deployed', 'failed') OR OLD.status IN ('deployed', 'failed')
BEGIN
	INSERT INTO insights_changed (deployment, number) VALUES (NEW.deployment, NEW.number) ON CONFLICT DO NOTHING;
END;
-- +goose StatementEnd

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
