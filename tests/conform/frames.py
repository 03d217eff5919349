# SPDX-License-Identifier: BSD-3-Clause
"""Ethernet frames built by hand, for what the kernel would never send: wrong checksums, odd
lengths, garbage. Packets leave through an AF_PACKET socket in the client's namespace."""

import re
import select
import socket
import struct
import time

from netlab import CLIENT_IP, PORT, SERVER_IP

ETH_IPV4 = 0x0800
FIN, SYN, RST, ACK = 1, 2, 4, 16


def checksum(data):
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(protocol, payload, wrong_checksum=False, src=CLIENT_IP, dst=SERVER_IP, **fields):
    """fields: version_ihl, total_length, ttl, fragment; what is not given is right."""

    def header(check):
        return struct.pack(
            "!BBHHHBBH4s4s",
            fields.get("version_ihl", 0x45),
            0,
            fields.get("total_length", 20 + len(payload)),
            4321,
            fields.get("fragment", 0),
            fields.get("ttl", 64),
            protocol,
            check,
            socket.inet_aton(src),
            socket.inet_aton(dst),
        )

    check = checksum(header(0))
    return header(check ^ 0x5555 if wrong_checksum else check) + payload


def _pseudo(protocol, length):
    ends = socket.inet_aton(CLIENT_IP) + socket.inet_aton(SERVER_IP)
    return ends + struct.pack("!BBH", 0, protocol, length)


def udp(source_port, payload, wrong_checksum=False, no_checksum=False, length=None):
    length = 8 + len(payload) if length is None else length

    def header(check):
        return struct.pack("!HHHH", source_port, PORT, length, check)

    check = checksum(_pseudo(17, 8 + len(payload)) + header(0) + payload) or 0xFFFF
    if no_checksum:
        check = 0
    if wrong_checksum:
        check = check ^ 0x5555 or 0xAAAA  # 0 would say that there is none
    return header(check) + payload


def tcp(source_port, flags, seq=1000, ack=0, payload=b"", wrong_checksum=False, offset=5):
    def header(check):
        offset_flags = offset << 12 | flags
        return struct.pack("!HHIIHHHH", source_port, PORT, seq, ack, offset_flags, 8192, check, 0)

    check = checksum(_pseudo(6, 20 + len(payload)) + header(0) + payload)
    return header(check ^ 0x5555 if wrong_checksum else check) + payload


class Wire:
    """The client's end of the link."""

    def __init__(self, lab):
        self.iface = lab.client_iface()
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_IPV4))
        self.sock.bind((self.iface, ETH_IPV4))
        neighbour = lab.client.ip("neigh", "show", "to", SERVER_IP)
        self.server_mac = re.search(r"lladdr (\S+)", neighbour).group(1)
        link = lab.client.ip("link", "show", self.iface)
        self.own_mac = re.search(r"link/ether (\S+)", link).group(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def ethernet(self, payload, kind=ETH_IPV4, mac=None):
        macs = bytes.fromhex(((mac or self.server_mac) + self.own_mac).replace(":", ""))
        return macs + struct.pack("!H", kind) + payload

    def send(self, packet, kind=ETH_IPV4, mac=None):
        self.sock.send(self.ethernet(packet, kind, mac))

    def tcp_answer(self, port, seconds):
        """Flags of the first TCP segment that the server sends to port, or None."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.sock], [], [], left)[0]:
                return None
            packet = self.sock.recv(65536)[14:]
            header_len = (packet[0] & 15) * 4
            if packet[9] != 6 or packet[12:16] != socket.inet_aton(SERVER_IP):
                continue
            source, to = struct.unpack("!HH", packet[header_len : header_len + 4])
            if (source, to) == (PORT, port):
                return packet[header_len + 13]
        return None
