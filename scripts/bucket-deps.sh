#!/usr/bin/env bash
# Lays out the servers that the tests of bundles in a bucket run against:
# versitygw, which speaks S3, and Azurite, which speaks Azure Blob Storage.
# Running it again costs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.cache/bin
cache=$PWD/.cache/buckets
versitygw=github.com/versity/versitygw/cmd/versitygw@v1.8.0

gateway() {
	[ "$(cat "$cache/versitygw" 2>/dev/null)" = "$versitygw" ] && [ -x "$bin/versitygw" ] && return
	GOBIN=$bin GOFLAGS='' go install "$versitygw"
	echo "$versitygw" >"$cache/versitygw"
}

azurite() {
	cmp -s scripts/buckets/package-lock.json "$cache/stamp" && return
	command -v npm >/dev/null || { echo "The tests against Azure need node and npm (Node 20 or newer)." >&2; return 1; }
	cp scripts/buckets/package.json scripts/buckets/package-lock.json scripts/buckets/.npmrc "$cache/"
	npm ci --prefix "$cache" --ignore-scripts --no-audit --no-fund --loglevel=error
	cp scripts/buckets/package-lock.json "$cache/stamp" # last, so that a broken download is tried again
}

mkdir -p "$bin" "$cache"
gateway &
first=$!
azurite # beside it, as both mostly wait
wait "$first"
