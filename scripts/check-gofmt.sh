#!/usr/bin/env bash
# Fails with the names of Go files that gofmt would change.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(find . -name '*.go' -not -path './.cache/*' -not -path '*/node_modules/*' -print0 | xargs -0 gofmt -l)
if [ -n "$unformatted" ]; then
	printf 'Not formatted by gofmt:\n%s\n' "$unformatted" >&2
	exit 1
fi
