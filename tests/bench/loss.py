# SPDX-License-Identifier: BSD-3-Clause
"""tcp-loss: lcached's TCP with the kernel's as its peer, over a relay that loses, repeats, reorders and
delays; kernel to kernel (memcached) over the same relay beside it.

    client == veth == relay == TAP == lcached
    client == veth == relay == veth == memcached
"""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile

import machine
import servers
from machine import Trouble

sys.path.append(os.path.join(servers.ROOT, "tests", "conform"))

os.environ.setdefault("LCACHED", servers.LCACHED)

import netlab  # noqa: E402 (the path comes first)
from server import Server  # noqa: E402

RELAY = os.path.join(servers.BUILD, "tests", "bench", "bench_relay")
VALUE_BYTES = 1 << 20
TOTAL_BYTES = 2 << 30  # each way
LINKS = {
    "no loss": {},
    "0.1 % lost": {"loss": 0.1},
    "1 % lost": {"loss": 1},
    "5 % lost": {"loss": 5},
    "2 % reordered": {"reorder": 2},
    "2 % repeated": {"dup": 2},
    "1 % lost, 2 % reordered, 1 % repeated": {"loss": 1, "reorder": 2, "dup": 1},
}
SLOW_LINK = {"loss": 1, "delay": 5000}
SLOW_CONNECTIONS, SLOW_VALUE_BYTES, SLOW_S = 8, 128 << 10, 10


class RelayLab(netlab.Lab):
    """A lab whose client reaches the server through the relay."""

    def __init__(self, kind, link, congestion="cubic"):
        self.link, self.relay, self.congestion = link, None, congestion
        super().__init__(kind)

    def _build(self):
        self.client = self._space("client")
        self.middle = self.server = self._space("relay")
        self.middle.exec("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        self._veth(self.client, self.middle, "c")
        self._address(self.client, f"c{self.tag}a", netlab.CLIENT_IP)
        if self.kind == "memcached":
            self.server = self._space("server")
            self._veth(self.middle, self.server, "s")
            self._address(self.server, f"s{self.tag}b", netlab.SERVER_IP)
            self.attach(f"s{self.tag}a")
        self._congestion(self.client, f"c{self.tag}a")
        if self.kind == "memcached":
            self._congestion(self.server, f"s{self.tag}b")

    def _congestion(self, space, iface):
        """By the route: a namespace may not choose what its host does not allow."""
        prefix = f"{netlab.SERVER_IP.rpartition('.')[0]}.0/{netlab.PREFIX_LEN}"
        space.ip("route", "replace", prefix, "dev", iface, "scope", "link", "congctl", self.congestion)

    def _veth(self, left, right, letter):
        super()._veth(left, right, letter)
        for space, end in ((left, "a"), (right, "b")):
            # the relay copies frames: checksums have to be in them
            space.exec("ethtool", "-K", f"{letter}{self.tag}{end}", "tx", "off")

    def attach(self, iface):
        self.middle.ip("link", "set", iface, "up")
        options = [word for name, value in self.link.items() for word in (f"--{name}", str(value))]
        with self.middle.inside():
            self.relay = subprocess.Popen(
                ["taskset", "-c", str(machine.GENERATOR_CORE), RELAY, f"c{self.tag}b", iface, *options],
                stdout=subprocess.PIPE,
                text=True,
                preexec_fn=netlab.die_with_parent,
            )
        if self.relay.stdout.readline() != "carrying\n":
            raise Trouble("the relay does not start")

    def delete(self):
        if self.relay:
            self.relay.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.relay.wait(5)
            self.relay.kill()
        super().delete()


@contextlib.contextmanager
def served(kind, link, memory_mb):
    lab = RelayLab(kind, link)
    server = Server(lab, memory_mb=memory_mb, udp=False, options=["-I", "2m"])
    try:
        server.start()
        yield lab
    finally:
        server.kill()
        lab.delete()


def lcbench(lab, seconds, warmup, **load):
    """lcbench over the kernel's sockets in the client's namespace."""
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        command = [servers.LCBENCH, "--sockets", "--server", netlab.SERVER_IP, "--seconds", str(seconds)]
        command += ["--warmup", str(warmup), "--json", result.name, "--core", str(machine.GENERATOR_CORE)]
        for name, value in load.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        with lab.client.inside():
            done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
        if done.returncode:
            raise Trouble(f"lcbench failed: {done.stderr.strip().splitlines()[-1:]}")
        return json.load(open(result.name))


def exact_case(name, link, args):
    """Every value is set, then every value is read and compared whole, before lcbench measures."""
    values = TOTAL_BYTES // VALUE_BYTES // args.smaller
    with served("lcached", link, values * VALUE_BYTES * 3 // 2 + (256 << 20) >> 20) as lab:
        result = lcbench(lab, 0.1, 0, connections=4, keys=values, value_size=VALUE_BYTES)
        lab.relay.send_signal(signal.SIGTERM)
        told = lab.relay.communicate(timeout=10)[0].strip()
    # what lcbench checked before it measured, and the values measured that it looked at
    good = result["verified"] >= values and not result["errors"]
    print(f"  {name:<40} {values} MiB each way, byte for byte: {'holds' if good else 'MISSED'} ({told})")
    return {
        "name": "tcp-loss", "case": f"{name}: {values} MiB each way", "value": values, "unit": "MiB",
        "target": values, "holds": good, "detail": {"relay": told, "lcbench": result},
    }


def throughput(kind, mode, args):
    seconds = 3 if args.quick else SLOW_S
    with served(kind, SLOW_LINK, 512) as lab:
        result = lcbench(
            lab, seconds, 1, mode=mode, connections=SLOW_CONNECTIONS, keys=64, value_size=SLOW_VALUE_BYTES
        )
    return result["requests_per_s"] * SLOW_VALUE_BYTES * 8 / 1e6


def throughput_case(mode, args):
    rounds = []
    who = "server sends" if mode == "get" else "server receives"
    for _ in range(min(args.rounds, 3) if args.quick else args.rounds):
        ours, kernel = throughput("lcached", mode, args), throughput("memcached", mode, args)
        rounds.append((ours, kernel, ours / kernel))
        print(f"  {who}: {ours:8.1f} Mb/s, kernel {kernel:8.1f} Mb/s, ratio {ours / kernel:.2f}", file=sys.stderr)
    ours, kernel, ratio = (statistics.median(column) for column in zip(*rounds))
    ratios = [r[2] for r in rounds]
    holds = ratio >= 1.0
    print(
        f"  {who}, 1 % lost, 5 ms each way: {ours:.1f} Mb/s, kernel to kernel (cubic) {kernel:.1f}, ratio {ratio:.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}), at least 1: {'holds' if holds else 'MISSED'}"
    )
    return {
        "name": "tcp-loss", "case": f"{who}, 1 % lost, 5 ms", "value": ours, "unit": "Mb/s", "peer": "kernel",
        "peer_value": kernel, "ratio": ratio, "ratio_min": min(ratios), "ratio_max": max(ratios),
        "runs": len(rounds), "target": 1.0, "holds": holds,
    }


def run(args, scratch):
    servers.build()
    servers.programs_build("tests/bench/bench_relay")
    netlab.sweep()
    args.smaller = 16 if args.quick else 1
    print("tcp-loss: the kernel's TCP at the other end, through a relay")
    rows = [exact_case(name, link, args) for name, link in LINKS.items()]
    return rows + [throughput_case(mode, args) for mode in ("get", "set")]
