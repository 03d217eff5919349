# SPDX-License-Identifier: BSD-3-Clause
"""Clients that are programs of their own: memccapable, those of PHP, Ruby, Perl and npm, and the
integration tests that come with Debian's pymemcache."""

import fcntl
import os
import pathlib
import re
import subprocess
import sys

import pymemcache.test
import pytest

from netlab import HOME_NS, PORT, SERVER_IP, inside
from server import KIND, SLOW
from telemetry import Telemetry

HERE = pathlib.Path(__file__).parent
ADDRESS = f"{SERVER_IP}:{PORT}"

# To `delete KEY TIME` memccapable expects a refusal. memcached 1.6.45 ignores what follows the key
# and deletes, and so does lcached: these tests must fail, all others pass.
MEMCCAPABLE_TESTS = 27
MEMCCAPABLE_FAILED = {"ascii delete", "ascii delete noreply"} if KIND == "lcached" else set()


def run_client(*argv, env=None, seconds=60):
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=env,
        timeout=seconds * (3 if SLOW else 1),
    )


def test_memccapable_ascii(server):
    done = run_client("memccapable", "-h", SERVER_IP, "-p", str(PORT), "-t", "5", "-a")
    results = dict(re.findall(r"(ascii(?: [a-z]+)+)\s+(\[pass\])?", done.stdout))
    assert len(results) == MEMCCAPABLE_TESTS, done.stdout + done.stderr
    failed = {name for name, passed in results.items() if not passed}
    assert failed == MEMCCAPABLE_FAILED, done.stdout + done.stderr


def test_memccapable_binary(server):
    done = run_client("memccapable", "-h", SERVER_IP, "-p", str(PORT), "-t", "5", "-b")
    results = dict(re.findall(r"(binary(?: [a-z]+)+)\s+(\[pass\])?", done.stdout))
    assert len(results) == 27, done.stdout + done.stderr
    assert all(results.values()), done.stdout + done.stderr


def test_libmemcached_tools(server, tmp_path):
    """Those that people have in their scripts."""

    def tool(name, *words, status=0):
        done = run_client(name, f"--servers={ADDRESS}", *words)
        assert done.returncode == status, (name, done.stdout, done.stderr)
        return done.stdout

    paths = [tmp_path / name for name in ("one", "two")]
    for path in paths:
        path.write_text(f"in {path.name}")
    tool("memcping")
    tool("memccp", "--set", *map(str, paths))
    assert tool("memccat", "one", "two") == "in one\nin two\n"
    tool("memcexist", "one")
    assert "curr_items: 2\n" in tool("memcstat")
    assert sorted(tool("memcdump").split()) == ["one", "two"]
    tool("memctouch", "--expire=1000", "one")
    tool("memcrm", "one")
    tool("memcexist", "one", status=1)
    tool("memcflush")
    tool("memcexist", "two", status=1)


def npm_modules(package):
    """Installs the client into the user's cache, once; its node_modules, or None if offline."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    folder = cache / "lcached-conform" / package
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock, inside(HOME_NS):
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "node_modules" / package.partition("@")[0]).exists():
            return folder / "node_modules"
        flags = ["--no-audit", "--no-fund", "--no-save", "--prefix", str(folder)]
        try:
            done = subprocess.run(
                ["npm", "install", *flags, package], capture_output=True, text=True, timeout=90
            )
        except subprocess.TimeoutExpired:
            return None
        if done.returncode == 0:
            return folder / "node_modules"
        unreachable = ("ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "ETIMEDOUT", "ENETUNREACH")
        if any(word in done.stderr for word in unreachable):
            return None
        raise RuntimeError(done.stderr)


def passes(*argv, env=None):
    """The script says at its end how many checks it has passed."""
    done = run_client(*argv, env=env)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert re.match(r"passed [1-9]", done.stdout.splitlines()[-1]), done.stdout


@pytest.mark.limit(150)
@pytest.mark.parametrize(
    "package, script",
    (("memcached@2.2.2", "npm_memcached.js"), ("memjs@1.3.2", "npm_memjs.js")),
    ids=("memcached", "memjs"),
)
def test_npm(server, package, script):
    modules = npm_modules(package)
    if modules is None:
        pytest.skip("the npm registry cannot be reached")
    passes("node", str(HERE / script), ADDRESS, env=dict(os.environ, NODE_PATH=str(modules)))


@pytest.mark.parametrize("protocol", ("text", "binary"))
def test_php_memcached(server, protocol):
    passes("php", str(HERE / "client_php.php"), SERVER_IP, str(PORT), protocol)


# memcached answers each key of a get over UDP by itself, and the client waits for ever.
@pytest.mark.parametrize(
    "how",
    ("text", pytest.param("udp", marks=pytest.mark.lcached_only("a message a key"))),
)
def test_php_memcache(server, how):
    before = datagrams(server) if how == "udp" else 0
    passes("php", str(HERE / "client_php_memcache.php"), SERVER_IP, str(PORT), how)
    assert how != "udp" or datagrams(server) - before > 300  # not all of it went over TCP


def datagrams(server):
    with Telemetry(server.process.pid) as telemetry:
        return telemetry.ask("/lcached/info,stats")["udp_requests"]


def test_dalli(server):
    passes("ruby", str(HERE / "client_dalli.rb"), ADDRESS)


@pytest.mark.parametrize("module", ("Cache::Memcached", "Cache::Memcached::Fast"))
def test_perl(server, module):
    passes("perl", str(HERE / "client_perl.pl"), ADDRESS, module)


def test_pymemcache_integration(server):
    """As pymemcache's own: TLS aside, which has a server of its own there."""
    folder = pathlib.Path(pymemcache.test.__file__).parent
    done = run_client(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not tls",
        f"--rootdir={folder}", f"--server={SERVER_IP}", f"--port={PORT}",
        str(folder / "test_integration.py"),
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    assert re.search(r"[1-9]\d* passed", done.stdout), done.stdout
