#!/usr/bin/env bash
# Sees to it that there is tmux: the tests look at the screens of mesh in it. Where it is missing it is installed, which
# takes root and Debian's packages.
set -euo pipefail

if command -v tmux >/dev/null; then
	exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	if apt-get install -y --no-install-recommends tmux >/dev/null 2>&1 ||
		{ apt-get update >/dev/null && apt-get install -y --no-install-recommends tmux >/dev/null; }; then
		exit 0
	fi
fi
echo "the tests in a terminal need tmux (Debian: apt-get install tmux)" >&2
exit 1
