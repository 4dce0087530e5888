#!/usr/bin/env bash
# Checks that go.mod and go.sum, ours, those of the linters, of the tests' Kubernetes and of the benchmarks' rivals, are what
# `go mod tidy` would make them. It needs the modules of our dependencies' tests: where neither cache nor network has them one line
# says so.
set -euo pipefail
cd "$(dirname "$0")/.."

for dir in . tools tools/kubernetes bench/rivals; do
	if out=$(cd "$dir" && go mod tidy -diff 2>&1); then
		continue
	elif grep -qE 'dial tcp|no such host|i/o timeout|module lookup disabled' <<<"$out"; then
		echo "NOT RUN: go mod tidy in $dir: the module proxy can't be reached"
	else
		echo "$out"
		echo "go.mod in $dir is not tidy: run go mod tidy there"
		exit 1
	fi
done
