# SPDX-License-Identifier: BSD-3-Clause
"""The server under test, lcached on a TAP or Debian's memcached on a veth, as one object."""

import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import tempfile
import time

from netlab import PORT, PREFIX_LEN, SERVER_IP, die_with_parent

SOURCE = pathlib.Path(__file__).resolve().parents[2]
LCACHED = os.environ.get("LCACHED", str(SOURCE / "build/app/lcached/lcached"))
KIND = os.environ.get("LCACHED_KIND", "lcached")
SLOW = os.environ.get("LCACHED_SLOW", "") not in ("", "0")  # a sanitizer build: smaller sizes
UDP_ALLOW = "198.18.0.0/15,fd00::/8,fe80::/10,2001:db8::/32"  # the tests' networks: answers of any size
START_S = 60 if SLOW else 30
SANITIZER = re.compile(r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:).*")


def driver_config(lab, folder, settings=()):
    """drivers-config/tap.conf with this lab's interface name and other settings; returns the file."""
    text = (SOURCE / "drivers-config/tap.conf").read_text()
    text, found = re.subn(r"(?m)^(host-interface\s+)\S+", rf"\g<1>{lab.tap}", text)
    if found != 1:
        raise RuntimeError("drivers-config/tap.conf has no line host-interface")
    for setting in settings:
        name = setting.split()[0]
        text = re.sub(rf"(?m)^{name}\s.*\n", "", text) + setting + "\n"
    path = pathlib.Path(folder) / "tap.conf"
    path.write_text(text)
    return str(path)


class Server:
    """start() returns when it answers; stop() checks that it ends as it should."""

    def __init__(self, lab, workers=1, options=(), udp=True, memory_mb=256, settings=(), env=None):
        self.lab = lab
        self.workers = workers
        self.options = list(options)
        self.settings = list(settings)  # lines of the driver file
        self.udp = udp
        self.env = {**os.environ, **(env or {})}
        self.memory_mb = memory_mb
        self.folder = self.stderr_path = None  # made by start(), removed by kill()
        self.process = None
        self.ready_line = ""

    def argv(self):
        shared = ["-m", str(self.memory_mb), "-t", str(self.workers), "-c", "4096"]
        shared += ["-U", str(PORT)] if self.udp else []
        if self.lab.kind == "memcached":
            return ["memcached", "-u", "root", "-l", SERVER_IP, *shared, *self.options]
        conf = driver_config(self.lab, self.folder.name, self.settings)
        shared += ["--udp-allow", UDP_ALLOW] if self.udp else []
        shared += [] if self.lab.server_ip == SERVER_IP else ["-l", f"{self.lab.server_ip}/{PREFIX_LEN}"]
        return [LCACHED, "-d", conf, *shared, *self.options]

    def start(self):
        self.folder = tempfile.TemporaryDirectory(prefix="lcached-conform-")
        self.stderr_path = pathlib.Path(self.folder.name) / "stderr"
        with self.lab.server.inside():
            self.process = subprocess.Popen(
                self.argv(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self.stderr_path.open("wb"),
                preexec_fn=die_with_parent,
                env=self.env,
            )
        try:
            self._wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def _wait_ready(self):
        deadline = time.monotonic() + START_S
        if self.lab.kind == "lcached":
            self.ready_line = self._read_line(deadline)
            if not self.ready_line.startswith("lcached ready "):
                raise RuntimeError(f"no ready line but {self.ready_line!r}\n{self.stderr()}")
            self.lab.attach(self.lab.tap)
        while True:
            try:
                with self.lab.client.inside():
                    socket.create_connection((self.lab.server_ip, PORT), timeout=2).close()
                return
            except OSError:
                if time.monotonic() > deadline or not self.alive():
                    raise RuntimeError(f"no connection\n{self.stderr()}") from None
                time.sleep(0.05)

    def _read_line(self, deadline):
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise RuntimeError(f"no ready line in {START_S} s\n{self.stderr()}")
            byte = os.read(self.process.stdout.fileno(), 1)
            if not byte:
                raise RuntimeError(f"exit {self.process.wait()} at start\n{self.stderr()}")
            line += byte
        return line.decode().rstrip("\n")

    def alive(self):
        return self.process.poll() is None

    def stderr(self):
        return self.stderr_path.read_text(errors="replace") if self.process else ""

    def rss_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS")

    def stop(self, with_signal=signal.SIGTERM, seconds=5):
        """Ends the server; raises unless it left cleanly: exit 0, in time, nothing lost."""
        if self.process is None:
            return
        if self.alive():
            self.process.send_signal(with_signal)
        try:
            code = self._wait_end(seconds * (3 if SLOW else 1))
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"still running {seconds} s after a signal\n{self.tail()}\n{self.where()}"
            )
        finally:
            log = self.stderr()
            self.kill()
        if self.lab.kind == "lcached":
            assert code == 0, f"exit code {code}\n{log[-4000:]}"
            missing = re.findall(r"mbufs missing (\d+)", log)
            assert missing == ["0"], f"mbufs missing {missing}, expected 0\n{log[-4000:]}"
        found = SANITIZER.search(log)
        assert not found, log[found.start() - 200 : found.start() + 6000]

    def _wait_end(self, seconds):
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            if "mbufs missing" not in self.stderr():
                raise
            # Its own work is done. How long the kernel takes to give hugepages back on a busy machine
            # is not its affair.
            return self.process.wait(timeout=30)

    def where(self):
        """What each thread waits for: name, state, kernel function, system call."""
        lines = []
        for task in sorted(pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()):
            try:
                state = (task / "stat").read_text().rsplit(")", 1)[1].split()[0]
                seen = [(task / name).read_text().strip() for name in ("comm", "wchan", "syscall")]
                lines.append(" ".join([task.name, state, *seen, (task / "stack").read_text()]))
            except OSError as gone:
                lines.append(f"{task.name} {gone}")
        return "\n".join(lines)

    def tail(self):
        return self.stderr()[-4000:]

    def kill(self):
        if self.process is None:
            return
        if self.alive():
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process = None
        self.folder.cleanup()
