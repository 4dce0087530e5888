#!/usr/bin/env bash
# Checks that what is generated is in step: generates it all, then the tree must look as before.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! git rev-parse --git-dir >/dev/null 2>&1; then
	echo "NOT RUN: generated files: this is no git work tree to compare with"
	exit 0
fi
state() { git status --porcelain; git diff; }
before=$(state)
go generate ./...
if [ "$before" != "$(state)" ]; then
	git status --short
	echo "generated files are out of step: go generate ./... made the changes above, commit them"
	exit 1
fi
