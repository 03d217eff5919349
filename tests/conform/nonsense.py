# SPDX-License-Identifier: BSD-3-Clause
"""What a telemetry socket must bear: questions, garbage, and what is far too long, over connections that
come and go."""

import random
import socket

ASK = [  # all that changes nothing for who asks behind it
    "/lcached/info", "/lcached/info,stats", "/lcached/memory", "/lcached/memory,0",
    "/lcached/memory/bins", "/lcached/memory/doctor", "/lcached/memory/usage,k",
    "/lcached/memory/malloc_stats", "/lcached/memory/purge", "/lcached/upkeep", "/lcached/upkeep,0",
    "/lcached/latency", "/lcached/latency,0", "/lcached/latency/recent", "/lcached/latency/slow",
    "/lcached/latency/reset", "/lcached/alarms", "/lcached/workers", "/lcached/worker,0",
    "/lcached/shards", "/lcached/config", "/lcached/config,maxmemory", "/lcached/config/rewrite",
    "/lcached/config/set,maxmemory-samples=5", "/lcached/capture",
    "/lcached/snapshot",
]  # fmt: skip
STRANGE = [b"", b",", b"/", b"/lcached", b"/lcached/", b"/lcached/none", b"/lcached/info,,", b"\x00",
           b"/lcached/worker,-1", b"/lcached/worker,99999999999999999999", b"/lcached/latency,%s%n",
           b"/lcached/config/set,", b"/lcached/config/set,=", b"/lcached/config/set,maxmemory=",
           b"/lcached/config/set,maxmemory-samples=-1", b"/lcached/memory/usage,",
           b'/lcached/memory/usage,"\\"', b"/lcached/memory/usage,\xff\xfe", b"/lcached/capture/stop",
           b"/lcached/memory/malloc_stats,18446744073709551615", b"/ethdev/stats,77"]  # fmt: skip


def requests(seed):
    """Garbage, commands with garbage behind them, questions, and some that are far too long."""
    rng = random.Random(seed)
    while True:
        kind = rng.random()
        if kind < 0.3:
            yield rng.randbytes(rng.randrange(1, 300))
        elif kind < 0.5:
            yield rng.choice(STRANGE)
        elif kind < 0.7:
            yield rng.choice(ASK[:5]).encode() + b"," + rng.randbytes(rng.randrange(1, 900))
        elif kind < 0.97:
            yield rng.choice(ASK).encode()
        else:
            yield rng.choice([b"x", b"/lcached/info,", b"/lcached/config/set,maxmemory="]) * 4000


def flood(path, seed, count, faults, more=lambda: False):
    """Asks on connections that it opens anew now and then, and does not always wait for an answer: so
    many times, and as long as `more` says so. Returns how often."""
    rng, sock, asked = random.Random(seed), None, 0
    try:
        for text in requests(seed):
            if asked >= count and not more():
                break
            asked += 1
            try:
                if sock is None:
                    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                    sock.connect(path)
                    sock.settimeout(10)
                    sock.recv(1 << 16)
                sock.send(text or b"\n")
                if rng.random() < 0.95:
                    sock.recv(1 << 16)
                if rng.random() < 0.01:
                    sock.close()
                    sock = None
            except (ConnectionError, BrokenPipeError):  # an eleventh connection: not now
                sock.close()
                sock = None
    except Exception as fault:  # shown by the test
        faults.append(fault)
    finally:
        if sock:
            sock.close()
    return asked
