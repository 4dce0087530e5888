#!/usr/bin/env bash
# Sees to it that there is what the tests use beside Go: tmux, in which they look at the screens of mesh, iptables, with
# which they block what machines send each other, and strace, with which they let a node's syncs to disk fail. What is
# missing is installed, which takes root and Debian's packages.
# Without iptables one test says NOT RUN.
set -euo pipefail

missing=()
for command in tmux iptables strace; do
	command -v "$command" >/dev/null || missing+=("$command")
done
if [ ${#missing[@]} = 0 ]; then
	exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
		{ apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >/dev/null || true
fi
if ! command -v tmux >/dev/null; then
	echo "the tests in a terminal need tmux (Debian: apt-get install tmux)" >&2
	exit 1
fi
if ! command -v strace >/dev/null; then
	echo "the tests of failing disks need strace (Debian: apt-get install strace)" >&2
	exit 1
fi
