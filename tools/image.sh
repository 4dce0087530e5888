#!/usr/bin/env bash
# Builds the image of the Dockerfile with buildah, out of the binary that make build left:
#   tools/image.sh NAME     into this user's image storage
#   tools/image.sh --test   into a storage of its own that is thrown away, and looks whether what comes out starts
# No step of the Dockerfile runs anything, so it needs neither a daemon nor a network.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$1" != --test ]; then
	exec buildah bud --isolation chroot --pull-never -t "$1" .
fi

if ! command -v buildah >/dev/null; then
	echo "NOT RUN: the image: there is no buildah here"
	exit 0
fi
if [ "$(id -u)" != 0 ]; then
	echo "NOT RUN: the image: a storage of its own takes root here"
	exit 0
fi

dir=$(mktemp -d)
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs CONTAINERS_STORAGE_CONF=$dir/storage.conf
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/graph"\nrunroot = "%s/run"\n' "$dir" "$dir" >"$CONTAINERS_STORAGE_CONF"
trap 'buildah rm --all >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT

# try runs a step. Where the machine doesn't let even root do it, that is no fault of the image.
try() {
	if "$@" 2>"$dir/stderr"; then
		return
	elif grep -qiE 'operation not permitted|permission denied' "$dir/stderr"; then
		echo "NOT RUN: the image: $(tail -n 1 "$dir/stderr")" >&2
		exit 77
	fi
	cat "$dir/stderr" >&2
	exit 1
}
# not_run ends with success what a step in a subshell could not do.
not_run() { [ $? = 77 ] && exit 0 || exit 1; }

_=$(try buildah bud -q --pull-never -t mesh:test .) || not_run
config=$(buildah inspect --type image --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}} {{len .OCIv1.RootFS.DiffIDs}}' mesh:test)
if [ "$config" != "65532:65532 [/mesh] 1" ]; then
	echo "the image has user, entrypoint and layers $config, want 65532:65532 [/mesh] 1"
	exit 1
fi
container=$(try buildah from --pull-never mesh:test) || not_run
root=$(try buildah mount "$container") || not_run
files=$(cd "$root" && find . -type f)
if [ "$files" != ./mesh ]; then
	echo "the image holds more or less than /mesh:"
	echo "$files"
	exit 1
fi
want=$(bin/mesh version --short)
got=$(try buildah run "$container" -- /mesh version --short) || not_run
if [ "$got" != "$want" ]; then
	echo "the image is mesh $got, want $want"
	exit 1
fi
echo "the image of mesh $got starts as user 65532, $(stat -c %s bin/mesh) bytes"
