#!/usr/bin/env bash
# fuzz.sh runs every fuzz target for FUZZTIME (default 20s). go test runs their seeds anyway.
set -euo pipefail
cd "$(dirname "$0")/.."

for file in $(git grep -l '^func Fuzz' -- '*_test.go'); do
	folder=$(dirname "$file")
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		module=.
		[ "${folder#examples/provider}" = "$folder" ] || module=examples/provider
		echo "== $folder $target"
		(cd "$module" && go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-20s}" "./${folder#"$module"/}")
	done
done
