# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces for the tests: a client's side, a server's side, and links between them.

    plain   client == TAP == lcached                    (the TAP lives in the client's namespace)
            client == veth == memcached                 (memcached in a namespace of its own)
    lossy   client == veth == bridge == TAP == lcached  (both bridge ports drop what arrives)
            client == veth == bridge == veth == memcached

Every name carries the process id, every namespace is deleted at the end, and nothing is made
outside of them, so that several runs can go on side by side.
"""

import contextlib
import ctypes
import itertools
import os
import re
import signal
import subprocess

SERVER_IP = "198.18.211.2"
CLIENT_IP = "198.18.211.1"
PREFIX_LEN = 24
PORT = 11211

_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_BPF_RANDOM = (1 << 32) - 0x1000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM
_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count()
HOME_NS = os.open("/proc/self/ns/net", os.O_RDONLY)  # where the run started: has the registries


def run(*argv):
    """Runs a set-up command; its stderr is in the exception if it fails."""
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def _enter(fd):
    if _libc.setns(fd, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside(ns_fd):
    """Runs a block in a namespace; threads and processes started there stay there."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _enter(ns_fd)
        yield
    finally:
        _enter(before)
        os.close(before)


def sweep():
    """Deletes what runs that were killed have left: their process is gone, the names are there."""
    for name in re.findall(r"(?m)^lct\d+-\S+", run("ip", "netns", "list")):
        if not os.path.exists("/proc/" + re.match(r"lct(\d+)-", name)[1]):
            with contextlib.suppress(RuntimeError):
                run("ip", "netns", "del", name)


def die_with_parent():
    """For a child between fork and exec: a server does not outlive a run that is killed."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Namespace:
    def __init__(self, role):
        self.name = f"lct{os.getpid()}-{next(_serial)}-{role}"
        run("ip", "netns", "add", self.name)
        self.fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        self.ip("link", "set", "lo", "up")

    def ip(self, *argv):
        return run("ip", "-n", self.name, *argv)

    def exec(self, *argv):
        return run("ip", "netns", "exec", self.name, *argv)

    def inside(self):
        return inside(self.fd)

    def plain_segments(self, iface):
        """What crosses the link is what would cross a wire: segments, not super-packets."""
        off = ("tso", "off", "gso", "off", "gro", "off")
        self.exec("ethtool", "-K", iface, *off)

    def delete(self):
        os.close(self.fd)
        run("ip", "netns", "del", self.name)


class Lab:
    """One client's namespace and the place where one server at a time is started."""

    def __init__(self, kind, drop_percent=0):
        self.kind = kind
        self.drop_percent = drop_percent
        self.spaces = []
        self.bridge = None
        self.lossy = []
        self.server_ip, self.client_ip = SERVER_IP, CLIENT_IP
        # Interfaces start life in one namespace and move, so their names have to differ too.
        self.tag = f"{os.getpid()}x{next(_serial)}"
        self.tap = f"t{self.tag}"[:15]
        try:
            self._build()
        except BaseException:
            self.delete()
            raise

    def _space(self, role):
        space = Namespace(role)
        self.spaces.append(space)
        return space

    def _build(self):
        self.client = self._space("client")
        self.server = self.client
        uplink = self.client
        if self.drop_percent:
            uplink = self.bridge = self.server = self._space("bridge")
            self.bridge.ip("link", "add", "br0", "type", "bridge")
            self.bridge.ip("link", "set", "br0", "up")
            self._veth(self.client, self.bridge, "c")
            self._address(self.client, f"c{self.tag}a", CLIENT_IP)
            self._join(f"c{self.tag}b")
        if self.kind == "memcached":
            self.server = self._space("server")
            self._veth(uplink, self.server, "s")
            self._address(self.server, f"s{self.tag}b", SERVER_IP)
            self.attach(f"s{self.tag}a")

    def _veth(self, left, right, letter):
        a, b = f"{letter}{self.tag}a", f"{letter}{self.tag}b"
        left.ip("link", "add", a, "type", "veth", "peer", "name", b, "netns", right.name)
        for space, iface in ((left, a), (right, b)):
            space.ip("link", "set", iface, "up")
            space.plain_segments(iface)

    @staticmethod
    def _address(space, iface, address):
        space.ip("addr", "add", f"{address}/{PREFIX_LEN}", "dev", iface)

    def _join(self, iface):
        """Makes iface a port of the bridge that loses what arrives through it."""
        self.bridge.ip("link", "set", iface, "master", "br0", "up")
        self.bridge.plain_segments(iface)
        self.bridge.exec("tc", "qdisc", "add", "dev", iface, "clsact")
        # Classic BPF: a random word below the limit is dropped (TC_ACT_SHOT), else passed on.
        limit = int(self.drop_percent * 2**32 / 100)
        program = f"4,32 0 0 {_BPF_RANDOM},53 1 0 {limit},6 0 0 2,6 0 0 0"
        bpf = ("bpf", "da", "bytecode", program)
        self.bridge.exec("tc", "filter", "add", "dev", iface, "ingress", *bpf)
        self.lossy.append(iface)

    def attach(self, iface):
        """Links the server's end (the TAP when it is there, or a veth) to the client."""
        if self.bridge:
            if iface == self.tap:
                # The server has the MAC that the kernel gave its TAP. A bridge takes a port's own MAC
                # for itself, so the kernel's end of the TAP needs another one.
                self.bridge.ip("link", "set", iface, "address", "02:00:5e:00:53:01")
            self._join(iface)
        else:
            self._address(self.client, iface, self.client_ip)
            self.client.ip("link", "set", iface, "up")
            self.client.plain_segments(iface)
        self.server_link = iface

    def client_iface(self):
        return f"c{self.tag}a" if self.bridge else self.server_link

    def dropped(self):
        """Packets lost so far, one number for each direction."""
        lost = []
        for iface in self.lossy:
            told = self.bridge.exec("tc", "-s", "qdisc", "show", "dev", iface, "clsact")
            lost.append(int(re.search(r"dropped (\d+)", told).group(1)))
        return lost

    def delete(self):
        for space in self.spaces:
            with contextlib.suppress(RuntimeError):
                space.delete()
        self.spaces = []


class Beside(Lab):
    """A further server's place in another lab's namespace: a TAP and a network of its own."""

    def __init__(self, lab, number):
        self._host = lab
        super().__init__(lab.kind)
        self.server_ip, self.client_ip = f"198.19.{number}.2", f"198.19.{number}.1"

    def _build(self):
        self.client = self.server = self._host.client
