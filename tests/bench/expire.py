# SPDX-License-Identifier: BSD-3-Clause
"""Active expiry. expire-storm: a million keys due in the same second under a full load of gets of other
keys, lcached whole over virtio-user; memcached under lcbench over loopback, redis under a getter of our
own. Quiet and storm are stretches of one run, both with the same questions to the server meanwhile.
expire-idle: instructions of a get (bench_instructions) among items with far deadlines and without."""

import signal
import threading
import time

import instructions
import peers
import servers
from evict import LOAD, SIDES, Telemetry, gets_time, memcached_stat, quantile, ready, rss_mib
from machine import Trouble
from said import measuring_wait

KEYS, DUE_KEYS, VALUE_BYTES = 100000, 1000000, 100
GONE_S, LATENCY_MOST = 2.0, 1.5
QUIET_S, QUIET_LEAST_S, POLL_S, LAST_S = 4.0, 1.0, 0.05, 0.3
WAIT_S = 30.0          # for the peers to be done
FILL_S = {"lcached": 14, "memcached": 20, "redis": 35}  # from the start until all is set and asked for


class Lcached:
    def __init__(self, process, where):
        self.telemetry = Telemetry(process.pid)

    def held(self):
        """Keys, and bytes in use."""
        memory = self.telemetry.ask("/lcached/memory")
        keys = self.telemetry.ask("/lcached/info,stats")["keyspace_keys"]
        return keys, memory["used_memory"]


class Memcached:
    def __init__(self, process, where):
        self.where = where

    def held(self):
        return memcached_stat(self.where, "curr_items"), memcached_stat(self.where, "bytes")


def polled(held, due_s):
    """Asks as storm_watch does, until they are all but due; and returns when they are."""
    while time.time() < due_s - LAST_S:
        last = held()
        time.sleep(POLL_S)
    time.sleep(max(due_s - time.time(), 0))
    return last


def storm_watch(held, keys, due_s, out):
    """From the second in which they are due until all of them have left, or WAIT_S."""
    start = time.monotonic() + due_s - time.time()
    while True:
        out["keys_after"], out["used_after"] = held()
        out["seconds"] = time.monotonic() - start
        if out["keys_after"] <= keys:
            return
        if out["seconds"] > WAIT_S:
            out["seconds"] = None
            return
        time.sleep(POLL_S)


# ---- lcached and memcached, under lcbench -------------------------------------------------------


def lcbench_storm(side, watcher, args, scratch, options=()):
    keys, due_keys = KEYS // args.smaller, DUE_KEYS // args.smaller
    due_s = int(time.time()) + FILL_S[side]
    load = {**LOAD, "value-size": VALUE_BYTES, "keys": keys, "due-keys": due_keys, "due-at": due_s}
    if side == "lcached":
        load["prepared"] = True
    out = {}

    def meanwhile(generator):
        measuring_wait(generator)
        left = due_s - time.time()
        if left < QUIET_LEAST_S:
            raise Trouble(f"{side}: the keys were set too slowly, {left:.1f} s are left")
        held = watcher(process, where).held
        time.sleep(max(left - QUIET_S, 0))
        generator.send_signal(signal.SIGUSR1)
        out["keys_before"], out["used_before"] = polled(held, due_s)
        out["rss_before_mib"] = rss_mib(process.pid)
        generator.send_signal(signal.SIGUSR1)
        storm_watch(held, keys, due_s, out)
        generator.send_signal(signal.SIGUSR1)
        out["rss_after_mib"] = rss_mib(process.pid)
        time.sleep(0.2)
        generator.send_signal(signal.SIGUSR2)

    with SIDES[side](scratch, options=options) as (process, where):
        result = servers.generator(load, FILL_S[side] + WAIT_S + 5, 0.1, where, process, meanwhile)
    if result["errors"] or result["misses"] or len(result["segments"]) < 3:
        raise Trouble(f"{side}: {result['errors']} errors, {result['misses']} misses")
    if out["keys_before"] != keys + due_keys:
        raise Trouble(f"{side}: {out['keys_before']} keys were held, {keys + due_keys} were set")
    quiet, storm = result["segments"][1:3]
    out.update(quiet_us=quiet["get_p999_us"], storm_us=storm["get_p999_us"])
    out["storm_max_us"] = storm["get_max_us"]
    out["quiet_per_s"], out["storm_per_s"] = (s["requests"] / s["seconds"] for s in (quiet, storm))
    return out


# ---- redis --------------------------------------------------------------------------------------


def redis_fill(peer, keys, due_keys, due_s):
    value = b"v" * VALUE_BYTES
    for first in range(0, keys + due_keys, 8192):
        batch = []
        for n in range(first, min(first + 8192, keys + due_keys)):
            words = [b"SET", b"%020d" % n, value]
            words += [b"EXAT", b"%d" % due_s] if n >= keys else []
            batch.append(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words))
        peer.socket.sendall(b"".join(batch))
        if peer.take(5 * len(batch)) != b"+OK\r\n" * len(batch):
            raise Trouble("redis refuses to store")


def redis_storm(args, scratch):
    keys, due_keys = KEYS // args.smaller, DUE_KEYS // args.smaller
    due_s = int(time.time()) + FILL_S["redis"]
    out = {}
    with peers.opened(peers.Redis, scratch, 0) as peer:

        def held():
            return peer.items(), peer.info("used_memory")

        def stretch(seconds):
            times, stop = [], threading.Event()
            thread = threading.Thread(target=lambda: times.extend(gets_time(peer, seconds, stop)))
            thread.start()
            return times, stop, thread

        redis_fill(peer, keys, due_keys, due_s)
        left = due_s - time.time()
        if left < QUIET_LEAST_S:
            raise Trouble(f"redis: the keys were set too slowly, {left:.1f} s are left")
        time.sleep(max(left - QUIET_S, 0))
        quiet, stop, thread = stretch(WAIT_S)
        out["keys_before"], out["used_before"] = polled(held, due_s)
        out["rss_before_mib"] = rss_mib(peer.process.pid)
        stop.set()
        thread.join()
        during, stop, thread = stretch(WAIT_S)
        storm_watch(held, keys, due_s, out)
        stop.set()
        thread.join()
        out["rss_after_mib"] = rss_mib(peer.process.pid)
    out.update(quiet_us=quantile(quiet, 0.999), storm_us=quantile(during, 0.999))
    out["storm_max_us"] = during[-1]
    return out


# ---- expire-storm -------------------------------------------------------------------------------


def storm_print(side, out):
    took = f"not in {WAIT_S:.0f} s" if out["seconds"] is None else f"in {out['seconds']:.2f} s"
    print(
        f"  {side:<19} {out['keys_before']:9,} to {out['keys_after']:9,} keys {took:>12}, "
        f"used {out['used_before'] >> 20:4} to {out['used_after'] >> 20:4} MiB, "
        f"RSS {out['rss_before_mib']:5} to {out['rss_after_mib']:5} MiB; gets' p99.9 "
        f"{out['quiet_us']:7.1f} us before, {out['storm_us']:7.1f} us meanwhile "
        f"({out['storm_us'] / out['quiet_us']:.2f} times), longest {out['storm_max_us']:9.1f} us",
        flush=True,
    )


def storm_rows(side, out, held_to):
    fast = out["seconds"] is not None and out["seconds"] <= GONE_S
    ratio = out["storm_us"] / out["quiet_us"]
    for case, value, unit, target, holds in (
        ("all out of used_memory", out["seconds"], "s", GONE_S, fast),
        ("p99.9 of gets to the quiet one", ratio, "ratio", LATENCY_MOST, ratio <= LATENCY_MOST),
    ):
        yield {
            "name": "expire-storm",
            "case": f"{side}: {case}",
            "value": value,
            "unit": unit,
            "target": target,
            "holds": holds if held_to else None,
            "detail": out,
        }


def all_left(out, smaller):
    """No bytes stay behind: what is in use went down by at least what the values alone took."""
    if out["seconds"] is not None:
        left = out["used_before"] - out["used_after"]
        if left < DUE_KEYS // smaller * VALUE_BYTES:
            raise Trouble(f"only {left >> 20} MiB have left used_memory")


def storm_run(args, scratch):
    ready()
    args.smaller = 10 if args.quick else 1
    print(
        f"expire-storm: {DUE_KEYS // args.smaller:,} keys due in one second, gets of "
        f"{KEYS // args.smaller:,} others over 50 TCP connections"
    )
    sides = (
        ("lcached", lambda: lcbench_storm("lcached", Lcached, args, scratch)),
        (
            "lcached, sampling",
            lambda: lcbench_storm("lcached", Lcached, args, scratch, ("--expire-index", "no")),
        ),
        ("memcached", lambda: lcbench_storm("memcached", Memcached, args, scratch)),
        ("redis", lambda: redis_storm(args, scratch)),
    )
    rows = []
    for side, run in sides:
        out = run()
        storm_print(side, out)
        if side == "lcached":
            all_left(out, args.smaller)
        rows += storm_rows(side, out, side == "lcached")
    for row in rows:
        if row["holds"] is not None:
            verdict = "holds" if row["holds"] else "MISSED"
            value = "-" if row["value"] is None else f"{row['value']:.2f}"
            print(f"  {row['case']}: {value} {row['unit']}, at most {row['target']}: {verdict}")
    return rows


# ---- expire-idle --------------------------------------------------------------------------------

IDLE_ITEMS, IDLE_ITEMS_QUICK = 10000000, 1000000
IDLE_BURSTS, IDLE_BURSTS_QUICK = 10, 3
IDLE_MOST = 0.01
LOOKS_A_SECOND, GETS_A_SECOND = 10, 1000000  # what a look at the deadlines is shared by


def idle_counts(args, scratch, *words):
    items = IDLE_ITEMS_QUICK if args.quick else IDLE_ITEMS
    bursts = IDLE_BURSTS_QUICK if args.quick else IDLE_BURSTS
    counts = instructions.lcached_counts(bursts, scratch, str(items), *words)
    counts["all"] = counts["server"] + counts["driver"] + counts["libraries"]
    return counts


def idle_run(args, scratch):
    servers.programs_build("tests/bench/bench_instructions")
    items = IDLE_ITEMS_QUICK if args.quick else IDLE_ITEMS
    without = idle_counts(args, scratch)
    print(f"expire-idle: instructions of a get of 32 B over UDP among {items:,} items, the driver's included")
    print(f"  without deadlines               {without['all']:9,.1f}")
    rows = []
    for case, words in (("with", ("due",)), ("with, sampling", ("due", "sampled"))):
        counts = idle_counts(args, scratch, *words)
        look = (counts["look"] - without["look"]) * LOOKS_A_SECOND / GETS_A_SECOND
        more = (counts["all"] + look) / without["all"] - 1
        holds = more < IDLE_MOST
        print(
            f"  {case + ' far deadlines' if case == 'with' else case:<31} {counts['all']:9,.1f}, and {look:.2f} "
            f"for {LOOKS_A_SECOND} looks a second at {GETS_A_SECOND:,} gets: {100 * more:+.2f} %, "
            f"less than {100 * IDLE_MOST:.0f} %: {'holds' if holds else 'MISSED'}"
        )
        rows.append(
            {
                "name": "expire-idle",
                "case": case,
                "value": 100 * more,
                "unit": "% of the instructions of a get",
                "target": 100 * IDLE_MOST,
                "holds": holds,
                "detail": {"with": counts, "without": without},
            }
        )
    return rows
