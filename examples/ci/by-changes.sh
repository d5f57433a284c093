#!/usr/bin/env bash
# Decides from what changed since the commit $1 (the one before, unless given)
# how to deploy it: DAGs alone go live by deploy.sh in seconds; anything else of
# the project needs an image. Slipway takes no images yet, so this then says so
# and ends with 2, before anything is deployed: DAGs must not go live that rely
# on packages which the image does not have.
set -euo pipefail

since=${1:-HEAD~1}
changed=$(git diff --name-only "$since" HEAD)
outside=$(grep -Ev '^(dags/|docs/|tests/|\.github/|[^/]*\.md$)' <<<"$changed" || true)

if [[ -n $outside ]]; then
	echo "These changes need an image, which Slipway does not take yet:" >&2
	echo "$outside" >&2
	echo "Build and roll the image out as before; then deploy the DAGs with deploy.sh." >&2
	exit 2
fi
if ! grep -q '^dags/' <<<"$changed"; then
	echo "Nothing in dags/ has changed."
	exit 0
fi
exec "$(dirname "$0")/deploy.sh" dags
