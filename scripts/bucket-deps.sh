#!/usr/bin/env bash
# Lays out the servers that the tests of bundles in a bucket run against:
# versitygw, which speaks S3, Azurite, which speaks Azure Blob Storage, and
# fake-gcs-server, which speaks Google Cloud Storage.
# Running it again costs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.cache/bin
cache=$PWD/.cache/buckets
versitygw=github.com/versity/versitygw/cmd/versitygw@v1.8.0
gcs=github.com/fsouza/fake-gcs-server@v1.56.1

# program installs a program of Go under its name, unless installed.
program() {
	[ "$(cat "$cache/$1" 2>/dev/null)" = "$2" ] && [ -x "$bin/$1" ] && return
	GOBIN=$bin GOFLAGS='' go install "$2"
	echo "$2" >"$cache/$1"
}

azurite() {
	cmp -s scripts/buckets/package-lock.json "$cache/stamp" && return
	command -v npm >/dev/null || { echo "The tests against Azure need node and npm (Node 20 or newer)." >&2; return 1; }
	cp scripts/buckets/package.json scripts/buckets/package-lock.json scripts/buckets/.npmrc "$cache/"
	npm ci --prefix "$cache" --ignore-scripts --no-audit --no-fund --loglevel=error
	cp scripts/buckets/package-lock.json "$cache/stamp" # last, so that a broken download is tried again
}

mkdir -p "$bin" "$cache"
program versitygw "$versitygw" &
first=$!
azurite # beside it, as both mostly wait
wait "$first"
program fake-gcs-server "$gcs"
