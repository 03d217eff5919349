# SPDX-License-Identifier: BSD-3-Clause
"""Items that nobody asks for go when they are due, by the index of deadlines and by sampling."""

import pytest

from telemetry import Telemetry
from wire import Tcp, eventually

pytestmark = pytest.mark.lcached_only("has no telemetry socket")

SHORT, LONG = 4000, 500


def fill(conn):
    for first in range(0, SHORT, 100):
        conn.send(b"".join(b"set s%d 0 3 1\r\nx\r\n" % n for n in range(first, first + 100)))
        assert conn.read(100 * 8) == b"STORED\r\n" * 100
    for n in range(LONG):
        conn.set(b"l%d" % n, b"x", exptime=1000)


def came(telemetry):
    """Items with a deadline: those that are there and those that have gone."""
    seen = telemetry.ask("/lcached/info,stats")
    return seen["keyspace_deadlines"] + seen["expired_keys"]


@pytest.mark.parametrize("workers", (1, 3))
def test_the_clock_is_moved_on_request(launch, workers):
    with launch(workers=workers, options=["--debug-commands", "yes"]), Tcp() as conn:
        began = int(conn.stats()["time"])
        for n in range(60):  # on every shard
            conn.set(b"k%d" % n, b"x", exptime=1000)
        assert conn.ask(b"debugtime x\r\n") == b"ERROR\r\n"
        assert conn.ask(b"debugtime 700\r\n") == b"OK\r\n"
        conn.send(b"debugtime -100 noreply\r\n")
        for n in range(60):
            left = int(conn.ask(b"mg k%d t\r\n" % n)[4:])
            assert 300 < left <= 400  # a machine that stood still may have used up some
        assert int(conn.stats()["time"]) >= began + 600
        assert conn.ask(b"debugtime 400\r\n") == b"OK\r\n"
        assert all(conn.get(b"k%d" % n) is None for n in range(60))
        assert eventually(lambda: conn.stats()["curr_items"] == "0")
        conn.set(b"k", b"x", exptime=1000)
        assert conn.get(b"k") == b"x"


def test_the_clock_is_left_alone_otherwise(server):
    with Tcp() as conn:
        assert conn.ask(b"debugtime 1\r\n") == b"ERROR\r\n"


def figures(telemetry):
    return {**telemetry.ask("/lcached/memory"), **telemetry.ask("/lcached/info")}


@pytest.mark.parametrize("index", ("yes", "no"))
def test_what_is_due_goes_unasked(launch, index):
    with launch(workers=2, options=["--expire-index", index]) as server:
        with Telemetry(server.process.pid) as telemetry, Tcp() as conn:
            fill(conn)
            # by then the first may be due already
            assert eventually(lambda: came(telemetry) == SHORT + LONG), came(telemetry)
            # sampling may leave a tenth of those with a deadline
            most = LONG if index == "yes" else LONG * 115 // 100
            gone = eventually(lambda: figures(telemetry)["keyspace_keys"] <= most)
            seen = telemetry.ask("/lcached/info,stats")  # all figures of one moment: more may go
            assert gone, seen["keyspace_keys"]
            assert seen["expired_keys"] == SHORT + LONG - seen["keyspace_keys"]
            assert seen["expired_keys_active"] == seen["expired_keys"]
            seen = figures(telemetry)
            mean = lambda: 800000 < figures(telemetry)["avg_ttl"] <= 1000000  # noqa: E731
            assert eventually(mean, 20), figures(telemetry)["avg_ttl"]
            assert 0 <= float(seen["expired_stale_perc"]) <= 100
            if index == "yes":  # memcached's crawler does it there
                assert conn.stats()["crawler_reclaimed"] == str(SHORT)
                assert conn.stats(b"items")["items:1:crawler_reclaimed"] == str(SHORT)
            for n in range(LONG):
                assert conn.get(b"l%d" % n) == b"x"


def test_the_index_is_given_up_and_made_live(launch):
    with launch() as server:
        with Telemetry(server.process.pid) as telemetry, Tcp() as conn:
            fill(conn)
            telemetry.ask("/lcached/config/set,expire-index=no")
            telemetry.ask("/lcached/config/set,hz=100")
            conn.set(b"another", b"x", exptime=3)
            telemetry.ask("/lcached/config/set,expire-index=yes")
            telemetry.ask("/lcached/config/set,active-expire-effort=10")
            assert eventually(lambda: figures(telemetry)["keyspace_keys"] == LONG)
            assert figures(telemetry)["keyspace_deadlines"] == LONG
