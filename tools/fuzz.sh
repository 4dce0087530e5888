#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other, each for the time given: 5000x (inputs) or 10m.
# A count is what automated runs use: with a duration the Go fuzzer now and then reports its own deadline
# as a failure of the target.
set -euo pipefail
cd "$(dirname "$0")/.."
length=${1:?usage: tools/fuzz.sh 5000x|10m [pattern]}
pattern=${2:-.}

targets=$(grep -rnoE --include='*_test.go' '^func Fuzz[A-Z0-9_][A-Za-z0-9_]*' cmd internal |
	sed -E 's|^(.*)/[^/]+:[0-9]+:func (.*)$|\1 \2|' | grep -E "$pattern" | sort -u) || true
if [ -z "$targets" ]; then
	echo "no fuzz target matches $pattern"
	exit 0
fi
while read -r package target; do
	echo "fuzz $package $target $length"
	go test -vet=off -run '^$' -fuzz "^$target\$" -fuzztime "$length" -fuzzminimizetime 100x "./$package"
done <<<"$targets"
