#!/usr/bin/env bash
# Lays out what the browser tests need under .cache/e2e: playwright's driver,
# axe, and a browser from the distribution. Running it again costs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$PWD/.cache/e2e

for tool in node npm; do
	command -v "$tool" >/dev/null || { echo "The browser tests need $tool (Node 20 or newer)." >&2; exit 1; }
done

mkdir -p "$cache/driver"
if ! cmp -s e2e/package-lock.json "$cache/stamp"; then
	cp e2e/package.json e2e/package-lock.json e2e/.npmrc "$cache/"
	npm ci --prefix "$cache" --ignore-scripts --no-audit --no-fund --loglevel=error
	cp e2e/package-lock.json "$cache/stamp" # last, so that a broken download is tried again
fi

# playwright-go runs DriverDirectory/node with DriverDirectory/package/cli.js.
ln -sfn ../node_modules/playwright-core "$cache/driver/package"
ln -sfn "$(command -v node)" "$cache/driver/node"

browser() {
	[ -n "${E2E_CHROMIUM:-}" ] || command -v chromium-headless-shell || command -v chromium
}

if ! browser >/dev/null; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		export DEBIAN_FRONTEND=noninteractive
		apt-get -o DPkg::Lock::Timeout=300 update -qq
		apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends chromium-headless-shell
	else
		node "$cache/driver/package/cli.js" install chromium-headless-shell
	fi
fi
