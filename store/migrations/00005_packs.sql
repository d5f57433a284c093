-- +goose Up

-- Without statistics SQLite would rather walk all contents of a Deployment than
-- use an index that begins with the same column as the primary key.
DROP INDEX contents_pack;
CREATE INDEX contents_pack ON contents (pack);

-- Whether it may be that no deploy needs a pack: it is new, or a claim on it went.
ALTER TABLE packs ADD COLUMN loose INTEGER NOT NULL DEFAULT 1;

CREATE INDEX packs_loose ON packs (deployment) WHERE loose = 1;

-- +goose StatementBegin
CREATE TRIGGER pack_uses_loosen AFTER DELETE ON pack_uses
BEGIN
	UPDATE packs SET loose = 1 WHERE deployment = OLD.deployment AND sha256 = OLD.pack;
END;
-- +goose StatementEnd

-- A deploy that ended before it went live needs its packs no longer.
DELETE FROM pack_uses WHERE deploy IN (
	SELECT id FROM deploys WHERE status IN ('failed', 'cancelled') AND live_at = 0);

-- +goose StatementBegin
CREATE TRIGGER deploys_release AFTER UPDATE OF status ON deploys
WHEN NEW.status IN ('failed', 'cancelled') AND NEW.live_at = 0
BEGIN
	DELETE FROM pack_uses WHERE deploy = NEW.id;
END;
-- +goose StatementEnd

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
