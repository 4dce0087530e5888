#!/usr/bin/env bash
# Fuzzes the module's targets whose "package name" matches a pattern, each for the length given, as many at a time as
# there are cores. It goes on after a target that fails, and ends with a table of all; it fails if one did.
#
# A number of inputs (3000x) is for automated runs: it starts from the committed seeds alone, keeps nothing but
# inputs that fail, and instruments this module only, so that every other package comes compiled out of the build
# cache. A time (10m) is for people: it goes on from what earlier runs found, in Go's own place ($(go env GOCACHE)/fuzz),
# and instruments all that is linked, as `go test -fuzz` does.
#
# An input that fails is written to testdata/fuzz of its package, either way.
set -euo pipefail
cd "$(dirname "$0")/.."
length=${1:?usage: tools/fuzz.sh 3000x|10m [pattern]}
pattern=${2:-.}

{ # read as a whole: a long run must not stumble over this file being changed

# One line for each: package, name, and "slow" where the line above says //fuzz:slow, which is for targets that take
# milliseconds for an input: they get a twentieth of a number.
targets=$(grep -rlE --include='*_test.go' '^func Fuzz[A-Z0-9_]' cmd internal | xargs awk '
	/^func Fuzz[A-Z0-9_]/ {
		package = FILENAME; sub(/\/[^\/]*$/, "", package)
		name = $2; sub(/[^A-Za-z0-9_].*/, "", name)
		print package, name, above == "//fuzz:slow" ? "slow" : "-"
	}
	{ above = $0 }' | grep -E "$pattern" | sort -u) || true
if [ -z "$targets" ]; then
	echo "no fuzz target matches $pattern"
	exit 0
fi
mapfile -t packages < <(cut -d' ' -f1 <<<"$targets" | sort -u)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
module=$(go list -m)
binary() { echo "${1//\//_}.test"; }

# One binary per package, from which all of its targets run.
case $length in
*x)
	cache=$work/cache
	minimize=100x
	# An input on which a target never ends is no reason for the run never to end.
	limit=(timeout --kill-after=5 300)
	# One command compiles all, but names binaries after the last part of the path: two of one name take turns.
	left=("${packages[@]}")
	while [ ${#left[@]} -gt 0 ]; do
		declare -A now=()
		later=()
		for p in "${left[@]}"; do
			if [ -n "${now[$(basename "$p")]:-}" ]; then later+=("$p"); else now[$(basename "$p")]=$p; fi
		done
		go test -vet=off -c -gcflags="$module/...=-d=libfuzzer" -o "$work/" "${now[@]/#/./}"
		for name in "${!now[@]}"; do mv "$work/$name.test" "$work/$(binary "${now[$name]}")"; done
		left=(${later[@]+"${later[@]}"})
		unset now
	done
	;;
*)
	cache=$(go env GOCACHE)/fuzz/$module
	minimize=20s
	limit=()
	for p in "${packages[@]}"; do
		go test -vet=off -c -fuzz . -o "$work/$(binary "$p")" "./$p"
	done
	;;
esac

count=$(wc -l <<<"$targets")
jobs=$(nproc)
if [ "$jobs" -gt "$count" ]; then jobs=$count; fi
workers=$(($(nproc) / jobs))

# run fuzzes one target and writes its row of the table.
run() {
	local package=$1 target=$2 length=$length
	if [ "$3" = slow ] && [[ $length = *x ]]; then length=$((${length%x} / 20))x; fi
	local log="$work/${package//\//_}.$target" verdict=passed stats
	if [[ $length != *x ]]; then echo "$(date +%T) $package $target"; fi
	(cd "$package" && "${limit[@]}" "$work/$(binary "$package")" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$length" \
		-test.fuzzminimizetime "$minimize" -test.parallel "$workers" -test.fuzzcachedir "$cache/$package") >"$log.log" 2>&1 || verdict=FAILED
	# Now and then the fuzzer takes the end of its own time for a failure of the target. Then that is all it
	# says, and there is no input.
	if [ $verdict = FAILED ] && [[ $length != *x ]] && ! grep -q 'Failing input written' "$log.log" &&
		grep -A1 '^--- FAIL' "$log.log" | tail -1 | grep -qx ' *context deadline exceeded'; then
		verdict=passed
	fi
	stats=$(grep -oE 'execs: [0-9]+|new interesting: [0-9]+' "$log.log" | tail -2 | grep -oE '[0-9]+$' | paste -sd' ') || true
	echo "$package $target ${stats:-0 0} $verdict" >"$log.row"
	if [ $verdict = FAILED ]; then
		grep -v '^fuzz: elapsed' "$log.log" | tail -n 60
	fi
}
export -f run binary
export work length cache minimize workers
export limits="${limit[*]}"

# An interrupt ends the fuzzers, each of which writes down what it has; the table is of what ran.
trap 'interrupted=1' INT
interrupted=0
start=$SECONDS
xargs -P "$jobs" -L 1 bash -c 'read -ra limit <<<"$limits"; run "$@"' run <<<"$targets" || true
{
	echo "package target executions new-inputs verdict"
	cat "$work"/*.row 2>/dev/null | sort
} | awk '{ printf "%-24s %-24s %12s %11s  %s\n", $1, $2, $3, $4, $5 }'
ran=$(cat "$work"/*.row 2>/dev/null | wc -l)
failed=$(cat "$work"/*.row 2>/dev/null | grep -c 'FAILED$') || true
echo "$ran of $count targets, $failed failed, $((SECONDS - start)) s without compiling"
if [ "$failed" -gt 0 ]; then
	echo "each failing input is in testdata/fuzz of its package: go test -run FuzzName/file ./PACKAGE repeats it; commit it with the fix"
fi
[ "$failed" -eq 0 ] && [ "$ran" -eq "$count" ] && [ "$interrupted" -eq 0 ]
exit
}
