#!/usr/bin/env bash
# Decides from what changed since the commit $1 (the one before, unless given)
# how to deploy it: DAGs alone go live by deploy.sh in seconds, without a restart;
# anything else of the project is in the image, so that image.sh deploys image
# and DAGs together. It takes the variables that those two take.
set -euo pipefail

here=$(dirname "$0")
since=${1:-HEAD~1}
if ! git cat-file -e "$since^{commit}" 2>/dev/null; then
	echo "The commit $since is not here, so that all of the project counts as changed."
	exec "$here/image.sh"
fi
changed=$(git diff --name-only "$since" HEAD)
outside=$(grep -Ev '^(dags/|docs/|tests/|\.github/|\.gitlab-ci\.yml$|[^/]*\.md$)' <<<"$changed" | grep . || true)

if [[ -n $outside ]]; then
	printf 'These changes need an image:\n%s\n' "$outside"
	exec "$here/image.sh"
fi
if ! grep -q '^dags/' <<<"$changed"; then
	echo "Nothing that is deployed has changed."
	exit 0
fi
exec "$here/deploy.sh" dags
