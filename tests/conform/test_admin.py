# SPDX-License-Identifier: BSD-3-Clause
"""Commands for operators: lists of items, the memory limit, watching, and what tunes memcached's
insides, which has no counterpart here."""

import re
import subprocess
import threading
import time

import pytest

from netlab import PORT, SERVER_IP
from wire import Tcp, eventually

LINE = re.compile(
    rb"key=(\S+) exp=(-1|\d+) la=(\d+) cas=(\d+) fetch=(yes|no) cls=1 size=(\d+)(?: flags=(\d+))?\n"
)


def until(tcp, end):
    """Lines up to that one, which is not among them."""
    lines = []
    while True:
        line = tcp.line()
        assert line, "the connection has ended"
        if line == end:
            return lines
        lines.append(line)


def fill(tcp, count, size=10, prefix=b"key"):
    for i in range(count):
        tcp.send(b"set %s-%d 0 0 %d noreply\r\n%s\r\n" % (prefix, i, size, b"v" * size))
    assert tcp.ask(b"mn\r\n") == b"MN\r\n"


# ---- lists of items ----------------------------------------------------------------------------
def test_metadump_of_nothing(tcp):
    assert tcp.ask(b"lru_crawler metadump all\r\n") == b"END\r\n"


@pytest.mark.lcached_only("memcached's list misses what moves from queue to queue meanwhile")
@pytest.mark.parametrize("which", (b"all", b"hash", b"1", b"2,1"))
def test_metadump_tells_everything_about_an_item(tcp, which):
    before = int(tcp.stats()["time"])
    assert tcp.set(b"a%/\xc3~", b"abc", flags=7) == b"STORED\r\n"
    assert tcp.set(b"timed", b"x", exptime=1000) == b"STORED\r\n"
    tcp.send(b"get timed\r\n")
    until(tcp, b"END\r\n")
    after = int(tcp.stats()["time"])
    cas = tcp.ask(b"mg timed c\r\n").split()[1][1:]
    tcp.send(b"lru_crawler metadump %s\r\n" % which)
    rows = {}
    for line in until(tcp, b"END\r\n"):
        row = LINE.fullmatch(line)
        assert row, line
        rows[row[1]] = row
    assert sorted(rows) == [b"a%25%2F%C3~", b"timed"]
    assert rows[b"timed"][4] == cas
    assert before - 1 <= int(rows[b"timed"][2]) - 1000 <= after + 1
    assert before - 1 <= int(rows[b"timed"][3]) <= after + 1
    assert [rows[b"timed"][5], rows[b"a%25%2F%C3~"][5]] == [b"yes", b"no"]
    assert rows[b"a%25%2F%C3~"][2] == b"-1" and int(rows[b"a%25%2F%C3~"][6]) >= 3
    assert tcp.ask(b"mn\r\n") == b"MN\r\n", "the connection takes commands again"


@pytest.mark.lcached_only("1.6.18 has neither flags nor mgdump")
def test_metadump_flags_and_mgdump(tcp):
    assert tcp.set(b"plain", b"abc", flags=4294967295) == b"STORED\r\n"
    assert tcp.ask(b"ms YWIg 2 b F9\r\nhi\r\n") == b"HD\r\n"
    tcp.send(b"lru_crawler metadump all\r\n")
    rows = [LINE.fullmatch(line) for line in until(tcp, b"END\r\n")]
    assert {(row[1], row[7]) for row in rows} == {(b"plain", b"4294967295"), (b"ab%20", b"9")}
    tcp.send(b"lru_crawler mgdump all\r\n")
    assert sorted(until(tcp, b"EN\r\n")) == [b"mg YWIg b\r\n", b"mg plain\r\n"]


def test_metadump_of_other_classes(tcp):
    assert tcp.set(b"k", b"v") == b"STORED\r\n"
    assert tcp.ask(b"lru_crawler metadump 2\r\n") == b"END\r\n"
    for which in (b"0", b"64", b"x", b"1,x", b"-1"):
        assert tcp.ask(b"lru_crawler metadump %s\r\n" % which) == b"BADCLASS invalid class id\r\n"


def test_metadump_leaves_out_what_has_expired(tcp):
    assert tcp.set(b"gone", b"v", exptime=1) == b"STORED\r\n"
    assert tcp.set(b"here", b"v") == b"STORED\r\n"

    def listed():
        tcp.send(b"lru_crawler metadump all\r\n")
        return [LINE.fullmatch(line)[1] for line in until(tcp, b"END\r\n")]

    assert sorted(listed()) in ([b"gone", b"here"], [b"here"])
    assert eventually(lambda: listed() == [b"here"])


def test_metadump_of_many_while_others_are_served(server, tcp):
    """Every key that is there all the while is listed, and no other."""
    count = 3000 if server.lab.kind == "memcached" else 20000
    fill(tcp, count)
    with Tcp() as other:
        other.send(b"lru_crawler metadump all\r\n")
        took = []
        for i in range(200):
            began = time.monotonic()
            assert tcp.ask(b"delete nobody-%d\r\n" % i) == b"NOT_FOUND\r\n"
            took.append(time.monotonic() - began)
        keys = [LINE.fullmatch(line)[1] for line in until(other, b"END\r\n")]
    assert set(keys) == {b"key-%d" % i for i in range(count)}
    assert sorted(took)[-3] < 0.5  # but for two, which the machine itself may have held up


@pytest.mark.lcached_only("memcached drops what follows the command")
def test_requests_before_and_behind_a_dump_are_answered_in_order(tcp):
    fill(tcp, 50)
    tcp.send(b"get nothing key-1\r\nlru_crawler mgdump all\r\nmn\r\nlru_crawler metadump 2\r\nmn\r\n")
    assert until(tcp, b"END\r\n") == [b"VALUE key-1 0 10\r\n", b"v" * 10 + b"\r\n"]
    assert len(until(tcp, b"EN\r\n")) == 50
    assert [tcp.line() for _ in range(3)] == [b"MN\r\n", b"END\r\n", b"MN\r\n"]


@pytest.mark.lcached_only("memcached closes a connection that is half closed")
def test_a_half_closed_connection_gets_its_list(tcp):
    fill(tcp, 500)
    with Tcp() as other:
        other.send(b"lru_crawler mgdump all\r\n")
        other.sock.shutdown(1)
        assert len(other.file.read().split(b"\r\n")) == 502


@pytest.mark.lcached_only("memcached gives up on a client that reads too slowly")
def test_a_dump_waits_for_its_client_and_others_are_told_busy(server, tcp):
    count = 30000
    fill(tcp, count, size=1, prefix=b"%s" % (b"k" * 200))
    with Tcp(receive_buffer=4096) as slow:
        slow.send(b"lru_crawler metadump all\r\n")
        assert slow.line().startswith(b"key=k")
        for command in (b"metadump", b"mgdump"):
            reply = tcp.ask(b"lru_crawler %s all\r\n" % command)
            assert reply == b"BUSY currently processing crawler request\r\n"
        stats = tcp.stats()
        assert stats["lru_crawler_running"] == "1"
        assert int(tcp.stats(b"memory")["mem_clients_normal"]) < 8 << 20
        assert len(until(slow, b"END\r\n")) == count - 1
    assert tcp.stats()["lru_crawler_running"] == "0"
    assert tcp.ask(b"lru_crawler metadump 2\r\n") == b"END\r\n"


@pytest.mark.parametrize("leave", ("close", "reset"))
def test_a_client_that_goes_away_ends_its_dump(tcp, leave):
    fill(tcp, 5000, size=1, prefix=b"k" * 200)
    for _ in range(3):
        slow = Tcp(receive_buffer=4096)
        slow.send(b"lru_crawler metadump all\r\n")
        assert slow.line().startswith(b"key=k")
        getattr(slow, leave)()
        assert eventually(
            lambda: tcp.ask(b"lru_crawler metadump 2\r\n") == b"END\r\n"
        ), "another dump may begin"


@pytest.mark.parametrize("workers", (1, 3))
def test_the_server_ends_while_clients_list_and_watch(launch, workers):
    with launch(workers=workers) as server, Tcp() as tcp:
        fill(tcp, 5000, size=1, prefix=b"k" * 200)
        with Tcp(receive_buffer=4096) as slow, watching(b"fetchers"):
            slow.send(b"lru_crawler metadump all\r\n")
            assert slow.line().startswith(b"key=k")
            tcp.send(b"cache_memlimit %d\r\n" % server.memory_mb)
            server.stop()


@pytest.mark.lcached_only("not over UDP here")
def test_what_needs_a_connection_is_refused_over_udp(server, udp):
    for request in (b"lru_crawler metadump all", b"lru_crawler mgdump 1", b"watch", b"watch evictions"):
        assert udp.ask(request + b"\r\n") == b"ERROR this command needs TCP\r\n"
    assert udp.ask(b"cache_memlimit %d\r\n" % server.memory_mb) == b"OK\r\n"


@pytest.mark.lcached_only("memcached lists one of its queues alone, where items come late")
def test_cachedump(tcp):
    assert tcp.set(b"a%/", b"abc") == b"STORED\r\n"
    before = int(tcp.stats()["time"])
    assert tcp.set(b"timed", b"x", exptime=1000) == b"STORED\r\n"
    after = int(tcp.stats()["time"])
    tcp.send(b"stats cachedump 1 0\r\n")
    rows = sorted(until(tcp, b"END\r\n"))
    assert rows[0] == b"ITEM a%/ [3 b; 0 s]\r\n"
    timed = re.fullmatch(rb"ITEM timed \[1 b; (\d+) s\]\r\n", rows[1])
    assert before - 1 <= int(timed[1]) - 1000 <= after + 1
    fill(tcp, 100)
    for limit in (1, 5, 100):
        tcp.send(b"stats cachedump 1 %d\r\n" % limit)
        assert len(until(tcp, b"END\r\n")) == limit
    assert tcp.ask(b"stats cachedump 2 0\r\n") == b"END\r\n"


# ---- words that are answered as memcached answers them -----------------------------------------
ANSWERS = {
    b"lru_crawler": b"ERROR",
    b"lru_crawler foo": b"ERROR",
    b"lru_crawler metadump": b"ERROR",
    b"lru_crawler foo 1": b"ERROR",
    b"lru_crawler sleep 10": b"OK",
    b"lru_crawler sleep x": b"CLIENT_ERROR bad command line format",
    b"lru_crawler sleep 1000001": b"CLIENT_ERROR sleep must be one second or less",
    b"lru_crawler tocrawl 0": b"OK",
    b"lru_crawler tocrawl -": b"CLIENT_ERROR bad command line format",
    b"lru_crawler crawl 1": b"OK",
    b"lru_crawler crawl 99": b"BADCLASS invalid class id",
    b"cache_memlimit": b"ERROR",
    b"cache_memlimit x": b"ERROR",
    b"cache_memlimit 7": b"MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m",
    b"cache_memlimit 1000000001": b"MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes",
    b"lru": b"ERROR",
    b"lru tune 10 20 0.1 2": b"OK",
    b"lru tune 10 20 0.1": b"ERROR",
    b"lru tune 50 31 0.1 2": b"ERROR hot and warm pcts must not exceed 80",
    b"lru tune 10 20 0 2": b"ERROR hot/warm age factors must be greater than 0",
    b"lru mode flat": b"OK",
    b"lru mode segmented": b"OK",
    b"lru mode x": b"ERROR",
    b"lru temp_ttl 61": b"OK",
    b"lru temp_ttl -1": b"OK",
    b"lru temp_ttl": b"ERROR",
    b"lru temp_ttl x": b"ERROR",
    b"slabs": b"ERROR",
    b"slabs reassign 1": b"ERROR",
    b"slabs automove 0": b"OK",
    b"slabs automove 1": b"OK",
    b"slabs automove 3": b"ERROR",
    b"slabs automove x": b"CLIENT_ERROR bad command line format",
    b"slabs automove ratio 0.5": b"OK",
    b"slabs automove": b"ERROR",
    b"verbosity 1": b"OK",
    b"verbosity 0": b"OK",
    b"watch foo": b"ERROR",
    b"watch fetchers foo": b"ERROR",
    b"stats cachedump": b"CLIENT_ERROR bad command line",
    b"stats cachedump 1": b"CLIENT_ERROR bad command line",
    b"stats cachedump x 1": b"CLIENT_ERROR bad command line format",
    b"stats cachedump 64 1": b"CLIENT_ERROR Illegal slab id",
    b"stats detail": b"CLIENT_ERROR usage: stats detail on|off|dump",
    b"stats detail foo": b"CLIENT_ERROR usage: stats detail on|off|dump",
    b"stats detail on": b"OK",
    b"stats detail off": b"OK",
    b"stats detail dump": b"END",
    b"flush_all -1": b"OK",
    b"flush_all x": b"CLIENT_ERROR invalid exptime argument",
}
ANSWERS_NEW = {  # as 1.6.45 has them
    b"verbosity": b"CLIENT_ERROR bad command line format",
    b"shutdown": b"SERVER_ERROR: shutdown not enabled",
    b"shutdown graceful": b"SERVER_ERROR: shutdown not enabled",
    b"shutdown x": b"SERVER_ERROR: shutdown not enabled",
    b"refresh_certs": b"ERROR",
    b"lru_crawler enable": b"OK",
    b"lru_crawler disable": b"OK",
    b"slabs reassign 1 2": b"CLIENT_ERROR slab reassignment disabled",
    b"slabs automove window 30": b"OK",
    b"extstore item_age 5": b"ERROR",
}


def test_answers(tcp):
    got = {request: tcp.ask(request + b"\r\n")[:-2] for request in ANSWERS}
    assert got == ANSWERS


@pytest.mark.lcached_only("1.6.18 words them otherwise, or has what they are about")
def test_answers_of_a_newer_memcached(tcp):
    got = {request: tcp.ask(request + b"\r\n")[:-2] for request in ANSWERS_NEW}
    assert got == ANSWERS_NEW


# ---- what is changed while serving -------------------------------------------------------------
def test_cache_memlimit_is_the_limit_at_once(server, tcp):
    try:
        assert tcp.ask(b"cache_memlimit 64\r\n") == b"OK\r\n"
        assert tcp.stats()["limit_maxbytes"] == str(64 << 20)
        tcp.send(b"cache_memlimit 65 noreply\r\nmn\r\n")
        assert tcp.line() == b"MN\r\n"
        assert tcp.stats()["limit_maxbytes"] == str(65 << 20)
        assert tcp.stats(b"settings")["maxbytes"] == str(65 << 20)
    finally:
        assert tcp.ask(b"cache_memlimit %d\r\n" % server.memory_mb) == b"OK\r\n"


@pytest.mark.lcached_only("memcached does not know what the machine has")
def test_cache_memlimit_beyond_the_machine_is_refused(tcp):
    before = tcp.stats()["limit_maxbytes"]
    refused = b"MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n"
    for mb in (1 << 20, 900000000):  # 1 TiB, and what is no memory of any machine
        assert tcp.ask(b"cache_memlimit %d\r\n" % mb) == refused
    assert tcp.stats()["limit_maxbytes"] == before


@pytest.mark.lcached_only("asks several connections at once")
def test_cache_memlimit_by_many_at_once(server, tcp):
    others = [Tcp() for _ in range(8)]
    for i, other in enumerate(others):
        other.send(b"cache_memlimit %d\r\n" % (64 + i) * 4 + b"mn\r\n")
    others[0].reset()
    for other in others[1:]:
        assert [other.line() for _ in range(5)] == [b"OK\r\n"] * 4 + [b"MN\r\n"]
        other.close()
    assert tcp.ask(b"cache_memlimit %d\r\n" % server.memory_mb) == b"OK\r\n"


def test_verbosity_is_shown(tcp):
    for level in ("1", "0"):
        assert tcp.ask(b"verbosity %s\r\n" % level.encode()) == b"OK\r\n"
        assert eventually(lambda: tcp.stats(b"settings")["verbosity"] == level)


# ---- options -----------------------------------------------------------------------------------
@pytest.mark.parametrize("how", (b"shutdown", b"shutdown graceful"))
@pytest.mark.parametrize("workers", (1, 3))
def test_shutdown_when_it_is_enabled(launch, how, workers):
    with launch(workers=workers, options=["-A"]) as server, Tcp() as tcp:
        assert tcp.stats(b"settings")["shutdown_command"] == "yes"
        if server.lab.kind == "lcached":
            assert tcp.ask(b"shutdown now\r\n") == b"CLIENT_ERROR invalid shutdown mode\r\n"
        tcp.send(how + b"\r\n")
        assert tcp.closed_by_server()
        assert eventually(lambda: not server.alive())


@pytest.mark.parametrize("workers", (1, 3))
def test_commands_that_are_disabled(launch, workers):
    with launch(workers=workers, options=["-F", "-X"]), Tcp() as tcp:
        settings = tcp.stats(b"settings")
        assert (settings["flush_enabled"], settings["dump_enabled"]) == ("no", "no")
        assert tcp.set(b"k", b"v") == b"STORED\r\n"
        before = int(tcp.stats()["cmd_flush"])
        assert tcp.ask(b"flush_all\r\n") == b"CLIENT_ERROR flush_all not allowed\r\n"
        tcp.send(b"flush_all noreply\r\nflush_all 10 noreply\r\n")
        assert tcp.ask(b"mn\r\n") == b"MN\r\n"
        assert int(tcp.stats()["cmd_flush"]) == before + 3
        tcp.send(b"get k\r\n")
        assert until(tcp, b"END\r\n") == [b"VALUE k 0 1\r\n", b"v\r\n"]
        assert tcp.ask(b"lru_crawler metadump all\r\n") == b"ERROR metadump not allowed\r\n"
        assert (
            tcp.ask(b"stats cachedump 1 0\r\n") == b"CLIENT_ERROR stats cachedump not allowed\r\n"
        )


@pytest.mark.lcached_only("1.6.18 has neither mgdump nor this spelling")
def test_commands_that_are_disabled_by_name(launch):
    with launch(options=["--disable-dumping", "--disable-watch=yes"]), Tcp() as tcp:
        assert tcp.ask(b"lru_crawler mgdump all\r\n") == b"ERROR key dump not allowed\r\n"
        assert tcp.ask(b"stats detail on\r\n") == b"CLIENT_ERROR stats detail not allowed\r\n"
        assert tcp.ask(b"watch\r\n") == b"CLIENT_ERROR watch commands not allowed\r\n"
        assert tcp.ask(b"flush_all\r\n") == b"OK\r\n"


# ---- watching ----------------------------------------------------------------------------------
def watching(kinds):
    watcher = Tcp()
    assert watcher.ask(b"watch %s\r\n" % kinds) == b"OK\r\n"
    return watcher


def fields(line):
    return dict(word.split("=", 1) for word in line.decode().split())


def lines_of(watcher, count):
    return [fields(watcher.line()) for _ in range(count)]


def test_watch_fetchers(tcp):
    assert tcp.set(b"k%1", b"value") == b"STORED\r\n"
    with watching(b"fetchers") as watcher:
        tcp.send(b"get k%1 none\r\n")
        until(tcp, b"END\r\n")
        tcp.send(b"mg k%1 v\r\nmn\r\n")
        until(tcp, b"MN\r\n")
        lines = lines_of(watcher, 3)
    assert {line["type"] for line in lines} == {"item_get"}
    told = sorted((line["key"], line["status"]) for line in lines)
    assert told == [("k%251", "found"), ("k%251", "found"), ("none", "not_found")]
    assert sorted(line["size"] for line in lines) == ["0", "5", "5"]
    for line in lines:
        assert set(line) == {"ts", "gid", "type", "key", "status", "clsid", "cfd", "size"}
        assert abs(float(line["ts"]) - time.time()) < 10
    assert len({line["gid"] for line in lines}) == 3


def test_watch_fetchers_tells_of_every_look_up(tcp):
    """Not only what a client reads: a store, a number, a touch and a deletion look the key up first."""
    asked = (
        (b"set k 0 0 1\r\n5\r\n", b"STORED\r\n", "not_found 0"),
        (b"add k 0 0 1\r\nx\r\n", b"NOT_STORED\r\n", "found 1"),
        (b"append k 0 0 1\r\n6\r\n", b"STORED\r\n", "found 1"),
        (b"ms k 3\r\n789\r\n", b"HD\r\n", "found 2"),
        (b"incr k 1\r\n", b"790\r\n", "found 3"),
        (b"touch k 0\r\n", b"TOUCHED\r\n", "found 3"),
        (b"delete k\r\n", b"DELETED\r\n", "found 3"),
        (b"decr k 1\r\n", b"NOT_FOUND\r\n", "not_found 0"),
        (b"md k\r\n", b"NF\r\n", "not_found 0"),
    )
    with watching(b"fetchers") as watcher:
        for request, reply, _ in asked:
            assert tcp.ask(request) == reply
        lines = lines_of(watcher, len(asked))
    assert {(line["type"], line["key"]) for line in lines} == {("item_get", "k")}
    assert [f"{line['status']} {line['size']}" for line in lines] == [told for _, _, told in asked]


def test_watch_mutations(server, tcp):
    with watching(b"mutations") as watcher:
        assert tcp.set(b"k", b"value", exptime=100) == b"STORED\r\n"
        assert tcp.ask(b"add k 0 0 1\r\nx\r\n") == b"NOT_STORED\r\n"
        assert tcp.ask(b"cas k 0 0 1 1\r\nx\r\n") == b"EXISTS\r\n"
        assert tcp.ask(b"ms m 2 T0\r\nxy\r\n") == b"HD\r\n"
        lines = lines_of(watcher, 4)
    told = {(line["type"], line["key"], line["status"], line["cmd"]) for line in lines}
    assert told == {
        ("item_store", "k", "stored", "set"),
        ("item_store", "k", "not_stored", "add"),
        ("item_store", "k", "exists", "cas"),
        ("item_store", "m", "stored", "set"),
    }
    first = [line for line in lines if line["status"] == "stored" and line["key"] == "k"][0]
    assert first["size"] == "5" and first["ttl"] in ("99", "100")


@pytest.mark.lcached_only("1.6.18 does not tell of deletions")
def test_watch_deletions(tcp):
    fill(tcp, 4)
    with watching(b"deletions") as watcher:
        for i in range(3):
            assert tcp.ask(b"delete key-%d\r\n" % i) == b"DELETED\r\n"
        assert tcp.ask(b"delete nothing\r\n") == b"NOT_FOUND\r\n"
        assert tcp.ask(b"md key-3\r\n") == b"HD\r\n"
        lines = lines_of(watcher, 4)
    assert {(line["key"], line["cmd"]) for line in lines} == {
        ("key-0", "delete"),
        ("key-1", "delete"),
        ("key-2", "delete"),
        ("key-3", "md"),
    }
    assert {line["size"] for line in lines} == {"10"}


def test_a_watcher_that_follows_another_misses_nothing(tcp):
    """What the one before has left behind is no reason to be told OK early."""
    watcher = watching(b"mutations")
    for n in range(40):
        watcher.close()
        watcher = watching(b"mutations")
        assert tcp.set(b"k%d" % n, b"x") == b"STORED\r\n"
        assert fields(watcher.line())["key"] == f"k{n}"
    watcher.close()


def conn_lines(watcher, port, count):
    """Those of one client: others may go meanwhile, whose end came late to their worker."""
    lines = []
    while len(lines) < count:
        line = fields(watcher.line())
        lines += [line] if line["rport"] == str(port) else []
    return lines


def test_watch_connevents(tcp):
    with watching(b"connevents") as watcher:
        with Tcp() as other:
            assert other.ask(b"mn\r\n") == b"MN\r\n"
            port = other.sock.getsockname()[1]
            other.send(b"quit\r\n")
            assert other.read(1) == b""
            lines = conn_lines(watcher, port, 2)
    assert [line["type"] for line in lines] == ["conn_new", "conn_close"]
    assert {line["transport"] for line in lines} == {"tcp"}
    assert lines[1]["reason"] == "normal"
    assert lines[0]["cfd"] == lines[1]["cfd"]


def test_watch_connevents_of_a_client_that_is_refused(tcp):
    """It is told when the server closes, whether the client does or not."""
    with watching(b"connevents") as watcher, Tcp() as other:
        port = other.sock.getsockname()[1]
        other.send(b"GET / HTTP/1.1\r\n\r\n")
        lines = conn_lines(watcher, port, 2)
    assert [line["type"] for line in lines] == ["conn_new", "conn_close"]
    assert lines[1]["reason"] == "error"


def test_watch_connevents_of_a_silent_client(launch):
    with launch(options=["-o", "idle_timeout=1"]), watching(b"connevents") as watcher:
        with Tcp() as silent:
            lines = conn_lines(watcher, silent.sock.getsockname()[1], 2)
    assert lines[1]["reason"] == "idle_timeout"


def test_watch_and_stats_conns_call_a_connection_the_same(tcp):
    with watching(b"connevents") as watcher, Tcp() as other:
        address = "tcp:%s:%d" % other.sock.getsockname()
        line = fields(watcher.line())
        while line["rport"] != address.rpartition(":")[2]:
            line = fields(watcher.line())
        assert other.stats(b"conns")[line["cfd"] + ":addr"] == address


def test_watch_evictions(launch):
    with launch(memory_mb=16), Tcp() as tcp, watching(b"evictions") as watcher:
        fill(tcp, 4000, size=8000)
        assert int(tcp.stats()["evictions"]) > 0
        line = fields(watcher.line())
    assert line["type"] == "eviction" and line["key"].startswith("key-")
    assert (line["fetch"], line["ttl"], line["size"]) == ("no", "-1", "8000")


@pytest.mark.lcached_only("memcached's buffers are larger")
def test_watchers_that_do_not_read_are_overtaken_and_told(server, tcp):
    stop = threading.Event()

    def store_last():
        with Tcp() as other:
            while not stop.wait(0.02):
                fill(other, 9, prefix=b"last")  # some of each shard

    with Tcp(receive_buffer=4096) as slow:
        assert slow.ask(b"watch mutations\r\n") == b"OK\r\n"
        fill(tcp, 30000, size=1, prefix=b"k" * 200)
        more = threading.Thread(target=store_last)
        more.start()
        try:
            lines = [slow.line()]
            while not (b"key=last-" in lines[-1] and any(b"skipped" in line for line in lines)):
                lines.append(slow.line())
                assert lines[-1], "the connection has ended"
        finally:
            stop.set()
            more.join()
        skipped = sum(int(line[8:]) for line in lines if line.startswith(b"skipped="))
        assert skipped > 0
        stats = tcp.stats()
        assert int(stats["log_watcher_skipped"]) >= skipped
        assert int(stats["log_watcher_sent"]) >= sum(b"item_store" in line for line in lines)
        assert int(stats["log_worker_written"]) >= 30000


def test_watchers_are_counted_and_go(tcp):
    watchers = [watching(kind) for kind in (b"", b"evictions rawcmds", b"sysevents fetchers")]
    assert eventually(lambda: tcp.stats()["log_watchers"] == "3")
    watchers[0].reset()
    watchers[1].close()
    watchers[2].sock.shutdown(1)
    assert watchers[2].read(1) == b"" or True
    assert eventually(lambda: tcp.stats()["log_watchers"] == "0")
    watchers[2].close()


@pytest.mark.lcached_only("memcached's limit is of the server")
def test_too_many_watchers(server):
    watchers = [Tcp() for _ in range(20 * server.workers + 1)]
    replies = [watcher.ask(b"watch\r\n") for watcher in watchers]
    assert b"WATCHER_TOO_MANY log watcher limit reached\r\n" in replies
    assert replies.count(b"OK\r\n") >= 20
    for watcher in watchers:
        watcher.close()


# ---- tools -------------------------------------------------------------------------------------
def tool(*argv):
    done = subprocess.run(argv, capture_output=True, timeout=30)
    assert done.returncode == 0 and done.stderr == b"", done
    return done.stdout.decode()


def test_memcstat(tcp):
    fill(tcp, 10)
    text = tool("memcstat", f"--servers={SERVER_IP}:{PORT}")
    assert re.search(r"^\s*curr_items: \d+$", text, re.M)
    assert re.search(r"^\s*limit_maxbytes: \d+$", text, re.M)


@pytest.mark.lcached_only("memcached lists one of its queues alone, where items come late")
def test_memcdump(tcp):
    fill(tcp, 10)
    keys = tool("memcdump", f"--servers={SERVER_IP}:{PORT}").split()
    assert sorted(keys) == sorted(f"key-{i}" for i in range(10))
