#!/usr/bin/env bash
# oidc.sh builds the OpenID provider that tests sign in at, of tools/oidc, outside the work tree, and
# prints where it is.
set -euo pipefail
cd "$(dirname "$0")/../tools/oidc"
out=${XDG_CACHE_HOME:-$HOME/.cache}/penumbra/oidc/$(cat go.sum main.go | sha256sum | cut -c1-12)/oidc
if [ ! -x "$out" ]; then
	echo "oidc: building the provider, which takes a minute" >&2
	mkdir -p "$(dirname "$out")"
	GOWORK=off go build -trimpath -o "$out.new" . >&2
	mv "$out.new" "$out"
fi
echo "$out"
