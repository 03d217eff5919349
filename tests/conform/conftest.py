# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the end-to-end tests. docs/testing.md says how to run them."""

import contextlib
import os
import signal

import pytest

import exact
import server as server_module
from netlab import Lab, sweep
from server import KIND, SLOW, Server
from wire import Tcp, Udp

# A sanitizer's build has time for one of them: three workers serve keys of their own, too. It is asked
# nothing about tools, figures and services, nor what raw_shell is asked in its place.
WORKERS = (3,) if SLOW else (1, 3)
NOT_SLOW = ("bench_rounds", "control_core", "lcbench", "lcctl", "memcached_suite", "raw_server",
            "service")
collect_ignore = [f"test_{name}.py" for name in NOT_SLOW] if SLOW else []
if not os.environ.get("RAW_SHELL"):  # there is nothing to ask
    collect_ignore.append("test_raw.py")
LIMIT_S = 60


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): how long the test may take")
    config.addinivalue_line("markers", "lcached_only(reason): memcached differs or lacks it")


def pytest_collection_modifyitems(items):
    if SLOW:
        items[:] = [item for item in items if workers_of(item) != 1]
    for item in items:
        mark = item.get_closest_marker("lcached_only")
        if mark and KIND != "lcached":
            item.add_marker(pytest.mark.skip(reason=f"memcached: {mark.args[0]}"))


def workers_of(item):
    """Of the server that the test starts itself, where it is run with several."""
    return item.callspec.params.get("workers") if hasattr(item, "callspec") else None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A test that hangs fails, alone, after its limit."""
    mark = item.get_closest_marker("limit")
    seconds = (mark.args[0] if mark else LIMIT_S) * (3 if SLOW else 1)

    def expire(*_):
        raise TimeoutError(f"test took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows what the server wrote."""
    report = (yield).get_result()
    running = item.funcargs.get("server") if hasattr(item, "funcargs") else None
    if report.failed and isinstance(running, Server) and running.process:
        report.sections.append(("server stderr", running.tail()))


@pytest.fixture(scope="session", autouse=True)
def environment():
    if os.geteuid():
        pytest.exit("these tests make network namespaces: run them as root", 2)
    if KIND == "lcached" and not os.access(server_module.LCACHED, os.X_OK):
        pytest.exit(f"no {server_module.LCACHED}: build first, or set LCACHED", 2)

    def terminate(*_):  # as Ctrl-C: what the fixtures made is removed
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminate)
    sweep()


@pytest.fixture(scope="session")
def lab():
    """The plain topology; the whole session's sockets are opened in the client's namespace."""
    made = Lab(KIND)
    try:
        with made.client.inside():
            yield made
    finally:
        made.delete()


@pytest.fixture(scope="session", params=WORKERS, ids=lambda n: f"t{n}")
def running_server(request, lab):
    """One server for all tests that need nothing special, once with 1 and once with 3 workers."""
    made = Server(lab, workers=request.param)
    try:
        start_empty(made)
        yield made
        made.stop()
    finally:
        made.kill()


def answers(request, reply):
    try:
        with Tcp() as conn:
            return conn.ask(request).startswith(reply)
    except OSError:
        return False


def give_up(running, how=""):
    """Ends a server that does not answer, or is not what it was. It fails one test: the next starts
    a new one."""
    how = how or ("does not answer" if running.alive() else "died")
    tail = running.tail()
    running.kill()
    pytest.fail(f"the server {how}\n{tail}", pytrace=False)


def start_empty(running):
    """Starts the shared server and notes what its workers hold before they have served anybody."""
    running.start()
    if KIND == "lcached":
        running.at_start = exact.Start(running)


@pytest.fixture
def server(running_server):
    """The shared server, empty. After the test it must still answer; emptied, its workers must hold
    what they held at the start, and what the allocator says."""
    if not running_server.process:
        start_empty(running_server)
    if not answers(b"flush_all\r\n", b"OK\r\n"):
        give_up(running_server)
    yield running_server
    if KIND == "lcached" and (wrong := exact.difference(running_server)):
        give_up(running_server, f"miscounts: {wrong}")
    if not answers(b"flush_all\r\n", b"OK\r\n"):
        give_up(running_server)
    if KIND == "lcached" and (left := running_server.at_start.remains(running_server)):
        give_up(running_server, f"keeps memory: {left}")


@pytest.fixture
def tcp(server):
    with Tcp() as conn:
        yield conn


@pytest.fixture
def udp(server):
    with Udp() as sock:
        yield sock


@pytest.fixture
def launch():
    """Starts servers with their own options, each in a lab of its own:

        with launch(drop_percent=1, options=["-I", "128m"]) as special: ...

    The block runs in that lab's client namespace. At its end the workers' counters must be the
    allocator's, and the server has to end cleanly.
    """

    @contextlib.contextmanager
    def start(drop_percent=0, **how):
        made = Lab(KIND, drop_percent)
        running = Server(made, **how)
        try:
            running.start()
            with made.client.inside():
                yield running
            if KIND == "lcached" and running.process and running.alive():
                wrong = exact.difference(running)
                assert not wrong, wrong
            running.stop()
        finally:
            running.kill()
            made.delete()

    return start
