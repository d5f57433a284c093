#!/usr/bin/env bash
# Fails when a view is not formatted, or when the committed (or staged) Go code
# of the views is not what templ makes of them now.
set -euo pipefail
cd "$(dirname "$0")/.."

go tool templ fmt -fail views
go tool templ generate -path views

if ! git diff --exit-code --stat -- '*_templ.go'; then
	echo 'Generated files differ from those in git: run "make generate" and add them.' >&2
	exit 1
fi
untracked=$(git ls-files --others --exclude-standard -- '*_templ.go')
if [ -n "$untracked" ]; then
	printf 'Generated files are not in git:\n%s\n' "$untracked" >&2
	exit 1
fi
