-- +goose Up

-- The file below dags that somebody mended on a page of the portal; '' for
-- deploys that came from elsewhere.
ALTER TABLE deploys ADD COLUMN fix TEXT NOT NULL DEFAULT '';

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
