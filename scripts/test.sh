#!/usr/bin/env bash
# test.sh sets up what the tests use and runs the whole suite: OpenTofu (built from tools/tofu if
# none is there), the example provider, a Chromium for the pages. With CI set, a tool that is
# missing is a failure and the suite also runs on OpenTofu where the PATH has Terraform.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/penumbra
say() { echo "test: $*" >&2; }

if [ -n "${CI-}" ]; then
	export REQUIRE_TOOLS=1
fi
if ! command -v chromium >/dev/null && command -v apt-get >/dev/null; then
	sudo=
	[ "$(id -u)" = 0 ] || sudo="sudo -n"
	say "installing chromium for the tests of the pages"
	{ $sudo apt-get update -qq -o DPkg::Lock::Timeout=300 &&
		DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 chromium >/dev/null; } ||
		say "chromium could not be installed; its tests are left out unless REQUIRE_TOOLS=1"
fi

PENUMBRA_TOFU=$(scripts/tofu.sh)
TF_CLI_CONFIG_FILE=$(scripts/provider.sh "$cache/provider")
export PENUMBRA_TOFU TF_CLI_CONFIG_FILE CHECKPOINT_DISABLE=1
say "using $("$PENUMBRA_TOFU" version | head -n 1)"

scripts/lint.sh
go build -trimpath -o bin/penumbra ./cmd/penumbra
(cd examples/provider && GOWORK=off go test ./...)
go test -race -timeout 20m ./...

if [ -n "${CI-}" ]; then
	built=$(scripts/tofu.sh --build)
	if [ "$built" != "$PENUMBRA_TOFU" ]; then
		export PENUMBRA_TOFU=$built
		say "and once more what runs the engine, on $("$built" version | head -n 1)"
		go test -timeout 20m ./adapter/tofu/... ./e2e/...
	fi
fi
