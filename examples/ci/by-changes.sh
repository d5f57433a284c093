#!/usr/bin/env bash
# Decides from what changed since the commit $1 (the one before, unless given)
# how to deploy it: DAGs alone go live by deploy.sh in seconds, without a restart;
# anything else of the project is in the image, so that image.sh deploys image
# and DAGs together. It takes the variables that those two take.
set -euo pipefail

here=$(dirname "$0")
since=${1:-HEAD~1}
if ! git cat-file -e "$since^{commit}" 2>/dev/null; then
	echo "The commit $since is not here, so that all of the project counts as changed."
	exec "$here/image.sh"
fi

# Names end with a zero byte, as a name may have any other. A renamed file counts
# twice, as one removed and one added: include/h.py may have become dags/h.py.
list=$(mktemp)
git diff -z --no-renames --name-only "$since" HEAD >"$list"
mapfile -d '' -t changed <"$list"
rm -f "$list"

dags=no
outside=()
for name in "${changed[@]}"; do
	case $name in
	dags/*) dags=yes ;;
	docs/* | tests/* | .github/* | .gitlab-ci.yml) ;;
	*/*) outside+=("$name") ;;
	*.md) ;;
	*) outside+=("$name") ;;
	esac
done

if ((${#outside[@]})); then
	printf 'These changes need an image:\n'
	printf '%s\n' "${outside[@]}"
	exec "$here/image.sh"
fi
if [[ $dags == no ]]; then
	echo "Nothing that is deployed has changed."
	exit 0
fi
exec "$here/deploy.sh" dags
