# SPDX-License-Identifier: BSD-3-Clause
"""Hit ratios. lib/store itself, driven in process by bench_hit_ratio, beside exact LRU and S3-FIFO as
published; then memcached and redis on the same trace with the same number of bytes.

Fair by this: every key has 20 bytes and one value size; each cache is given the same bytes as its own
limit means them: lib/store for items and index, memcached as -m (items and free chunks, its hash
table aside), redis as maxmemory beside what the empty server uses. A miss stores the key. The peers
get requests in batches of distinct keys, as fast as they answer: the lookups, then the stores."""

import array
import json
import os
import subprocess
from dataclasses import dataclass

import density
import peers
import plot
import servers

PROGRAM = os.path.join(servers.BUILD, "tests", "bench", "bench_hit_ratio")
TRACES = os.environ.get(
    "LCACHED_TRACES", os.path.join(servers.ROOT, "..", "shared", "traces")
)
BATCH = 64
ALL = 1 << 30


@dataclass(frozen=True)
class Point:
    percent: float  # of the trace's distinct keys
    value_bytes: int  # in mode "bytes"; 0: each key has a size of its own (density's mixed ones)


@dataclass(frozen=True)
class Trace:
    name: str
    source: str
    requests: int
    points: tuple
    curve: tuple = ()  # percents to plot

    def path(self):
        return self.source if ":" in self.source else os.path.join(TRACES, self.source)


FULL = (
    Trace("OLTP", "OLTP.lis.zst", ALL, (Point(1, 8000), Point(5, 4000)), (0.5, 1, 2, 5, 10, 20)),
    Trace("P3", "P3.lis.zst", ALL, (Point(5, 1000),), (1, 2, 5, 10, 20, 40)),
    Trace("Zipf", "zipf:1000000:4000000:0.99:1", ALL, (Point(10, 500), Point(10, 0)), (1, 2, 5, 10, 20)),
)
QUICK = (
    Trace("OLTP", "OLTP.lis.zst", 300000, (Point(5, 4000),)),
    Trace("Zipf", "zipf:100000:1000000:0.99:1", ALL, (Point(10, 2000),)),
)

# What must hold of objects counted, whatever the seed: policy, samples, shards, how keys are split over
# them, what it is held against, least difference in points (None: shown only)
TARGETS = (
    ("allkeys-lru", 5, 1, "even", "exact LRU", -0.4),
    ("allkeys-lru", 10, 1, "even", "exact LRU", -0.15),
    ("allkeys-lru", 5, 4, "even", "one shard", -0.1),
    ("allkeys-lru", 5, 4, "half", "one shard", -0.1),
    ("allkeys-lru", 5, 4, "first", "one shard", None),
    ("allkeys-s3fifo", 5, 1, "even", "published S3-FIFO", 0.0),
    ("allkeys-s3fifo", 5, 4, "even", "one shard", -0.1),
    ("allkeys-s3fifo", 5, 4, "half", "one shard", None),
    ("allkeys-s3fifo", 5, 4, "first", "one shard", None),
    ("allkeys-s3fifo-size", 5, 4, "even", "one shard", -0.1),
)
SPLITS = {"even": "", "half": ", half of the keys in one", "first": ", the oldest keys in one"}


def harness(mode, trace, value_bytes, percents):
    command = [PROGRAM, mode, trace.path(), str(trace.requests), str(value_bytes)]
    command += ["0", *map(str, percents)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


# ---- the peers ----------------------------------------------------------------------------------


def keys_dump(trace):
    command = [PROGRAM, "dump", trace.path(), str(trace.requests)]
    done = subprocess.run(command, check=True, capture_output=True)
    return array.array("I", done.stdout)


def batches(keys):
    """Runs of at most BATCH keys, none twice in a run."""
    run, seen = [], set()
    for key in keys:
        if key in seen or len(run) == BATCH:
            yield run
            run, seen = [], set()
        run.append(key)
        seen.add(key)
    yield run


def replay(peer, keys, value_bytes):
    texts = [str(i).ljust(20, "k").encode() for i in range(max(keys) + 1)]
    touches = [peer.touch_request(text) for text in texts]
    text = b"v" * (value_bytes or 100000)
    hits = refused = 0
    for run in batches(keys):
        there = peer.touch([touches[key] for key in run])
        hits += sum(there)
        missed = [
            peer.set_request(texts[key], text[: value_bytes or density.mixed_bytes("etc", key)])
            for key, hit in zip(run, there)
            if not hit
        ]
        if missed:
            refused += peer.set(missed)
    return hits / len(keys), refused


def peer_rows(trace, point, limit_bytes, scratch):
    keys = keys_dump(trace)

    def redis(policy, samples):
        options = ("--maxmemory-policy", policy, "--maxmemory-samples", str(samples))
        return peers.Redis, limit_bytes, *options

    contests = (
        ("memcached", (peers.Memcached, limit_bytes >> 20)),
        ("redis allkeys-lru, 5 samples", redis("allkeys-lru", 5)),
        ("redis allkeys-lru, 10 samples", redis("allkeys-lru", 10)),
        ("redis allkeys-lfu, 5 samples", redis("allkeys-lfu", 5)),
    )
    for name, (kind, *options) in contests:
        with peers.opened(kind, scratch, *options) as peer:
            hit, refused = replay(peer, keys, point.value_bytes)
            yield {"policy": name, "held": peer.items(), "hit": hit, "refused": refused}


# ---- rows ---------------------------------------------------------------------------------------


def label(row):
    shards = "1 shard" if row["shards"] == 1 else f"{row['shards']} shards"
    return f"{row['policy']}, {row['samples']} samples, {shards}{SPLITS[row['split']]}"


def same(row, policy, samples, shards, split):
    return (row["policy"], row["samples"], row["shards"], row["split"]) == (policy, samples, shards, split)


def reference(rows, row, against):
    """What a row is held against. One shard has as many bytes, not as many objects: what four indexes and
    the ledger's moves take counts."""
    if against == "exact LRU":
        return row["lru"]
    if against == "published S3-FIFO":
        return row["s3fifo"]
    one = [r["hit"] for r in rows if same(r, row["policy"], row["samples"], 1, "even")]
    return sum(one) / len(one)


def target_rows(case, rows):
    for policy, samples, shards, split, against, least in TARGETS:
        runs = [r for r in rows if same(r, policy, samples, shards, split)]
        if not runs:
            print(f"hit-ratio: there is no {policy}")
            continue
        row = min(runs, key=lambda r: r["hit"] - reference(rows, r, against))
        peer = reference(rows, row, against)
        points = round(100 * (row["hit"] - peer), 3)
        yield {
            "name": "hit-ratio",
            "case": f"{case}, {label(row)}",
            "value": row["hit"],
            "unit": "hit ratio",
            "peer": against,
            "peer_value": peer,
            "points": points,
            "target": least,
            "holds": None if least is None else points >= least,
        }


def verdict(row):
    if row["target"] is None:
        return ""
    return f", at least {row['target']:+.2f}: {'holds' if row['holds'] else 'MISSED'}"


def objects_table(case, rows, targets):
    print(f"hit-ratio, {case}: equal numbers of objects ({rows[0]['requests']:,} requests)")
    print(f"  {'':<58} {'objects':>8} {'hit':>7} {'LRU':>7} {'S3-FIFO':>8}")
    for row in rows:
        if row["seed"] == 1:
            print(
                f"  {label(row):<58} {row['held']:8,} {row['hit']:7.4f} {row['lru']:7.4f}"
                f" {row['s3fifo']:8.4f}"
            )
    print("  the worst of all seeds:")
    for row in targets:
        print(
            f"  {row['case'][len(case) + 2:]:<58} {row['points']:+7.3f} points of {row['peer']}"
            f"{verdict(row)}"
        )


def bytes_table(case, limit_bytes, ours, theirs):
    print(f"hit-ratio, {case}: equal bytes ({limit_bytes >> 20} MiB)")
    print(f"  {'':<44} {'objects':>8} {'hit':>7}")
    for row in ours:
        print(f"  {'lcached ' + label(row):<44} {row['held']:8,} {row['hit']:7.4f}")
    for row in theirs:
        refused = f" ({row['refused']:,} sets refused)" if row["refused"] else ""
        print(f"  {row['policy']:<44} {row['held']:8,} {row['hit']:7.4f}{refused}")


def bytes_rows(case, ours, theirs):
    for row in ours:
        for peer in theirs:
            yield {
                "name": "hit-ratio",
                "case": f"{case}, equal bytes, {label(row)}",
                "value": row["hit"],
                "unit": "hit ratio",
                "peer": peer["policy"],
                "peer_value": peer["hit"],
                "points": round(100 * (row["hit"] - peer["hit"]), 3),
                "target": None,
                "holds": None,
            }


def point_run(trace, point, scratch, bars):
    case = f"{trace.name}, {point.percent:g} % of keys"
    targets = []
    if point.value_bytes:
        rows = harness("objects", trace, point.value_bytes, [point.percent])
        targets = list(target_rows(case, rows))
        objects_table(case, rows, targets)
    else:
        case += ", mixed sizes"
    ours = harness("bytes", trace, point.value_bytes, [point.percent])
    limit_bytes = ours[0]["bytes"]
    theirs = list(peer_rows(trace, point, limit_bytes, scratch))
    bytes_table(case, limit_bytes, ours, theirs)
    single = [("lcached " + r["policy"], r["hit"]) for r in ours if r["shards"] == 1 and r["samples"] == 5]
    group = f"{trace.name} {point.percent:g} %" + ("" if point.value_bytes else ", sizes")
    bars.append((group, single + [(r["policy"], r["hit"]) for r in theirs]))
    return targets + list(bytes_rows(case, ours, theirs))


def curve_plot(trace, where):
    rows = harness("plot", trace, 0, trace.curve)
    lines = {}
    for row in rows:
        lines.setdefault("lcached " + row["policy"], []).append((row["percent"], row["hit"]))
        if row["policy"] == "allkeys-lru":
            lines.setdefault("exact LRU", []).append((row["percent"], row["lru"]))
            lines.setdefault("S3-FIFO as published", []).append((row["percent"], row["s3fifo"]))
    name = "hit-ratio-" + trace.name.lower().replace(" ", "-").replace(".", "")
    title = f"Hit ratio on {trace.name}"
    plot.curves(where, name, title, "objects held, % of the trace's distinct keys", lines)


def run(args, scratch):
    traces = QUICK if args.quick else FULL
    for trace in traces:
        if ":" not in trace.source and not os.path.exists(trace.path()):
            print(f"hit-ratio: {trace.name} skipped, {trace.path()} is missing (LCACHED_TRACES)")
    traces = [t for t in traces if ":" in t.source or os.path.exists(t.path())]
    servers.programs_build("tests/bench/bench_hit_ratio")
    peers.installed_ensure()
    rows, bars = [], []
    for trace in traces:
        for point in trace.points:
            rows += point_run(trace, point, scratch, bars)
    if args.plots:
        for trace in traces:
            if trace.curve:
                curve_plot(trace, args.plots)
        plot.bars(args.plots, "hit-ratio-bytes", "Hit ratio with the same bytes", bars)
    return rows
