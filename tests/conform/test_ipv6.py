# SPDX-License-Identifier: BSD-3-Clause
"""Dual stack: both families on every port, neighbours, fragments, narrow paths, malformed packets."""

import re
import socket
import struct
import subprocess
import tempfile

import pytest

import frames
from netlab import PORT, SERVER_IP, Lab, Namespace, die_with_parent
from server import KIND, LCACHED, Server, driver_config
from telemetry import Telemetry
from wire import Tcp, Udp, eventually, noise, value_reply

pytestmark = pytest.mark.lcached_only("its addresses are the kernel's")

SERVER6 = "fd00:c612:d3::2"
CLIENT6 = "fd00:c612:d3::1"
DUAL = ["-l", f"{SERVER_IP}/24", "-l", f"{SERVER6}/64"]
ETH_IPV6 = 0x86DD


def counters(running, section="net"):
    with Telemetry(running.process.pid) as telemetry:
        return telemetry.ask(f"/lcached/info,{section}")


def client_address_add(lab):
    lab.client.ip("addr", "add", f"{CLIENT6}/64", "dev", lab.client_iface(), "nodad")


@pytest.fixture(scope="module", params=(1, 3), ids=lambda n: f"t{n}")
def dual(request):
    """A server with an address of each family."""
    lab = Lab(KIND)
    running = Server(lab, workers=request.param, options=DUAL)
    try:
        running.start()
        client_address_add(lab)
        with lab.client.inside():
            yield running
        running.stop()
    finally:
        running.kill()
        lab.delete()


def test_the_ready_line_names_both(dual):
    assert dual.ready_line.startswith(
        f"lcached ready tcp {SERVER_IP}:{PORT} udp {SERVER_IP}:{PORT} "
        f"tcp [{SERVER6}]:{PORT} udp [{SERVER6}]:{PORT} workers "
    )


@pytest.mark.parametrize("size", (1, 1000, 100_000, 1_000_000))
def test_values_over_tcp(dual, size):
    value = noise(size)
    with Tcp(address=SERVER6) as six, Tcp() as four:
        assert six.set(b"k", value) == b"STORED\r\n"
        assert four.get(b"k") == value
        assert six.get(b"k") == value


def test_many_connections_of_both_families(dual):
    conns = [Tcp(address=SERVER6 if i % 2 else SERVER_IP) for i in range(200)]
    for i, conn in enumerate(conns):
        conn.send(b"set c%d 0 0 3\r\nabc\r\n" % i)
    assert all(conn.line() == b"STORED\r\n" for conn in conns)
    shown = "".join(f"{k} {v}\n" for k, v in conns[1].stats(b"conns").items())
    assert f"tcp6:[{CLIENT6}]:" in shown and f"tcp:{SERVER_IP}:{PORT}" in shown
    for conn in conns:
        conn.close()


@pytest.mark.parametrize("size", (3, 1392, 20_000))
def test_udp(dual, size):
    value = noise(size)
    with Tcp() as conn:
        assert conn.set(b"u", value) == b"STORED\r\n"
    with Udp(address=SERVER6) as sock:
        assert sock.ask(b"mn\r\n") == b"MN\r\n"
        sock.send(b"get u\r\n", request_id=7)
        assert sock.reply(7) == value_reply(b"u", value)


def test_a_large_datagram_comes_in_fragments(dual):
    value = noise(8000)
    with Udp(address=SERVER6) as sock, Tcp() as conn:
        assert sock.ask(b"set f 0 0 8000\r\n" + value + b"\r\n") == b"STORED\r\n"
        assert conn.get(b"f") == value


@pytest.mark.parametrize("size", (8, 1400, 4000, 10_000))
def test_ping(dual, size):
    # one at a time: of several, ping waits for the last as long as the others took
    options = ("-6", "-c", "1", "-W", "5", "-s", str(size))
    for _ in range(2):
        assert " 1 received" in dual.lab.client.exec("ping", *options, SERVER6)


def test_a_forgotten_neighbour_is_found_again(dual):
    dual.lab.client.ip("neigh", "flush", "dev", dual.lab.client_iface())
    with Udp(address=SERVER6, timeout=10) as sock:
        assert sock.ask(b"mn\r\n") == b"MN\r\n"


def test_a_port_nobody_listens_on_is_unreachable(dual):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect((SERVER6, PORT + 1))
        sock.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            sock.recv(10)


# ---- malformed packets ---------------------------------------------------------------------------
def ipv6(next_header, payload, src=CLIENT6, **fields):
    """fields: vtc_flow, length; what is not given is right."""
    return (
        struct.pack(
            "!IHBB",
            fields.get("vtc_flow", 0x60000000),
            fields.get("length", len(payload)),
            next_header,
            fields.get("hops", 64),
        )
        + socket.inet_pton(socket.AF_INET6, src)
        + socket.inet_pton(socket.AF_INET6, SERVER6)
        + payload
    )


def checked(next_header, payload, at):
    """The payload with its checksum at `at`."""
    ends = socket.inet_pton(socket.AF_INET6, CLIENT6) + socket.inet_pton(socket.AF_INET6, SERVER6)
    pseudo = ends + struct.pack("!II", len(payload), next_header)
    check = struct.pack("!H", frames.checksum(pseudo + payload) or 0xFFFF)
    return payload[:at] + check + payload[at + 2 :]


REQUEST = struct.pack("!HHHH", 9, 0, 1, 0) + b"mn\r\n"


def udp6(port, payload=REQUEST):
    head = struct.pack("!HHHH", port, PORT, 8 + len(payload), 0)
    return checked(17, head + payload, 6)


class Wire6(frames.Wire):
    def send(self, packet, kind=ETH_IPV6):
        super().send(packet, kind)


@pytest.fixture
def wire(dual):
    with Udp() as sock:  # so that the server's MAC is known
        sock.ask(b"mn\r\n")
    with Wire6(dual.lab) as made:
        yield made




HOP_BY_HOP = b"\x11\0\x05\x02\0\0\1\0"


@pytest.mark.parametrize(
    "make, reason",
    (
        (lambda p: ipv6(17, udp6(p), vtc_flow=0x40000000), "net_bad_ip_header"),
        (lambda p: ipv6(17, udp6(p), length=2000), "net_bad_ip_length"),
        (lambda p: ipv6(17, udp6(p), length=0), "net_bad_ip_length"),
        (lambda p: ipv6(17, udp6(p), src="ff02::1"), "net_bad_source"),
        (lambda p: ipv6(17, udp6(p), src="::ffff:198.18.211.1"), "net_bad_source"),
        (lambda p: ipv6(17, udp6(p)[:6] + b"\0\0" + udp6(p)[8:]), "net_bad_udp_checksum"),
        (lambda p: ipv6(17, udp6(p)[:-1] + b"!"), "net_bad_udp_checksum"),
        (lambda p: ipv6(0, b"\x11\0\x05\xff\0\0\1\0" + udp6(p)), "net_bad_ext"),
        (lambda p: ipv6(0, b"\x11\xff\x05\x02\0\0\1\0" + udp6(p)), "net_bad_ext"),
        (lambda p: ipv6(60, b"\x3c\0\1\4\0\0\0\0" * 20 + udp6(p)), "net_bad_ext"),
        (lambda p: ipv6(44, b"\x11\0\0\1\0\0\0\7" + udp6(p)[:13]), "net_frag_dropped"),
        (lambda p: ipv6(58, checked(58, b"\x87\0\0\0" + bytes(20), 2)), "net_bad_nd"),
        (lambda p: ipv6(58, b"\x80\0\0\0\0\0\0\0"), "net_bad_icmp"),
        (lambda p: ipv6(58, checked(58, b"\2\0\0\0\0\0\5\0" + bytes(48), 2)), "net_too_big_ignored"),
        (lambda p: ipv6(99, b"0123456789"), "net_unknown_proto"),
    ),
)
def test_what_is_malformed_is_counted_by_reason(dual, wire, make, reason):
    with Udp(address=SERVER6) as sock:
        port = sock.sock.getsockname()[1]
        before = counters(dual)[reason]
        wire.send(make(port))
        assert eventually(lambda: counters(dual)[reason] == before + 1, 30), reason
        assert sock.ask(b"mn\r\n", 3) == b"MN\r\n"


def test_extension_headers_are_passed_over(dual, wire):
    with Udp(address=SERVER6) as sock:
        wire.send(ipv6(0, HOP_BY_HOP + udp6(sock.sock.getsockname()[1])))
        assert sock.reply(9) == b"MN\r\n"


def test_noise_behind_each_header(dual, wire):
    for seed in range(600):
        body = noise(seed % 200, seed)
        if seed % 4 == 0:
            wire.send(body)
        else:
            wire.send(ipv6((0, 6, 17, 43, 44, 58, 60)[seed % 7], body))
    with Tcp(address=SERVER6) as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"


# ---- narrow paths --------------------------------------------------------------------------------
class NarrowPath:
    """far == veth (the router's route to it takes 1,300 bytes) == router == TAP == lcached"""

    def __init__(self, lab, tag):
        self.far = Namespace("far")
        router = lab.client
        a, b = f"f{tag}a"[:15], f"f{tag}b"[:15]
        self.far.ip("link", "add", a, "type", "veth", "peer", "name", b, "netns", router.name)
        self.far.ip("link", "set", a, "up")
        router.ip("link", "set", b, "up")
        for space, iface, last in ((self.far, a, 9), (router, b, 1)):
            space.plain_segments(iface)
            space.ip("addr", "add", f"192.0.2.{last}/24", "dev", iface)
            space.ip("addr", "add", f"2001:db8::{last}/64", "dev", iface, "nodad")
        for there in ("192.0.2.9/32", "2001:db8::9/128"):
            router.ip("route", "add", there, "dev", b, "mtu", "lock", "1300")
        self.far.ip("route", "add", "default", "via", "192.0.2.1")
        self.far.ip("route", "add", "default", "via", "2001:db8::1")
        router.exec("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")


@pytest.fixture(params=(1, 3), ids=lambda n: f"t{n}")
def narrow(request):
    lab = Lab(KIND)
    gateways = ["--gateway", "198.18.211.1", "--gateway", CLIENT6]
    running = Server(lab, workers=request.param, options=DUAL + gateways)
    path = None
    try:
        running.start()
        client_address_add(lab)
        path = NarrowPath(lab, lab.tag)
        with path.far.inside():
            yield running
        running.stop()
    finally:
        running.kill()
        if path:
            path.far.delete()
        lab.delete()


@pytest.mark.parametrize("address", (SERVER_IP, SERVER6))
def test_segments_follow_a_narrow_path(narrow, address):
    value = noise(300_000)
    with Tcp(address=address) as conn:
        assert conn.set(b"k", value) == b"STORED\r\n"
        for _ in range(3):
            assert conn.get(b"k") == value
    assert counters(narrow, "tcp")["tcp_too_big"] >= 1
    with Tcp(address=address) as conn:  # the next connection knows already
        assert conn.get(b"k") == value


def test_datagrams_follow_a_narrow_path(narrow):
    value = noise(1300)
    with Tcp() as conn:
        assert conn.set(b"d", value) == b"STORED\r\n"
    with Udp(address=SERVER6, timeout=2) as sock:

        def answered():
            sock.send(b"get d\r\n", request_id=5)
            try:
                return sock.reply(5) == value_reply(b"d", value)
            except (TimeoutError, socket.timeout):
                return False

        assert eventually(answered, 20)


# ---- duplicate addresses -------------------------------------------------------------------------
def tap_exists(lab):
    with lab.server.inside():
        return lab.tap in (name for _, name in socket.if_nameindex())


def start_beside_another(lab, conf):
    """Starts a server and links its TAP to the other host. (exit status, stdout, stderr); stopped
    when it was ready, as then its probe may have gone out before there was a link."""
    with lab.server.inside():
        process = subprocess.Popen(
            [LCACHED, "-d", conf, "-m", "64", *DUAL],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
    try:
        assert eventually(lambda: tap_exists(lab), 30, step=0.002)
        try:
            lab.attach(lab.tap)
        except RuntimeError:  # it heard of the other host at once, and took its TAP along
            process.wait(timeout=30)
        ready = process.stdout.readline()
        if ready:
            process.terminate()
        out, err = process.communicate(timeout=30)
        return process.returncode, ready + out, err
    finally:
        process.kill()


@pytest.mark.limit(120)
def test_an_address_that_is_taken_ends_the_start():
    """Another host on the link has it: a bridge between the TAP and that host."""
    for _ in range(5):  # a slow machine links the two too late for the probe
        lab = Lab(KIND, drop_percent=0.0001)
        try:
            lab.client.ip("addr", "add", f"{SERVER6}/64", "dev", lab.client_iface(), "nodad")
            with tempfile.TemporaryDirectory() as folder:
                status, out, err = start_beside_another(lab, driver_config(lab, folder))
        finally:
            lab.delete()
        if "ready" not in out:
            break
    assert status == 1, err
    assert "ready" not in out
    assert re.search(rf"address {SERVER6}: another host has it", err), err


# ---- multicast listener discovery ----------------------------------------------------------------
def test_a_bridge_that_snoops_learns_our_groups():
    """The kernel's bridge asks as a router would, and lists behind which port a group is wanted."""
    lab = Lab(KIND, drop_percent=0.0001)
    running = Server(lab, options=DUAL)
    try:
        # once a second: the first may come before the bridge's own address is valid, and is not sent
        for name in ("query_response", "startup_query", "query"):
            setting = f"mcast_{name}_interval"
            lab.bridge.ip("link", "set", "br0", "type", "bridge", setting, "100")
        running.start()
        lab.bridge.ip("link", "set", "br0", "type", "bridge", "mcast_querier", "1")

        def listed():
            table = lab.bridge.exec("bridge", "mdb", "show", "dev", "br0")
            return re.search(rf"port {lab.tap} grp ff02::1:ff00:2\b", table)

        assert eventually(listed, 30), lab.bridge.exec("bridge", "mdb", "show", "dev", "br0")
        # the listing may come from the reports at the start: the query comes when the bridge is ready
        assert eventually(lambda: counters(running)["net_mld_queries"] > 0, 30)
        client_address_add(lab)
        with lab.client.inside(), Tcp(address=SERVER6) as conn:
            assert conn.set(b"k", b"v") == b"STORED\r\n"
        running.stop()
    finally:
        running.kill()
        lab.delete()
