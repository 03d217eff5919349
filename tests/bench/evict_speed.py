# SPDX-License-Identifier: BSD-3-Clause
"""Sets and gets at the limit, evicting, against below it (evict-speed). lcached whole, over virtio-user.

The same keys: one server and one load, which asks for four times as many keys as fit; short stretches at
the limit and below it take turns, so that whatever else the machine does falls on both. Below the limit
the server grows while it is measured: it is cut by half of that before, so that it holds as many items
in the mean. Only held keys: below the limit every set replaces a value, in a server of its own with as
many keys as were held at the limit. memcached, whose limit cannot be moved like that, has the second
comparison alone."""

import signal
import statistics
import time

import evict
import servers
from evict import LOAD, SIDES, Telemetry
from machine import Trouble, Watch
from said import measuring_wait

HELD_MB, ROOM_MB, TIMES = 256, 4096, 4
KEYS, VALUE_BYTES = 1300000, 100
SPEED_LEAST, LATENCY_MOST = 0.85, 1.5

STRETCH_S = 0.25  # three sets in four are new keys: the server grows by a sixth
SETTLE_S = 0.05   # the ledger deals out every few milliseconds
CUT_MB = 20       # half of what it grows by
TURNS, TURNS_QUICK = 12, 5
MOVE_S = 3.0      # for one turn's two moves of the limit, at most
STOLEN_MOST, FOREIGN_MOST = 2.0, 10.0  # percent; a clock tick of a stretch is 4


# ---- the same keys, in turn ---------------------------------------------------------------------


class Mover:
    """Moves the limit of a server under lcbench's load, and marks lcbench's segments: the odd ones
    are measured."""

    def __init__(self, process, generator, telemetry):
        self.process, self.generator, self.telemetry = process, generator, telemetry

    def limit(self, megabytes):
        wanted = int(megabytes * (1 << 20))
        self.telemetry.ask(f"/lcached/config/set,maxmemory={wanted}")
        end = time.monotonic() + MOVE_S
        while self.telemetry.ask("/lcached/memory")["used_memory"] > wanted:
            if time.monotonic() > end:
                raise Trouble(f"the limit of {megabytes} MiB is not reached")
            time.sleep(0.01)
        time.sleep(SETTLE_S)

    def stretch(self):
        info = self.telemetry.ask("/lcached/info")
        watch = Watch(self.process.pid)
        self.generator.send_signal(signal.SIGUSR1)
        time.sleep(STRETCH_S)
        self.generator.send_signal(signal.SIGUSR1)
        disturbed, after = watch.percent(), self.telemetry.ask("/lcached/info")
        return {
            "evicted": after["evicted_keys"] - info["evicted_keys"],
            "items": (after["keyspace_keys"] + info["keyspace_keys"]) // 2,
            **disturbed,
        }


def turns_run(sets, turns, scratch):
    """[(below, at the limit)], what lcbench measured with what Mover saw."""
    load = {**LOAD, "value-size": VALUE_BYTES, "sets": sets, "keys": KEYS * TIMES}
    load["evicting"] = True
    seen = []

    def meanwhile(generator):
        measuring_wait(generator)
        with Telemetry(process.pid) as telemetry:
            mover = Mover(process, generator, telemetry)
            for _ in range(turns):
                seen.append(mover.stretch())
                mover.limit(HELD_MB - CUT_MB * sets / 100)
                mover.limit(ROOM_MB)
                seen.append(mover.stretch())
                mover.limit(HELD_MB)
        generator.send_signal(signal.SIGUSR2)

    with SIDES["lcached"](scratch, HELD_MB) as (process, where):
        seconds = turns * (2 * STRETCH_S + MOVE_S)
        result = servers.generator(load, seconds, 1, where, process, meanwhile)
    if result["errors"] or len(result["segments"]) < 4 * turns:
        raise Trouble(f"lcached: {result['errors']} errors, {len(result['segments'])} segments")
    both = [{**segment, **what} for segment, what in zip(result["segments"][1::2], seen)]
    for one in both:
        one["requests_per_s"] = one["requests"] / one["seconds"]
    return list(zip(both[1::2], both[0::2]))


def turns_check(pairs):
    """Without those that were disturbed."""
    for below, at in pairs:
        if below["evicted"] or not at["evicted"]:
            raise Trouble(f"{below['evicted']} evicted below the limit, {at['evicted']} at it")
    kept = [
        pair
        for pair in pairs
        if all(
            one["stolen_percent"] <= STOLEN_MOST and one["foreign_percent"] <= FOREIGN_MOST
            for one in pair
        )
    ]
    print(
        f"  {len(kept)} of {len(pairs)} turns undisturbed; items in the mean: "
        f"{statistics.mean(b['items'] for b, _ in pairs):,.0f} below, "
        f"{statistics.mean(a['items'] for _, a in pairs):,.0f} at the limit"
    )
    return kept or pairs


# ---- only held keys, in servers of their own ----------------------------------------------------


def once(side, sets, keys, at_limit, args, scratch):
    load = {**LOAD, "value-size": VALUE_BYTES, "sets": sets, "keys": keys}
    memory_mb = ROOM_MB
    if at_limit:
        memory_mb = HELD_MB // args.smaller
        load["evicting"] = True
    with SIDES[side](scratch, memory_mb) as (process, where):
        result = servers.generator(load, args.seconds, args.warmup, where, process)
        gone, held = evict.evicted(side, process, where), evict.held(side, process, where)
    if result["errors"] or bool(gone) != at_limit:
        raise Trouble(f"{side}: {result['errors']} errors, {gone} evicted")
    return {**result, "evicted": gone, "items": held}


def servers_run(side, sets, args, scratch):
    pairs = []
    for _ in range(args.rounds):
        at = once(side, sets, KEYS * TIMES // args.smaller, True, args, scratch)
        pairs.append((once(side, sets, at["items"], False, args, scratch), at))
    return pairs


# ---- both ---------------------------------------------------------------------------------------


def row_make(case, kind, pairs, most):
    """Of paired ratios at the limit to below it: the median, the least, the greatest."""
    name = "requests_per_s" if kind == "sets" else "get_p999_us"
    ratios = [at[name] / below[name] for below, at in pairs]
    ratio = statistics.median(ratios)
    holds = None
    if most is not None:
        holds = ratio >= most if kind == "sets" else ratio <= most
    return {
        "name": "evict-speed",
        "case": case,
        "value": statistics.median(at[name] for _, at in pairs),
        "below": statistics.median(below[name] for below, _ in pairs),
        "unit": "sets/s" if kind == "sets" else "us, p99.9 of gets",
        "ratio": ratio,
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "runs": len(pairs),
        "target": most,
        "holds": holds,
        "detail": pairs,
    }


def row_print(row):
    verdict = {True: "holds", False: "MISSED", None: "no target"}[row["holds"]]
    bound = ""
    if row["target"] is not None:
        bound = f", {'at least' if row['unit'] == 'sets/s' else 'at most'} {row['target']}"
    print(
        f"  {row['case']:<44} {row['value']:11,.1f} to {row['below']:11,.1f} {row['unit']:<18} "
        f"ratio {row['ratio']:.2f} ({row['ratio_min']:.2f} to {row['ratio_max']:.2f}){bound}: {verdict}",
        flush=True,
    )
    return row


def run(args, scratch):
    evict.ready()
    args.smaller = 4 if args.quick else 1
    args.rounds = min(args.rounds, 3)
    turns = TURNS_QUICK if args.quick else TURNS
    print(
        f"evict-speed: keys of 20 B, values of {VALUE_BYTES} B, 50 TCP connections; "
        "at the limit to below it"
    )
    rows = []
    for kind, sets, most in (("sets", 100, SPEED_LEAST), ("half gets", 50, LATENCY_MOST)):
        pairs = turns_check(turns_run(sets, turns, scratch))
        rows.append(row_print(row_make(f"lcached: {kind}, the same keys", kind, pairs, most)))
        for side in SIDES:
            pairs = servers_run(side, sets, args, scratch)
            target = most if side == "lcached" else None
            rows.append(row_print(row_make(f"{side}: {kind}, only held keys", kind, pairs, target)))
    return rows
