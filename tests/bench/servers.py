# SPDX-License-Identifier: BSD-3-Clause
"""The two sides of a round: lcached with lcbench over virtio-user and vhost-user, memcached with
lcbench over loopback sockets. Each round has a fresh server on core 1 and the generator on core 0."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time

from machine import GENERATOR_CORE, SERVER_CORE, Trouble, Watch

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("LCACHED_BUILD", os.path.join(ROOT, "build"))
LCACHED = os.path.join(BUILD, "app", "lcached", "lcached")
LCBENCH = os.path.join(BUILD, "app", "lcbench", "lcbench")
LOGS = os.path.join(BUILD, "bench-logs")
MEMORY_MB = 1024
START_S = 60
STOP_S = 10


def programs_build(*targets):
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        subprocess.run(["meson", "setup", BUILD, ROOT], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, *targets], check=True, stdout=subprocess.DEVNULL)
    os.makedirs(LOGS, exist_ok=True)


def build():
    programs_build("app/lcached/lcached", "app/lcbench/lcbench")


def tail(path):
    with open(path, errors="replace") as f:
        return "".join(f.readlines()[-8:]).strip()


@contextlib.contextmanager
def server(name, command):
    """A server pinned to its core, stopped by SIGTERM."""
    log = os.path.join(LOGS, name + ".log")
    with open(log, "w") as out:
        process = subprocess.Popen(
            ["taskset", "-c", str(SERVER_CORE), *command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    process.name, process.log = name, log
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(process, ready, what):
    end = time.monotonic() + START_S
    while not ready():
        if process.poll() is not None:
            raise Trouble(f"{what} ended with {process.returncode}: {tail(process.log)}")
        if time.monotonic() > end:
            raise Trouble(f"{what} is not ready after {START_S} s: {tail(process.log)}")
        time.sleep(0.02)


def generator(load, seconds, warmup, where, process, meanwhile=None):
    """One run of lcbench. Returns what it wrote as JSON, and what disturbed it. `meanwhile` gets
    lcbench's process while that runs."""
    tag = "lcbench-" + process.name
    result = os.path.join(LOGS, tag + ".json")
    log = os.path.join(LOGS, tag + ".log")
    options = {**load, "seconds": seconds, "warmup": warmup, "core": GENERATOR_CORE}
    options |= {"json": result, "progress": True}
    command = [LCBENCH, *where]
    for name, value in options.items():
        command += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    with contextlib.suppress(FileNotFoundError):
        os.unlink(result)
    watch = Watch(process.pid)
    with open(log, "w") as out:
        done = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
    done.log = log
    try:
        if meanwhile:
            meanwhile(done)
        done.wait(seconds + warmup + 120)
    finally:
        done.kill()
        done.wait()
    disturbed = watch.percent()
    if done.returncode:
        raise Trouble(f"lcbench failed: {tail(log)}")
    with open(result) as f:
        return {**json.load(f), **disturbed}


def driver_file(scratch, name, link):
    """drivers-config/NAME.conf with a socket of our own."""
    with open(os.path.join(ROOT, "drivers-config", name + ".conf")) as f:
        text = f.read()
    path = os.path.join(scratch, name + ".conf")
    with open(path, "w") as f:
        f.write(re.sub(r"\b(path|iface)=[^,\s]+", rf"\1={link}", text))
    return path


@contextlib.contextmanager
def lcached_server(scratch, memory_mb=MEMORY_MB):
    """The server's process, and lcbench's options to reach it. virtio-user waits for its peer before
    the server is ready: only its socket is waited for."""
    link = os.path.join(scratch, "link.sock")
    ours = driver_file(scratch, "virtio-user", link)
    theirs = driver_file(scratch, "vhost-user", link)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(link)
    command = [LCACHED, "-d", ours, "-t", "1", "-m", str(memory_mb), "-U", "11211"]
    with server("lcached", command) as process:
        wait_for(process, lambda: os.path.exists(link), "lcached")
        yield process, ["--driver", theirs]


def lcached_run(load, seconds, warmup, scratch):
    with lcached_server(scratch) as (process, where):
        return generator(load, seconds, warmup, where, process)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def memcached_server(scratch, memory_mb=MEMORY_MB):
    port = free_port()
    command = ["memcached", "-t", "1", "-u", "root", "-l", "127.0.0.1", "-c", "4096"]
    command += ["-p", str(port), "-U", str(port), "-m", str(memory_mb)]
    with server("memcached", command) as process:
        wait_for(process, lambda: answers(port), "memcached")
        yield process, ["--sockets", "--server", "127.0.0.1", "--port", str(port)]


def memcached_run(load, seconds, warmup, scratch):
    with memcached_server(scratch) as (process, where):
        return generator(load, seconds, warmup, where, process)


PEERS = {"memcached": memcached_run}
