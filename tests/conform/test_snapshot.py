# SPDX-License-Identifier: BSD-3-Clause
"""Snapshots: all items to a file while clients write, and back into a server with other workers."""

import contextlib
import os
import subprocess
import threading

import pytest

from netlab import Lab
from server import LCACHED, SLOW, driver_config
from telemetry import Telemetry
from wire import Tcp, eventually

pytestmark = pytest.mark.lcached_only("memcached has no snapshots")

ITEMS = 3000 if SLOW else 12000


def length_of(i):
    return 200000 if i % 2003 == 0 else (0, 3, 40, 500, 1024, 1025, 4000)[i % 7]


def value_of(i, round_=0):
    piece = b"%d.%d." % (i, round_)
    return (piece * (length_of(i) // len(piece) + 1))[: length_of(i)]


def exptime_of(i):
    return 0 if i % 3 else 3000 + i % 500


def fill(conn, numbers):
    """Sets without replies, then one that is waited for."""
    for at in range(0, len(numbers), 200):
        conn.send(b"".join(
            b"set key%d %d %d %d noreply\r\n%s\r\n"
            % (i, i % 70000, exptime_of(i), length_of(i), value_of(i))
            for i in numbers[at : at + 200]
        ))  # fmt: skip
        assert conn.set(b"fence", b"x") == b"STORED\r\n"


def meta(conn, key):
    """(value, flags, cas, ttl) of an item, or None."""
    conn.send(b"mg %s v f c t\r\n" % key)
    head = conn.line()
    if head == b"EN\r\n":
        return None
    words = head.split()
    assert words[0] == b"VA", head
    value = conn.read(int(words[1]) + 2)[:-2]
    flag = {word[:1]: int(word[1:]) for word in words[2:]}
    return value, flag[b"f"], flag[b"c"], flag[b"t"]


@contextlib.contextmanager
def running(launch, folder, workers=1, extra=(), **how):
    options = ["--snapshot-dir", str(folder), "-I", "2m", *extra]
    with launch(workers=workers, options=options, **how) as server:
        with Telemetry(server.process.pid) as telemetry:
            yield server, telemetry


def state_of(telemetry):
    return telemetry.ask("/lcached/snapshot")


def finished(telemetry, seconds=30):
    assert eventually(lambda: state_of(telemetry)["state"] != "running", seconds)
    return state_of(telemetry)


def leftovers(folder, *but):
    return sorted(set(os.listdir(folder)) - set(but))


@pytest.mark.parametrize("before,after", [(1, 3), (3, 2)])
def test_all_comes_back_with_other_workers(launch, tmp_path, before, after):
    numbers = list(range(ITEMS))
    with running(launch, tmp_path, before) as (server, telemetry), Tcp() as conn, Tcp() as other:
        assert state_of(telemetry) == {"state": "none"}
        fill(conn, numbers)
        conn.send(b"ms stale 2 T0\r\nab\r\n")
        assert conn.line() == b"HD\r\n"
        conn.send(b"md stale I\r\n")  # stale, to be won by one client
        assert conn.line() == b"HD\r\n"
        stop, written = threading.Event(), set()

        def write():
            """Keys of the second half, again and again, and new ones."""
            k = 0
            while not stop.is_set():
                i = ITEMS // 2 + k * 7919 % (ITEMS // 2)
                other.set(b"key%d" % i, b"new-%d" % k)
                written.add(i)
                other.set(b"more%d" % k, b"x" * 100)
                k += 1

        thread = threading.Thread(target=write)
        thread.start()
        try:
            assert telemetry.ask("/lcached/snapshot,warm.lc") == {
                "status": "started", "file": f"{tmp_path}/warm.lc"}  # fmt: skip
            state = finished(telemetry)
        finally:
            stop.set()
            thread.join()
        assert state["state"] == "done"
        assert state["items"] >= ITEMS
        assert state["bytes"] == (tmp_path / "warm.lc").stat().st_size
        assert state["extra_bytes"] < 16 << 20
        assert leftovers(tmp_path) == ["warm.lc"]
        assert oct((tmp_path / "warm.lc").stat().st_mode & 0o777) == "0o600"
        kept = [i for i in numbers if i not in written]
        assert len(kept) >= ITEMS // 2
        was = {i: meta(conn, b"key%d" % i) for i in kept}
        most = max(w[2] for w in was.values())
        # nothing is pinned any more
        assert eventually(lambda: telemetry.ask("/lcached/memory")["mem_pinned"] == 0)
    with running(launch, tmp_path, after, ["--restore", "warm.lc"]) as (server, telemetry):
        with Tcp() as conn:
            for i in kept:
                now = meta(conn, b"key%d" % i)
                assert now is not None, i
                assert now[:3] == was[i][:3]
                assert now[0] == value_of(i)
                if exptime_of(i) == 0:
                    assert now[3] == -1
                else:
                    assert was[i][3] - 30 <= now[3] <= was[i][3]
            conn.send(b"mg stale v\r\n")
            assert conn.line() == b"VA 2 X W\r\n"
            assert conn.read(4) == b"ab\r\n"
            conn.send(b"ms fresh 1 c\r\nx\r\n")
            assert int(conn.line().split()[1][1:]) > most
        assert "items in" in server.stderr()


def test_names_and_states(launch, tmp_path):
    with running(launch, tmp_path) as (server, telemetry), Tcp() as conn:
        conn.set(b"a", b"b")
        for name in ("../x", "/etc/passwd", f"{tmp_path}/x", ".x", "a/b", "a b", "x" * 200):
            assert "a name of 1 to" in telemetry.ask(f"/lcached/snapshot,{name}")["error"], name
        assert leftovers(tmp_path) == []
        assert telemetry.ask("/lcached/snapshot,x")["status"] == "started"
        assert finished(telemetry)["state"] == "done"
        (tmp_path / "folder").mkdir()
        assert telemetry.ask("/lcached/snapshot,folder")["status"] == "started"
        state = finished(telemetry)
        assert (state["state"], state["what"]) == ("failed", "rename")
        assert leftovers(tmp_path) == ["folder", "x"]
        assert conn.get(b"a") == b"b"
    with launch(options=[]) as server, Telemetry(server.process.pid) as telemetry:
        assert "snapshot-dir is empty" in telemetry.ask("/lcached/snapshot,x")["error"]


def test_one_at_a_time_and_a_flush_in_between(launch, tmp_path):
    with running(launch, tmp_path, memory_mb=512) as (server, telemetry), Tcp() as conn:
        for k in range(400):
            conn.send(b"set big%d 0 0 400000 noreply\r\n" % k + b"v" * 400000 + b"\r\n")
        conn.set(b"fence", b"x")
        assert telemetry.ask("/lcached/snapshot,one")["status"] == "started"
        again = telemetry.ask("/lcached/snapshot,two")
        if "error" in again:
            assert "a snapshot is running" in again["error"]
        else:  # the first was done by then
            assert (tmp_path / "one").exists()
        conn.send(b"flush_all\r\n")
        assert conn.line() == b"OK\r\n"
        state = finished(telemetry)
        if state["state"] == "failed":
            assert state["what"] == "a flush came in between"
            assert not (tmp_path / ("one" if "error" in again else "two")).exists()
        assert leftovers(tmp_path, "one", *([] if "error" in again else ["two"])) == []


def test_a_full_disk_harms_nothing(launch, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)], check=True)
    try:
        with running(launch, small, 2) as (server, telemetry), Tcp() as conn:
            fill(conn, list(range(ITEMS)))
            for _ in range(2):
                telemetry.ask("/lcached/snapshot,x")
                state = finished(telemetry)
                assert (state["state"], state["what"]) == ("failed", "write")
                assert "No space left" in state["reason"]
                assert leftovers(small) == []
            assert conn.get(b"key5") == value_of(5)
            assert eventually(lambda: telemetry.ask("/lcached/memory")["mem_pinned"] == 0)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_restart_is_warm(launch, tmp_path):
    both = ["--restore", "w.lc", "--snapshot-on-exit", "w.lc"]
    with running(launch, tmp_path, 2, both) as (server, telemetry), Tcp() as conn:
        assert "not there yet" in server.stderr()
        # as it was given: a rewrite must keep it
        assert telemetry.ask("/lcached/config,restore") == {"restore": "w.lc"}
        fill(conn, list(range(ITEMS)))
    assert leftovers(tmp_path) == ["w.lc"]
    for workers in (1, 3):
        with running(launch, tmp_path, workers, both) as (server, telemetry), Tcp() as conn:
            for i in range(0, ITEMS, 7):
                assert meta(conn, b"key%d" % i)[:2] == (value_of(i), i % 70000)
    assert leftovers(tmp_path) == ["w.lc"]


def test_a_signal_while_a_snapshot_runs(launch, tmp_path):
    with running(launch, tmp_path, memory_mb=512) as (server, telemetry), Tcp() as conn:
        for k in range(800):
            conn.send(b"set big%d 0 0 400000 noreply\r\n" % k + b"v" * 400000 + b"\r\n")
        conn.set(b"fence", b"x")
        telemetry.ask("/lcached/snapshot,one")
    assert leftovers(tmp_path, "one") == []


def start_refused(folder, *options):
    """Exit code and stderr of a server that does not come up."""
    lab = Lab("lcached")
    try:
        with lab.server.inside():
            done = subprocess.run(
                [LCACHED, "-d", driver_config(lab, folder), "-m", "256", *options],
                capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
            )  # fmt: skip
    finally:
        lab.delete()
    assert "ready" not in done.stdout
    return done.returncode, done.stderr


def test_a_bad_file_is_refused_with_its_place(launch, tmp_path):
    with running(launch, tmp_path, 2) as (server, telemetry), Tcp() as conn:
        fill(conn, list(range(ITEMS)))
        telemetry.ask("/lcached/snapshot,good")
        assert finished(telemetry)["state"] == "done"
    good = (tmp_path / "good").read_bytes()
    etc = tmp_path / "etc"
    etc.mkdir()
    bad = bytearray(good)
    bad[len(bad) // 2] ^= 0x10
    (tmp_path / "flipped").write_bytes(bad)
    (tmp_path / "torn").write_bytes(good[: len(good) // 2])
    (tmp_path / "text").write_bytes(b"hello\n" * 100)
    for name, place in (
        ("flipped", " at byte "),
        ("torn", "it is torn"),
        ("text", "this is no snapshot"),
        ("missing", "No such file"),
    ):
        code, said = start_refused(etc, "--restore", str(tmp_path / name), "-t", "2")
        lines = [line for line in said.splitlines() if "restore: " in line and name in line]
        assert code == 2, said
        assert place in lines[-1], said
    for name in ("flipped", "torn", "missing"):
        extra = ["--restore", name, "--restore-or-empty", "yes"]
        with running(launch, tmp_path, 2, extra) as (server, telemetry), Tcp() as conn:
            assert "the server starts empty" in server.stderr()
            assert conn.get(b"key5") is None
            assert eventually(lambda: telemetry.ask("/lcached/info,stats")["keyspace_keys"] == 0)
            conn.set(b"a", b"b")
            assert conn.get(b"a") == b"b"
    code, said = start_refused(etc, "--snapshot-on-exit", "x")
    assert (code, "snapshot-dir is empty" in said) == (2, True)
    code, said = start_refused(
        etc, "--snapshot-dir", str(tmp_path), "--snapshot-on-exit", "../x")
    assert (code, "a name of 1 to" in said) == (2, True)
