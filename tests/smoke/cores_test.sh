#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# More workers than the machine has cores: they share, everything is served, and an idle server
# leaves the cores to others.
. "$(dirname "$0")/_init.sh"

workers=$(($(nproc) + 2))
server_start -t "$workers"
grep -q "workers $workers " "$folder/stdout" || fail "not $workers workers"

request=
expected=
for i in $(seq 100); do
	request+="set key$i 0 0 1\r\nx\r\nget key$i\r\n"
	expected+="STORED
VALUE key$i 0 1
x
END
"
done
expect "$(ask "$request")" "${expected%?}"

# Clock ticks (10 ms each) of all processes of the job over two idle seconds.
ticks() {
	local stat sum=0
	for stat in $(pgrep -g "$server_pid" | sed 's|.*|/proc/&/stat|'); do
		set -- $(sed 's/.*) //' "$stat")
		sum=$((sum + ${12} + ${13}))
	done
	echo "$sum"
}
sleep 1
before=$(ticks)
sleep 2
used=$(($(ticks) - before))
echo "$name: $((used / 2)) % of a core when idle with $workers workers"
[ "$used" -lt 200 ] || fail "idle, it used $used ticks of 10 ms in two seconds"

server_end TERM
echo "$name: passed"
