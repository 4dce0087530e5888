#!/bin/sh
# Proves that mesh and p2panda-core accept each other's operations, byte for byte.
#
#   Go writes    -> p2panda-core checks every operation and every chain
#   Rust writes  -> the bytes equal the committed vectors -> Go checks them
#
# Where Rust or its crates cannot be had this prints one line that begins with NOT RUN, and succeeds.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
vectors=$root/internal/operation/testdata/p2panda-vectors.jsonl

if ! command -v cargo >/dev/null 2>&1; then
	echo "NOT RUN: interop with p2panda-core: cargo is not installed"
	exit 0
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# p2panda-core 0.7.0 asks for Rust 1.96 and builds with 1.95, hence --ignore-rust-version.
if ! cargo fetch --locked --quiet 2>"$tmp/fetch.log"; then
	cat "$tmp/fetch.log" >&2
	if grep -q 'lock file' "$tmp/fetch.log"; then
		exit 1 # Cargo.lock and Cargo.toml disagree: nothing that a network would cure
	fi
	echo "NOT RUN: interop with p2panda-core: its crates cannot be fetched"
	exit 0
fi
cargo build --locked --offline --quiet --ignore-rust-version
tool=${CARGO_TARGET_DIR:-target}/debug/mesh-interop

(cd "$root" && go run ./interop/p2panda/gen) >"$tmp/mesh.jsonl"
"$tool" verify "$tmp/mesh.jsonl"

"$tool" write "$tmp/p2panda.jsonl"
if ! cmp "$tmp/p2panda.jsonl" "$vectors"; then
	echo "p2panda-core writes other bytes than those in $vectors" >&2
	exit 1
fi
(cd "$root" && go test ./internal/operation -count=1 -run '^TestP2pandaVectors$' -vectors "$tmp/p2panda.jsonl")
