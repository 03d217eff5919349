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

# Clock ticks (10 ms each) of all processes of the job: fields 14 and 15 of stat, 5 is the group.
ticks() {
	cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' |
		awk -v group="$server_pid" '$3 == group { sum += $12 + $13 } END { print sum + 0 }'
}
sleep 1
before=$(ticks)
sleep 2
used=$(($(ticks) - before))
echo "$name: $((used / 2)) % of a core when idle with $workers workers"
[ "$used" -lt 200 ] || fail "idle, it used $used ticks of 10 ms in two seconds"

server_end TERM
echo "$name: passed"
