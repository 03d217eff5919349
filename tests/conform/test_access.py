# SPDX-License-Identifier: BSD-3-Clause
"""Who may talk to the server: sources allowed and refused, limits of connections, clients that say
nothing."""

import contextlib
import socket
import time

import pytest

import frames
from figures import asked, comes_to, configure, counter
from netlab import CLIENT_IP, PORT, SERVER_IP
from wire import Tcp, Udp, eventually, value_reply

SERVER6 = "fd00:c612:d3::2"
CLIENT6 = "fd00:c612:d3::1"
DUAL = ["-l", f"{SERVER_IP}/24", "-l", f"{SERVER6}/64"]
TOO_MANY = b"ERROR Too many open connections\r\n"

pytestmark = pytest.mark.lcached_only("lists and limits of sources are ours")


@pytest.mark.parametrize("workers", (1, 3))
def test_allow_list_changes_while_serving(launch, workers):
    with launch(workers=workers, options=[*DUAL, "--udp-allow", "none"]) as running:
        running.lab.client.ip("addr", "add", f"{CLIENT6}/64", "dev", running.lab.client_iface(), "nodad")
        with Tcp() as conn:
            for i in range(8):  # of any shard
                conn.set(b"k%d" % i, 500 * b"v")
        expected = [value_reply(b"k%d" % i, 500 * b"v") for i in range(8)]
        with Udp() as four, Udp(address=SERVER6) as six:

            def answered(udp):
                if not udp.ask(b"mn\r\n") == b"MN\r\n":
                    return None
                for i in range(8):
                    udp.send(b"get k%d\r\n" % i)
                    if udp.silent(0.2):
                        return False
                return [udp.ask(b"get k%d\r\n" % i) for i in range(8)] == expected

            assert (answered(four), answered(six)) == (False, False)
            configure(running, "udp-allow", f"192.0.2.0/24,{CLIENT_IP}")
            assert (answered(four), answered(six)) == (True, False)
            assert counter(running, "udp_quick") >= 8  # a list keeps nobody from the fast path
            configure(running, "udp-allow", "192.0.2.0/24,fd00:c612:d3::/64")
            assert (answered(four), answered(six)) == (False, True)
            configure(running, "udp-allow", "all")
            assert (answered(four), answered(six)) == (True, True)
            configure(running, "udp-allow", "none")
            assert (answered(four), answered(six)) == (False, False)


@pytest.mark.parametrize("workers", (1, 3))
def test_rate_of_answers_to_others(launch, workers):
    """A second's bytes at once, and the rest as time goes on; others of the /24 share them."""
    options = ["--udp-allow", "none", "--udp-rate", "1000"]
    with launch(workers=workers, options=options) as running:
        with Udp(timeout=0.3) as one, Udp(timeout=0.3) as two:
            answers, sent, began = 0, 0, time.monotonic()
            while time.monotonic() - began < 3:
                for udp in (one, two):
                    udp.send(b"get none\r\n")
                    sent += 1
                    with contextlib.suppress(TimeoutError):
                        answers += udp.datagram()[1] == b"END\r\n"
            assert 50 <= answers <= (1000 * (time.monotonic() - began + 1.1)) // 13
            assert comes_to(running, "udp_requests", sent)
            limited = counter(running, "udp_limited")
            assert limited > 0
            configure(running, "udp-rate", 0)
            one.sock.settimeout(10)
            assert all(one.ask(b"get none\r\n") == b"END\r\n" for _ in range(500))
            assert counter(running, "udp_limited") == limited


def test_wrong_lists_are_refused(server):
    for value in ("10.0.0.0/33", "10.0.0.1/8", "", "10.0.0.0/8,,", "everybody"):
        reply = asked(server, f"/lcached/config/set,udp-allow={value}")
        assert "udp-allow: '" in reply["error"], reply
    reply = asked(server, "/lcached/config/set,maxconns=5000")
    assert reply == {"error": "maxconns: tables were made for 4096 at start, no more"}


# ---- connections --------------------------------------------------------------------------------
def closed_ports():
    """What a client learns of a port that nobody listens on, over TCP and UDP."""
    told = []
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            sock.settimeout(0.7)
            try:
                sock.connect((SERVER_IP, 9))
                sock.send(b"x")
                sock.recv(1)
            except OSError as error:
                told.append(type(error))
    return tuple(told)


def test_sources_that_may_not_talk(launch):
    """They get no answer at all, over TCP and UDP; nor do connections of theirs go on."""
    with launch(options=["--allow", "198.18.211.0/24"]) as running:
        running.lab.client.ip("addr", "add", "198.18.211.9/24", "dev", running.lab.client_iface())
        with Tcp() as one, Udp() as udp:
            assert one.ask(b"mn\r\n") == b"MN\r\n"
            assert closed_ports() == (ConnectionRefusedError, ConnectionRefusedError)
            configure(running, "allow", "198.18.211.9,fd00::/8")
            assert one.closed_by_server()
            udp.send(b"mn\r\n")
            assert udp.silent()
            with pytest.raises(TimeoutError):
                Tcp(timeout=1.5)
            assert comes_to(running, "disallowed_connections", 1)
            assert comes_to(running, "udp_refused", 1)
            with frames.Wire(running.lab) as wire:  # of no connection
                wire.send(frames.ipv4(6, frames.tcp(5000, frames.ACK, ack=1)))
                assert wire.tcp_answer(5000, 0.5) is None
            assert closed_ports() == (TimeoutError, TimeoutError)
            assert comes_to(running, "udp_refused", 2)
            assert eventually(lambda: counter(running, "tcp_not_admitted", "tcp") >= 1)
            another_is_served()
            configure(running, "allow", "all")
            with Tcp() as again:
                assert again.ask(b"mn\r\n") == b"MN\r\n"
            assert udp.ask(b"mn\r\n") == b"MN\r\n"


def connections(most, address=SERVER_IP):
    """As many as the server takes, of `most`; the first that is refused is told why."""
    made = []
    for _ in range(most):
        conn = Tcp(address=address)
        answer = conn.ask(b"mn\r\n")
        if answer == TOO_MANY:
            assert conn.closed_by_server()
            conn.close()
            break
        assert answer == b"MN\r\n"
        made.append(conn)
    return made


def close_all(conns):
    for conn in conns:
        conn.close()


@pytest.mark.parametrize("workers", (1, 3))
def test_connections_of_a_source(launch, workers):
    options = [*DUAL, "--maxconns-per-source", "20"]
    with launch(workers=workers, options=options) as running:
        running.lab.client.ip("addr", "add", f"{CLIENT6}/64", "dev", running.lab.client_iface(), "nodad")
        four = connections(40)
        six = connections(40, SERVER6)
        # workers that begin at once may each have a word for the source
        assert len(four) in range(20, 20 + workers) and len(six) in range(20, 20 + workers)
        assert all(conn.ask(b"mn\r\n") == b"MN\r\n" for conn in four + six)
        assert comes_to(running, "rejected_connections_source", 2)
        configure(running, "maxconns-per-source", 30)
        four += connections(40)
        assert len(four) in range(30, 30 + workers)
        close_all(four)
        assert eventually(lambda: counter(running, "connected_clients") == len(six))
        four = connections(40)
        assert len(four) in range(30, 30 + workers)
        close_all(four + six)


@pytest.mark.parametrize("workers", (1, 3))
def test_connections_in_all(launch, workers):
    with launch(workers=workers, options=["-c", "50"]) as running:
        conns = connections(80)
        assert len(conns) == 50
        with Tcp() as conn:
            assert conn.line() == TOO_MANY
        stats = conns[0].stats()
        assert (stats["max_connections"], stats["curr_connections"]) == ("50", "50")
        assert stats["rejected_connections"] == "2"
        close_all(conns[40:])
        assert eventually(lambda: counter(running, "connected_clients") == 40)
        configure(running, "maxconns", 45)
        conns = conns[:40] + connections(80)
        assert len(conns) == 45
        assert conns[0].stats(b"settings")["maxconns"] == "45"
        close_all(conns)


def test_a_flood_of_one_source_leaves_room_for_others(launch):
    """It has used up what it may have, and does not close what was refused."""
    with launch(options=["-c", "60", "--maxconns-per-source", "5"]) as running:
        running.lab.client.ip("addr", "add", "198.18.211.9/24", "dev", running.lab.client_iface())
        own = connections(5)
        flood = []
        for _ in range(150):
            with contextlib.suppress(OSError):
                flood.append(Tcp(timeout=2))
        assert eventually(lambda: counter(running, "rejected_connections") >= 100)
        for _ in range(3):
            another_is_served()
        assert all(conn.ask(b"mn\r\n") == b"MN\r\n" for conn in own)
        close_all(flood + own)
        assert eventually(lambda: counter(running, "connected_clients") == 0)


def test_refused_clients_that_never_close_do_no_harm(launch):
    """They are told as long as there is room for that; then they are reset."""
    with launch(options=["-c", "10"]):
        conns = connections(10)
        assert len(conns) == 10
        refused = []
        for _ in range(40):
            with contextlib.suppress(ConnectionError):
                refused.append(Tcp())
        assert 1 <= len(refused) < 40
        assert refused[0].line() == TOO_MANY
        assert all(conn.ask(b"mn\r\n") == b"MN\r\n" for conn in conns)
        close_all(refused)
        close_all(conns[:5])
        assert eventually(lambda: len(close_after(connections(5))) == 5)
        close_all(conns[5:])


def another_is_served():
    """A client of another address, which the namespace must have."""
    with socket.socket() as other:
        other.settimeout(5)
        other.bind(("198.18.211.9", 0))
        other.connect((SERVER_IP, PORT))
        other.sendall(b"mn\r\n")
        assert other.recv(10) == b"MN\r\n"


def close_after(conns):
    close_all(conns)
    return conns


def talk_for(seconds):
    """A client that says something every 0.3 s; how often this machine let none of it through for so
    long that the client may have been sent away."""
    late, conn, heard = 0, Tcp(), time.monotonic()
    until = heard + seconds
    while time.monotonic() < until:
        answer = b""
        with contextlib.suppress(OSError):
            answer = conn.ask(b"mn\r\n")
        if time.monotonic() - heard > 0.9:
            conn.close()
            late, conn = late + 1, Tcp()
        else:
            assert answer == b"MN\r\n"
        heard = time.monotonic()
        time.sleep(0.3)
    conn.close()
    return late


@pytest.mark.parametrize("workers", (1, 3))
def test_silent_clients_are_sent_away(launch, workers):
    with launch(workers=workers, options=["-o", "idle_timeout=2"]) as running:
        with Tcp() as silent, Tcp() as half:
            half.send(b"set k 0 0 10\r\nabc")  # never goes on
            late = talk_for(4)
            assert silent.read(1) == b"" and half.read(1) == b""
            with Tcp() as other:
                assert int(other.stats()["idle_kicks"]) in range(2, 3 + late)
                assert other.stats(b"settings")["idle_timeout"] == "2"
            configure(running, "idle-timeout", 0)
            with Tcp() as other:
                assert "idle_kicks" not in other.stats()
                time.sleep(3)
                assert other.ask(b"mn\r\n") == b"MN\r\n"


def test_a_client_sent_away_learns_it_from_its_next_request(launch):
    """One that only writes would go on for seconds, and nobody would read it."""
    with launch(options=["-o", "idle_timeout=1"]), Tcp() as silent:
        assert silent.read(1) == b""
        silent.send(b"set k 0 0 1 noreply\r\nx\r\n")
        assert eventually(lambda: silent.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 5)


def test_clients_sent_away_that_never_close(launch):
    """Their side stays open, ours does not wait for it, whatever the limit is later."""
    with contextlib.ExitStack() as stack:
        begun = []
        for then in (1, 0, 1000):  # all wait at the same time
            running = stack.enter_context(launch(options=["--idle-timeout", "1"]))
            silent = stack.enter_context(Tcp())
            assert comes_to(running, "idle_kicks", 1)
            configure(running, "idle-timeout", then)
            begun.append((running, silent))
        for running, silent in begun:
            assert eventually(lambda: counter(running, "connected_clients") == 0, 30)
            assert silent.closed_by_server()
