#!/usr/bin/env bash
# lint.sh holds the code against gofmt, go vet and staticcheck (pinned in tools/lint).
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(gofmt -l $(git ls-files '*.go'))
if [ -n "$unformatted" ]; then
	echo "lint: not formatted, run gofmt -w on:" >&2
	echo "$unformatted" >&2
	exit 1
fi
go vet ./...

# Built from a module of its own, so that its dependencies are not ours.
tool=${XDG_CACHE_HOME:-$HOME/.cache}/penumbra/staticcheck
(cd tools/lint && GOWORK=off go build -o "$tool" honnef.co/go/tools/cmd/staticcheck)
"$tool" ./...
