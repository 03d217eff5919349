# SPDX-License-Identifier: BSD-3-Clause
"""The machine: cores, stolen time, hugepages."""

import os

GENERATOR_CORE, SERVER_CORE = 0, 1
HUGEPAGE = "/sys/kernel/mm/hugepages/hugepages-2048kB/"
PAGES_NEEDED = 512  # 1 GiB: packet buffers of both ends


class Trouble(Exception):
    """Why nothing can be measured, in one line."""


def check():
    if not {GENERATOR_CORE, SERVER_CORE} <= os.sched_getaffinity(0):
        raise Trouble("two cores are needed: 0 for the generator, 1 for the server")
    if os.geteuid():
        raise Trouble("hugepages and DPDK need root")


def hugepages_ensure():
    """The server's packet memory is mapped by the generator, which takes hugepages."""

    def read(name):
        with open(HUGEPAGE + name) as f:
            return int(f.read())

    if read("free_hugepages") >= PAGES_NEEDED:
        return
    more = read("nr_hugepages") + PAGES_NEEDED - read("free_hugepages")
    with open(HUGEPAGE + "nr_hugepages", "w") as f:
        f.write(str(more))
    if read("free_hugepages") < PAGES_NEEDED:
        raise Trouble(f"{PAGES_NEEDED} free hugepages of 2 MiB are needed")


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
