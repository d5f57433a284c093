-- +goose Up

-- When a version was wanted last: the place in the queue of the deploy that
-- made it so, and when another replaced it; 0 while none has.
ALTER TABLE versions ADD COLUMN position    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN replaced_at INTEGER NOT NULL DEFAULT 0;

CREATE INDEX versions_wanted ON versions (deployment, position);

-- Whether contents of a pack have another place by now, that later manifests use.
ALTER TABLE packs ADD COLUMN merged INTEGER NOT NULL DEFAULT 0;

UPDATE versions SET position = COALESCE((
	SELECT MAX(w.position) FROM deploys w
	WHERE w.deployment = versions.deployment AND w.version = versions.version AND w.live_at > 0), 0);

UPDATE versions SET replaced_at = COALESCE((
	SELECT w.live_at FROM deploys w
	WHERE w.deployment = versions.deployment AND w.live_at > 0 AND w.position > versions.position
		AND w.after ->> '$.Version' <> versions.version
	ORDER BY w.position LIMIT 1), 0);

-- +goose StatementBegin
CREATE TRIGGER deploys_replace AFTER UPDATE OF live_at ON deploys
WHEN OLD.live_at = 0 AND NEW.live_at > 0
BEGIN
	UPDATE versions SET replaced_at = NEW.live_at
	WHERE deployment = NEW.deployment AND version = NEW.base AND version <> NEW.after ->> '$.Version';
	UPDATE versions SET replaced_at = 0, position = NEW.position
	WHERE deployment = NEW.deployment AND version = NEW.after ->> '$.Version';
END;
-- +goose StatementEnd

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
