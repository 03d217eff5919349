# SPDX-License-Identifier: BSD-3-Clause
"""A table in Markdown of what scripts/bench has written to JSON files: one row a result."""

import json

HEAD = ("scenario", "lcached", "peer", "ratio", "at least", "ceiling", "busy cycles", "")


def number(value):
    if value is None:
        return ""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.2f} {letter}"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def cells(row):
    spread = f" ({number(row['min'])} to {number(row['max'])})" if "min" in row else ""
    ratio = f"{row['ratio']:.2f}" if row.get("ratio") is not None else ""
    target = row.get("target")
    few = row.get("unit") in ("us", "instructions/get", "cycles/request")
    least = "" if target is None else f"{'at most ' if few else ''}{target:g}"
    cycles = number(row.get("busy_cycles")) + (" (generator-bound)" if row.get("bounded") else "")
    return (
        f"`{row['name']}`, {row['case']}",
        f"{number(row['value'])} {row['unit']}{spread}",
        number(row.get("peer_value")),
        ratio,
        least,
        number(row.get("ceiling")),
        cycles,
        {True: "holds", False: "**missed**", None: ""}[row["holds"]],
    )


def line(words):
    return "| " + " | ".join(words) + " |"


def print_files(paths):
    print(line(HEAD))
    print("|" + "---|" * len(HEAD))
    for path in paths:
        with open(path) as f:
            for row in json.load(f):
                print(line(cells(row)))
