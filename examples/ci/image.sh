#!/usr/bin/env bash
# Builds the image of this project, pushes it to the portal's registry, deploys
# it, and waits until Airflow runs it. It ends with 0 only when it does.
# The DAGs go with it where DAG-only deploys are on; where they are not, the
# image carries them. `image.sh IMAGE_ONLY` leaves the DAGs as they are.
#
#   SLIPWAY_URL         https://slipway.example.com
#   SLIPWAY_DEPLOYMENT  the id of the Deployment: the last part of its page's address
#   SLIPWAY_TOKEN       an API token with a role that deploys images
#   SLIPWAY_PLATFORM    optional: what the image is built for, linux/amd64 otherwise
#   SLIPWAY_KEY         optional: a retry with the same key makes no second deploy; use
#                       another key for each attempt of a job
#   SLIPWAY_WAIT        optional: how long to wait for Airflow, 10m otherwise and at most
set -euo pipefail

: "${SLIPWAY_URL:?}" "${SLIPWAY_DEPLOYMENT:?}" "${SLIPWAY_TOKEN:?}"
kind=${1:-IMAGE_AND_DAG}
wait=${SLIPWAY_WAIT:-10m}
api=$SLIPWAY_URL/v1/organizations/slipway/deployments/$SLIPWAY_DEPLOYMENT

# The token goes to curl by a file that only curl sees, not by its arguments,
# which every user of the machine can read.
ask() {
	curl --silent --show-error --fail-with-body --retry 3 --connect-timeout 10 --max-time 1800 \
		--header @<(printf 'Authorization: Bearer %s\n' "$SLIPWAY_TOKEN") "$@"
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export DOCKER_CONFIG=${DOCKER_CONFIG:-$tmp/docker} # the login goes with it

deployment=$(ask "$api") || {
	echo "$deployment" >&2
	exit 1
}
repository=$(sed -n 's/.*"imageRepository":"\([^"]*\)".*/\1/p' <<<"$deployment")
if [[ -z $repository ]]; then
	echo "This is no Deployment of Slipway: $deployment" >&2
	exit 1
fi

git_fields=()
tag=$(date -u +%Y-%m-%dT%H-%M-%S)
if commit=$(git rev-parse HEAD 2>/dev/null); then
	tag=$tag-${commit:0:12}
	git_fields=(
		--form-string "commit=$commit"
		--form-string "branch=${GITHUB_REF_NAME:-${CI_COMMIT_BRANCH:-$(git rev-parse --abbrev-ref HEAD)}}"
		--form-string "author=$(git log -1 --format=%an)"
		--form-string "description=$(git log -1 --format=%s)"
	)
fi

docker build --platform "${SLIPWAY_PLATFORM:-linux/amd64}" --tag "$repository:$tag" .
docker login --username cli --password-stdin "${repository%%/*}" <<<"$SLIPWAY_TOKEN"
docker push "$repository:$tag"

archive=()
if [[ $kind == IMAGE_AND_DAG && -d dags && $deployment == *'"isDagDeployEnabled":true'* ]]; then
	tar -czf "$tmp/dags.tar.gz" dags
	archive=(--form "archive=@$tmp/dags.tar.gz")
fi

# The archive comes last in the form.
answer=$(ask "$api/deploys/upload" --header "Idempotency-Key: ${SLIPWAY_KEY:-$(date +%s)-$$}" \
	--form-string "type=$kind" --form-string "image=$tag" --form-string "wait=$wait" \
	"${git_fields[@]}" "${archive[@]}") || {
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
echo "Deployed $tag: $SLIPWAY_URL/deployments/$SLIPWAY_DEPLOYMENT"
