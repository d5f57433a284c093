-- +goose Up

-- Search. Each Deployment's history has a serial number, so that a deploy has
-- one number in the whole installation: serial * 2^32 + its own. They are the
-- rows of deploys_words: within a Deployment they stand in the order of its
-- history, and the index is read from the end, a page at a time.
CREATE TABLE histories (
	serial     INTEGER PRIMARY KEY AUTOINCREMENT,
	deployment TEXT    NOT NULL UNIQUE
) STRICT;

INSERT INTO histories (deployment) SELECT id FROM deployments ORDER BY created_at, id;

-- Who deployed to a Deployment: what its history can be filtered by.
CREATE TABLE deployers (
	deployment TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
	id         TEXT    NOT NULL,         -- of the token, else of the person
	token      INTEGER NOT NULL,
	name       TEXT    NOT NULL,         -- as it was at the last deploy
	PRIMARY KEY (deployment, id)
) STRICT, WITHOUT ROWID;

INSERT INTO deployers (deployment, id, token, name)
	SELECT deployment, IIF(by_token = '', by_user, by_token), by_token <> '', by_name
	FROM deploys WHERE by_user <> '' OR by_token <> '' ORDER BY number
	ON CONFLICT DO UPDATE SET name = excluded.name;

-- What a deploy is found by: words, and keys that begin with a sign that no
-- word has. A key stands for each combination of kind, status and deployer, so
-- that any filters together are one look-up. Every beginning of a word up to 10
-- letters is indexed, or else looking for a common one would collect a million rows.
CREATE VIRTUAL TABLE deploys_words USING fts5 (
	words, content = '', contentless_delete = 1, detail = none,
	prefix = '2 3 4 5 6 7 8 9 10', tokenize = "unicode61 remove_diacritics 2 tokenchars '¤'"
);

CREATE VIEW deploys_found_by AS
	WITH parts AS (
		SELECT w.id, h.serial << 32 | w.number AS row, w.number,
			'k' || REPLACE(w.kind, '_', '') AS k, 's' || w.status AS s, 'b' || IIF(w.by_token = '', w.by_user, w.by_token) AS b,
			w.description || ' ' || w.reason || ' ' || w.upload || ' ' || w.by_name || ' ' ||
			IIF(w.confirmed_by = '', '', COALESCE(w.confirmed_by ->> '$.Name', '')) AS text,
			IIF(w.git = '', '', COALESCE(w.git ->> '$.Commit', '')) AS sha,
			IIF(w.git = '', '', COALESCE(w.git ->> '$.Branch', '') || ' ' || COALESCE(w.git ->> '$.Author', '')) AS git
		FROM deploys w JOIN histories h ON h.deployment = w.deployment)
	SELECT id, row, REPLACE(text || ' ' || sha || ' ' || git, '¤', ' ') ||
		' ¤n' || number || ' ¤c' || sha || ' ¤' || k || ' ¤' || s || ' ¤' || b ||
		' ¤' || k || s || ' ¤' || k || b || ' ¤' || s || b || ' ¤' || k || s || b AS words
	FROM parts;

INSERT INTO deploys_words (rowid, words) SELECT row, words FROM deploys_found_by;

-- +goose StatementBegin
CREATE TRIGGER histories_begin AFTER INSERT ON deployments
BEGIN
	INSERT INTO histories (deployment) VALUES (NEW.id);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER histories_end AFTER DELETE ON deployments -- after its deploys went
BEGIN
	DELETE FROM histories WHERE deployment = OLD.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER deploys_found_first AFTER INSERT ON deploys
BEGIN
	INSERT INTO deployers (deployment, id, token, name)
		SELECT NEW.deployment, IIF(NEW.by_token = '', NEW.by_user, NEW.by_token), NEW.by_token <> '', NEW.by_name
		WHERE NEW.by_user <> '' OR NEW.by_token <> ''
		ON CONFLICT DO UPDATE SET name = excluded.name WHERE name <> excluded.name;
	INSERT INTO deploys_words (rowid, words) SELECT row, words FROM deploys_found_by WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER deploys_found_otherwise AFTER UPDATE OF status, reason, description, upload, confirmed_by ON deploys
WHEN OLD.status <> NEW.status OR OLD.reason <> NEW.reason OR OLD.description <> NEW.description
	OR OLD.upload <> NEW.upload OR OLD.confirmed_by <> NEW.confirmed_by
BEGIN
	DELETE FROM deploys_words WHERE rowid = (SELECT serial << 32 | NEW.number FROM histories WHERE deployment = NEW.deployment);
	INSERT INTO deploys_words (rowid, words) SELECT row, words FROM deploys_found_by WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER deploys_found_no_more AFTER DELETE ON deploys
BEGIN
	DELETE FROM deploys_words WHERE rowid = (SELECT serial << 32 | OLD.number FROM histories WHERE deployment = OLD.deployment);
END;
-- +goose StatementEnd

-- Dates, and what was live at one. Expressions, so that no other query is drawn
-- to these indexes: each is read only where it is named.
CREATE INDEX deploys_created ON deploys (deployment, created_at + 0);
CREATE INDEX deploys_live_at ON deploys (deployment, live_at + 0, position) WHERE live_at > 0;

-- Comparisons. What a deploy did to the files of a version, so that what lies
-- between two versions is the sum of the steps between them, however many files
-- there are.
CREATE TABLE steps (
	deployment TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
	position   INTEGER NOT NULL,         -- of the deploy
	base       TEXT    NOT NULL,         -- version before
	version    TEXT    NOT NULL,         -- version after
	count      INTEGER NOT NULL,         -- changed files
	changes    BLOB,                     -- gzip of JSON; NULL where reading both manifests is cheaper
	PRIMARY KEY (deployment, position)
) STRICT;

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
