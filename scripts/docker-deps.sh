#!/usr/bin/env bash
# Installs what the image tests need beside Go: a Docker Engine, which they start
# themselves. Where it cannot, they say so and use go-containerregistry's client.
set -euo pipefail

if command -v dockerd >/dev/null && command -v docker >/dev/null; then
	exit 0
fi
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get -o DPkg::Lock::Timeout=300 update -qq &&
		apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends docker.io >/dev/null && exit 0
fi
echo "dockerd is missing and could not be installed: no real docker pushes and pulls in the tests" >&2
