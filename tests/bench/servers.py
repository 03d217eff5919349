# SPDX-License-Identifier: BSD-3-Clause
"""The sides of a round: lcached with lcbench over virtio-user and vhost-user; memcached with lcbench's
sockets over loopback or veth; lcbench --answer in lcached's place, which is lcbench's ceiling. Each round
has a fresh server on core 1 and the generator on core 0."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time

import busy
from machine import GENERATOR_CORE, SERVER_CORE, Trouble, Watch
from said import MEASURING_S, tail

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("LCACHED_BUILD", os.path.join(ROOT, "build"))
LCACHED = os.path.join(BUILD, "app", "lcached", "lcached")
LCBENCH = os.path.join(BUILD, "app", "lcbench", "lcbench")
LOGS = os.path.join(BUILD, "bench-logs")
MEMORY_MB = 1024
START_S = 60
STOP_S = 10
SERVER_IP = "198.18.211.2"


def programs_build(*targets):
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        subprocess.run(["meson", "setup", BUILD, ROOT], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, *targets], check=True, stdout=subprocess.DEVNULL)
    os.makedirs(LOGS, exist_ok=True)


def build():
    programs_build("app/lcached/lcached", "app/lcbench/lcbench")


@contextlib.contextmanager
def server(name, command, cores=SERVER_CORE):
    """A server pinned to its core, or several, stopped by SIGTERM."""
    log = os.path.join(LOGS, name + ".log")
    with open(log, "w") as out:
        process = subprocess.Popen(
            ["taskset", "-c", str(cores), *command],
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
    options = {name: value for name, value in load.items() if name != "link"}
    options |= {"seconds": seconds, "warmup": warmup, "core": GENERATOR_CORE}
    options |= {"json": result, "progress": True}
    if load.get("watch"):
        options["watch"] = process.pid
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
        done.wait(seconds + warmup + MEASURING_S)
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


# The server's end of the link and the generator's, by a load's "link".
SMALL = ("virtio-user", "vhost-user")
BULK = ("virtio-user-bulk", "vhost-user-bulk")


@contextlib.contextmanager
def link_ends(scratch, lines=(), server_lines=(), ends=SMALL):
    """Driver files of the two ends of a link, with more lines in both, or in the server's."""
    link = os.path.join(scratch, "link.sock")
    ends = [driver_file(scratch, name, link) for name in ends]
    for path, more in zip(ends, ((*lines, *server_lines), lines)):
        with open(path, "a") as f:
            f.write("".join(f"{line}\n" for line in more))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(link)
    yield link, *ends


@contextlib.contextmanager
def lcached_server(
    scratch, memory_mb=MEMORY_MB, connections=4096, lines=(), server_lines=(), options=(), ends=SMALL,
    cores=SERVER_CORE,
):
    """The server's process, and lcbench's options to reach it. virtio-user waits for its peer before
    the server is ready: only its socket is waited for."""
    with link_ends(scratch, lines, server_lines, ends) as (link, ours, theirs):
        command = [LCACHED, "-d", ours, "-t", "1", "-m", str(memory_mb), "-U", "11211"]
        command += ["--udp-allow", "198.18.0.0/15"]
        with server("lcached", [*command, "-c", str(connections), *options], cores) as process:
            wait_for(process, lambda: os.path.exists(link), "lcached")
            yield process, ["--driver", theirs]


@contextlib.contextmanager
def answerer(scratch, load, lines=()):
    """lcbench --answer where lcached would be."""
    shape = {name: load[name] for name in ("value-size", "commands", "connections") if name in load}
    words = [word for name, value in shape.items() for word in (f"--{name}", str(value))]
    with link_ends(scratch, lines) as (link, ours, theirs):
        command = [LCBENCH, "--answer", "--driver", ours, "--address", SERVER_IP + "/24", *words]
        with server("answerer", command) as process:
            wait_for(process, lambda: os.path.exists(link), "lcbench --answer")
            yield process, ["--driver", theirs]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(host, port):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def memcached_server(scratch, memory_mb=MEMORY_MB, host="127.0.0.1", within=(), connections=4096, options=()):
    """`within`: words before the command, which put it into a network namespace."""
    port = free_port()
    # A full queue of connections not yet accepted makes the kernel drop handshakes that clients take
    # for done; the kernel cuts the length to what it allows.
    backlog = ("-b", "65535")
    command = [*within, "memcached", "-t", "1", "-u", "root", "-l", host, "-c", str(connections), *backlog]
    command += ["-p", str(port), "-U", str(port), "-m", str(memory_mb), *options]
    with server("memcached", command) as process:
        wait_for(process, lambda: answers(host, port), "memcached")
        yield process, ["--sockets", "--server", host, "--port", str(port)]


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def memcached_behind_veth(scratch, memory_mb=MEMORY_MB):
    """memcached in a network namespace of its own, reached over a pair of veth."""
    space, near, far = (f"lcbench{part}{os.getpid() % 100000}" for part in ("n", "a", "b"))
    ip("netns", "add", space)
    try:
        ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", space)
        ip("addr", "add", "198.18.213.1/24", "dev", near)
        ip("link", "set", near, "up")
        ip("-n", space, "addr", "add", "198.18.213.2/24", "dev", far)
        ip("-n", space, "link", "set", far, "up")
        within = ("ip", "netns", "exec", space)
        with memcached_server(scratch, memory_mb, "198.18.213.2", within) as found:
            yield found
    finally:
        ip("netns", "del", space)


# ---- one run of a side --------------------------------------------------------------------------


PREPARED_BYTES_MAX = 1024  # of a value; --prepared has no window to hold larger answers back


def own_load(load):
    """A load on our own stack: in prepared segments where that fits."""
    small = load["value-size"] <= (64 if load["mode"] == "set" else PREPARED_BYTES_MAX)
    fits = load["proto"] == "tcp" and small and "multi" not in load and load.get("pipeline", 1) <= 32
    return {**load, "prepared": True} if fits else load


def lcached_run(load, seconds, warmup, scratch):
    with lcached_server(scratch, ends=load.get("link", SMALL)) as (process, where):
        watch = busy.Worker(process, seconds)
        result = generator(own_load(load), seconds, warmup, where, process, watch.meanwhile)
        return {**result, **watch.result(result)}


def process_run(side, load, seconds, warmup):
    """A server whose busy time is what the kernel counts for it."""
    with side as (process, where):
        watch = busy.Process(process, seconds)
        result = generator(load, seconds, warmup, where, process, watch.meanwhile)
        return {**result, **watch.result(result)}


def loopback_run(load, seconds, warmup, scratch):
    return process_run(memcached_server(scratch), load, seconds, warmup)


def veth_run(load, seconds, warmup, scratch):
    return process_run(memcached_behind_veth(scratch), load, seconds, warmup)


def ceiling_run(load, seconds, warmup, scratch):
    """The same load on answers without a store: values are not set, and not compared."""
    asked = {**own_load(load), "preload": "none", "verify": "off"}
    with answerer(scratch, load) as (process, where):
        return generator(asked, seconds, warmup, where, process)


FRAME_HEAD_BYTES = 66  # of Ethernet, IPv4, TCP with a timestamp
FRAME_BYTES = FRAME_HEAD_BYTES + 1448  # full-sized
FRAME_BULK_BYTES = FRAME_HEAD_BYTES + 45 * 1448  # the longest that lcached gives a device to cut


def link_run(load, seconds, warmup, scratch):
    """The link alone, where large values are the load: as many gets a second as their bytes would fit
    into its largest frames, copied from as large a range and not looked at."""
    programs_build("tests/bench/bench_link")
    program = os.path.join(BUILD, "tests", "bench", "bench_link")
    ends = load.get("link", SMALL)
    frame = FRAME_BULK_BYTES if ends == BULK else FRAME_BYTES
    with link_ends(scratch, ends=ends) as (link, ours, theirs):
        with server("link", [program, "send", ours, str(frame)]) as process:
            wait_for(process, lambda: os.path.exists(link), "bench_link")
            watch = Watch(process.pid)
            command = [program, "take", theirs, str(seconds), str(GENERATOR_CORE)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + START_S)
            disturbed = watch.percent()
    if done.returncode:
        raise Trouble(f"bench_link failed: {done.stderr.strip()}")
    payload = frame - FRAME_HEAD_BYTES
    gets = json.loads(done.stdout.splitlines()[-1])["frames_per_s"] * payload / load["value-size"]
    nothing = dict.fromkeys(("misses", "errors", "p50_us", "p99_us", "p999_us"), 0)
    always = {"generator_busy": 1, "generator_core_share": 1}
    return {**nothing, **always, **disturbed, "requests_per_s": gets}


PEERS = {"memcached": {"loopback": loopback_run, "veth": veth_run}}
