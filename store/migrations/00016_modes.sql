-- +goose Up

-- The mode of a file before and after a deploy, as git writes modes ("100755"); '' for no
-- file, and for deploys of earlier releases, which did not record modes.
ALTER TABLE file_changes ADD COLUMN mode_before TEXT NOT NULL DEFAULT '';
ALTER TABLE file_changes ADD COLUMN mode        TEXT NOT NULL DEFAULT '';

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
