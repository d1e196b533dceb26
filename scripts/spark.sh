#!/usr/bin/env bash
# spark.sh runs a command beside a real Spark and Beam's job server for it:
#
#   scripts/spark.sh --check             whether what is needed is here; says what is not
#   scripts/spark.sh COMMAND [ARGS...]   runs the command with SPARK_ENDPOINT set to the job server's
#                                        address, and returns its exit code
#
# Spark runs within the job server, with two threads (local[2]). The servers of Beam's Java code listen
# on every address, so all of this runs in a network namespace of its own that has nothing but loopback:
# the command reaches no network either.
#
# The jars come from Maven by tools/spark/pom.xml once, and are kept below
# ${XDG_CACHE_HOME:-$HOME/.cache}/penumbra/spark; delete that folder to have them fetched again.
set -euo pipefail

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
say() { echo "spark.sh: $*" >&2; }

missing() {
	command -v java >/dev/null || { echo "Java, of version 11 or 17"; return; }
	command -v ip >/dev/null || { echo "ip, of iproute2"; return; }
	unshare -rn true 2>/dev/null || { echo "the right to make a network namespace (unshare -rn)"; return; }
	[ -e "$jars/.whole" ] || command -v mvn >/dev/null || echo "Maven"
}

sum=$(cksum <"$here/tools/spark/pom.xml" | cut -d ' ' -f 1)
jars=${SPARK_JARS:-${XDG_CACHE_HOME:-$HOME/.cache}/penumbra/spark/$sum}

lacks=$(missing)
if [ -n "$lacks" ]; then
	say "this needs $lacks"
	exit 3
fi
case ${1-} in
--check) exit 0 ;;
'')
	say "usage: spark.sh --check | COMMAND [ARGS...]"
	exit 2
	;;
--inside) ;;
*)
	if [ ! -e "$jars/.whole" ]; then
		say "fetching Spark and Beam's job server, 300 MB, once"
		mkdir -p "$jars"
		mvn -q -B -f "$here/tools/spark/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars" >&2
		touch "$jars/.whole"
	fi
	exec unshare -rn "$0" --inside "$@"
	;;
esac
shift

ip link set lo up
work=$(mktemp -d)
port=8099
opens=()
for package in java.lang java.lang.invoke java.lang.reflect java.io java.net java.nio java.util \
	java.util.concurrent java.util.concurrent.atomic sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar; do
	opens+=("--add-opens=java.base/$package=ALL-UNNAMED")
done
SPARK_LOCAL_IP=127.0.0.1 java "${opens[@]}" -Xmx1500m -Djava.io.tmpdir="$work" \
	-Dspark.driver.bindAddress=127.0.0.1 -Dspark.driver.host=127.0.0.1 -Dspark.ui.enabled=false \
	-Dspark.local.dir="$work" -cp "$jars/*" org.apache.beam.runners.spark.SparkJobServerDriver \
	--job-host=127.0.0.1 --job-port=$port --artifact-port=8098 --expansion-port=8097 \
	--artifacts-dir="$work/artifacts" --spark-master-url='local[2]' >"$work/log" 2>&1 &
server=$!
finish() {
	kill "$server" 2>/dev/null || true
	wait "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for ((i = 0; ; i++)); do
	if (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null; then
		break
	fi
	if [ "$i" = 240 ] || ! kill -0 "$server" 2>/dev/null; then
		say "the job server did not start:"
		tail -n 20 "$work/log" >&2
		exit 1
	fi
	sleep 0.5
done
code=0
SPARK_ENDPOINT=127.0.0.1:$port "$@" || code=$?
if [ "$code" != 0 ]; then
	say "the end of what Spark said:"
	grep -E 'WARN|ERROR|Exception' "$work/log" | tail -n 20 >&2 || true
fi
exit "$code"
