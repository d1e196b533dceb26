#!/usr/bin/env bash
# jobserver.sh runs a command beside a real Spark or Flink and Beam's job server for it:
#
#   scripts/jobserver.sh --check                    whether what is needed is here; says what is not
#   scripts/jobserver.sh spark|flink COMMAND [ARGS...]
#                                                   runs the command with JOB_RUNNER set to the engine's
#                                                   name and JOB_ENDPOINT to the job server's address, and
#                                                   returns its exit code
#
# The engine runs within the job server, Spark with two threads (local[2]). The servers of Beam's Java code
# listen on every address, so all of this runs in a network namespace of its own that has nothing but
# loopback: the command reaches no network either.
#
# The jars come from Maven by tools/jobserver/ENGINE/pom.xml once, and are kept below
# ${XDG_CACHE_HOME:-$HOME/.cache}/penumbra; delete those folders to have them fetched again.
set -euo pipefail

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
say() { echo "jobserver.sh: $*" >&2; }
usage() {
	say "usage: jobserver.sh --check | spark|flink COMMAND [ARGS...]"
	exit 2
}

# folder ENGINE is where its jars are.
folder() {
	local sum
	sum=$(cksum <"$here/tools/jobserver/$1/pom.xml" | cut -d ' ' -f 1)
	echo "${XDG_CACHE_HOME:-$HOME/.cache}/penumbra/$1/$sum"
}

missing() {
	command -v java >/dev/null || { echo "Java, of version 11 or 17"; return; }
	command -v ip >/dev/null || { echo "ip, of iproute2"; return; }
	unshare -rn true 2>/dev/null || { echo "the right to make a network namespace (unshare -rn)"; return; }
	{ [ -e "$(folder spark)/.whole" ] && [ -e "$(folder flink)/.whole" ]; } || command -v mvn >/dev/null || echo "Maven"
}

lacks=$(missing)
if [ -n "$lacks" ]; then
	say "this needs $lacks"
	exit 3
fi
inside=
case ${1-} in
--check) exit 0 ;;
--inside) inside=yes && shift ;;
esac
engine=${1-}
case $engine in
spark | flink) shift ;;
*) usage ;;
esac
[ $# -gt 0 ] || usage
jars=$(folder "$engine")
if [ -z "$inside" ]; then
	if [ ! -e "$jars/.whole" ]; then
		say "fetching $engine and Beam's job server for it, 150 to 300 MB, once"
		mkdir -p "$jars"
		mvn -q -B -f "$here/tools/jobserver/$engine/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars" >&2
		touch "$jars/.whole"
	fi
	exec unshare -rn "$0" --inside "$engine" "$@"
fi

ip link set lo up
work=$(mktemp -d)
port=8099
opens=()
for package in java.lang java.lang.invoke java.lang.reflect java.io java.net java.nio java.text java.time java.util \
	java.util.concurrent java.util.concurrent.atomic sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar; do
	opens+=("--add-opens=java.base/$package=ALL-UNNAMED")
done
case $engine in
spark)
	driver=(-Dspark.driver.bindAddress=127.0.0.1 -Dspark.driver.host=127.0.0.1 -Dspark.ui.enabled=false
		-Dspark.local.dir="$work" -cp "$jars/*" org.apache.beam.runners.spark.SparkJobServerDriver --spark-master-url='local[2]')
	;;
flink)
	driver=(-cp "$jars/*" org.apache.beam.runners.flink.FlinkJobServerDriver --flink-master='[local]')
	;;
esac
SPARK_LOCAL_IP=127.0.0.1 java "${opens[@]}" -Xmx1500m -Djava.io.tmpdir="$work" "${driver[@]}" \
	--job-host=127.0.0.1 --job-port=$port --artifact-port=8098 --expansion-port=8097 \
	--artifacts-dir="$work/artifacts" >"$work/log" 2>&1 &
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
JOB_RUNNER=$engine JOB_ENDPOINT=127.0.0.1:$port "$@" || code=$?
if [ "$code" != 0 ]; then
	say "the end of what $engine said:"
	grep -E 'WARN|ERROR|Exception' "$work/log" | tail -n 20 >&2 || true
fi
exit "$code"
