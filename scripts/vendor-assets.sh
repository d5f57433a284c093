#!/usr/bin/env bash
# Writes static/vendor/ anew from npm packages whose contents are pinned here
# by hash. It is run by hand, when a version changes; the result is committed.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
	"htmx.org@4.0.1        5fba65616ca148a86d377e9771bcada7f35faee3558651feb929eea425e13b3c"
	"tus-js-client@4.3.1   919f46808b2c689be9214df5c0f21879bee4a4599b34e212ada8f14de1db9bc0"
	"lucide-static@1.62.0  386f9080c440d6f5049cefe3456ae8357f7a0c7f76e59670cd1cb83bc7050a44"
)
icons="upload check x alert-triangle loader refresh-cw rotate-ccw download external-link folder file copy users plus chevron-down history trash search lock git-commit-horizontal ellipsis package clock chevron-right toggle-right arrow-right minus link shield-check"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

for package in "${packages[@]}"; do
	read -r name sum <<<"$package"
	mkdir "$tmp/${name%@*}"
	tgz=$(cd "$tmp" && npm pack --silent --ignore-scripts "$name")
	echo "$sum  $tmp/$tgz" | sha256sum --check --quiet
	tar -xzf "$tmp/$tgz" -C "$tmp/${name%@*}" --strip-components=1
done

# symbol prints the SVG file $2 as a <symbol> named $1: its shapes alone, for
# strokes and sizes are app.css's.
symbol() {
	printf '<symbol id="%s" viewBox="%s">' "$1" "$(grep -o 'viewBox="[^"]*"' "$2" | cut -d'"' -f2)"
	tr '\n' ' ' <"$2" | sed -E 's/.*<svg[^>]*>//; s#</svg>.*##; s/ +/ /g; s/^ | $//g; s#> <#><#g; s# />#/>#g'
	printf '</symbol>\n'
}

out=static/vendor
mkdir -p "$out"
# One file: deferred, htmx may start on the page before a second script has
# added the extension, and then the page gets no events.
for file in htmx.min.js ext/hx-sse.min.js; do cat "$tmp/htmx.org/dist/$file"; echo; done >"$out/htmx.min.js"
cp "$tmp/tus-js-client/dist/tus.min.js" "$out/"
cp "$tmp/htmx.org/LICENSE" "$out/LICENSE.htmx"
cp "$tmp/tus-js-client/LICENSE" "$out/LICENSE.tus-js-client"
cp "$tmp/lucide-static/LICENSE" "$out/LICENSE.lucide"
{
	echo '<svg xmlns="http://www.w3.org/2000/svg">'
	symbol slipway static/mark.svg
	for icon in $icons; do symbol "$icon" "$tmp/lucide-static/icons/$icon.svg"; done
	echo '</svg>'
} >"$out/icons.svg"
chmod 644 "$out"/*

# The languages that pages colour: go.sum holds the hash of the module.
lexers=internal/highlight/lexers
chroma=$(go list -m -f '{{.Dir}}' github.com/alecthomas/chroma/v2)
for name in python sql yaml json toml bash docker ini xml django_jinja; do cp "$chroma/lexers/embedded/$name.xml" "$lexers/"; done
sed '/^SOFTWARE\.$/q' "$chroma/COPYING" >"$lexers/LICENSE.chroma"
chmod 644 "$lexers"/*
