#!/usr/bin/env bash
# demo.sh sets up the demonstration and plays it: a copy of examples/shop, applied with OpenTofu
# or Terraform and the example provider, watched by bin/penumbra. The copy goes when it ends.
# With DEMO_REPLAY=FILE it plays a recording instead, which needs none of that; DEMO_SPEED says
# how many times as fast.
set -euo pipefail
if [ -n "${DEMO_REPLAY:-}" ]; then
	replay=$(realpath "$DEMO_REPLAY")
	exec "$(dirname "$0")/../bin/penumbra" demo --replay "$replay" --speed "${DEMO_SPEED:-60}" --listen "${DEMO_LISTEN:-127.0.0.1:7676}"
fi
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/penumbra
say() { echo "demo: $*" >&2; }

PENUMBRA_TOFU=$(scripts/tofu.sh)
export PENUMBRA_TOFU
say "using $("$PENUMBRA_TOFU" version 2>/dev/null | head -n 1)"
TF_CLI_CONFIG_FILE=$(scripts/provider.sh "$cache/provider")
export TF_CLI_CONFIG_FILE CHECKPOINT_DISABLE=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r examples/shop "$work/shop"
rm -rf "$work/shop/etc" "$work/shop/.terraform" "$work"/shop/*.tfstate*

say "applying the example stack"
"$PENUMBRA_TOFU" -chdir="$work/shop" init -input=false -no-color >"$work/setup.log" 2>&1 &&
	"$PENUMBRA_TOFU" -chdir="$work/shop" apply -auto-approve -input=false -no-color >>"$work/setup.log" 2>&1 || {
	cat "$work/setup.log" >&2
	say "the example stack could not be applied, see above"
	exit 1
}

# An interrupt is for penumbra, which ends gracefully; this shell waits for it.
trap : INT
bin/penumbra demo "$work/shop" --listen "${DEMO_LISTEN:-127.0.0.1:7676}"
