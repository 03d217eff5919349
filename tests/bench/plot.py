# SPDX-License-Identifier: BSD-3-Clause
"""SVG plots by gnuplot."""

import os
import shutil
import subprocess

COLOURS = ("#4c566a", "#a0a0a0", "#1b6ca8", "#c4622d", "#2e7d32", "#7b3fa0", "#b8860b", "#00838f", "#ad1457",
           "#6d4c41")  # fmt: skip
PEERS = COLOURS[:2] + COLOURS[4:]


def gnuplot(where, name, script):
    if not shutil.which("gnuplot"):
        command = ["apt-get", "install", "-y", "--no-install-recommends", "gnuplot-nox"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    os.makedirs(where, exist_ok=True)
    path = os.path.join(where, name + ".svg")
    head = f'set terminal svg size 820,480 font "sans,12" background "white"\nset output "{path}"\n'
    subprocess.run(["gnuplot"], input=head + script, text=True, check=True)
    print(f"plotted {path}")


def block(name, rows):
    lines = "\n".join(" ".join(f'"{v}"' if isinstance(v, str) else str(v) for v in row) for row in rows)
    return f"${name} << EOD\n{lines}\nEOD\n"


def tick(x):
    for size, letter in ((1000000, "M"), (1000, "k")):
        if x >= size and x % size == 0:
            return f"{x // size:g} {letter}"
    return f"{x:g}"


def curves(where, name, title, x_label, lines, y_label="hit ratio", log_x=True, log_y=False):
    """lines: name -> [(x, y)], what begins with "lcached" drawn last, and bold."""
    names = sorted(lines, key=lambda n: n.startswith("lcached"))
    peers = sum(not n.startswith("lcached") for n in names)
    colours = [PEERS[i % len(PEERS)] if i < peers else COLOURS[2 + (i - peers) % 6] for i in range(len(names))]
    script = "".join(block(f"d{i}", sorted(lines[n])) for i, n in enumerate(names))
    script += f'set title "{title}"\nset xlabel "{x_label}"\nset ylabel "{y_label}"\n'
    ticks = sorted({x for line in lines.values() for x, _ in line})
    for axis in ("x" if log_x else "", "y" if log_y else ""):
        script += f"set logscale {axis}\n" if axis else ""
    script += "set xtics (" + ", ".join(f'"{tick(x)}" {x}' for x in ticks) + ")\n"
    if log_y:
        script += 'set format y "%.0s %c"\n'
    script += f"set xrange [{ticks[0]}:{ticks[-1]}]\n"
    script += "set grid\nset key below\nplot " + ", ".join(
        f'$d{i} with linespoints {"lw 2" if n.startswith("lcached") else "lw 1"} pt {5 + 2 * (i % 3)} '
        f'ps 0.5 lc "{colours[i]}" title "{n}"'
        for i, n in enumerate(names)
    )
    gnuplot(where, name, script + "\n")


def bars(where, name, title, groups, y_label="hit ratio"):
    """groups: [(group's name, [(bar's name, value)])], the same bars in each."""
    names = [n for n, _ in groups[0][1]]
    rows = [[group, *(value for _, value in values)] for group, values in groups]
    script = block("d", rows)
    script += f'set title "{title}"\nset ylabel "{y_label}"\nset yrange [0:]\nset grid y\n'
    script += "set style data histograms\nset style histogram clustered gap 1.5\n"
    script += "set style fill solid 0.9\nset boxwidth 0.9\nset key below\nplot " + ", ".join(
        f'$d using {i + 2}{":xtic(1)" if i == 0 else ""} lc "{COLOURS[i % len(COLOURS)]}" title "{n}"'
        for i, n in enumerate(names)
    )
    gnuplot(where, name, script + "\n")
