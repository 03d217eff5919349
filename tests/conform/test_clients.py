# SPDX-License-Identifier: BSD-3-Clause
"""Clients that are programs of their own: memccapable and npm's memcached."""

import fcntl
import os
import pathlib
import re
import subprocess

import pytest

from netlab import HOME_NS, PORT, SERVER_IP, inside
from server import KIND, SLOW

NPM_PACKAGE = "memcached@2.2.2"
SCRIPT = pathlib.Path(__file__).with_name("npm_memcached.js")


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


def npm_modules():
    """Installs the client into the user's cache, once; its node_modules, or None if offline."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    folder = cache / "lcached-conform" / NPM_PACKAGE
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock, inside(HOME_NS):
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "node_modules" / "memcached").exists():
            return folder / "node_modules"
        flags = ["--no-audit", "--no-fund", "--no-save", "--prefix", str(folder)]
        try:
            done = subprocess.run(
                ["npm", "install", *flags, NPM_PACKAGE], capture_output=True, text=True, timeout=90
            )
        except subprocess.TimeoutExpired:
            return None
        if done.returncode == 0:
            return folder / "node_modules"
        unreachable = ("ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "ETIMEDOUT", "ENETUNREACH")
        if any(word in done.stderr for word in unreachable):
            return None
        raise RuntimeError(done.stderr)


@pytest.mark.limit(150)
def test_npm_memcached(server):
    modules = npm_modules()
    if modules is None:
        pytest.skip("the npm registry cannot be reached")
    env = dict(os.environ, NODE_PATH=str(modules))
    done = run_client("node", str(SCRIPT), f"{SERVER_IP}:{PORT}", env=env)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert done.stdout.splitlines()[-1].startswith("passed "), done.stdout
