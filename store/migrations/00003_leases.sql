-- +goose Up

-- Whoever reads bundles beside the engine: while a lease runs, nothing that a
-- record named at its beginning is removed.
CREATE TABLE leases (
	id         TEXT    PRIMARY KEY,
	holder     TEXT    NOT NULL,         -- "backup"
	expires_at INTEGER NOT NULL
) STRICT;

-- What ended since a moment: the metrics count it.
CREATE INDEX deploys_ended ON deploys (ended_at) WHERE ended_at > 0;

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
