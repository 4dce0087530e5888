#!/usr/bin/env bash
# Sees to it that there is what the tests use beside Go: tmux, in which they look at the screens of mesh, ip, with which they
# make machines and networks, iptables, with which they block what machines send each other, /dev/net/tun, by which they
# carry it, and strace, with which they let a node's syncs to disk fail. What is missing is installed, which takes root and
# Debian's packages. Without ip, iptables or tun the tests that need them say NOT RUN.
set -euo pipefail

missing=()
for command in tmux iptables ip strace; do
	command -v "$command" >/dev/null || missing+=("${command/%ip/iproute2}")
done
if [ "$(id -u)" = 0 ] && [ ! -e /dev/net/tun ]; then
	mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200 || true # some containers may not
fi
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
