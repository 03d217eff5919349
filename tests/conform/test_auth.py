# SPDX-License-Identifier: BSD-3-Clause
"""Who may speak: text tokens as memcached -Y takes them, SASL PLAIN in binary."""

import concurrent.futures
import shutil
import signal
import subprocess

import pylibmc
import pytest

import raw_lib
from binary import (
    AUTH_CONTINUE, AUTH_ERROR, INVALID, NOOP, OK, SASL_AUTH, SASL_LIST, SASL_STEP, SET, VERSION,
    packet, read_reply, store)
from figures import comes_to
from netlab import PORT, SERVER_IP
from server import LCACHED
from wire import Tcp, eventually

USERS = "user:pass\nu2:a:b\nlast:nonewline"


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "users"
    path.write_text(USERS)
    path.chmod(0o600)
    return path


def token(text, line=b"set x 0 0 %d\r\n"):
    return line % len(text) + text + b"\r\n"


def raw(addr, *steps):
    """What comes, and whether the server closes."""
    client = raw_lib.Client(addr)
    data = b""
    for step in steps:
        client.send(step)
        data += client.read(None, raw_lib.QUIET_S)
    client.sock.close()
    return data, client.closed


# Each is asked for its answer, and then for a key: is the client known now? One command at a time:
# of several that come together memcached answers the last alone.
TOKENS = {
    "right": token(b"user pass"),
    "a colon in the password": token(b"u2 a:b"),
    "the line after which the file ends": token(b"last nonewline"),
    "wrong password": token(b"user pasS"),
    "longer password": token(b"user passs"),
    "shorter password": token(b"user pas"),
    "wrong user": token(b"use pass"),
    "first field of a password": token(b"u2 a"),
    "no space": token(b"userpass"),
    "empty": token(b""),
    "bad end": b"set x 0 0 9\r\nuser passXX",
    "noreply": token(b"user pass", b"set x 0 0 %d noreply\r\n"),
    "more words": token(b"user pass", b"set x 0 0 %d a b c\r\n"),
    "other fields are anything": token(b"user pass", b"set " + b"k" * 300 + b" f e %d\n"),
    "add": (b"add x 0 0 9\r\n", b"user pass\r\n"),
    "negative length": b"set x 0 0 -9\r\n",
    "no length": b"set x 0 0\r\n",
    "length that is none": b"set x 0 0 a\r\n",
    "get": b"get a\r\n",
    "version": b"version\r\n",
    "meta": b"mg key v\r\n",
    "a packet": packet(VERSION, opaque=0)[:-1] + b"\n",
    "long token": token(b"user " + b"p" * 1500),
    "wrong, then right": (token(b"user x"), token(b"user pass")),
    "known already": (token(b"user pass"), token(b"user x")),
}


@pytest.fixture
def text_server(launch, users):
    with launch(options=["-Y", str(users)], workers=3, udp=False) as server:
        yield server


@pytest.mark.skipif(not shutil.which("memcached"), reason="no memcached to compare with")
@pytest.mark.lcached_only("memcached would be compared with itself")
def test_tokens_are_taken_as_memcached_takes_them(text_server, users, tmp_path):
    path = str(tmp_path / "socket")
    command = ["memcached", "-u", "root", "-s", path, "-t", "1", "-Y", str(users)]

    def difference(name):
        steps = [TOKENS[name]] if isinstance(TOKENS[name], bytes) else TOKENS[name]
        for _ in range(raw_lib.TRIES):  # what ends an answer is silence
            want, got = (
                raw(addr, *steps, b"get missing\r\n") for addr in (path, (SERVER_IP, PORT)))
            if want == got:
                return None
        return f"{name}: want {want} got {got}"

    with raw_lib.serving(command, path), concurrent.futures.ThreadPoolExecutor(4) as pool:
        failures = list(filter(None, pool.map(difference, TOKENS)))
    assert not failures, "\n".join(failures)


@pytest.mark.lcached_only("memcached 1.6.18 cuts the password at spaces; 1.6.45 does not")
def test_a_password_has_any_bytes(text_server, users):
    users.write_text("user: two  words \n")
    text_server.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: reply(token(b"user  two  words ")) == b"STORED\r\n")
    for other in (b"user two words", b"user  two  words", b"user "):
        assert reply(token(other)) == b"CLIENT_ERROR authentication failure\r\n"


def reply(request):
    with Tcp() as conn:
        return conn.ask(request)


@pytest.mark.lcached_only("memcached reads it again by refresh_certs")
def test_users_are_read_again(text_server, users):
    with Tcp() as known:
        assert known.ask(token(b"user pass")) == b"STORED\r\n"
        users.write_text("new:word\n")
        text_server.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: reply(token(b"new word")) == b"STORED\r\n")
        assert reply(token(b"user pass")) == b"CLIENT_ERROR authentication failure\r\n"
        assert known.set(b"k", b"v") == b"STORED\r\n"  # stays
        users.write_text("nobody\n")  # and who is known stays when the file is broken
        text_server.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "users stay as they are" in text_server.stderr())
        assert reply(token(b"new word")) == b"STORED\r\n"


def test_attempts_are_counted(text_server):
    with Tcp() as conn:
        assert conn.ask(token(b"user wrong")) == b"CLIENT_ERROR authentication failure\r\n"
        assert conn.ask(token(b"user pass")) == b"STORED\r\n"
        stats, settings = conn.stats(), conn.stats(b"settings")
    assert (stats["auth_cmds"], stats["auth_errors"]) == ("2", "1")
    assert settings["binding_protocol"] == "ascii"
    assert settings["auth_enabled_ascii"].endswith("users")
    assert settings["auth_enabled_sasl"] == "no"


@pytest.mark.lcached_only("has no telemetry socket")
def test_operators_see_the_attempts(text_server):
    for password in (b"wrong", b"pass", b"guess"):
        reply(token(b"user " + password))
    assert comes_to(text_server, "auth_cmds", 3)
    assert comes_to(text_server, "auth_errors", 2)


@pytest.mark.lcached_only("memcached answers the last alone")
def test_attempts_that_come_together(text_server):
    with Tcp() as conn:
        conn.send(b"get k\r\n" + token(b"user x") + token(b"user pass") + b"get k\r\n")
        assert conn.line() == b"CLIENT_ERROR unauthenticated\r\n"
        assert conn.line() == b"CLIENT_ERROR authentication failure\r\n"
        assert conn.line() == b"STORED\r\n"
        assert conn.line() == b"END\r\n"


@pytest.mark.lcached_only("memcached waits for it all")
def test_a_value_without_end_holds_nothing(text_server):
    with Tcp() as conn:
        conn.send(b"set x 0 0 16384\r\n")
        assert conn.line() == b"CLIENT_ERROR authentication failure\r\n"
        conn.send(b"x" * 16384 + b"\r\n" + token(b"user pass"))
        assert conn.line() == b"STORED\r\n"


@pytest.mark.lcached_only("1.6.18 waits for it all, and answers short lines")
def test_lines_that_cannot_be_right(text_server):
    """As 1.6.45 answers them."""
    for length in (b"16385", b"4294967295"):
        with Tcp() as conn:
            assert conn.ask(b"set x 0 0 %s\r\n" % length) == b"CLIENT_ERROR auth token too long\r\n"
            assert conn.ask(b"get k\r\n") == b"CLIENT_ERROR unauthenticated\r\n"
            assert conn.ask(token(b"user pass")) == b"STORED\r\n"
    for short in (b"quit\r\n", b"mn\r\n", b"\r\n", b"set x\n"):
        with Tcp() as conn:
            conn.send(short)
            assert conn.closed_by_server(), short


# ---- SASL
@pytest.fixture
def sasl_server(launch, users):
    with launch(options=["-S", "--auth-file", str(users)], workers=3, udp=False) as server:
        yield server


def plain(user, password, opcode=SASL_AUTH, mech=b"PLAIN", whom=b""):
    return packet(opcode, mech, b"", whom + b"\0" + user + b"\0" + password)


def ask(conn, request):
    conn.send(request)
    return read_reply(conn.file)


pytestmark_sasl = pytest.mark.lcached_only("Debian's memcached has no SASL users here")


@pytestmark_sasl
def test_nothing_is_answered_to_strangers(sasl_server):
    for request in (packet(NOOP), store(SET, b"k", b"v"), packet(0x55), packet(0x10)):
        with Tcp() as conn:
            got = ask(conn, request)
            assert (got.status, got.value) == (AUTH_ERROR, b"Auth failure.")
            assert conn.closed_by_server()
    with Tcp() as conn:  # but for what they need
        assert ask(conn, packet(VERSION)).status == OK
        assert ask(conn, packet(SASL_LIST)).value == b"PLAIN"
    with Tcp() as conn:
        conn.send(b"get k\r\n")
        assert conn.closed_by_server()


@pytestmark_sasl
@pytest.mark.parametrize(
    "attempt",
    (
        plain(b"user", b"pasS"), plain(b"user", b"pas"), plain(b"user", b"passs"),
        plain(b"use", b"pass"), plain(b"user", b""), plain(b"", b"pass"),
        plain(b"user", b"pass", mech=b"CRAM-MD5"), plain(b"user", b"pass", whom=b"root"),
        packet(SASL_AUTH, b"PLAIN", b"", b"user pass"), plain(b"user", b"pass", SASL_STEP),
        plain(b"user", b"p" * 5000),
    ),
    ids=range(11),
)
def test_who_is_not_known_stays_out(sasl_server, attempt):
    with Tcp() as conn:
        got = ask(conn, attempt)
        assert (got.status, got.value) == (AUTH_ERROR, b"Auth failure.")
        assert ask(conn, packet(NOOP)).status == AUTH_ERROR
        assert conn.closed_by_server()


@pytestmark_sasl
def test_who_is_known_is_served(sasl_server):
    with Tcp() as conn:
        assert ask(conn, plain(b"user", b"wrong")).status == AUTH_ERROR
        got = ask(conn, plain(b"user", b"pass"))
        assert (got.status, got.value) == (OK, b"Authenticated")
        assert ask(conn, store(SET, b"k", b"v")).status == OK
        assert ask(conn, packet(SASL_AUTH, b"x" * 40, b"", b"y")).status == INVALID
        assert ask(conn, packet(NOOP)).status == OK
        conn.send(packet(0x10))
        stats = {}
        while (one := read_reply(conn.file)).key:
            stats[one.key] = one.value
        assert (stats[b"auth_cmds"], stats[b"auth_errors"]) == (b"2", b"1")
    with Tcp() as conn:  # in two packets
        assert ask(conn, packet(SASL_AUTH, b"PLAIN")).status == AUTH_CONTINUE
        assert ask(conn, plain(b"u2", b"a:b", SASL_STEP)).status == OK
        assert ask(conn, packet(NOOP)).status == OK
    with Tcp() as conn:  # memcached's file may have fields behind the password
        assert ask(conn, plain(b"u2", b"a")).status == OK


@pytestmark_sasl
def test_pylibmc_with_a_password(sasl_server):
    if not pylibmc.support_sasl:
        pytest.skip("libmemcached without SASL")
    where = [f"{SERVER_IP}:{PORT}"]
    good = pylibmc.Client(where, binary=True, username="user", password="pass")
    assert good.set("k", "v") and good.get("k") == "v"
    bad = pylibmc.Client(where, binary=True, username="user", password="wrong")
    with pytest.raises(pylibmc.Error):
        bad.set("k", "w")
    assert good.get("k") == "v"


@pytest.mark.lcached_only("other words")
@pytest.mark.parametrize(
    ("options", "words"),
    (
        (["-S"], "MEMCACHED_SASL_PWDB"),
        (["-S", "-Y", "USERS", "-U", "11211"], "udp-port must be 0"),
        (["-Y", "USERS", "-U", "11211"], "udp-port must be 0"),
        (["-S", "-Y", "USERS", "-B", "ascii"], "protocol is ascii"),
        (["-Y", "USERS", "-B", "binary"], "protocol is binary"),
        (["-Y", "/nonexistent/users"], "No such file"),
        (["-Y", "/etc/hostname"], "/etc/hostname:1: not NAME:PASSWORD"),
        (["-Y", "/dev/null"], "no user"),
        (["-B", "klingon"], "auto, ascii, binary"),
    ),
    ids=lambda v: None if isinstance(v, str) else " ".join(v),
)
def test_what_cannot_be_is_refused_at_the_start(options, words, users):
    options = [str(users) if o == "USERS" else o for o in options]
    done = subprocess.run([LCACHED, *options], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and words in done.stderr, done.stderr


# ---- one language alone
@pytest.mark.parametrize("language", ("ascii", "binary"))
def test_one_language_alone(launch, language):
    with launch(options=["-B", language]):
        if language == "ascii":
            with Tcp() as conn:
                conn.send(packet(VERSION, opaque=0)[:-1] + b"\n")
                assert conn.line() == b"ERROR\r\n"
                assert conn.stats(b"settings")["binding_protocol"] == "ascii"
            return
        with Tcp() as conn:
            assert ask(conn, packet(NOOP)).status == OK
        with Tcp() as conn:
            conn.send(b"get k\r\n" + b"x" * 30)
            assert conn.closed_by_server()
