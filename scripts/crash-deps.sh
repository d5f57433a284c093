#!/usr/bin/env bash
# Installs what the crash tests need beside Go: strace, with which they check
# the order of system calls. Where it cannot, they say so.
set -euo pipefail

if command -v strace >/dev/null; then
	exit 0
fi
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
	apt-get update -qq && apt-get install -y -qq --no-install-recommends strace >/dev/null && exit 0
fi
echo "strace is missing and could not be installed: the order of system calls is not checked" >&2
