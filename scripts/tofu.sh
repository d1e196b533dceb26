#!/bin/sh
# tofu.sh prints the path of the OpenTofu or Terraform binary to use.
#
#   scripts/tofu.sh           $PENUMBRA_TOFU if set, else tofu or terraform on the PATH,
#                             else OpenTofu built from tools/tofu
#   scripts/tofu.sh --build   OpenTofu built from tools/tofu, whatever is on the PATH
#
# A build takes minutes the first time and is kept, by version, below
# ${XDG_CACHE_HOME:-$HOME/.cache}/penumbra/tofu; delete that folder to have it built again.
# Only the path goes to standard output, so that TOFU=$(scripts/tofu.sh) works.
set -eu

die() {
	echo "tofu.sh: $*" >&2
	exit 1
}

build=no
case "${1-}" in
'') ;;
--build) build=yes ;;
*)
	echo "usage: tofu.sh [--build]" >&2
	exit 2
	;;
esac

if [ "$build" = no ]; then
	if [ -n "${PENUMBRA_TOFU-}" ]; then
		command -v "$PENUMBRA_TOFU" ||
			die "PENUMBRA_TOFU is '$PENUMBRA_TOFU', which cannot be executed; unset it or name an OpenTofu or Terraform binary"
		exit 0
	fi
	for name in tofu terraform; do
		if command -v "$name"; then
			exit 0
		fi
	done
fi

module=$(CDPATH='' cd -- "$(dirname -- "$0")/../tools/tofu" && pwd)
version=$(sed -n 's|^.*github.com/opentofu/opentofu \(v[^ ]*\).*$|\1|p' "$module/go.mod")
[ -n "$version" ] || die "$module/go.mod does not require github.com/opentofu/opentofu"

dir=${XDG_CACHE_HOME:-$HOME/.cache}/penumbra/tofu/$version
if [ ! -x "$dir/tofu" ]; then
	command -v go >/dev/null ||
		die "OpenTofu is built from source, which needs Go; install Go or OpenTofu, or set PENUMBRA_TOFU"
	echo "tofu.sh: building OpenTofu $version; this takes several minutes, once" >&2
	mkdir -p "$dir"
	# Built under another name and renamed: two builds at once cannot hand out half a binary.
	partial=$(mktemp "$dir/.tofu.XXXXXX")
	trap 'rm -f "$partial"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	# version.dev=no drops the "-dev" suffix that a build from source would report.
	(cd "$module" && CGO_ENABLED=0 GOWORK=off go build -trimpath \
		-ldflags '-s -w -X github.com/opentofu/opentofu/version.dev=no' \
		-o "$partial" github.com/opentofu/opentofu/cmd/tofu) >&2 ||
		die "building OpenTofu $version failed, see above"
	chmod 755 "$partial"
	mv -f "$partial" "$dir/tofu"
	trap - EXIT INT TERM
fi
echo "$dir/tofu"
