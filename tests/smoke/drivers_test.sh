#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# lcached serves on every device that drivers-config/ has a file for, but for a real NIC: TAP and
# packet sockets against the kernel's client, shared memory against lcbench's own stack; each with
# hugepages and without. What this machine has not is skipped. LCACHED and LCBENCH name other builds.
. "$(dirname "$0")/_init.sh"

lcached=${LCACHED:-build/app/lcached/lcached}
lcbench=${LCBENCH:-build/app/lcbench/lcbench}
[ -x "$lcached" ] && [ -x "$lcbench" ] || fail "not built"
huge_mb=400 # free, for the case with hugepages: both ends of shared memory need some
number=0
case= # under way: named when it fails
ip netns add "$netns"

# The af_xdp driver keeps libxdp's handle of the packet memory, 80 bytes, beyond its close.
echo "leak:xsk_umem__create" >"$folder/suppressions"
export LSAN_OPTIONS="${LSAN_OPTIONS:+$LSAN_OPTIONS:}suppressions=$folder/suppressions:print_suppressions=0"

cleanup_drivers() {
	[ -z "$case" ] || echo "not ok $number - $case"
	cleanup
}
trap cleanup_drivers EXIT

# ---- what there is -----------------------------------------------------------------------------

free_huge_mb() {
	local pages mb=0 file
	for file in /sys/devices/system/node/node*/hugepages/hugepages-2048kB/free_hugepages; do
		[ ! -r "$file" ] || { read -r pages <"$file" && mb=$((mb + pages * 2)); }
	done
	echo "$mb"
}

# lacks_DRIVER: prints what is missing for it, if anything.
lacks_tap() {
	{ : <>/dev/net/tun; } 2>/dev/null || echo "no /dev/net/tun"
}

lacks_veth() {
	command -v ethtool >/dev/null || { echo "no ethtool" && return; }
	ip -n "$netns" link add lctry0 type veth peer name lctry1 2>/dev/null ||
		{ echo "the kernel has no veth" && return; }
	ip -n "$netns" link del lctry0
}

has_sockets() { # FAMILY
	/usr/bin/python3 -c "import socket; socket.socket($1, socket.SOCK_RAW)" 2>/dev/null
}

lacks_af_packet() {
	has_sockets 17 || { echo "the kernel has no packet sockets" && return; }
	lacks_veth
}

lacks_af_xdp() {
	has_sockets 44 || { echo "the kernel has no AF_XDP sockets" && return; }
	lacks_veth
}

lacks_memif() { :; }
lacks_virtio_user() { :; }

# ---- the server --------------------------------------------------------------------------------

# configure DRIVER SED-EXPRESSION: this test's copy of a driver's file, with names of its own.
configure() {
	sed "$2" "drivers-config/$1.conf" >"$folder/$1.conf"
}

# serve DRIVER [options]: in the namespace; does not wait for the ready line.
serve() {
	: >"$folder/stdout"
	ip netns exec "$netns" "$lcached" -d "$folder/$1.conf" -m 64 -c 64 -U 11211 \
		--udp-allow 198.18.0.0/15 "${@:2}" \
		>"$folder/stdout" 2>"$folder/stderr" 8>&- &
	server_pid=$!
}

ready() {
	local i
	for i in $(seq 300); do
		! grep -q '^lcached ready ' "$folder/stdout" || return 0
		kill -0 "$server_pid" 2>/dev/null || fail "$case: ended before it was ready"
		sleep 0.1
	done
	fail "$case: no ready line in 30 s"
}

# A value of 3,000 bytes comes back over TCP in more than one segment.
answers() {
	local value
	value=$(head -c 3000 /dev/zero | tr '\0' v)
	expect "$(ask "set k 0 0 3000\r\n$value\r\nget k\r\n")" "STORED
VALUE k 0 3000
$value
END"
	expect "$(ask_udp 10 'mn\r\n')" "MN"
}

# The server ends, has given everything back, and ran on the memory that the case is about.
ends() {
	server_end TERM
	grep -q 'mbufs missing 0' "$folder/stderr" || fail "$case: packets were not given back"
	case $case in
	*", without hugepages") grep -q 'memory: .*ordinary pages' "$folder/stderr" ;;
	*) grep -q 'memory: hugepages' "$folder/stderr" ;;
	esac || fail "$case: $(grep 'memory:' "$folder/stderr")"
}

# gets DRIVER PROTO: lcbench at the other end stores its keys and reads them back.
gets() {
	timeout 60 "$lcbench" --driver "$folder/$1.conf" --proto "$2" --keys 1000 --seconds 1 \
		--json "$folder/json" >"$folder/bench" 2>&1 || {
		cat "$folder/bench" >&2
		fail "$case: lcbench over $2"
	}
}

# ---- one function a driver: its options are the server's ---------------------------------------

on_tap() {
	configure tap "s/lcached0/lcsmoke0/"
	serve tap "$@"
	ready
	ip -n "$netns" link set lcsmoke0 up
	ip -n "$netns" addr add 198.18.211.1/24 dev lcsmoke0
	answers
	ends
}

# The other end of the pair is the client's: its kernel has to finish checksums and segments itself,
# as there is no hardware behind it that would.
on_veth() {
	configure "$1" "s/lcached1/lcsmoke1/"
	ip -n "$netns" link add lcsmoke1 type veth peer name lcsmoke2
	ip -n "$netns" link set lcsmoke1 up
	ip -n "$netns" link set lcsmoke2 up
	ip -n "$netns" addr add 198.18.211.1/24 dev lcsmoke2
	ip netns exec "$netns" ethtool -K lcsmoke2 tx off tso off gso off >/dev/null
	serve "$@"
	ready
	answers
	ends
	ip -n "$netns" link del lcsmoke1
}

on_af_packet() { on_veth af_packet "$@"; }
on_af_xdp() { on_veth af_xdp "$@"; }

on_memif() {
	configure memif "s#/run/#$folder/#"
	sed 's/role=server/role=client/' "$folder/memif.conf" >"$folder/memif-client.conf"
	serve memif "$@"
	ready
	gets memif-client tcp
	gets memif-client udp
	ends
}

# With vhost-user at the other end. EAL's start waits for the peer; a second peer is served like the
# first.
on_virtio_user() {
	configure virtio-user "s#/run/#$folder/#"
	configure vhost-user "s#/run/#$folder/#"
	rm -f "$folder/lcached-vhost.sock"
	serve virtio-user "$@"
	waits
	! grep -q '^lcached ready ' "$folder/stdout" || fail "$case: ready without a peer"
	server_end TERM
	[ -S "$folder/lcached-vhost.sock" ] || fail "$case: SIGTERM took its socket"
	serve virtio-user "$@"
	waits
	grep -q 'stale socket' "$folder/stderr" || fail "$case: the stale socket was not seen"
	gets vhost-user tcp
	gets vhost-user udp
	ready
	ends
}

# The virtio-user server listens on its socket.
waits() {
	local i
	for i in $(seq 100); do
		! ip netns exec "$netns" grep -q "00010000 .*$folder/lcached-vhost.sock" \
			/proc/net/unix || return 0
		sleep 0.1
	done
	fail "$case: not waiting on its socket after 10 s"
}

# ---- the cases ---------------------------------------------------------------------------------

# try DRIVER [options]: twice, on either kind of memory.
try() {
	local driver=$1 reason memory
	for memory in "with hugepages" "without hugepages"; do
		number=$((number + 1))
		reason=$("lacks_$driver")
		if [ -z "$reason" ] && [ "$memory" = "with hugepages" ] && [ "$(free_huge_mb)" -lt $huge_mb ]; then
			reason="not $huge_mb MB of free hugepages"
		fi
		if [ -n "$reason" ]; then
			echo "ok $number - $*, $memory # SKIP $reason"
			continue
		fi
		case="$*, $memory"
		if [ "$memory" = "with hugepages" ]; then
			"on_$driver" "${@:2}"
		else
			"on_$driver" "${@:2}" -- --no-huge
		fi
		echo "ok $number - $case"
		case=
	done
}

try tap
try tap -t 3
try af_packet
try af_packet -t 2
try af_xdp
try memif
try virtio_user
echo "1..$number"
