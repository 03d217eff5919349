# SPDX-License-Identifier: BSD-3-Clause
"""The control core ticks by the clock and answers, whatever packets arrive, whoever else wants its
CPU, and when the server ends."""

import contextlib
import multiprocessing
import os
import pathlib
import re
import threading
import time

import pytest

from telemetry import Telemetry
from wire import Tcp, eventually

pytestmark = pytest.mark.lcached_only("has no control core")

FIRST_REALTIME = 34
CALL_WAIT_S = 5  # what the server lets a caller wait at most


def sleeps(pid):
    """How often the main thread has gone to sleep."""
    status = pathlib.Path(f"/proc/{pid}/task/{pid}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M)[1])


@contextlib.contextmanager
def traffic(clients=1):
    """Requests one by one over so many connections; yields the list of what went wrong."""
    wrong, stop, done = [], threading.Event(), [0] * clients

    def ask(n):
        try:
            with Tcp(60) as tcp:
                while not stop.is_set():
                    assert tcp.ask(b"mn\r\n") == b"MN\r\n"
                    done[n] += 1
        except Exception as error:  # shown by the test
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong


@contextlib.contextmanager
def busy(how_many):
    """Programs that do nothing but take CPU."""

    def spin():
        while True:
            pass

    started = [multiprocessing.get_context("fork").Process(target=spin, daemon=True)
               for _ in range(how_many)]
    for process in started:
        process.start()
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.join()


def test_packets_do_not_come_as_signals(launch):
    with launch() as server:
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        caught = int(re.search(r"^SigCgt:\s+(\w+)", status, re.M)[1], 16)
        assert caught >> (FIRST_REALTIME - 1) == 0, hex(caught)


def test_packets_do_not_make_ticks(launch):
    with launch(workers=3) as server:
        with traffic() as done:
            before, start = sleeps(server.process.pid), time.monotonic()
            time.sleep(2)
            ticks, seconds = sleeps(server.process.pid) - before, time.monotonic() - start
        assert sum(done) > 0
        assert ticks <= 1000 * seconds * 1.1


@pytest.mark.limit(90)
def test_every_question_is_answered_while_others_have_the_cpu(launch):
    with launch(workers=3) as server, traffic(4), busy(2 * os.cpu_count()):
        with Telemetry(server.process.pid, 30) as telemetry:
            until, slowest, answers = time.monotonic() + 8, 0, 0
            while time.monotonic() < until:
                asked = time.monotonic()
                reply = telemetry.ask("/lcached/memory")
                waited = time.monotonic() - asked
                assert reply is not None or waited >= CALL_WAIT_S  # told that there is none
                slowest = max(slowest, waited)
                answers += reply is not None
    print(f"{answers} answers, the slowest after {slowest:.3f} s")
    assert answers > 0


@pytest.mark.parametrize("round_", range(3))
def test_questions_while_the_server_ends(launch, round_):
    """Answered or told that they are not; nobody is left inside, and the server leaves cleanly."""
    with launch() as server:
        asked = [0] * 4

        def ask(n):
            with contextlib.suppress(OSError, ValueError, TypeError), Telemetry(
                    server.process.pid) as telemetry:
                while True:
                    telemetry.ask("/lcached/memory" if n % 2 else "/lcached/memory/usage,nobody")
                    asked[n] += 1

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(asked))]
        for thread in threads:
            thread.start()
        answered = eventually(lambda: all(asked), 30)
        server.stop()
        for thread in threads:
            thread.join()
        assert answered, asked
