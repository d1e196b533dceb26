#!/usr/bin/env bash
# bench.sh measures what docs/benchmarks.md reports: the stages one by one, the loop as a whole,
# and states of growing size, each in a process of its own so that its peak of memory is its own.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

say "the stages"
go test -run '^$' -bench . -benchtime "${BENCHTIME:-1s}" ./timeline ./store/sqlite ./shadow ./drift

say "both stores"
go test -run '^$' -bench Stores -benchtime "${BENCHTIME:-1s}" ./store/postgres

say "lookups in the knowledge base, and reading it"
go test -run '^$' -bench . -benchtime "${BENCHTIME:-1s}" ./proposal/knowledge

say "observations through timeline, store, shadow and drift"
go test -run '^$' -bench Ingest -benchtime 5x ./engine

say "logs and metrics: the parsers, the mapper, the monitor, the ranking of causes"
go test -run '^$' -bench . -benchtime "${BENCHTIME:-1s}" . ./events/... ./anomaly ./diagnosis ./adapter/tail ./adapter/jsonlog \
	./adapter/syslog ./adapter/textlog ./adapter/postgres ./adapter/cloudtrail ./adapter/kubernetes ./adapter/auditd \
	./adapter/prometheus ./adapter/otlp

say "lines of each kind of log, from the file to what is durable, beside the parser alone"
go test -run '^$' -bench Rate -benchtime 3x ./cmd/penumbra/wire

for size in ${SIZES:-1000 10000 100000}; do
	say "a state of $size resources: parsed, assessed and stored"
	SIZES=$size go test -run '^$' -bench State/first -benchtime 1x ./engine
	SIZES=$size go test -run '^$' -bench State/again -benchtime 3x ./engine
done
