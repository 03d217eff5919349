# SPDX-License-Identifier: BSD-3-Clause
"""Rounds of a case: lcached, its peer, and lcbench's ceiling in turn, A B C A B C, so that what the
machine does meanwhile falls on all; ratios are taken by round."""

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

import servers
from machine import Trouble

STEAL_MAX_PERCENT = 2.0
FOREIGN_MAX_PERCENT = 5.0
CORE_SHARE_MIN = 0.95
ATTEMPTS_A_ROUND = 3
CEILING_LEAST = 1.5  # times the figure; below, the figure may be the generator's
PROBE_S, PROBE_WARMUP_S = 1, 0.5


@dataclass(frozen=True)
class Case:
    case: str
    load: dict  # lcbench's options without their dashes
    unit: str = "requests/s"
    peer: str = "memcached"
    target: float | None = 1.0  # least ratio to the peer; None: just measured
    of_ceiling: float | None = None  # least share of the ceiling
    ceiling: Callable = servers.ceiling_run
    ceiling_name: str = "lcbench --answer"

    def figure(self, result):
        if self.unit == "keys/s":
            return result["keys_read_per_s"]
        if self.unit == "bytes/s":
            return result["requests_per_s"] * self.load["value-size"]
        return result["requests_per_s"]


def noise(result):
    """Why a run does not count, or None."""
    if result["stolen_percent"] > STEAL_MAX_PERCENT:
        return f"{result['stolen_percent']:.1f}% of the cores stolen"
    if result["foreign_percent"] > FOREIGN_MAX_PERCENT:
        return f"others had {result['foreign_percent']:.0f}% of the server's core"
    if result["generator_core_share"] < CORE_SHARE_MIN:
        return f"the generator had {100 * result['generator_core_share']:.0f}% of its core"
    return None


def checked(result):
    if result["misses"] or result["errors"]:
        raise Trouble(f"{result['misses']} misses, {result['errors']} errors")
    return result


def peer_choose(case, scratch):
    """(way, its run): the way to the peer that gives it most, by a short run of each."""
    best = None
    for way, run in servers.PEERS[case.peer].items():
        figure = case.figure(checked(run(case.load, PROBE_S, PROBE_WARMUP_S, scratch)))
        print(f"  {case.peer} over {way}: {figure:,.0f} {case.unit}", file=sys.stderr)
        if best is None or figure > best[0]:
            best = (figure, way, run)
    return best[1:]


def rounds_run(case, args, scratch, peer_run):
    """The rounds that count: (ours, peer's, ceiling) each."""
    good = []
    sides = (servers.lcached_run, peer_run, case.ceiling)
    for _ in range(args.rounds * ATTEMPTS_A_ROUND):
        results = [checked(side(case.load, args.seconds, args.warmup, scratch)) for side in sides]
        bad = next((why for why in map(noise, results) if why), None)
        note = f"not counted: {bad}" if bad and not args.keep_noisy else (bad or "")
        figures = [case.figure(result) for result in results]
        line = "".join(f"{figure:14,.0f}" for figure in figures)
        print(f"  {line} {figures[0] / figures[1]:8.2f}  {note}", file=sys.stderr)
        if not bad or args.keep_noisy:
            good.append(results)
        if len(good) == args.rounds:
            break
    if not good:
        raise Trouble("no round was quiet enough to count (--keep-noisy counts them all)")
    return good


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def middle(results, key):
    """The median, or None when it is not known of all."""
    values = [result[key] for result in results]
    return None if None in values else statistics.median(values)


def cycles(results, tsc_hz):
    """Busy cycles of the server's core a request, of the time-stamp counter."""
    us = middle(results, "server_us_a_request")
    return None if us is None else us * tsc_hz / 1e6


def least_row(row, what, value, least):
    """A row of its own for a second target of the same figures."""
    keep = {key: row[key] for key in ("name", "runs")}
    ratio = {"ratio": value["median"], "ratio_min": value["min"], "ratio_max": value["max"]}
    return {
        **keep,
        "case": f"{row['case']}, {what}",
        "value": value["median"],
        "min": value["min"],
        "max": value["max"],
        "unit": "ratio",
        "peer": row["ceiling_name"],
        "peer_value": row["ceiling"],
        **ratio,
        "target": least,
        "holds": value["median"] >= least,
    }


def summary(name, case, way, good):
    """The rows of a case: against the peer, and against the ceiling where that is a target."""
    ours, peers, ceilings = zip(*good)
    ours_f, peer_f, ceiling_f = ([case.figure(r) for r in side] for side in (ours, peers, ceilings))
    value, peer, ceiling = spread(ours_f), spread(peer_f), spread(ceiling_f)
    ratio = spread([a / b for a, b in zip(ours_f, peer_f)])
    tsc_hz = ours[0]["tsc_hz"]
    row = {
        "name": name,
        "case": case.case,
        "value": value["median"],
        "unit": case.unit,
        "min": value["min"],
        "max": value["max"],
        "runs": len(good),
        "peer": case.peer,
        "peer_way": way,
        "peer_value": peer["median"],
        "peer_min": peer["min"],
        "peer_max": peer["max"],
        "ratio": ratio["median"],
        "ratio_min": ratio["min"],
        "ratio_max": ratio["max"],
        "ceiling": ceiling["median"],
        "ceiling_name": case.ceiling_name,
        "bounded": ceiling["median"] < CEILING_LEAST * value["median"],
        "busy_cycles": cycles(ours, tsc_hz),
        "busy": middle(ours, "server_busy"),
        "peer_busy_cycles": cycles(peers, tsc_hz),
        "target": case.target,
        "holds": None if case.target is None else ratio["median"] >= case.target,
        "detail": [{"lcached": a, case.peer: b, "ceiling": c} for a, b, c in good],
    }
    rows = [row]
    if case.of_ceiling is not None:
        share = spread([a / c for a, c in zip(ours_f, ceiling_f)])
        rows.append(least_row(row, "of the ceiling", share, case.of_ceiling))
    return rows


def side_line(who, figures, results):
    busy = results[0].get("server_us_a_request") is not None
    print(
        f"  {who:<18} {figures['median']:14,.0f} {figures['min']:14,.0f} {figures['max']:14,.0f}"
        f"{middle(results, 'p50_us'):9.1f} {middle(results, 'p99_us'):9.1f} {middle(results, 'p999_us'):9.1f}"
        f"{100 * middle(results, 'generator_busy'):9.0f}%"
        + (f"{100 * middle(results, 'server_busy'):8.0f}%" if busy else "")
    )


def cycles_line(row):
    def told(key):
        return "?" if row[key] is None else f"{row[key]:,.0f}"

    return (
        f"  busy cycles a request: {told('busy_cycles')}, {row['peer']} {told('peer_busy_cycles')}"
        + ("; BOUNDED BY THE GENERATOR: these count" if row["bounded"] else "")
    )


def verdict(row):
    return {True: "holds", False: "MISSED", None: "no target"}[row["holds"]]


def table(rows, case, good):
    row = rows[0]
    ours, peers, ceilings = zip(*good)
    print(f"{row['name']} ({row['case']}), {row['unit']}, {row['runs']} rounds")
    print(
        f"  {'':<18} {'median':>14} {'min':>14} {'max':>14}"
        f"{'p50 us':>9} {'p99 us':>9} {'p99.9 us':>9}{'generator':>10}{'server':>9}"
    )
    sides = (("lcached", ours), (f"{row['peer']} {row['peer_way']}", peers), (case.ceiling_name, ceilings))
    for who, results in sides:
        side_line(who, spread([case.figure(r) for r in results]), results)
    least = f", at least {row['target']:g}" if row["target"] is not None else ""
    print(
        f"  ratio by round {row['ratio']:.2f} ({row['ratio_min']:.2f} to {row['ratio_max']:.2f})"
        f"{least}: {verdict(row)}"
    )
    print(cycles_line(row))
    for more in rows[1:]:
        print(
            f"  of the ceiling {more['ratio']:.2f} ({more['ratio_min']:.2f} to {more['ratio_max']:.2f}), "
            f"at least {more['target']:g}: {verdict(more)}"
        )


def case_run(name, case, args, scratch):
    way, peer_run = peer_choose(case, scratch)
    print(f"  {'lcached':>14}{case.peer:>14}{'ceiling':>14}    ratio", file=sys.stderr)
    good = rounds_run(case, args, scratch, peer_run)
    rows = summary(name, case, way, good)
    table(rows, case, good)
    return rows
