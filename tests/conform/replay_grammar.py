# SPDX-License-Identifier: BSD-3-Clause
"""Generated requests: a seed gives a case, which is steps of requests that share their keys.

A request is spelt three ways: as lcached is sent it, and as a memcached 1.6.18 or 1.6.45 is, where
those answer otherwise. Then they are sent what they answer as lcached must: DIFFERENCES names every
reason for that, and nothing else may differ. Keys, {casN} and {b64:NAME} are raw_lib's notation.

What 1.6.18 has not at all (SINCE) is generated for a newer reference alone. Not generated: T and E of an
`ma` that makes its number longer, which memcached gives to the item that goes (docs/protocol.md).
"""

import random
from dataclasses import dataclass

DIFFERENCES = {
    "1.6.45": "1.6.45 answers otherwise than 1.6.18, and is followed",
    "words": "1.6.45 ignores words that nobody needs, 1.6.18 refuses the line",
    "value along": "1.6.45 takes the value of a refused set along, 1.6.18 runs it as commands",
    "get's empty line": "1.6.45 sends an empty line behind the error for a long key of get, and"
    " drops replies of earlier commands: not copied",
    "opaque": "memcached finds that an opaque is too long after the command has run: not copied",
    "me b": "b of me counts in 1.6.45 only before a further word: not copied",
    "numbers": "1.6.45 counts a number's characters, takes a minus alone for 0 and no sign else",
}


@dataclass
class Request:
    sent: bytes
    old: bytes | None = None  # to 1.6.18, if not the same
    new: bytes | None = None  # to 1.6.45
    why: str = ""

    def __post_init__(self):
        assert (self.why in DIFFERENCES) == (self.old is not None or self.new is not None), self

    # Arithmetic keeps a width with spaces unless a waiting reply holds the value, which hangs
    # on when replies go out: a step has no arithmetic behind a retrieval.
    def reads(self):
        return self.sent.startswith((b"get", b"gat", b"mg"))

    def counts(self):
        return self.sent.startswith((b"incr", b"decr", b"ma"))

    # Who sends much and reads nothing meanwhile waits for a server that waits for him.
    def is_long(self):
        return len(self.sent) > 4096

    def to(self, server):
        other = {"1.6.18": self.old, "1.6.45": self.new}.get(server)
        return self.sent if other is None else other


KEYS = (b"~a", b"~b", b"~c", b"~d", b"~\x01\x7f\xff")
LONG = b"~" + b"k" * 240
TOO_LONG = b"k" * 251
SPACED = 12  # productions, the first ones, whose lines may have more spaces
# What all memcacheds answer with the error that its name says.
BAD_FORMAT = b"touch " + TOO_LONG + b" 0\r\n"
ERROR = b"nosuchcommand\r\n"
META_ERRORS = {
    b"invalid flag": b"mg ~none y\r\n",
    b"duplicate flag": b"mg ~none s s\r\n",
    b"bad token in command line format": b"mg ~none Tx\r\n",
    b"error decoding key": b"mg !!! b\r\n",
    b"opaque token too long": b"mg ~none O" + b"o" * 32 + b"\r\n",
    b"invalid numeric delta value": b"mg ~none Dx\r\n",
    b"invalid numeric initial value": b"mg ~none Jx\r\n",
    b"bad command line format": BAD_FORMAT,
    b"options flags are too long": b"mg ~none" + b" k" * 30 + b"\r\n",
}
EITHER = b"md ~none y\r\n"  # 1.6.18's way to "invalid or duplicate flag"
EITHER_NEW = b"ma ~none y\r\n"
MODE_SET = b"ms ~none 1 MX\r\nx\r\n"
MODE_ARITH = b"ma ~none MX\r\n"
NUMBERS = (b"0", b"1", b"7", b"10", b"99", b"18446744073709551615", b"9999999999", b"007", b"5 ",
    b" 7", b"+5", b"-0", b"10  ", b"000000000000000000000012", b"9\t", b"12 apples")
NO_NUMBERS = (b"", b"abc", b"1a", b"1.5", b"-5", b"- 5", b"18446744073709551616", b"99999999999999999999999")
BASE64 = (b"a", b"b", b"k" * 176)  # the last makes 248 characters, the most there are
# As 1.6.45 reads them where it has 32 bits or 64, and what that is: None is no number.
I32 = ((b"-", b"0"), (b"-0", b"0"), (b"1000".zfill(11), b"1000"), (b"1000".zfill(12), None),
    (b"+1000", None), (b"1000\t", None), (b"\t1000", None), (b"1e3", None))
U64 = ((b"5".zfill(22), b"5"), (b"5".zfill(23), None), (b"+5", None), (b"-0", None), (b"-", None),
    (b"5\t", None), (b"0x5", None))
# E: below and above all that servers give
SMALL, LARGE = b"1", b"9223372036854775807"


class Grammar:
    def __init__(self, seed, version="1.6.18"):
        self.rng = random.Random(seed)
        self.opaque = 0
        self.productions = self.PRODUCTIONS + (() if version == "1.6.18" else self.SINCE)

    # ---- words ----
    def pick(self, *of):
        return self.rng.choice(of)

    def chance(self, percent):
        return self.rng.random() * 100 < percent

    def key(self):
        return LONG if self.chance(2) else self.rng.choice(KEYS)

    def value(self):
        kind = self.rng.random()
        if kind < 0.35:
            return self.rng.choice(NUMBERS)
        if kind < 0.45:
            return self.rng.choice(NO_NUMBERS)
        if kind < 0.95:
            length = self.rng.choice((0, 1, 2, 5, 12, 40))
        else:
            length = self.rng.choice((300, 2045, 5000, 70000))
        # `~`, `{` and `}` stand for something in a step
        value = bytes(b if b not in b"~{}" else 32 for b in self.rng.randbytes(length))
        # Of white space alone memcached reads a number beyond the value's end.
        return value if value.strip() or not value else b"x"

    def exptime(self):
        return self.pick(b"0", b"0", b"0", b"1000", b"3000", b"100", b"-1", b"2592000")

    def cas(self):
        return self.pick(b"{cas0}", b"{cas1}", b"{cas2}", b"{cas3}", b"{cas0+1000000000}",
            b"18446744073709551615", b"0")

    def noreply(self):
        return b" noreply" if self.chance(15) else b""

    # ---- classic ----
    def storage(self):
        name = self.pick(b"set", b"set", b"set", b"add", b"replace", b"append", b"prepend", b"cas")
        return name, b" " + self.cas() if name == b"cas" else b""

    def store(self):
        name, unique = self.storage()
        value, flags = self.value(), self.pick(b"0", b"5", b"4294967295", b"007")
        line = b"%s %s %s %s %d%s%s\r\n" % (
            name, self.key(), flags, self.exptime(), len(value), unique, self.noreply())
        return Request(line + value + b"\r\n")

    def store_extra_words(self):
        name, unique = self.storage()
        head = b"%s %s 3 0 2%s" % (name, self.key(), unique)
        end = self.noreply()
        return Request(head + b" some more words" + end + b"\r\nhi\r\n", head + end + b"\r\nhi\r\n",
            why="words")

    def store_broken(self):
        name, unique = self.storage()
        end = self.noreply()
        key, flags, exptime = self.key(), b"0", b"0"
        what = self.pick("key", "flags", "exptime", "unique")
        if what == "key":
            key = TOO_LONG
        elif what == "flags":
            flags = self.pick(b"abc", b"-1", b"1.5", b"99999999999999999999")
        elif what == "exptime":
            exptime = self.pick(b"abc", b"1.5", b"10s")
        else:
            name, unique = b"cas", self.pick(b"", b" x", b" -1", b" 18446744073709551616")
        value = b"get it"  # and not run
        line = b"%s %s %s %s %d%s%s\r\n%s\r\n" % (
            name, key, flags, exptime, len(value), unique, end, value)
        return Request(line, b"" if end else BAD_FORMAT, why="value along")

    def store_bad_length(self):
        name, unique = self.storage()
        length = self.pick(b"-1", b"abc", b"1.5", b"2147483648", b"99999999999999999999")
        return Request(b"%s %s 0 0 %s%s\r\n" % (name, self.key(), length, unique))

    def store_few_words(self):
        words = [self.storage()[0], self.key(), b"0", b"0"][: self.rng.randint(1, 4)]
        return Request(b" ".join(words) + b"\r\n", BAD_FORMAT, why="1.6.45")

    def store_wrong_end(self):
        """The value is not as long as the line says; letters fill up what is missing."""
        name, unique = self.storage()
        value, length = b"v" * self.rng.randint(0, 30), self.rng.randint(0, 30)
        if abs(len(value) - length) < 5:
            length = len(value) + 5
        end = self.noreply()
        line = b"%s %s 0 0 %d%s%s\r\n" % (name, self.key(), length, unique, end)
        return Request(line + value + b"\r\n" + b"fill" * 20 + b"\r\n")

    def too_large(self):
        name, unique = self.storage()
        return Request(b"%s %s 0 0 1048577%s\r\n%s\r\n" % (
            name, self.key(), unique, b"L" * 1048577))

    def get(self):
        name = self.pick(b"get", b"get", b"gets", b"gets", b"gat " + self.exptime(),
            b"gats " + self.exptime())
        counts = (1, 1, 1, 2, 3, 8, 40) if name.startswith(b"gat") or self.chance(95) else (300, 1100)
        keys = b" ".join(self.key() for _ in range(self.rng.choice(counts)))
        return Request(name + b" " + keys + self.pick(b"\r\n", b"\r\n", b"\n", b" \r\n"))

    def get_broken(self):
        name = self.pick(b"get", b"gets", b"gat 0", b"gats 0")
        if self.chance(40):
            return Request(name + b"\r\n", BAD_FORMAT, BAD_FORMAT, why="1.6.45")
        if self.chance(50):
            line = b"gat%s %s %s\r\n" % (self.pick(b"", b"s"), self.pick(b"x", b"1.5"), self.key())
            return Request(line)
        return Request(b"%s %s %s\r\n" % (name, TOO_LONG, self.key()), BAD_FORMAT, BAD_FORMAT,
            why="get's empty line")

    def delete(self):
        head = b"delete " + self.key()
        if self.chance(20):
            return Request(head + b" 10\r\n", head + b"\r\n", why="words")
        return Request(head + self.noreply() + b"\r\n")

    def arith(self):
        head = b"%s %s %s" % (self.pick(b"incr", b"decr"), self.key(),
            self.pick(b"0", b"1", b"5", b"100", b"18446744073709551615", b"x", b"-1", b"1.5"))
        end = self.noreply()
        if self.chance(10):
            return Request(head + b" a b" + end + b"\r\n", head + end + b"\r\n", why="words")
        return Request(head + end + b"\r\n")

    def touch(self):
        time = self.exptime() if self.chance(85) else self.pick(b"x", b"1.5", b"")
        line = b"touch %s %s%s\r\n" % (self.key(), time, self.noreply())
        if time or b"noreply" in line:
            return Request(line)
        return Request(line, BAD_FORMAT, why="1.6.45")

    def whole(self):
        return Request(self.pick(b"flush_all\r\n", b"flush_all noreply\r\n", b"flush_all 0\r\n",
            b"flush_all -1\r\n", b"flush_all x\r\n", b"verbosity 0\r\n", b"verbosity x\r\n",
            b"verbosity 0 noreply\r\n", b"mn\r\n", b"mn some words\r\n"))

    def no_command(self):
        if self.chance(40):
            return Request(self.pick(b"\r\n", b"\n", b"m\r\n", b"x\n", b"ab\n", b"  \n"), BAD_FORMAT,
                why="1.6.45")
        if self.chance(30):
            return Request(b" get ~a\r\n", ERROR, why="1.6.45")
        if self.chance(30):
            return Request(self.pick(b"noreply\r\n", b" get ~a noreply\r\n", b"noreply noreply \n"), b"",
                why="1.6.45")
        return Request(self.pick(b"foo\r\n", b"GET ~a\r\n", b"getx ~a\r\n", b"mx ~a\r\n",
            b"Set ~a 0 0 1\r\n", b"\x01\x02\xff\r\n", b"sets ~a 0 0 1\r\n", b"incr\t~a 1\r\n"))

    # ---- meta ----
    def meta_key(self):
        """A key and the flag that goes with it."""
        if self.chance(15):
            return b"{b64:%s}" % self.pick(*BASE64), b" b"
        return self.key(), b""

    def flags(self, *of):
        count = self.rng.choice((0, 1, 1, 2, 3, 4))
        chosen = self.rng.sample(of, min(count, len(of)))
        self.rng.shuffle(chosen)
        words = []
        for flag in chosen:
            if flag == b"O":
                self.opaque += 1
                flag = b"O%d" % self.opaque
            words.append(b" " + flag)
        return b"".join(words)

    def mg(self):
        key, b = self.meta_key()
        times = self.pick((b"t", b"T1000"), (b"T3000",), (b"t",), (b"T-1",), (b"N1000", b"t"),
            (b"R200",), (b"R5000", b"t"), (b"N1000", b"R5000"), ())
        flags = self.flags(b"v", b"v", b"f", b"s", b"c", b"k", b"l", b"h", b"O", b"q", b"u", b"P1",
            b"L2", *times)
        if flags.split().count(b"v") > 1:
            flags = flags.replace(b" v", b"", 1)
        return Request(b"mg %s%s%s\r\n" % (key, b, flags))

    def ms(self):
        key, b = self.meta_key()
        value = self.value()
        flags = self.flags(b"T1000", b"T-1", b"F5", b"F4294967295", b"c", b"k", b"O", b"q", b"P",
            b"C" + self.cas(), self.pick(b"ME", b"MA", b"MP", b"MR", b"MS", b"MX", b"Mi"))
        flags = one_of(flags, b"T", b"F")
        return Request(b"ms %s %d%s%s\r\n%s\r\n" % (key, len(value), b, flags, value))

    def ms_append_keeps_stale(self):
        """A late writer, whose number is older than the item's, and one that lost."""
        key = self.rng.choice(KEYS)
        return Request(b"ms %s 1 I C1 c\r\nx\r\nmg %s v\r\nmg %s v\r\n" % (key, key, key))

    def md(self):
        key, b = self.meta_key()
        flags = self.flags(b"k", b"O", b"q", b"I", b"I", b"T1000", b"C" + self.cas())
        return Request(b"md %s%s%s\r\n" % (key, b, one_of(flags, b"I")))

    def ma(self):
        key, b = self.meta_key()
        mode = self.pick(b"MI", b"MD", b"M+", b"M-", b"MX")
        n = self.pick((b"N1000", b"J13", b"t"), (b"t",), (b"N0",), ())
        flags = self.flags(b"v", b"c", b"k", b"O", b"C" + self.cas(),
            b"D" + self.pick(b"0", b"1", b"30", b"18446744073709551615"), mode, *n)
        return Request(b"ma %s%s%s\r\n" % (key, b, flags))

    def ma_touch(self):
        return Request(b"ma %s MD%s\r\n" % (self.key(), self.flags(b"T1000", b"T3000", b"t", b"v", b"k")))

    def ma_quiet(self):
        key = self.rng.choice(KEYS)
        return Request(b"ma %s q O1\r\n" % key)

    def me(self):
        key, b = self.meta_key()
        return Request(b"me %s%s\r\n" % (key, b), None, b"me %s%s b\r\n" % (key, b) if b else None,
            why="me b" if b else "")

    def meta_broken(self):
        name = self.pick(b"mg", b"ms", b"md", b"ma")
        what = self.pick(*META_ERRORS)
        key, flags = self.key(), b""
        if what == b"invalid flag":
            flags = b" k y" if self.chance(50) else b" 9"
        elif what == b"duplicate flag":
            flags = self.pick(b" k k", b" q O1 q")
        elif what == b"bad token in command line format":
            flags = self.pick(b" Tx", b" C", b" N1.5", b" R+1", b" T", b" C-1")
        elif what == b"error decoding key":
            key, flags = self.pick(b"!!!!", b"QUJ", b"Q", b"===="), b" b k"
        elif what == b"opaque token too long":
            flags = b" O" + b"o" * 32
        elif what == b"invalid numeric delta value":
            flags = self.pick(b" D", b" Dx", b" D-1")
        elif what == b"invalid numeric initial value":
            flags = self.pick(b" J", b" J1x")
        elif what == b"options flags are too long":
            flags = b" k" * 30
        elif self.chance(30):
            return Request(name + b"\r\n", BAD_FORMAT, why="1.6.45")
        elif self.chance(50):
            words = [name, key, *([b"0"] if name == b"ms" else []), self.pick(b"!", b"$x", b"\xff")]
            return Request(b" ".join(words) + b"\r\n", BAD_FORMAT, why="1.6.45")
        else:
            key = TOO_LONG
        old, new = META_ERRORS[what], None
        why = "1.6.45"
        if name == b"ma" and what != b"opaque token too long":
            old, new = EITHER, EITHER_NEW
        if what == b"opaque token too long":
            new, why = META_ERRORS[what], "opaque"
        line = b"%s %s%s%s\r\n" % (name, key, b" 2" if name == b"ms" else b"", flags)
        return Request(line + (b"hi\r\n" if name == b"ms" else b""), old, new, why)

    def modes_broken(self):
        if self.chance(50):
            return Request(b"ms %s 2 M\r\nhi\r\n" % self.key(), MODE_SET, why="1.6.45")
        return Request(b"ma %s M\r\n" % self.key(), MODE_ARITH, why="1.6.45")

    # ---- odd spellings ----
    def spelling(self):
        """Numbers that only look like some, or do not."""
        key, i32, u64 = self.key(), self.pick(*I32), self.pick(*U64)
        head, (number, means), wrong, tail = self.pick(
            (b"touch %s " % key, i32, b"touch ~none x\r\n", b""),
            (b"incr %s " % key, u64, b"incr ~none x\r\n", b""),
            (b"decr %s " % key, u64, b"incr ~none x\r\n", b""),
            (b"mg %s t T" % key, i32, META_ERRORS[b"bad token in command line format"], b""),
            (b"mg %s t R" % key, i32, META_ERRORS[b"bad token in command line format"], b""),
            (b"ms %s 2 T" % key, i32, META_ERRORS[b"bad token in command line format"], b"hi\r\n"),
            (b"md %s C" % key, u64, META_ERRORS[b"bad token in command line format"], b""),
            (b"ma %s v D" % key, u64, EITHER, b""),
            (b"cas %s 0 0 2 " % key, u64, BAD_FORMAT, b"hi\r\n"),
        )
        line = head + number + b"\r\n" + tail
        return Request(line, wrong if means is None else head + means + b"\r\n" + tail, why="numbers")

    def length(self):
        """What is no length takes no value along."""
        head = self.pick(b"set %s 0 0 " % self.key(), b"ms %s " % self.key())
        number, value = self.pick((b"-", b""), (b"2".zfill(11), b"hi"), (b"2".zfill(12), None),
            (b"+2", None), (b"2\t", None))  # fmt: skip
        tail = b"" if value is None else value + b"\r\n"
        old = BAD_FORMAT if value is None else head + b"%d\r\n" % len(value) + tail
        return Request(head + number + b"\r\n" + tail, old, why="numbers")

    def loose(self):
        """The flags and exptime of set are what strtol makes of them."""
        flags = self.pick(b"+5", b"\t5", b"5\t", b"5\v6", b"5".zfill(30), b"4294967301", b"-0")
        exptime = self.pick(b"+1000", b"\t1000", b"1000\t", b"1000".zfill(30), b"-0", b"-5")
        return Request(b"set %s %s %s 2\r\nhi\r\n" % (self.key(), flags, exptime))

    def many_words(self):
        """The first 23 words of a line are all there are."""
        head = self.pick(b"delete %s", b"incr %s 1", b"touch %s 1000") % self.key()
        room = 23 - len(head.split())
        before, after = self.rng.randint(room - 3, room + 2), self.pick(0, 0, 1, 3)
        line = head + b" w" * before + b" noreply" + b" w" * after
        hidden = line.split()[:23][-1] == b"noreply"
        return Request(line + b"\r\n", head + b" noreply" * hidden + b"\r\n", why="words")

    def spaces(self):
        """Any request, with more spaces in its line, some behind it, and perhaps a bare newline."""
        request = self.rng.choices(*self.weighed(self.PRODUCTIONS[:SPACED]))[0](self)
        line, end, rest = request.sent.partition(b"\r\n")
        if request.why or not end or line.startswith(b"mn"):
            return request
        words = [word + b" " * self.pick(1, 1, 2, 5) for word in line.split(b" ")]
        line = b"".join(words) if self.chance(30) else b"".join(words).rstrip(b" ")
        return Request(line + self.pick(b"\r\n", b"\n") + rest)

    def spaces_before(self):
        line = self.pick(b"flush_all noreply\r\n", b"verbosity 0\r\n", b"verbosity x noreply\r\n")
        return Request(b" " * self.rng.randint(1, 3) + line, line, why="1.6.45")

    # ---- since 1.6.18 ----
    def mg_since(self):
        key, b = self.meta_key()
        flags = self.flags(b"v", b"k", b"O", b"c", b"t", b"f", b"s", b"q", b"C" + self.cas(),
            b"E" + self.pick(SMALL, LARGE), b"N1000", b"x", b"I", b"F5", b"D1", b"J1", b"MX")
        return Request(b"mg %s%s%s\r\n" % (key, b, flags))

    def ms_since(self):
        key, b = self.meta_key()
        value = self.value()
        flags = self.flags(b"s", b"c", b"k", b"O", b"q", b"F5", b"E" + self.pick(SMALL, LARGE), b"I",
            b"I", b"C" + self.cas(), b"C" + self.pick(SMALL, LARGE), b"N1000", b"N0", b"x",
            self.pick(b"MA", b"MP", b"ME", b"MAx"), b"T1000", b"t", b"v")  # fmt: skip
        flags = one_of(flags, b"I", b"C", b"N")
        return Request(b"ms %s %d%s%s\r\n%s\r\n" % (key, len(value), b, flags, value))

    def md_since(self):
        key, b = self.meta_key()
        flags = self.flags(b"x", b"x", b"k", b"O", b"q", b"I", b"T1000", b"T-1", b"F7", b"C" + self.cas(),
            b"E" + self.pick(SMALL, LARGE), b"N5", b"R5", b"c", b"v")  # fmt: skip
        return Request(b"md %s%s%s\r\n" % (key, b, one_of(flags, b"x", b"T")))

    def ma_since(self):
        key, b = self.meta_key()
        flags = self.flags(b"q", b"q", b"v", b"k", b"O", b"c", b"t", b"x", b"I", b"F5", b"R5", b"D1",
            b"C" + self.cas(), b"C0")  # fmt: skip
        flags = one_of(flags, b"q", b"C")
        if self.chance(40):
            flags += b" E" + self.pick(SMALL, LARGE) + b" MD"
        elif self.chance(50):
            flags += b" N1000 J" + self.pick(b"0", b"18446744073709551615")
        return Request(b"ma %s%s%s\r\n" % (key, b, flags))

    PRODUCTIONS = (
        (20, store), (18, get), (8, arith), (5, delete), (5, touch), (14, mg), (14, ms), (6, md),
        (7, ma), (2, ma_touch), (1, ma_quiet), (3, me), (2, ms_append_keeps_stale), (3, meta_broken),
        (1, modes_broken), (2, store_broken), (2, store_extra_words), (1, store_bad_length),
        (1, store_few_words), (2, store_wrong_end), (2, get_broken), (2, no_command), (1, whole),
        (4, spaces), (0.3, spaces_before), (3, spelling), (1, length), (1, loose), (1, many_words),
        (0.15, too_large),
    )  # fmt: skip
    SINCE = ((5, mg_since), (6, ms_since), (4, md_since), (4, ma_since))

    @staticmethod
    def weighed(productions):
        return [make for _, make in productions], [weight for weight, _ in productions]

    def request(self):
        return self.rng.choices(*self.weighed(self.productions))[0](self)

    def case(self):
        """Steps; each is a pipeline, which is sent and answered before the next."""
        steps = []
        for _ in range(16):
            steps.append([])
            for _ in range(self.rng.choice((1, 1, 2, 5, 12))):
                request = self.request()
                alone = request.counts() or request.is_long()
                if alone and any(earlier.reads() for earlier in steps[-1]):
                    steps.append([])
                steps[-1].append(request)
        return [step for step in steps if step]


def one_of(flags, *letters):
    """Flags without a second one of these letters."""
    seen, kept = set(), []
    for word in flags.split():
        if word[:1] in letters and word[:1] in seen:
            continue
        seen.add(word[:1])
        kept.append(b" " + word)
    return b"".join(kept)
