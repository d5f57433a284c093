#!/usr/bin/env bash
# Deploys the dags folder of this project by curl and tar, and waits until
# Airflow has it. It ends with 0 only when the deploy is live.
#
#   SLIPWAY_URL         https://slipway.example.com
#   SLIPWAY_DEPLOYMENT  the id of the Deployment: the last part of its page's address
#   SLIPWAY_TOKEN       an API token with the Author role
#   SLIPWAY_KEY         optional: a retry with the same key makes no second deploy; use
#                       another key for each attempt of a job
#   SLIPWAY_WAIT        optional: how long to wait for Airflow, 5m otherwise, 10m at most
set -euo pipefail

: "${SLIPWAY_URL:?}" "${SLIPWAY_DEPLOYMENT:?}" "${SLIPWAY_TOKEN:?}"
dags=${1:-dags}
wait=${SLIPWAY_WAIT:-5m}
api=$SLIPWAY_URL/v1/organizations/slipway/deployments/$SLIPWAY_DEPLOYMENT/deploys

# The token goes to curl by a file that only curl sees, not by its arguments,
# which every user of the machine can read.
ask() {
	curl --silent --show-error --fail-with-body --retry 3 --connect-timeout 10 --max-time 1800 \
		--header @<(printf 'Authorization: Bearer %s\n' "$SLIPWAY_TOKEN") "$@"
}

git_fields=()
if commit=$(git rev-parse HEAD 2>/dev/null); then
	git_fields=(
		--form-string "commit=$commit"
		--form-string "branch=${GITHUB_REF_NAME:-${CI_COMMIT_BRANCH:-$(git rev-parse --abbrev-ref HEAD)}}"
		--form-string "author=$(git log -1 --format=%an)"
		--form-string "description=$(git log -1 --format=%s)"
	)
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
tar -czf "$tmp/dags.tar.gz" -C "$(dirname "$dags")" --transform "s,^$(basename "$dags"),dags," "$(basename "$dags")"

# The archive comes last in the form.
answer=$(ask "$api/upload" --header "Idempotency-Key: ${SLIPWAY_KEY:-$(date +%s)-$$}" \
	--form-string "wait=$wait" "${git_fields[@]}" --form "archive=@$tmp/dags.tar.gz") || {
	echo "$answer" >&2
	exit 1
}
if [[ $answer != *'"status":"DEPLOYED"'* ]]; then
	echo "Not live after $wait: $answer" >&2
	exit 1
fi
if [[ $answer != *'"isWanted":true'* ]]; then
	echo "Deployed, but no longer live: another deploy came after it. $answer" >&2
	exit 1
fi
echo "Deployed: $SLIPWAY_URL/deployments/$SLIPWAY_DEPLOYMENT"
