-- +goose Up

-- Where names of an upload go that stand elsewhere in the version.
ALTER TABLE deploys ADD COLUMN landing TEXT NOT NULL DEFAULT ''; -- JSON of []slipway.Landing, '' for none

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
