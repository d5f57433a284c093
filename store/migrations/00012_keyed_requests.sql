-- +goose Up

-- The content of the request under an idempotency key, as JSON: fields and the
-- SHA-256 of the archive. '': of before this migration, and not known.
ALTER TABLE idempotency ADD COLUMN request TEXT NOT NULL DEFAULT '';

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
