-- +goose Up

-- What no record names and nothing deletes for some days: these records may be
-- older than the files, or those of another installation.
CREATE TABLE set_aside (
	namespace TEXT    PRIMARY KEY, -- '' for all that no record names, also in the namespaces of Deployments
	since     INTEGER NOT NULL
) STRICT;

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
