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


class StealWatch:
    """The share of time that the hypervisor took from our two cores, in percent."""

    def __init__(self):
        self.before = self._read()

    @staticmethod
    def _read():
        wanted = {f"cpu{GENERATOR_CORE}", f"cpu{SERVER_CORE}"}
        steal = total = 0
        with open("/proc/stat") as f:
            for line in f:
                name, *values = line.split()
                if name in wanted:
                    values = [int(v) for v in values[:8]]
                    steal += values[7]
                    total += sum(values)
        return steal, total

    def percent(self):
        steal, total = (now - was for now, was in zip(self._read(), self.before))
        return 100.0 * steal / total if total else 0.0
