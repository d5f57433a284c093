-- +goose Up

-- Rows that go with another row are found by an index, however many there are.
CREATE INDEX tokens_of_deployment ON tokens (deployment, created_at, id);
CREATE INDEX tokens_issued ON tokens (workspace, created_at, id, deployment) WHERE kind = 'api';
CREATE INDEX tokens_newest ON tokens (created_at, id, deployment) WHERE kind = 'api';
CREATE INDEX tokens_connected ON tokens (last_used_at, deployment) WHERE kind = 'agent';
CREATE INDEX sessions_begun ON sessions (created_at);
CREATE INDEX sessions_used ON sessions (seen_at);
CREATE INDEX users_admins ON users (id, disabled_at) WHERE admin;
CREATE INDEX deployments_of ON deployments (workspace, name COLLATE NOCASE, id) WHERE deleted_at = 0;
CREATE INDEX deployments_by_name ON deployments (name COLLATE NOCASE, id) WHERE deleted_at = 0;
CREATE INDEX deployments_all_of ON deployments (workspace);
CREATE INDEX deployments_deleted ON deployments (id) WHERE deleted_at > 0;
CREATE INDEX deployments_runtime ON deployments (runtime);
CREATE INDEX images_runtime ON images (info ->> '$.Runtime');
CREATE INDEX members_role ON members (workspace, role, user);
CREATE INDEX workspaces_by_name ON workspaces (name COLLATE NOCASE, id);
CREATE INDEX invitations_by ON invitations (by);
CREATE INDEX invitations_to ON invitations (email);
CREATE INDEX login_tokens_end ON login_tokens (expires_at);
CREATE INDEX blobs_kept ON blobs (deploy) WHERE blocks <> 'null';
CREATE INDEX deploys_open ON deploys (deployment, number) WHERE status IN ('initialized', 'staged');
CREATE INDEX invitations_of_workspace ON invitations (workspace, created_at);
CREATE INDEX idempotency_of_deployment ON idempotency (deployment);

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
