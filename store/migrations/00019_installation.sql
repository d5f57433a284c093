-- +goose Up

-- What the packs of a Deployment take, as sums: an installation with many
-- packs is added up at once.
CREATE TABLE stored (
	deployment TEXT    PRIMARY KEY REFERENCES deployments (id) ON DELETE CASCADE,
	packs      INTEGER NOT NULL,
	bytes      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO stored (deployment, packs, bytes) SELECT deployment, COUNT(*), SUM(size) FROM packs GROUP BY deployment;

-- +goose StatementBegin
CREATE TRIGGER packs_stored AFTER INSERT ON packs
BEGIN
	INSERT OR IGNORE INTO stored (deployment, packs, bytes) VALUES (NEW.deployment, 0, 0);
	UPDATE stored SET packs = packs + 1, bytes = bytes + NEW.size WHERE deployment = NEW.deployment;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER packs_resized AFTER UPDATE OF size ON packs
BEGIN
	UPDATE stored SET bytes = bytes + NEW.size - OLD.size WHERE deployment = NEW.deployment;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER packs_gone AFTER DELETE ON packs
BEGIN
	UPDATE stored SET packs = packs - 1, bytes = bytes - OLD.size WHERE deployment = OLD.deployment;
END;
-- +goose StatementEnd

-- Links with which a person sets a new password, once.
CREATE TABLE password_links (
	id         TEXT    PRIMARY KEY,      -- SHA-256 of the link's secret, hex
	user       TEXT    NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE,
	expires_at INTEGER NOT NULL
) STRICT;

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
