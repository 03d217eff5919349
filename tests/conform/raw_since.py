# SPDX-License-Identifier: BSD-3-Clause
"""Raw cases that memcached 1.6.45, the reference, answers otherwise than Debian's 1.6.18: its
answers, as a running 1.6.45 gave them, and the reasons by the cases' names."""

import re

REASONS = (
    (
        r".* too many words",
        "words that nobody needs are ignored since 1.6.18",
    ),
    (
        r".*(flags no number|exptime no number|refused)|cas (of 2\^64|no number|negative)"
        r"|errors within a pipeline",
        "a set that is refused takes its value with it since 1.6.18",
    ),
    (
        r".* value one too long|.* ends in a bare newline|unknown b'm'|empty line|bare newline"
        r"|three empty lines",
        "a line too short for a command is a bad format since 1.6.18",
    ),
    (
        r"(incr|decr) by .*|ms F4294967296",
        "numbers are digits alone, and within their range, since 1.6.18",
    ),
    (
        r"md, base64 key .*|md (y|k k|Cabc|C|Tabc)",
        "md names its error since 1.6.18",
    ),
    (
        r"ms M|ma M",
        "M alone is an invalid mode since 1.6.18",
    ),
    (
        r"mg unknown flag !",
        "what cannot be a flag is a bad format since 1.6.18",
    ),
    (
        r"(ms|ma) key of 251",
        "ms takes the value along, ma has one text for all, since 1.6.18",
    ),
    (
        r"ma N q",
        "q hides that ma made its item since 1.6.18",
    ),
    (
        r"(md|ma) with 30 flags",
        "the words of the error changed since 1.6.18",
    ),
)

ANSWERS = {
    "set too many words": b"STORED\r\nVALUE ~a 0 3\r\nnew\r\nEND\r\n",
    "set value one too long": (
        b"CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\nEND\r\n"
    ),
    "set value ends in a bare newline": (
        b"CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\nEND\r\n"
    ),
    "set flags no number": b"CLIENT_ERROR bad command line format\r\n",
    "set exptime no number": b"CLIENT_ERROR bad command line format\r\n",
    "add too many words": b"STORED\r\nVALUE ~a 0 3\r\nnew\r\nEND\r\n",
    "add value one too long": (
        b"CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\nEND\r\n"
    ),
    "add value ends in a bare newline": (
        b"CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\nEND\r\n"
    ),
    "add flags no number": b"CLIENT_ERROR bad command line format\r\n",
    "add exptime no number": b"CLIENT_ERROR bad command line format\r\n",
    "replace too many words": b"NOT_STORED\r\nEND\r\n",
    "replace value one too long": (
        b"CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\nEND\r\n"
    ),
    "replace value ends in a bare newline": (
        b"CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\nEND\r\n"
    ),
    "replace flags no number": b"CLIENT_ERROR bad command line format\r\n",
    "replace exptime no number": b"CLIENT_ERROR bad command line format\r\n",
    "append too many words": b"NOT_STORED\r\nEND\r\n",
    "append value one too long": (
        b"CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\nEND\r\n"
    ),
    "append value ends in a bare newline": (
        b"CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\nEND\r\n"
    ),
    "append flags no number": b"CLIENT_ERROR bad command line format\r\n",
    "append exptime no number": b"CLIENT_ERROR bad command line format\r\n",
    "prepend too many words": b"NOT_STORED\r\nEND\r\n",
    "prepend value one too long": (
        b"CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\nEND\r\n"
    ),
    "prepend value ends in a bare newline": (
        b"CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\nEND\r\n"
    ),
    "prepend flags no number": b"CLIENT_ERROR bad command line format\r\n",
    "prepend exptime no number": b"CLIENT_ERROR bad command line format\r\n",
    "flags -1, refused": b"CLIENT_ERROR bad command line format\r\n",
    "flags 1.5, refused": b"CLIENT_ERROR bad command line format\r\n",
    "flags 0x10, refused": b"CLIENT_ERROR bad command line format\r\n",
    "flags 99999999999999999999, refused": b"CLIENT_ERROR bad command line format\r\n",
    "flags 1a, refused": b"CLIENT_ERROR bad command line format\r\n",
    "exptime 1.5, refused": b"CLIENT_ERROR bad command line format\r\n",
    "exptime 10s, refused": b"CLIENT_ERROR bad command line format\r\n",
    "exptime 99999999999999999999, refused": b"CLIENT_ERROR bad command line format\r\n",
    "cas of 2^64": b"STORED\r\nCLIENT_ERROR bad command line format\r\n",
    "cas no number": b"STORED\r\nCLIENT_ERROR bad command line format\r\n",
    "cas negative": b"STORED\r\nCLIENT_ERROR bad command line format\r\n",
    "incr by +1": (
        b"STORED\r\nCLIENT_ERROR invalid numeric delta argument\r\nVALUE ~a 0 2\r\n10\r\n"
        b"END\r\n"
    ),
    "incr by +1, key absent": b"CLIENT_ERROR invalid numeric delta argument\r\n",
    "decr by +1": (
        b"STORED\r\nCLIENT_ERROR invalid numeric delta argument\r\nVALUE ~a 0 2\r\n10\r\n"
        b"END\r\n"
    ),
    "decr by +1, key absent": b"CLIENT_ERROR invalid numeric delta argument\r\n",
    "mg unknown flag !": b"STORED\r\nCLIENT_ERROR bad command line format\r\n",
    "md, base64 key !!!!": b"CLIENT_ERROR error decoding key\r\n",
    "md, base64 key QUJ": b"CLIENT_ERROR error decoding key\r\n",
    "md, base64 key Q": b"CLIENT_ERROR error decoding key\r\n",
    "md, base64 key QUJDR": b"CLIENT_ERROR error decoding key\r\n",
    "md, base64 key ====": b"CLIENT_ERROR error decoding key\r\n",
    "md, base64 key QUJD=": b"CLIENT_ERROR error decoding key\r\n",
    "md, base64 key QUJDRA=": b"CLIENT_ERROR error decoding key\r\n",
    "ms M": b"CLIENT_ERROR invalid mode for ms M token\r\nEND\r\n",
    "ms F4294967296": b"CLIENT_ERROR bad command line format\r\nEND\r\n",
    "ms key of 251": b"CLIENT_ERROR bad command line format\r\n",
    "md y": b"STORED\r\nCLIENT_ERROR invalid flag\r\nVALUE ~a 0 5\r\nvalue\r\nEND\r\n",
    "md k k": b"STORED\r\nCLIENT_ERROR duplicate flag\r\nVALUE ~a 0 5\r\nvalue\r\nEND\r\n",
    "md Cabc": (
        b"STORED\r\nCLIENT_ERROR bad token in command line format\r\nVALUE ~a 0 5\r\n"
        b"value\r\nEND\r\n"
    ),
    "md C": (
        b"STORED\r\nCLIENT_ERROR bad token in command line format\r\nVALUE ~a 0 5\r\n"
        b"value\r\nEND\r\n"
    ),
    "md Tabc": (
        b"STORED\r\nCLIENT_ERROR bad token in command line format\r\nVALUE ~a 0 5\r\n"
        b"value\r\nEND\r\n"
    ),
    "ma M": (
        b"STORED\r\nCLIENT_ERROR invalid mode for ma M token\r\n"
        b"CLIENT_ERROR invalid mode for ma M token\r\nVALUE ~a 0 2\r\n10\r\nEND\r\n"
    ),
    "ma N q": b"VALUE ~a 0 1\r\n0\r\nEND\r\n",
    "ma key of 251": b"CLIENT_ERROR invalid or duplicate flag\r\n",
    "md with 30 flags": b"STORED\r\nCLIENT_ERROR options flags are too long\r\n",
    "ma with 30 flags": b"STORED\r\nCLIENT_ERROR invalid or duplicate flag\r\n",
    "unknown b'm'": b'CLIENT_ERROR bad command line format\r\n',
    "empty line": b"CLIENT_ERROR bad command line format\r\n",
    "bare newline": b"CLIENT_ERROR bad command line format\r\n",
    "three empty lines": (
        b"CLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad command line format\r\n"
        b"CLIENT_ERROR bad command line format\r\n"
    ),
    "errors within a pipeline": (
        b"ERROR\r\nEND\r\nCLIENT_ERROR bad command line format\r\n"
        b"CLIENT_ERROR invalid numeric delta argument\r\n"
        b"CLIENT_ERROR bad command line format\r\nEND\r\n"
    ),
}


def apply(cases):
    """Gives the cases what 1.6.45 answers."""
    for case in cases:
        if case.name in ANSWERS:
            assert case.expect is None, case.name
            case.expect = ANSWERS[case.name]
            case.why = next(why for name, why in REASONS if re.fullmatch(name, case.name))
