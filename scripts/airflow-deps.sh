#!/usr/bin/env bash
# Lays out what the Airflow tests need: two virtual environments, .cache/airflow3
# and .cache/airflow2, from versions and hashes that are committed. Running it
# again costs nothing. It ends with 75 where the package index does not answer.
#
# The lists were made from the .in files beside them, for Python 3.11:
#   uv pip compile --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements-3.txt requirements-3.in
set -euo pipefail
cd "$(dirname "$0")/.."
unavailable=75 # EX_TEMPFAIL

python() {
	if [ -n "${AIRFLOW_PYTHON:-}" ]; then
		echo "$AIRFLOW_PYTHON"
	elif [ "$(id -u)" = 0 ] && [ -x /usr/bin/python3.11 ]; then
		echo /usr/bin/python3.11 # the tests run Airflow as a user who may not read root's own
	else
		command -v python3.11 || command -v python3
	fi
}

python=$(python) || { echo "The Airflow tests need Python 3.11." >&2; exit 1; }
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$version" != 3.11 ]; then
	echo "The Airflow tests need Python 3.11, which their lists of packages were made for; $python is $version. Name another one with AIRFLOW_PYTHON." >&2
	exit 1
fi

if ! "$python" -c 'import ensurepip' 2>/dev/null; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		export DEBIAN_FRONTEND=noninteractive
		apt-get -o DPkg::Lock::Timeout=300 update -qq
		apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends python3.11-venv
	else
		echo "The Airflow tests need $python with ensurepip (on Debian: python3-venv)." >&2
		exit 1
	fi
fi

# answers says whether there is a package index: it downloads one small file.
answers() {
	local dir status=0
	dir=$(mktemp -d)
	"$1" download -q --no-deps --no-cache-dir -d "$dir" six==1.17.0 || status=$?
	rm -rf "$dir"
	return $status
}

# install tries again: a list is a hundred and more downloads.
install() {
	local try
	for try in 1 2 3; do
		"$1" install -q --require-hashes -r "$2" && return
		echo "Installing from $2 failed, try $try of 3." >&2
	done
	answers "$1" && return 1
	return $unavailable
}

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
for major in 3 2; do
	list=scripts/airflow/requirements-$major.txt
	venv=.cache/airflow$major
	cmp -s "$list" "$venv/stamp" && continue
	rm -rf "$venv"
	"$python" -m venv "$venv"
	if ! answers "$venv/bin/pip"; then
		echo "The Python package index does not answer, so Airflow cannot be installed here." >&2
		exit $unavailable
	fi
	echo "Installing Airflow $major into $venv"
	install "$venv/bin/pip" "$list"
	cp "$list" "$venv/stamp" # last, so that a broken download is tried again
done
