#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# SIGTERM and SIGINT end the server with exit 0 within 5 s, and reset its connections.
. "$(dirname "$0")/_init.sh"

# Holds a connection open, and prints how it ended.
client='
import socket
s = socket.create_connection(("198.18.211.2", 11211), timeout=30)
s.sendall(b"set a 0 0 1\r\nx\r\n")
print(s.recv(100).decode().strip(), flush=True)
try:
    print("closed" if s.recv(1) == b"" else "data")
except ConnectionResetError:
    print("reset")
'

for signal in TERM INT; do
	server_start -t 2
	ip netns exec "$netns" python3 -c "$client" >"$folder/client" 8>&- &
	client_pid=$!
	for _ in $(seq 100); do
		! grep -q STORED "$folder/client" || break
		sleep 0.1
	done
	server_end "$signal"
	wait "$client_pid"
	expect "$(tail -n 1 "$folder/client")" reset
	grep -q 'mbufs missing 0' "$folder/stderr" || fail "SIG$signal: packets were not given back"
	ip -n "$netns" -o link show type tun 2>/dev/null | grep -q . && fail "the TAP is still there"
done

# The way is free for the next one.
server_start
expect "$(ask 'mn\r\n')" MN
server_end TERM
echo "$name: passed"
