# SPDX-License-Identifier: BSD-3-Clause
"""Some hundred raw requests over TCP, answered byte for byte as a memcached beside us answers
them. proto_requests.py has the requests, and the replies that are known to differ."""

import re
import shutil
import socket
import subprocess

import pytest

from proto_requests import AS_1_6_18, DIFFERENT
from wire import Tcp, eventually

REFERENCE = "1.6.18"
END_REQUEST = b"mg \x01end k\r\n"  # after each request: when this is answered, all is
END_REPLY = b"EN k\x01end\r\n"
CLOSED = b"<closed>"
TRIES = 3  # a second may end between two commands: t30 or t29
SECONDS = 5

pytestmark = pytest.mark.lcached_only("memcached would be compared with itself")


def expand(text):
    text = re.sub(r"\{(.+?)\*(\d+)\}", lambda m: m[1] * int(m[2]), text)
    return text.encode("latin-1")


def without_numbers(reply):
    """CAS numbers differ by server, and so does how far in the past a negative time is."""
    reply = re.sub(rb"( c|cas=)\d+", rb"\1#", reply)
    return re.sub(rb"(VALUE \S+ \d+ \d+) \d+", rb"\1 #", reply)


def converse(sock, request):
    """What the server says to the request, up to its end or the connection's."""
    reply = b""
    sock.settimeout(SECONDS)
    try:
        sock.sendall(request + END_REQUEST)
        while not reply.endswith(END_REPLY):
            got = sock.recv(1 << 20)
            if not got:
                return reply + CLOSED
            reply += got
    except (ConnectionResetError, BrokenPipeError):
        return reply + CLOSED
    except TimeoutError:
        return reply + b"<nothing more>"
    return without_numbers(reply.removesuffix(END_REPLY))


def ask(connect, request):
    """On a connection of its own, to an empty cache."""
    with connect() as sock:
        assert converse(sock, b"flush_all\r\n") == b"OK\r\n"
    with connect() as sock:
        return converse(sock, request)


def to_lcached():
    return Tcp().sock


@pytest.fixture(scope="module")
def to_memcached(tmp_path_factory):
    binary = shutil.which("memcached")
    if binary is None:
        pytest.skip("no memcached to compare with")
    version = subprocess.run([binary, "-V"], capture_output=True, text=True).stdout
    if REFERENCE not in version:
        pytest.skip(f"memcached here is {version.strip()}, not {REFERENCE}")
    path = str(tmp_path_factory.mktemp("memcached") / "sock")
    process = subprocess.Popen(
        [binary, "-u", "root", "-s", path, "-m", "64"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def connect():
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        return sock

    def answers():
        try:
            with connect():
                return True
        except OSError:
            return False

    try:
        assert eventually(answers), "memcached does not start"
        yield connect
    finally:
        process.terminate()
        process.wait()


def shown(text):
    return text if len(text) < 200 else text[:150] + b"..." + text[-30:]


@pytest.mark.limit(120)
@pytest.mark.parametrize("group", AS_1_6_18)
def test_as_memcached(server, to_memcached, group):
    wrong = []
    for request in map(expand, AS_1_6_18[group]):
        for _ in range(TRIES):
            wanted, got = ask(to_memcached, request), ask(to_lcached, request)
            if got == wanted:
                break
        else:
            wrong.append((shown(request), shown(wanted), shown(got)))
    assert not wrong, "\n".join(f"{r}\n   memcached {w}\n   lcached   {g}" for r, w, g in wrong)


@pytest.mark.parametrize("group", DIFFERENT)
def test_where_1_6_45_differs(server, group):
    wrong = []
    for request, wanted in DIFFERENT[group]:
        got = ask(to_lcached, expand(request))
        if got != expand(wanted):
            wrong.append((request, wanted, got))
    assert not wrong, "\n".join(f"{r}\n   wanted {w}\n   got    {g}" for r, w, g in wrong)
