#!/usr/bin/env bash
# Prints the krew manifest of a release.
#
#   packaging/krew/render.sh VERSION HOMEPAGE BASE < SHA256SUMS > mesh.yaml
#
# VERSION is such as v0.4.0, BASE the address of the folder with the archives mesh_VERSION_OS_ARCH.tar.gz (.zip for
# windows). SHA256SUMS is what sha256sum printed of them; every platform has to be in it.
set -euo pipefail
cd "$(dirname "$0")"

[ $# = 3 ] || { echo "usage: $0 VERSION HOMEPAGE BASE < SHA256SUMS" >&2; exit 2; }
version=$1 homepage=$2 base=$3
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || { echo "$0: $version is no version such as v0.4.0" >&2; exit 2; }
sums=$(cat)

platforms=
for platform in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do
	os=${platform%/*} arch=${platform#*/} ext=tar.gz exe=
	[ "$os" != windows ] || { ext=zip exe=.exe; }
	file=mesh_${version}_${os}_${arch}.$ext
	sum=$(awk -v file="$file" '$2 == file || $2 == "*" file { print $1 }' <<<"$sums")
	[[ $sum =~ ^[0-9a-f]{64}$ ]] || { echo "$0: no checksum of $file" >&2; exit 1; }
	platforms+="  - selector:
      matchLabels: {os: $os, arch: $arch}
    uri: $base/$file
    sha256: $sum
    bin: kubectl-mesh$exe
    files:
    - {from: kubectl-mesh$exe, to: .}
    - {from: LICENSE, to: .}
"
done

while IFS= read -r line; do
	case $line in
	'@PLATFORMS@') printf %s "$platforms" ;;
	*)
		line=${line//@VERSION@/$version}
		printf '%s\n' "${line//@HOMEPAGE@/$homepage}"
		;;
	esac
done <mesh.yaml.tmpl
