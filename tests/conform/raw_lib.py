# SPDX-License-Identifier: BSD-3-Clause
"""Sends the same raw bytes to two memcached servers and compares what comes back.

    with memcached() as reference:
        failures = compare(reference, ("198.18.211.2", 11211), raw_cases.CASES)
    assert not failures, "\n".join(failures)

An address is a pair for TCP, or the path of a UNIX socket.

A case is a list of steps on one fresh connection. After a plain step the client asks for a key
that is never there and reads to that answer, so that everything before it is known to have come;
Raw and Part say otherwise.

CAS numbers differ between servers, so they are compared by their order of appearance: the first one
of a case is <cas0>, the next different one <cas1> and so on. A request may use them: {cas0}, and
{cas0+1} for a number that is one more. Keys are written with a leading `~`, which becomes a prefix
of ten bytes, the case's own, so cases do not meet; {b64:NAME} is that prefix and NAME in base64.
Seconds left are rounded up to tens (two clocks tick at different moments), seconds idle of 0 and 1
are taken for the same, and so are the slab classes that `me` shows.
"""

import base64
import contextlib
import os
import random
import re
import socket
import subprocess
import tempfile
import time
import zlib
from dataclasses import dataclass

QUIET_S = 0.2  # no more bytes for this long: the answer to a Raw step is over
LIMIT_S = 5.0  # a sentinel that does not come by then is a difference
TRIES = 3  # where time decides: a difference comes each time, a process that had no CPU for QUIET_S does not
SENTINEL = b"mg raw.sentinel k\r\n"
SENTINEL_REPLY = b"EN kraw.sentinel\r\n"


class Raw(bytes):
    """A step that leaves the connection inside a command, or closes it: read until it is quiet."""


class Part(bytes):
    """A piece of a command: the next step follows after a moment, nothing is read between."""


class Pieces(bytes):
    """A step that is sent in pieces, cut where random numbers that hang on its bytes say."""

    def pieces(self):
        rng = random.Random(zlib.crc32(self))
        cuts = sorted(rng.randrange(len(self) + 1) for _ in range(rng.choice((0, 1, 2, 5))))
        return [self[i:j] for i, j in zip([0, *cuts], [*cuts, len(self)])]


class Pause(float):
    """Seconds in which clocks move on."""


@dataclass
class Case:
    name: str
    steps: list
    # None: what the reference answers. Else the exact bytes of all steps together, for what
    # memcached 1.6.45 does otherwise than the 1.6.18 that Debian has, or lcached than both;
    # `why` names the difference.
    expect: bytes | None = None
    why: str = ""
    closed: bool | None = None  # with `expect`: whether the server closes the connection
    counted: bool = True  # False: memcached counts what is refused here before it runs
    literal: bool = False  # sent and compared as it stands: no prefix, no CAS numbers in requests


@dataclass
class Outcome:
    data: bytes
    closed: bool
    late: bool  # a sentinel's answer did not come

    def __str__(self):
        text = repr(self.data)
        if len(self.data) > 400:
            text = f"{self.data[:200]!r}... ({len(self.data)} bytes)"
        return text + (" and closes" if self.closed else "") + (" (no answer)" if self.late else "")


class CasNames:
    """CAS numbers by order of appearance."""

    # where a CAS number stands: gets and gats, the c flag, me
    PATTERN = re.compile(
        rb"^(VALUE \S+ \d+ \d+ )(\d+)(?=\r\n)"
        rb"|^((?:HD|VA \d+|EX|NF|NS)(?: [^\r\n]*?)? c)(\d+)(?=[ \r])"
        rb"|^(ME [^\r\n]* cas=)(\d+)",
        re.M,
    )
    USE = re.compile(rb"\{cas(\d+)([+-]\d+)?\}")

    def __init__(self):
        self.numbers = []

    def name(self, data):
        def one(m):
            head, number = next((m[i], m[i + 1]) for i in (1, 3, 5) if m[i + 1] is not None)
            if int(number) == 0:
                return head + number  # "none", the same everywhere
            if number not in self.numbers:
                self.numbers.append(number)
            return head + b"<cas%d>" % self.numbers.index(number)

        return self.PATTERN.sub(one, data)

    def use(self, step):
        def one(m):
            i = int(m[1])
            number = int(self.numbers[i]) if i < len(self.numbers) else 1 << 62
            return b"%d" % (number + int(m[2] or 0))

        return self.USE.sub(one, step)


def connect(addr):
    if isinstance(addr, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(LIMIT_S)
        sock.connect(addr)
        return sock
    sock = socket.create_connection(addr, timeout=LIMIT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Client:
    def __init__(self, addr):
        self.sock = connect(addr)
        self.closed = False
        self.late = False

    def send(self, data):
        try:
            self.sock.settimeout(LIMIT_S)
            self.sock.sendall(data)
        except OSError:
            pass  # the reader sees the end

    def read(self, ends, timeout_s):
        """Bytes to `ends` (or None), to the connection's end, or until it is quiet."""
        data = b""
        self.sock.settimeout(timeout_s)
        while not self.closed and not (ends and data.endswith(ends)):
            try:
                piece = self.sock.recv(1 << 20)
            except socket.timeout:
                self.late = self.late or ends is not None
                break
            except OSError:
                piece = b""
            self.closed = not piece
            data += piece
        return data

    def step(self, step):
        if isinstance(step, Part):
            self.send(step)
            time.sleep(0.02)
            return b""
        for piece in step.pieces() if isinstance(step, Pieces) else [step]:
            self.send(piece)
        if isinstance(step, Raw):
            return self.read(None, QUIET_S)
        self.send(SENTINEL)
        data = self.read(SENTINEL_REPLY, LIMIT_S)
        return data.removesuffix(SENTINEL_REPLY)


class Keys:
    """Puts a case's key prefix into what is sent, and takes it out of what comes back."""

    BASE64 = re.compile(rb"\{b64:([^}]*)\}")

    def __init__(self, prefix):
        self.prefix = prefix
        self.encoded = {}

    def put(self, step):
        def one(m):
            text = base64.b64encode(self.prefix + m[1])
            self.encoded[text] = m[0]
            return text

        return self.BASE64.sub(one, step.replace(b"~", self.prefix))

    def take(self, data):
        for text, name in self.encoded.items():
            data = data.replace(text, name)
        return data.replace(self.prefix, b"~")


LEFT = re.compile(rb"^((?:HD|VA \d+)(?: [^\r\n]*?)? t|ME [^\r\n]* exp=)(\d+)(?=[ \r])", re.M)
IDLE = re.compile(rb"^((?:HD|VA \d+)(?: [^\r\n]*?)? l|ME [^\r\n]* la=)[01](?=[ \r])", re.M)
ME_CLASS = re.compile(rb"^(ME [^\r\n]*) cls=\d+ ", re.M)


def clocks_round(data):
    data = LEFT.sub(lambda m: m[1] + b"%d" % ((int(m[2]) + 9) // 10 * 10), data)
    data = IDLE.sub(rb"\g<1>0", data)
    return ME_CLASS.sub(rb"\1 cls=_ ", data)


def run(addr, case, prefix):
    """The case's outcome on the server at addr, CAS numbers named, key prefix taken out."""
    names, keys, data = CasNames(), Keys(prefix), b""
    client = Client(addr)
    try:
        for step in case.steps:
            if isinstance(step, Pause):
                time.sleep(step)
                continue
            sent = step if case.literal else type(step)(names.use(keys.put(step)))
            # by step, so that {cas0} can be used in the next one
            data += names.name(client.step(sent))
            if client.closed:
                break
    finally:
        client.sock.close()
    if not case.literal:
        data = clocks_round(keys.take(data))
    return Outcome(data, client.closed, client.late)


def compare_one(addr_reference, addr_under_test, case, prefix):
    """None, or a text that says how the answers differ each time."""
    timed = any(isinstance(step, (Pause, Raw)) for step in case.steps)
    for n in range(TRIES if timed else 1):
        # as long as the prefix itself, so that lengths stay
        again = prefix if n == 0 else b"%c" % (ord("u") + n) + prefix[1:]
        failure = compare_once(addr_reference, addr_under_test, case, again)
        if failure is None:
            break
    return failure


def compare_once(addr_reference, addr_under_test, case, prefix):
    got = run(addr_under_test, case, prefix)
    if case.expect is None:
        want = run(addr_reference, case, prefix)
    else:
        want = Outcome(case.expect, bool(case.closed), False)
    if (got.data, got.closed, got.late) == (want.data, want.closed, want.late):
        return None
    sent = b"|".join(s for s in case.steps if isinstance(s, bytes))
    sent = repr(sent) if len(sent) < 300 else f"{sent[:150]!r}..."
    return f"{case.name}: sent {sent}\n    want {want}\n    got  {got}"


def prefix_new():
    """The first half of a key prefix: unlike that of an earlier run on the same server."""
    return os.urandom(3).hex()[:5].encode()


def compare(addr_reference, addr_under_test, cases):
    """Texts, one for each case whose answers differ."""
    failures = []
    run_id = prefix_new()
    for i, case in enumerate(cases):
        failure = compare_one(addr_reference, addr_under_test, case, run_id + b"%04d." % i)
        if failure:
            failures.append(failure)
    return failures


STATS = (
    "cmd_get cmd_set cmd_flush cmd_touch cmd_meta get_hits get_misses get_expired "
    "delete_misses delete_hits incr_misses incr_hits decr_misses decr_hits cas_misses cas_hits "
    "cas_badval touch_hits touch_misses store_too_large store_no_memory"
).split()


def stats(addr):
    client = Client(addr)
    client.send(b"stats\r\n")
    lines = client.read(b"END\r\n", LIMIT_S).decode().splitlines()
    client.sock.close()
    values = dict(line.split()[1:3] for line in lines if line.startswith("STAT "))
    return {name: int(values.get(name, -1)) for name in STATS}


def stats_change(addr, case, prefix):
    """How the counters move while the case runs."""
    before = stats(addr)
    run(addr, case, prefix)
    after = stats(addr)
    return {name: after[name] - before[name] for name in STATS if after[name] != before[name]}


def port_free():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(addr, process, limit_s=10.0):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        try:
            connect(addr).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{process.args} does not answer")


@contextlib.contextmanager
def serving(command, addr):
    """Runs a server process while the block lasts."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for(addr, process)
        yield addr
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def memcached(program="memcached"):
    """Debian's memcached on a UNIX socket, which needs no network: `with memcached() as addr`."""
    with tempfile.TemporaryDirectory(prefix="lcached-raw-") as folder:
        path = folder + "/socket"
        with serving([program, "-u", "root", "-s", path, "-t", "1"], path):
            yield path


def raw_shell(path):
    port = port_free()
    return serving([path, "-p", str(port)], ("127.0.0.1", port))
