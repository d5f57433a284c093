-- +goose Up

-- The digest of the image with Airflow's DAGs while nothing is known to run it.
ALTER TABLE deployments ADD COLUMN image_to_run TEXT NOT NULL DEFAULT ''; -- '' otherwise

-- +goose Down
SELECT 'there is no way back but a backup' WHERE 0;
