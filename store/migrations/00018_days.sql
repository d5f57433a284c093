-- +goose Up

-- Counts by day above the history: read from this index alone.
CREATE INDEX deploys_days ON deploys (deployment, created_at / 86400000, status, live_at > 0, undone_by > 0);
