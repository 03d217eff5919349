# SPDX-License-Identifier: BSD-3-Clause
"""What programs have said in their log files."""

import time

from machine import Trouble

MEASURING_S = 200  # for keys to be set and read, at most


def tail(path):
    with open(path, errors="replace") as f:
        return "".join(f.readlines()[-8:]).strip()


def measuring_wait(process, seconds=MEASURING_S):
    """Until lcbench says that it measures."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with open(process.log) as f:
            if "lcbench: measuring" in f.read():
                return
        time.sleep(0.02)
    raise Trouble(f"lcbench does not get to measuring: {tail(process.log)}")
