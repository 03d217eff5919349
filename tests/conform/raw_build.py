# SPDX-License-Identifier: BSD-3-Clause
"""What the files of cases share: short ways to write requests. The notation is raw_lib's."""

from raw_lib import Case

LONG_250 = b"~" + b"x" * 240  # with the prefix of ten bytes
LONG_251 = LONG_250 + b"x"
BINARY = bytes(b for b in range(256) if b not in b"~{")  # both stand for something in a step
BAD_FORMAT = b"CLIENT_ERROR bad command line format\r\n"
MISSING_WORDS = "missing words: ERROR until 1.6.18"


def collector():
    """A list of cases, and the function that adds one."""
    cases = []

    def case(name, *steps, **kw):
        cases.append(Case(name, list(steps), **kw))

    return cases, case


def line(text):
    return text + b"\r\n"


def store(command, key, value, flags=b"0", exptime=b"0", more=b""):
    return b"%s %s %s %s %d%s\r\n%s\r\n" % (command, key, flags, exptime, len(value), more, value)


def sset(key, value=b"value", flags=b"0", exptime=b"0", more=b""):
    return store(b"set", key, value, flags, exptime, more)
