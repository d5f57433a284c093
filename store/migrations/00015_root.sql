-- +goose Up

-- The folder of an archive that becomes dags: as the sender named it, and as it was found.
ALTER TABLE uploads ADD COLUMN root TEXT NOT NULL DEFAULT ''; -- '' to find one
ALTER TABLE deploys ADD COLUMN root TEXT NOT NULL DEFAULT ''; -- JSON of a slipway.Root, '' for the usual one

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
