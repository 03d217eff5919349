# SPDX-License-Identifier: BSD-3-Clause
"""The machine: cores, stolen time, hugepages."""

import contextlib
import os

GENERATOR_CORE, SERVER_CORE = 0, 1
HUGEPAGE = "/sys/kernel/mm/hugepages/hugepages-2048kB/"
HUGEPAGE_BYTES = 2 << 20
PAGES_NEEDED = 512  # 1 GiB: packet buffers of both ends


class Trouble(Exception):
    """Why nothing can be measured, in one line."""


def check():
    if not {GENERATOR_CORE, SERVER_CORE} <= os.sched_getaffinity(0):
        raise Trouble("two cores are needed: 0 for the generator, 1 for the server")
    if os.geteuid():
        raise Trouble("hugepages and DPDK need root")


def _hugepages(name):
    with open(HUGEPAGE + name) as f:
        return int(f.read())


def _hugepages_set(pages):
    with open(HUGEPAGE + "nr_hugepages", "w") as f:
        f.write(str(pages))


def hugepages_ensure():
    """The server's packet memory is mapped by the generator, which takes hugepages."""
    missing = PAGES_NEEDED - _hugepages("free_hugepages")
    if missing > 0:
        _hugepages_set(_hugepages("nr_hugepages") + missing)
    if _hugepages("free_hugepages") < PAGES_NEEDED:
        raise Trouble(f"{PAGES_NEEDED} free hugepages of 2 MiB are needed")


@contextlib.contextmanager
def hugepages(size):
    """So many bytes of free ones beside those for packets, given back at the end. Trouble where the
    system has fewer."""
    hugepages_ensure()
    before = _hugepages("nr_hugepages")
    wanted = PAGES_NEEDED + (size + HUGEPAGE_BYTES - 1) // HUGEPAGE_BYTES
    try:
        missing = wanted - _hugepages("free_hugepages")
        if missing > 0:
            _hugepages_set(before + missing)
        if _hugepages("free_hugepages") < wanted:
            raise Trouble(f"{wanted} free hugepages of 2 MiB are needed")
        yield
    finally:
        _hugepages_set(before)


def core_ticks(core):
    """(work, stolen, all) of a core since it started."""
    with open("/proc/stat") as f:
        for line in f:
            name, *values = line.split()
            if name == f"cpu{core}":
                user, nice, system, idle, iowait, irq, softirq, steal = map(int, values[:8])
                work = user + nice + system + irq + softirq
                return work, steal, work + idle + iowait + steal
    raise Trouble(f"no cpu{core} in /proc/stat")


def _process_ticks(pid):
    """What all threads of a process have worked, interrupts on their behalf included."""
    with open(f"/proc/{pid}/stat") as f:
        values = f.read().rpartition(")")[2].split()
    return int(values[11]) + int(values[12])


class Watch:
    """What disturbed a run, in percent of the time: `stolen` by the hypervisor from our two cores,
    and `foreign`, the work of others on the server's core."""

    def __init__(self, server_pid):
        self.pid = server_pid
        self.before = self._read()

    def _read(self):
        work, steal, ticks = core_ticks(SERVER_CORE)
        _, generator_steal, generator_ticks = core_ticks(GENERATOR_CORE)
        foreign = work - _process_ticks(self.pid)
        return foreign, ticks, steal + generator_steal, ticks + generator_ticks

    def percent(self):
        foreign, ticks, steal, all_ticks = (n - b for n, b in zip(self._read(), self.before))
        return {
            "foreign_percent": max(0.0, 100.0 * foreign / max(ticks, 1)),
            "stolen_percent": 100.0 * steal / max(all_ticks, 1),
        }
