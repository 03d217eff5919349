#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# scripts/bind-nic refuses what would cut the machine off or cannot be, and says plainly what is absent
# on a machine without PCI NICs (here: with /sys/bus/pci hidden). Binds nothing, reserves nothing.
. "$(dirname "$0")/_init.sh"
ip netns add "$netns"

# refused WORDS ARGUMENTS...: fails with one line that has these words.
refused() {
	local words=$1 code=0
	shift
	"$@" >"$folder/stdout" 2>"$folder/said" || code=$?
	[ "$code" = 1 ] || fail "$*: exit code $code"
	expect "$(wc -l <"$folder/said")" 1
	grep -qF "$words" "$folder/said" || fail "$*: said '$(cat "$folder/said")'"
}

# A default route that leaves by a VLAN: its device is what must not be taken.
inside=(ip netns exec "$netns" scripts/bind-nic)
ip -n "$netns" link add lcroute0 type veth peer name lcroute1
ip -n "$netns" link set lcroute0 up
ip -n "$netns" addr add 198.18.212.1/24 dev lcroute0
refused "is not on the PCI bus" "${inside[@]}" bind lcroute0
ip -n "$netns" route add default via 198.18.212.2 table 7
refused "lcroute0 carries the default route" "${inside[@]}" bind lcroute0
refused "is not on the PCI bus" "${inside[@]}" bind lcroute1
if ip -n "$netns" link add lcbridge0 type bridge 2>/dev/null; then
	ip -n "$netns" link set lcroute1 master lcbridge0
	ip -n "$netns" link set lcroute1 up
	ip -n "$netns" link set lcbridge0 up
	ip -n "$netns" addr add 198.18.213.1/24 dev lcbridge0
	ip -n "$netns" route add default via 198.18.213.2
	refused "lcroute1 (below lcbridge0) carries the default route" "${inside[@]}" bind lcroute1
fi

refused "neither a PCI address nor an interface" scripts/bind-nic bind nosuch0
refused "neither a PCI address nor an interface" scripts/bind-nic unbind ffff:ff:1f.7
refused "not a size" scripts/bind-nic hugepages 12x
if [ -d /sys/devices/system/node/node0 ]; then
	refused "not a whole number of 2 MB pages" scripts/bind-nic hugepages 3M
	refused "node 99: not on this machine" scripts/bind-nic hugepages --node 99 4M
fi

scripts/bind-nic status >"$folder/stdout" || fail "status"
scripts/bind-nic preflight >"$folder/stdout" || fail "preflight"
[ "$(wc -l <"$folder/stdout")" -le 40 ] || fail "preflight: more than a screen"
unshare -m bash -c 'mount -t tmpfs none /sys/bus/pci && scripts/bind-nic status &&
	scripts/bind-nic preflight' >"$folder/stdout" || fail "without a PCI bus"
grep -q "no network device on the PCI bus" "$folder/stdout" || fail "status without a PCI bus"
grep -q "NIC .*none on the PCI bus" "$folder/stdout" || fail "preflight without a PCI bus"
echo "$name: passed"
