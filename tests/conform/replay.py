# SPDX-License-Identifier: BSD-3-Clause
"""Sends generated cases to a memcached and to lcached, and makes a difference small.

    /usr/bin/python3 replay.py PROGRAM FIRST COUNT      # cases FIRST, FIRST + 1, ...

compares PROGRAM (a raw_shell) with the memcached that LCACHED_REFERENCE names.
"""

import os
import re
import subprocess
import sys
import time

import raw_lib
from replay_grammar import Grammar

REFERENCE = os.environ.get("LCACHED_REFERENCE", "memcached")
SHRINK_RUNS = 150
# A difference comes each time. memcached's own answers do not: whether a shorter number keeps its
# value's width hangs on whether its LRU thread holds the item at that moment.
TRIES = 5
TRY_AGAIN_S = 0.3
# 1.6.18 shows the time left of me negated
ME_EXP = re.compile(rb"^(ME [^\r\n]* exp=)-(\d\d+)", re.M)


def version(program=REFERENCE):
    return subprocess.run([program, "-V"], capture_output=True, text=True).stdout.split()[-1]


class Replay:
    grammar = Grammar

    def __init__(self, reference, under_test, reference_version):
        self.reference, self.under_test = reference, under_test
        self.version = reference_version
        self.run_id = raw_lib.prefix_new()
        self.runs = 0

    def prefix(self):
        self.runs += 1
        return self.run_id + b"%04d." % (self.runs % 10000)

    def outcome(self, addr, steps, server, prefix):
        sent = [raw_lib.Pieces(b"".join(request.to(server) for request in step)) for step in steps]
        found = raw_lib.run(addr, raw_lib.Case("", sent), prefix)
        found.data = ME_EXP.sub(rb"\1\2", found.data)
        return found

    def spell(self, steps):
        lines = [f"    {[request.sent for request in step]}" for step in steps]
        return lines + [f"  to memcached {r.to(self.version)!r}" for s in steps for r in s
            if r.to(self.version) != r.sent]

    def differ(self, steps):
        """None, or what each of them answers."""
        prefix = self.prefix()
        want = self.outcome(self.reference, steps, self.version, prefix)
        got = self.outcome(self.under_test, steps, "lcached", prefix)
        same = (want.data, want.closed, want.late) == (got.data, got.closed, got.late)
        return None if same else (want, got)

    def shrink(self, steps):
        """Fewer steps and requests that still differ."""
        left = SHRINK_RUNS
        size = max(1, len(steps) // 2)
        while size and left > 0:
            for at in range(len(steps) - size, -1, -size):
                left -= 1
                fewer = steps[:at] + steps[at + size :]
                if fewer and left > 0 and self.differ(fewer):
                    steps = fewer
            size //= 2
        for i in range(len(steps) - 1, -1, -1):
            for j in range(len(steps[i]) - 1, -1, -1):
                left -= 1
                fewer = steps[:i] + [steps[i][:j] + steps[i][j + 1 :]] + steps[i + 1 :]
                if left > 0 and len(steps[i]) > 1 and self.differ(fewer):
                    steps = fewer
        return steps

    def case(self, seed):
        """None, or a text: the seed, the requests it comes down to, and both answers."""
        steps = self.grammar(seed, self.version).case()
        for attempt in range(TRIES):
            time.sleep(TRY_AGAIN_S if attempt else 0)
            first = self.differ(steps)
            if not first:
                return None
        small = self.shrink(steps)
        found = self.differ(small)
        if not found:  # not a second time
            small, found = steps, first
        lines = [f"seed {seed}, against memcached {self.version}:", *self.spell(small)]
        return "\n".join([*lines, f"  want {found[0]}", f"  got  {found[1]}"])


def main(program, first, count):
    with raw_lib.memcached(REFERENCE) as reference, raw_lib.raw_shell(program) as under_test:
        replay = Replay(reference, under_test, version())
        sent = wrong = 0
        for seed in range(first, first + count):
            sent += sum(len(step) for step in Grammar(seed, replay.version).case())
            failure = replay.case(seed)
            if failure:
                wrong += 1
                print(failure, flush=True)
        print(f"{sent} requests, {count} cases, {wrong} differ")
        return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
