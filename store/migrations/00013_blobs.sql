-- +goose Up

-- The archive that came by an upload address. A second upload to the address is
-- compared with the first one. The blocks are kept until the deploy is confirmed
-- or has ended.
CREATE TABLE blobs (
	deploy TEXT    PRIMARY KEY REFERENCES deploys (id) ON DELETE CASCADE,
	size   INTEGER NOT NULL, -- bytes
	sha256 TEXT    NOT NULL, -- lower-case hex
	md5    TEXT    NOT NULL, -- base64, as in Content-MD5; '' where nobody asked for one
	blocks TEXT    NOT NULL  -- JSON, in the order of the list; 'null' for an archive in one request
) STRICT;

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
