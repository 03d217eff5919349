#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# `meson install` puts the parts in their usual places, below DESTDIR, and the installed program finds
# its driver files there when there is no source tree. LCACHED names another build's program.
. "$(dirname "$0")/_init.sh"

build=$(cd "$(dirname "${LCACHED:-build/app/lcached/lcached}")/../.." && pwd)
DESTDIR=$folder/dest meson install -C "$build" --no-rebuild >"$folder/stdout" 2>&1 ||
	fail "meson install: $(tail -n 3 "$folder/stdout")"
prefix=$(dirname "$(dirname "$(find "$folder/dest" -path '*/bin/lcached')")")
for file in bin/lcached bin/lcbench bin/lcctl bin/lcached-bind-nic share/lcached/drivers-config/{tap,pci}.conf \
	share/lcached/drivers-config/README.md share/doc/lcached/{README.md,LICENSE}; do
	[ -s "$prefix/$file" ] || fail "not installed: $file"
done
[ -n "$(find "$folder/dest" -path '*/etc/lcached/lcached.conf')" ] || fail "no lcached.conf"

# A wrong address is said only after the driver file was found and read. An empty file system hides the
# source tree's.
said=$(unshare -m bash -c 'mount -t tmpfs none drivers-config && cd / &&
	"$0" -d tap -l 127.0.0.1/8' "$prefix/bin/lcached" 2>&1) && fail "a loopback address was taken"
case $said in
*"address 127.0.0.1/8: not allowed"*) ;;
*) fail "the installed program says '$said'" ;;
esac
"$prefix/bin/lcached-bind-nic" status >/dev/null || fail "lcached-bind-nic"
echo "$name: passed"
