# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the smoke tests: starts scripts/run in a namespace of this test's own, asks it things,
# and cleans up whatever happens.

set -eu -o pipefail
set -m # a job is a process group of its own, and SIGINT is not ignored in it

cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "run as root" >&2; exit 1; }

name=$(basename "$0" .sh)
netns=lcsmoke-$name-$$
folder=$(mktemp -d)
server_pid=
ip=198.18.211.2
port=11211

fail() {
	echo "$name: FAILED: $*" >&2
	[ ! -s "$folder/stderr" ] || tail -n 30 "$folder/stderr" >&2
	exit 1
}

cleanup() {
	if [ -n "$server_pid" ]; then
		kill -s KILL -- "-$server_pid" 2>/dev/null || true
		wait "$server_pid" 2>/dev/null || true
	fi
	ip netns del "$netns" 2>/dev/null || true
	rm -rf "$folder"
}
trap cleanup EXIT

# The TAP's name is the driver file's, so tests that use scripts/run take turns.
exec 8>/run/lock/lcached-smoke.lock
flock 8

# server_start [lcached options]: returns when the ready line has come.
server_start() {
	: >"$folder/stdout"
	scripts/run --netns "$netns" -- "$@" >"$folder/stdout" 2>"$folder/stderr" 8>&- &
	server_pid=$!
	local i
	for i in $(seq 6000); do # the first run installs and builds
		! grep -q '^lcached ready ' "$folder/stdout" || return 0
		kill -0 "$server_pid" 2>/dev/null || fail "scripts/run ended before it was ready"
		sleep 0.1
	done
	fail "no ready line in ten minutes"
}

# server_end SIGNAL: INT like Ctrl-C (the whole job), TERM like an init system (its process).
server_end() {
	local to=$server_pid code=0 start end
	[ "$1" != INT ] || to=-$server_pid
	start=$(date +%s%N)
	kill -s "$1" -- "$to"
	wait "$server_pid" || code=$?
	end=$(date +%s%N)
	server_pid=
	[ "$code" = 0 ] || fail "SIG$1: exit code $code"
	[ $((end - start)) -lt 5000000000 ] || fail "SIG$1: took $(((end - start) / 1000000)) ms"
}

# ask REQUEST: sends printf's reading of it and half-closes, prints the answer without \r.
ask() {
	# shellcheck disable=SC2059
	printf "$1" | ip netns exec "$netns" nc -N -w30 "$ip" "$port" | tr -d '\r'
}

# ask_udp TRIES REQUEST [OPTION...]: as ask, in one datagram, again where no answer has come within a
# second; with options of nc.
ask_udp() {
	local tries=$1 request=$2 answer=
	shift 2
	while [ -z "$answer" ] && [ "$tries" -gt 0 ]; do
		# shellcheck disable=SC2059
		answer=$(printf '\0\7\0\0\0\1\0\0'"$request" |
			ip netns exec "$netns" nc -u -w1 "$@" "$ip" "$port" | tail -c +9 | tr -d '\r')
		tries=$((tries - 1))
	done
	printf '%s\n' "$answer"
}

expect() {
	[ "$1" = "$2" ] || fail "expected '$2', got '$1'"
}
