# SPDX-License-Identifier: BSD-3-Clause
"""What a service manager sees: readiness, signs of life, a user without rights, a socket with them."""

import contextlib
import grp
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pytest

from netlab import Lab
from server import KIND, LCACHED, SOURCE, Server, driver_config
from telemetry import Telemetry, socket_paths
from wire import Tcp, Udp, eventually

USER = "nobody"
NET_CAPS = 1 << 12 | 1 << 13  # CAP_NET_ADMIN, CAP_NET_RAW

pytestmark = pytest.mark.lcached_only("memcached's own are other options")


@pytest.fixture
def space():
    """A lab without a server."""
    made = Lab(KIND)
    try:
        yield made
    finally:
        made.delete()


# ---- sd_notify ----------------------------------------------------------------------------------
class Manager:
    """systemd's end of NOTIFY_SOCKET."""

    def __init__(self, folder, abstract=False):
        name = f"lct-notify-{os.getpid()}" if abstract else str(pathlib.Path(folder) / "notify")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("\0" + name if abstract else name)
        self.env = {"NOTIFY_SOCKET": "@" + name if abstract else name, "WATCHDOG_USEC": "200000"}
        self.told = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def take(self, seconds=0.0):
        """All that has been told so far, with the times at which it was read."""
        deadline = time.monotonic() + seconds
        while True:
            self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                self.told.append((time.monotonic(), self.sock.recv(4096).decode()))
            except TimeoutError:
                return [word for _, word in self.told]


@pytest.mark.parametrize("abstract", (False, True), ids=("path", "abstract"))
def test_the_manager_is_told(space, tmp_path, abstract):
    with space.server.inside(), Manager(tmp_path, abstract) as manager:  # names are a namespace's
        running = Server(space, workers=2, env=manager.env)
        try:
            running.start()
            manager.take(2)
            with Tcp() as conn:
                assert conn.ask(b"mn\r\n") == b"MN\r\n"
            running.stop()
        finally:
            running.kill()
        words = manager.take(0.1)
    ready = words.index("READY=1")
    assert words.count("READY=1") == words.count("STOPPING=1") == 1
    stopping = words.index("STOPPING=1")
    signs = [at for (at, word) in manager.told[ready:stopping] if word == "WATCHDOG=1"]
    assert len(signs) >= 10  # in two seconds, one every 100 ms
    gaps = sorted(b - a for a, b in zip(signs, signs[1:]))
    assert gaps[-2] < 1  # but for one, in which the machine itself may have stood still
    assert set(words) == {"READY=1", "WATCHDOG=1", "STOPPING=1"}


def test_no_sign_of_life_without_a_worker(launch, tmp_path):
    """One worker is stopped, the control core goes on: nothing is told."""
    with Manager(tmp_path) as manager:
        with launch(workers=2, env=manager.env) as running:
            manager.take(1)
            threads = pathlib.Path(f"/proc/{running.process.pid}/task")
            worker = next(t for t in threads.iterdir() if (t / "comm").read_text().startswith(WORKER))
            with stopped_thread(int(worker.name)):
                assert eventually(lambda: workers_stalled(running) == 1, 10)
                manager.take(0.2)
                manager.told.clear()
                assert manager.take(1.5) == []
            assert eventually(lambda: workers_stalled(running) == 0, 10)
            assert eventually(lambda: "WATCHDOG=1" in manager.take(0.1))


WORKER = "rte-worker"  # DPDK's name of an lcore's thread


def workers_stalled(running):
    with Telemetry(running.process.pid) as telemetry:
        return telemetry.ask("/lcached/info,server")["workers_stalled"]


@contextlib.contextmanager
def stopped_thread(tid):
    """ptrace stops one thread, where a signal would stop them all."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    seize, interrupt, detach = 0x4206, 0x4207, 17
    if libc.ptrace(seize, tid, None, None):
        pytest.skip(f"ptrace: {os.strerror(ctypes.get_errno())}")
    try:
        libc.ptrace(interrupt, tid, None, None)
        os.waitpid(tid, 0x40000000)  # __WALL
        yield
    finally:
        libc.ptrace(detach, tid, None, None)


def test_a_manager_that_is_not_there(launch, tmp_path):
    with launch(env={"NOTIFY_SOCKET": str(tmp_path / "none"), "WATCHDOG_USEC": "x"}) as running:
        assert "NOTIFY_SOCKET" in running.stderr()


# ---- rights -------------------------------------------------------------------------------------
def statuses(pid):
    """Of each thread: name, user ids, capabilities in force, whether it can get new rights."""
    found = []
    for task in sorted(pathlib.Path(f"/proc/{pid}/task").iterdir()):
        text = (task / "status").read_text()
        field = dict(re.findall(r"(?m)^(\w+):\s*(.*)$", text))
        found.append((int(task.name), field))
    return found


def test_root_becomes_the_user(launch, tmp_path):
    """Every thread; main keeps what closing a TAP takes, the others nothing. All goes on working."""
    tmp_path.chmod(0o755)
    folder = tmp_path / "files"
    folder.mkdir()
    os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
    for parent in folder.parents:  # pytest's own are root's alone
        if str(parent).startswith(tempfile.gettempdir() + "/"):
            parent.chmod(0o755)
    options = ["-u", USER, "--snapshot-dir", str(folder), "--flight-dir", str(folder)]
    options += ["--capture-dir", str(folder)]
    with launch(workers=2, options=options) as running:
        pid, uid = running.process.pid, str(pwd.getpwnam(USER).pw_uid)
        for tid, field in statuses(pid):
            assert set(field["Uid"].split()) == {uid}
            gid = pwd.getpwnam(USER).pw_gid
            assert set(field["Gid"].split()) == {str(gid)}
            assert set(map(int, field["Groups"].split())) == set(os.getgrouplist(USER, gid))
            assert field["NoNewPrivs"] == "1"
            held = int(field["CapEff"], 16) | int(field["CapPrm"], 16)
            assert held == (NET_CAPS if tid == pid else 0), field["Name"]
        with Tcp() as conn, Udp() as udp:
            assert conn.set(b"k", b"v") == b"STORED\r\n"
            assert udp.ask(b"get k\r\n").startswith(b"VALUE k 0 1")
        with Telemetry(pid) as telemetry:
            telemetry.ask("/lcached/snapshot,now.snapshot")
            assert "error" not in telemetry.ask("/lcached/flight/dump")
            assert "error" not in telemetry.ask("/lcached/capture/start,file=x.pcapng,seconds=1")
            assert telemetry.ask("/lcached/config/set,udp-allow=10.0.0.0/8") == {"status": "ok"}
        assert eventually(lambda: (folder / "now.snapshot").exists(), 10)
        assert all(path.owner() == USER for path in folder.iterdir())
        assert "cannot write" not in running.stderr()


def test_root_may_stay_root(launch):
    """As -u root of memcached's scripts says it: every thread keeps what it had."""
    with launch(workers=2, options=["-u", "root"]) as running:
        held = {(field["Uid"], field["CapEff"]) for _, field in statuses(running.process.pid)}
        assert len(held) == 1
        assert int(held.pop()[1], 16) & NET_CAPS == NET_CAPS
        assert "running as root" in running.stderr()


SLOW_GROUPS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <grp.h>
#include <unistd.h>
int initgroups(const char *user, gid_t group)
{
	sleep(2);
	return ((int (*)(const char *, gid_t))dlsym(RTLD_NEXT, "initgroups"))(user, group);
}
"""


def test_nobody_is_served_by_root(space, tmp_path):
    """A client that asks while the server still is root waits until it is not."""
    shim = tmp_path / "slow.so"
    subprocess.run(
        ["cc", "-x", "c", "-shared", "-fPIC", "-o", shim, "-"], input=SLOW_GROUPS, text=True, check=True)
    asan = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"  # which wants to be first
    env = {"LD_PRELOAD": str(shim), "ASAN_OPTIONS": asan.lstrip(":")}
    running = Server(space, workers=2, options=["-u", USER], env=env)
    running.folder = tempfile.TemporaryDirectory(prefix="lcached-conform-")
    try:
        with space.client.inside():
            running.process = subprocess.Popen(
                running.argv(), env=running.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            assert eventually(lambda: link_up(space), 20)
            with Udp(timeout=0.1) as udp:
                assert eventually(lambda: asked_in_vain(udp) is False, 20, 0)
            users = {field["Uid"].split()[1] for _, field in statuses(running.process.pid)}
            assert users == {str(pwd.getpwnam(USER).pw_uid)}
            running.process.terminate()
            assert running.process.wait(10) == 0
    finally:
        running.kill()


def link_up(space):
    try:
        space.attach(space.tap)
    except RuntimeError:  # it is not there yet
        return False
    return True


def asked_in_vain(udp):
    try:
        return udp.ask(b"mn\r\n") != b"MN\r\n"
    except OSError:
        return True


def test_folders_that_the_user_cannot_write_to(space, tmp_path):
    """A snapshot folder ends the start; the others are warned of."""
    conf = driver_config(space, tmp_path)
    said = run(space, "-d", conf, "-m", "64", "-u", USER, "--snapshot-dir", "/root")
    assert said.returncode == 1
    assert f"snapshot-dir /root: user {USER} cannot write there" in said.stderr
    assert "mbufs missing 0" in said.stderr


@pytest.mark.parametrize("owns", ("nothing", "folder", "folder and file"))
def test_a_configuration_that_the_user_may_write_anew(launch, owns):
    """In a folder that is the user's, and owned by him; else that is said at the start and when asked."""
    user = pwd.getpwnam(USER)
    with tempfile.TemporaryDirectory(prefix="lct-conf-") as folder:
        os.chmod(folder, 0o755)
        conf = pathlib.Path(folder) / "lcached.conf"
        conf.write_text("# ours\nallow 198.18.0.0/15 # all of them\n")
        conf.chmod(0o644)
        if "folder" in owns:
            os.chown(folder, user.pw_uid, user.pw_gid)
        if "file" in owns:
            os.chown(conf, user.pw_uid, user.pw_gid)
        with launch(options=["-f", str(conf), "-u", USER]) as running:
            with Telemetry(running.process.pid) as telemetry:
                telemetry.ask("/lcached/config/set,allow=198.18.211.0/24,fd00::/8")
                reply = telemetry.ask("/lcached/config/rewrite")
            warned = f"user {USER} cannot replace it: no config rewrite" in running.stderr()
        assert list(pathlib.Path(folder).iterdir()) == [conf]
        if owns == "folder and file":
            assert reply == {"status": "ok"} and not warned
            assert conf.read_text().startswith("# ours\nallow 198.18.211.0/24,fd00::/8\n")
            assert (conf.owner(), stat.S_IMODE(conf.stat().st_mode)) == (USER, 0o644)
        else:
            why = "Permission denied" if owns == "nothing" else "cannot have its owner and group"
            assert why in reply["error"] and warned


def run(space, *options):
    with space.client.inside():
        return subprocess.run([LCACHED, *options], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "option, why",
    (
        (["-u", "nobody-of-that-name"], "there is no user 'nobody-of-that-name'"),
        (["--telemetry-group", "no-such-group"], "there is no group 'no-such-group'"),
        (["--telemetry-mode", "0888"], "'0888' is not an octal mode"),
        (["--telemetry-mode", "17777"], "'17777' is not an octal mode"),
    ),
)
def test_wrong_names_end_the_start(space, option, why):
    said = run(space, *option)
    assert said.returncode == 2 and why in said.stderr
    assert said.stderr.count("\n") == 1


def test_the_telemetry_socket_is_the_groups(launch, tmp_path):
    """A member of the group asks, somebody else does not get there."""
    group = grp.getgrgid(1)  # daemon's
    with tempfile.TemporaryDirectory(prefix="lct-run-") as folder:
        os.chmod(folder, 0o755)
        options = ["--telemetry-group", group.gr_name, "--telemetry-mode", "0760"]
        env = {"RUNTIME_DIRECTORY": folder}
        with launch(options=options, env=env) as running:
            path = pathlib.Path(socket_paths(running.process.pid)[0])
            assert path.is_relative_to(folder)
            assert stat.S_IMODE(path.stat().st_mode) == 0o760
            assert path.group() == group.gr_name
            assert asks_as(path, 65533, group.gr_gid)
            assert not asks_as(path, 65533, 65533)
        with launch(options=["-u", USER], env=env) as running:
            path = pathlib.Path(socket_paths(running.process.pid)[0])
            assert (path.owner(), stat.S_IMODE(path.stat().st_mode)) == (USER, 0o770)
            user = pwd.getpwnam(USER)
            assert asks_as(path, user.pw_uid, user.pw_gid)
            assert not asks_as(path, 65533, 65533)
        with launch(env=env) as running:  # a stale socket is no hindrance, and nothing is changed
            assert not asks_as(socket_paths(running.process.pid)[0], 65533, group.gr_gid)


def asks_as(path, uid, gid):
    """Whether a process of that user and group gets an answer."""
    code = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "try:\n    s.connect(sys.argv[1])\n"
        "except PermissionError:\n    sys.exit(3)\n"
        "s.settimeout(20)\n"
        "assert s.recv(1024)\n"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-c", code, str(path)], user=uid, group=gid, extra_groups=[],
        timeout=30, cwd="/")  # fmt: skip
    assert done.returncode in (0, 3)
    return done.returncode == 0


# ---- the unit -----------------------------------------------------------------------------------
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_the_unit_is_valid(tmp_path):
    text = (SOURCE / "scripts/lcached.service").read_text()
    text = text.replace("@BINDIR@/lcached", LCACHED).replace("@SYSCONFDIR@", "/etc")
    assert not re.search(r"@[A-Z]+@", text)
    unit = tmp_path / "lcached.service"
    unit.write_text(text)
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60)
    ours = [line for line in said.stderr.splitlines() if "lcached" in line]
    assert said.returncode == 0 and not ours, said.stderr
