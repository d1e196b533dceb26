#!/usr/bin/env bash
# bench.sh measures what docs/benchmarks.md reports: the stages one by one, the loop as a whole,
# and states of growing size, each in a process of its own so that its peak of memory is its own.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

say "the stages"
go test -run '^$' -bench . -benchtime "${BENCHTIME:-1s}" ./timeline ./store/sqlite ./shadow ./drift

say "observations through timeline, store, shadow and drift"
go test -run '^$' -bench Ingest -benchtime 5x ./engine

for size in ${SIZES:-1000 10000 100000}; do
	say "a state of $size resources: parsed, assessed and stored"
	SIZES=$size go test -run '^$' -bench State/first -benchtime 1x ./engine
	SIZES=$size go test -run '^$' -bench State/again -benchtime 3x ./engine
done
