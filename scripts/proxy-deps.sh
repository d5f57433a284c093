#!/usr/bin/env bash
# Installs curl and the proxies in front of which the tests put the portal: nginx,
# Caddy and HAProxy, as Debian has them. The tests start them by themselves, so no
# service runs. Where they cannot be installed, the tests say so.
set -euo pipefail

missing=()
for name in nginx caddy haproxy curl; do
	command -v "$name" >/dev/null || [ -x "/usr/sbin/$name" ] || missing+=("$name")
done
if [ ${#missing[@]} -eq 0 ]; then
	exit 0
fi
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	policy=/usr/sbin/policy-rc.d # keeps the packages from starting their services
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod +x "$policy"
		trap 'rm -f "$policy"' EXIT
	fi
	apt-get -o DPkg::Lock::Timeout=300 update -qq &&
		apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null && exit 0
fi
echo "${missing[*]} could not be installed: the portal is not tested behind these proxies" >&2
