#!/bin/sh
# Fetches the vendored assets again. Run it in this folder; it needs npm.
# After a change of version, change assets/NOTICE too and run the tests with
# REQUIRE_TOOLS=1, which draws the plot in a real browser.
set -eu
version=1.6.32
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "uplot@$version" && tar -xzf "uplot-$version.tgz")
cp "$work/package/dist/uPlot.iife.min.js" "$work/package/dist/uPlot.min.css" assets/
cp "$work/package/LICENSE" assets/uPlot.LICENSE
grep -q "uPlot $version," assets/NOTICE || { echo "assets/NOTICE names another version" >&2; exit 1; }
