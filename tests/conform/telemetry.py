# SPDX-License-Identifier: BSD-3-Clause
"""A client of DPDK's telemetry socket (version 2: one JSON text a packet)."""

import json
import pathlib
import re
import socket


def socket_paths(pid):
    """The telemetry sockets that a process listens on; a second process has `:1` at the end."""
    inodes = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(fd.readlink())
        except FileNotFoundError:
            continue
        if match := re.fullmatch(r"socket:\[(\d+)\]", target):
            inodes.add(match[1])
    paths = []
    for line in pathlib.Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[6] in inodes and "dpdk_telemetry.v2" in words[7]:
            paths.append(words[7].lstrip("@"))
    return sorted(set(paths))


class Telemetry:
    def __init__(self, pid, timeout=10):
        paths = socket_paths(pid)
        assert paths, f"process {pid} listens on no telemetry socket"
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect(paths[0])  # waits for room in DPDK's queue of one; EAGAIN with a timeout
        self.sock.settimeout(timeout)
        self.hello = json.loads(self.sock.recv(1024))
        assert self.hello["pid"] == pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def ask(self, command):
        """The reply to a command, without its outer object."""
        self.sock.send(command.encode())
        reply = json.loads(self.sock.recv(self.hello["max_output_len"] + 1024))
        name = command.partition(",")[0]
        assert list(reply) == [name], reply
        return reply[name]
