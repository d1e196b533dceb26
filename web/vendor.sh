#!/bin/sh
# Fetches the vendored assets again, each from the one npm package that the sum
# beside it is of. Run it in this folder; it needs npm. After a change of
# version, change assets/NOTICE too and run the tests with REQUIRE_TOOLS=1, which
# look at every page in a real browser.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# fetch PACKAGE VERSION SHA256
fetch() {
	(
		cd "$work" && npm pack --silent "$1@$2" >/dev/null
		echo "$3  $1-$2.tgz" | sha256sum --check --quiet
		mkdir "$1" && tar -xzf "$1-$2.tgz" -C "$1" --strip-components=1
	)
	grep -q "^$1 $2," assets/NOTICE || { echo "assets/NOTICE names another version of $1" >&2; exit 1; }
}

fetch uplot 1.6.32 4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d
cp "$work/uplot/dist/uPlot.iife.min.js" "$work/uplot/dist/uPlot.min.css" assets/
cp "$work/uplot/LICENSE" assets/uPlot.LICENSE

fetch htmx.org 2.0.11 165a2655073e9e6e55e307a7c74e8ebcdb76afb7701f9c16cfd106a13add408e
cp "$work/htmx.org/dist/htmx.min.js" assets/
cp "$work/htmx.org/LICENSE" assets/htmx.LICENSE

(cd assets && sha256sum --check --quiet SUMS)
