#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# scripts/run ends serving, and the README's one line answers, over TCP and over UDP.
. "$(dirname "$0")/_init.sh"

server_start

line=$(grep '^lcached ready ' "$folder/stdout")
expect "$line" "lcached ready tcp $ip:$port udp $ip:$port workers 1 driver tap"
expect "$(wc -l <"$folder/stdout")" 1

# What the README's first screen says.
one_liner='set a 0 0 1\r\nx\r\nget a\r\n'
grep -qF "$one_liner" README.md || fail "the README does not show $one_liner"
expect "$(ask "$one_liner")" "STORED
VALUE a 0 1
x
END"

expect "$(ask_udp 10 'get a\r\n' -s 198.18.211.1)" "VALUE a 0 1
x
END"
# Others on the link get no more than they sent.
ip -n "$netns" address add 198.18.211.9/24 dev lcached0
expect "$(ask_udp 1 'get a\r\n' -s 198.18.211.9)" ""

ip netns exec "$netns" ping -q -c 2 -i 0.2 -W 2 "$ip" >/dev/null || fail "no answer to ping"

server_end TERM
grep -q 'mbufs missing 0' "$folder/stderr" || fail "packets were not given back"
echo "$name: passed"
