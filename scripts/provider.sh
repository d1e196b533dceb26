#!/bin/sh
# provider.sh DEST builds the example provider into a filesystem mirror below DEST and writes
# DEST/cli.tfrc, which makes OpenTofu and Terraform find it there:
#
#   scripts/provider.sh /some/folder
#   export TF_CLI_CONFIG_FILE=/some/folder/cli.tfrc
#
# It prints the path of cli.tfrc. Nothing is built when the provider is newer than its sources.
set -eu

if [ $# -ne 1 ] || [ -z "$1" ]; then
	echo "usage: provider.sh DEST" >&2
	exit 2
fi

source=$(CDPATH='' cd -- "$(dirname -- "$0")/../examples/provider" && pwd)
mkdir -p "$1"
dest=$(CDPATH='' cd -- "$1" && pwd)
case $dest in
*[\"\\]* | *'${'* | *'%{'*)
	echo "provider.sh: $dest cannot be named in a CLI configuration; choose a path without quotes, backslashes, \${ and %{" >&2
	exit 1
	;;
esac

version=$(sed -n 's/^const version = "\(.*\)"$/\1/p' "$source/main.go")
[ -n "$version" ] || {
	echo "provider.sh: $source/main.go does not state its version" >&2
	exit 1
}
platform=$(cd "$source" && go env GOOS GOARCH | paste -sd_ -)
folder=$dest/penumbra.example/examples/conffile/$version/$platform
binary=$folder/terraform-provider-conffile_v$version
case $platform in windows_*) binary=$binary.exe ;; esac

newer=
if [ -x "$binary" ]; then
	newer=$(find "$source" \( -name '*.go' -o -name go.mod -o -name go.sum \) \
		! -name '*_test.go' -newer "$binary" -print | head -n 1)
fi
if [ ! -x "$binary" ] || [ -n "$newer" ]; then
	mkdir -p "$folder"
	# Built outside the folder of the package and renamed: the engines checksum all of that
	# folder, and two builds at once must not hand out half a binary.
	partial=$(mktemp "$dest/.conffile.XXXXXX")
	trap 'rm -f "$partial"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	(cd "$source" && CGO_ENABLED=0 GOWORK=off go build -trimpath -ldflags '-s -w' -o "$partial" .) >&2
	chmod 755 "$partial"
	mv -f "$partial" "$binary"
	trap - EXIT INT TERM
fi

# direct stays for other providers, without this host: it does not exist, so asking it for a
# version that the mirror lacks would only hide the real message.
partial=$(mktemp "$dest/.cli.XXXXXX")
cat >"$partial" <<RC
provider_installation {
  filesystem_mirror {
    path    = "$dest"
    include = ["penumbra.example/*/*"]
  }
  direct {
    exclude = ["penumbra.example/*/*"]
  }
}
RC
chmod 644 "$partial"
mv -f "$partial" "$dest/cli.tfrc"
echo "$dest/cli.tfrc"
