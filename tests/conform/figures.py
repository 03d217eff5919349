# SPDX-License-Identifier: BSD-3-Clause
"""What a running server tells its operator, and takes from him."""

from telemetry import Telemetry
from wire import eventually


def asked(running, command):
    with Telemetry(running.process.pid) as telemetry:
        return telemetry.ask(command)


def counter(running, name, section="stats"):
    return asked(running, f"/lcached/info,{section}")[name]


def comes_to(running, name, value):
    """A worker that has just answered may not have had the CPU to report it."""
    return eventually(lambda: counter(running, name) == value)


def configure(running, name, value):
    reply = asked(running, f"/lcached/config/set,{name}={value}")
    assert reply == {"status": "ok"}, reply
