# SPDX-License-Identifier: BSD-3-Clause
"""How long requests took, the slowest of them, and alarms: as the operator sees them."""

import pytest

from netlab import Lab
from server import KIND, Server
from telemetry import Telemetry
from wire import Tcp, Udp, eventually

pytestmark = pytest.mark.lcached_only("has no telemetry socket")
KINDS = ["get", "multiget", "set", "delete", "arith", "touch", "other", "all"]
PARTS = ["queue", "receive", "shard", "output", "execute"]
OPTION = "slowlog-log-slower-than"


@pytest.fixture
def telemetry(server):
    with Telemetry(server.process.pid) as made:
        made.ask("/lcached/latency/reset")
        yield made
        made.ask(f"/lcached/config/set,{OPTION}=10000")


def counts(telemetry, command="/lcached/latency"):
    return {kind: h["count"] for kind, h in telemetry.ask(command).items()}


def slow(telemetry):
    answer = telemetry.ask("/lcached/latency/slow")
    return [one for one in answer.values() if isinstance(one, dict)]


def slow_of(telemetry, key):
    return next((one for one in slow(telemetry) if one["key"] == key), None)


def test_every_request_is_counted_by_its_kind(telemetry, tcp):
    for i in range(20):
        tcp.set(b"k%d" % i, b"1")
        tcp.get(b"k%d" % i)
        tcp.send(b"get k1 k2 k3 none\r\n")
        tcp.values()
        tcp.ask(b"incr k%d 1\r\n" % i)
        tcp.ask(b"touch k%d 0\r\n" % i)
        tcp.ask(b"delete k%d\r\n" % i)
        tcp.ask(b"mn\r\n")
    want = dict.fromkeys(KINDS, 20) | {"all": 7 * 20}
    assert eventually(lambda: counts(telemetry) == want), counts(telemetry)
    assert counts(telemetry, "/lcached/latency/recent") == want


def test_percentiles_are_in_order(telemetry, tcp):
    for i in range(200):
        tcp.get(b"k%d" % i)
    assert eventually(lambda: counts(telemetry)["get"] == 200)
    h = telemetry.ask("/lcached/latency")["get"]
    order = [h[f"{p}_ns"] for p in ("p50", "p90", "p99", "p999", "max")]
    assert 0 < order[0] and order == sorted(order)
    assert order[-1] < 5e9


def test_workers_add_up_and_a_reset_forgets(telemetry, tcp, server):
    for i in range(100):
        tcp.get(b"k%d" % i)
    assert eventually(lambda: counts(telemetry)["get"] == 100)
    each = [counts(telemetry, f"/lcached/latency,{i}")["get"] for i in range(server.workers)]
    assert sum(each) == 100
    assert telemetry.ask("/lcached/latency/reset") == {"status": "ok"}
    assert counts(telemetry) == dict.fromkeys(KINDS, 0)
    assert "error" in telemetry.ask("/lcached/latency,999")
    assert "error" in telemetry.ask("/lcached/latency,x")


def test_a_value_that_came_slowly_is_a_slow_request(telemetry, tcp):
    telemetry.ask(f"/lcached/config/set,{OPTION}=100000")

    def came():
        return telemetry.ask("/lcached/info,stats")["total_net_input_bytes"]

    before = came()
    tcp.send(b"set slowly 0 0 10\r\n01234")
    assert eventually(lambda: came() > before)  # else a worker without CPU may find it whole
    assert not eventually(lambda: slow(telemetry), 0.5)
    tcp.send(b"56789\r\n")
    assert tcp.line() == b"STORED\r\n"
    assert eventually(lambda: slow_of(telemetry, "slowly"))
    one = slow_of(telemetry, "slowly")
    assert one["kind"] == "set" and one["value_bytes"] == 10 and one["key_bytes"] == 6
    assert 300_000 < one["receive_us"] <= one["total_us"] < 10_000_000
    assert one["total_us"] == pytest.approx(sum(one[f"{part}_us"] for part in PARTS), abs=len(PARTS))
    assert one["client"] == "tcp:%s:%d" % tcp.sock.getsockname()[:2]


def test_keys_of_any_bytes_are_shown(telemetry, tcp):
    telemetry.ask(f"/lcached/config/set,{OPTION}=0")
    keys = {b'a"b\\c%': "a%22b%5Cc%25", b"\xff\xfe\x80": "%FF%FE%80", b"k" * 200: "k" * 48 + "..."}
    for key, shown in keys.items():
        telemetry.ask("/lcached/latency/reset")
        tcp.set(key, b"x")
        assert eventually(lambda: slow_of(telemetry, shown)), slow(telemetry)
        assert slow_of(telemetry, shown)["key_bytes"] == len(key)


def test_udp_is_told_by_its_client(telemetry):
    telemetry.ask(f"/lcached/config/set,{OPTION}=0")
    with Udp() as sock:
        telemetry.ask("/lcached/latency/reset")
        sock.ask(b"get quick\r\n")
        assert eventually(lambda: slow_of(telemetry, "quick"))
        one = slow_of(telemetry, "quick")
        assert one["client"] == "udp:%s:%d" % sock.sock.getsockname()[:2]
        assert one["kind"] == "get" and one["turn_requests"] >= 1


def test_no_request_is_slow_where_none_shall_be(telemetry, tcp):
    telemetry.ask(f"/lcached/config/set,{OPTION}=-1")
    telemetry.ask("/lcached/latency/reset")
    tcp.set(b"k", b"x")
    assert eventually(lambda: counts(telemetry)["set"] == 1)
    assert slow(telemetry) == []


def test_a_link_that_goes_down_is_an_alarm():
    """Raised once and cleared once: in telemetry, in stats and in the log."""
    lab = Lab(KIND)
    made = Server(lab)
    try:
        made.start()
        with lab.client.inside(), Telemetry(made.process.pid) as telemetry:

            def link():
                return telemetry.ask("/lcached/alarms")["link_down"]

            assert link()["active"] == 0 and link()["count"] == 0
            lab.client.ip("link", "set", lab.tap, "down")
            assert eventually(lambda: link()["active"] == 1)
            assert link()["count"] == 1 and link()["since"] > 1.6e9
            assert telemetry.ask("/lcached/alarms")["active"] >= 1
            lab.client.ip("link", "set", lab.tap, "up")
            assert eventually(lambda: link()["active"] == 0)
            with Tcp() as conn:
                assert eventually(lambda: conn.stats(b"alarms")["link_down:active"] == "0")
                assert conn.stats(b"alarms")["link_down:raised"] == "1"
                assert "link_down:active" not in conn.stats()
            assert made.stderr().count("alarm link_down") == 2, made.stderr()
            assert "alarm link_down is over" in made.stderr()
        made.stop()
    finally:
        made.kill()
        lab.delete()


def test_nothing_is_wrong_with_a_server_that_serves(telemetry, tcp):
    for i in range(1000):
        tcp.set(b"k%d" % i, b"x" * 100)
    names = ("link_down", "worker_stalled", "packet_buffers_low", "reply_slots_low", "memory_full")

    def raised():
        alarms = telemetry.ask("/lcached/alarms")
        return {name: alarms[name] for name in names if alarms[name]["active"]}

    # a machine that stops for a second stalls a worker indeed, and then that is over
    assert eventually(lambda: not raised()), raised()
