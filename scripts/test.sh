#!/usr/bin/env bash
# test.sh sets up what the tests use and runs the whole suite: OpenTofu (built from tools/tofu if
# none is there), the example provider, a Chromium for the pages, the servers of the lab, Maven for
# Spark and Flink, and what makes network namespaces for nodes that are cut off. With CI set, a tool that is missing is a failure, OpenTofu runs the stacks, and what depends on the engine
# runs once more on Terraform where the PATH has it. HISTORIES names the folder of the public
# histories that models are judged on, if they are at hand: Spark and Flink are tested on them, too.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/penumbra
say() { echo "test: $*" >&2; }

if [ -n "${CI-}" ]; then
	export REQUIRE_TOOLS=1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo="sudo -n"
if ! command -v chromium >/dev/null && command -v apt-get >/dev/null; then
	say "installing chromium for the tests of the pages"
	{ $sudo apt-get update -qq -o DPkg::Lock::Timeout=300 &&
		DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 chromium >/dev/null; } ||
		say "chromium could not be installed; its tests are left out unless REQUIRE_TOOLS=1"
fi
lacking=()
for need in ip=iproute2 unshare=util-linux mvn=maven; do
	command -v "${need%=*}" >/dev/null || lacking+=("${need#*=}")
done
if [ ${#lacking[@]} -gt 0 ] && command -v apt-get >/dev/null; then
	say "installing ${lacking[*]} for the tests on Spark and Flink and of many nodes"
	{ $sudo apt-get update -qq -o DPkg::Lock::Timeout=300 &&
		DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${lacking[@]}" >/dev/null; } ||
		say "${lacking[*]} could not be installed; those tests are left out unless REQUIRE_TOOLS=1"
fi
if ! lab/packages --check 2>/dev/null && command -v apt-get >/dev/null; then
	say "installing the servers of the lab"
	$sudo lab/packages ||
		say "the lab's servers could not be installed; its tests are left out unless REQUIRE_TOOLS=1"
fi

PENUMBRA_TOFU=$(scripts/tofu.sh ${CI:+--build})
TF_CLI_CONFIG_FILE=$(scripts/provider.sh "$cache/provider")
OIDC_TEST_PROVIDER=$(scripts/oidc.sh)
export PENUMBRA_TOFU TF_CLI_CONFIG_FILE OIDC_TEST_PROVIDER CHECKPOINT_DISABLE=1
say "using $("$PENUMBRA_TOFU" version | head -n 1)"

scripts/lint.sh
go build -trimpath -o bin/penumbra ./cmd/penumbra
(cd examples/provider && GOWORK=off go test ./...)
(cd adapter/beam && GOWORK=off go vet ./... && PENUMBRA_DATA=${HISTORIES-} GOWORK=off go test -timeout 20m ./...)
# The race detector sees what runs in the test's own process: e2e starts the program as users have it.
# The lab's servers answer as slowly as the machine is busy, and that is what its tests measure: they
# have it to themselves.
apart='/(e2e|lab)(/|$)'
# Models reckon one thing after the other, and many times as slowly under the detector: it has what is
# quick of them, and all of them are run without it.
models='/penumbra/(anomaly|diagnosis|shadow(/(bayes|creep|explain|mixture))?)$'
go list ./... | grep -Ev "$apart|$models" | xargs go test -race -timeout 40m
go list ./... | grep -E "$models" | xargs go test -race -short -timeout 20m
go list ./... | grep -E "$models" | xargs go test -timeout 20m
go test -timeout 40m ./e2e
go test -p 1 -timeout 25m ./lab/... ./e2e/lab/...

if [ -n "${CI-}" ] && other=$(command -v terraform) && [ "$other" != "$PENUMBRA_TOFU" ]; then
	export PENUMBRA_TOFU=$other
	say "and once more what the engine decides, on $("$other" version | head -n 1)"
	go test -timeout 20m ./adapter/tofu/...
	go test -timeout 20m -run '^Test(Adopt|Revert|Loop|Check|Moved|Import|EditedCode|Remote|Reading)' ./e2e
fi
