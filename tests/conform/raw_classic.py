# SPDX-License-Identifier: BSD-3-Clause
"""The classic commands."""

from raw_build import (
    BAD_FORMAT, BINARY, LONG_250, LONG_251, MISSING_WORDS, collector, line, sset, store,
)
from raw_lib import Part, Raw

CASES, case = collector()

# ---- storage ----
VALUES = {
    "empty": b"",
    "one": b"x",
    "text": b"some text, no more",
    "newlines": b"a\r\nb\r\nEND\r\n",
    "binary": BINARY,
    "1k": b"k" * 1024,
    "2045": b"q" * 2045,
    "16k": b"s" * 16384,
    "100k": bytes(b"0123456789abcdefghi"[i * 7 % 19] for i in range(100 * 1024)),
}
for command in (b"set", b"add", b"replace", b"append", b"prepend"):
    word = command.decode()
    for name, value in VALUES.items():
        case(f"{word} {name}, key absent", store(command, b"~a", value), b"get ~a\r\n")
        case(f"{word} {name}, key present", sset(b"~a", b"old", b"7"),
            store(command, b"~a", value, b"9"), b"gets ~a\r\n")
    case(f"{word} noreply", sset(b"~a", b"old"), store(command, b"~a", b"new", more=b" noreply"),
        b"get ~a\r\n", store(command, b"~b", b"new", more=b" noreply"), b"get ~b\r\n")
    case(f"{word} noreply misspelt", store(command, b"~a", b"new", more=b" norepl"), b"get ~a\r\n")
    case(f"{word} too many words", store(command, b"~a", b"new", more=b" 1 2 3"), b"get ~a\r\n")
    case(f"{word} key of 250", sset(LONG_250), store(command, LONG_250, b"v"),
        line(b"get " + LONG_250))
    case(f"{word} bad end", sset(b"~a", b"old"), b"%s ~a 0 0 3\r\nabcXY" % command, b"get ~a\r\n")
    case(f"{word} bad end, noreply", b"%s ~a 0 0 3 noreply\r\nabcXY" % command, b"get ~a\r\n")
    case(f"{word} value too long by far", b"%s ~a 0 0 3\r\nabcdefghi\r\n" % command, b"get ~a\r\n")
    case(f"{word} value one too long", b"%s ~a 0 0 3\r\nabcd\r\n" % command, b"get ~a\r\n")
    case(f"{word} value too short", Raw(b"%s ~a 0 0 5\r\nabc\r\n" % command), b"get ~a\r\n")
    case(f"{word} value ends in a bare newline", Raw(b"%s ~a 0 0 3\r\nabc\n" % command), b"x\r\n",
        b"get ~a\r\n")
    case(f"{word} line ends in a bare newline", b"%s ~a 0 0 3\nabc\r\n" % command, b"get ~a\r\n")
    case(f"{word} negative length", b"%s ~a 0 0 -1\r\n" % command)
    case(f"{word} length -2147483648", b"%s ~a 0 0 -2147483648\r\n" % command)
    case(f"{word} length no number", b"%s ~a 0 0 abc\r\n" % command)
    case(f"{word} length 1.5", b"%s ~a 0 0 1.5\r\n" % command)
    case(f"{word} length with junk", b"%s ~a 0 0 3x\r\n" % command)
    case(f"{word} length above 2^31", b"%s ~a 0 0 2147483648\r\n" % command)
    case(f"{word} length above 2^64", b"%s ~a 0 0 99999999999999999999\r\n" % command)
    case(f"{word} flags no number", b"%s ~a abc 0 1\r\nx\r\n" % command)
    case(f"{word} exptime no number", b"%s ~a 0 abc 1\r\nx\r\n" % command)
    case(f"{word} extra spaces", b"%s  ~a   0  0   3  \r\nabc\r\n" % command, b"get ~a\r\n")
    for n in range(0, 4):
        words = [b"~a", b"0", b"0", b"1"][:n]
        case(f"{word} with {n} of 4 words", line(b" ".join([command, *words])),
            expect=BAD_FORMAT,
            why=MISSING_WORDS)

FLAGS = (b"0", b"1", b"65535", b"65536", b"2147483648", b"4294967295", b"00012", b"+5")
for flags in FLAGS:
    case(f"flags {flags.decode()}", sset(b"~a", b"v", flags), b"get ~a\r\n", b"mg ~a f\r\n")
case("flags 4294967296", sset(b"~a", b"v", b"4294967296"), b"get ~a\r\n")
for flags in (b"-1", b"1.5", b"0x10", b"99999999999999999999", b"1a"):
    case(f"flags {flags.decode()}, refused", b"set ~a %s 0 1\r\nx\r\n" % flags)

EXPTIMES = b"0 100 2592000 00100 +100 2147483647 -1 -2147483648 2592001".split()
for exptime in EXPTIMES:
    case(f"exptime {exptime.decode()}", sset(b"~a", b"v", exptime=exptime), b"get ~a\r\n",
        *([] if exptime == b"2147483647" else [b"mg ~a t\r\n"]))
WIDE = "times are not cut to 32 bits: those after 2038 stand"
case("exptime 2147483648", sset(b"~a", b"v", exptime=b"2147483648"), b"get ~a\r\n",
    expect=b"STORED\r\nVALUE ~a 0 1\r\nv\r\nEND\r\n", why=WIDE)
case("exptime -2147483649", sset(b"~a", b"v", exptime=b"-2147483649"), b"get ~a\r\n",
    expect=b"STORED\r\nEND\r\n", why=WIDE)
case("gat exptime 2147483648", sset(b"~a", b"v"), b"gat 2147483648 ~a\r\n", b"get ~a\r\n",
    expect=b"STORED\r\nVALUE ~a 0 1\r\nv\r\nEND\r\nVALUE ~a 0 1\r\nv\r\nEND\r\n", why=WIDE)
case("touch exptime 2147483648", sset(b"~a", b"v"), b"touch ~a 2147483648\r\n", b"get ~a\r\n",
    expect=b"STORED\r\nTOUCHED\r\nVALUE ~a 0 1\r\nv\r\nEND\r\n", why=WIDE)
case("ms T2147483648", b"ms ~a 1 T2147483648\r\nv\r\n", b"mg ~a v\r\n",
    expect=b"HD\r\nVA 1\r\nv\r\n", why=WIDE)
for exptime in (b"1.5", b"10s", b"99999999999999999999"):
    case(f"exptime {exptime.decode()}, refused", b"set ~a 0 %s 1\r\nx\r\n" % exptime)

case("value in pieces", Part(b"set ~a 0 0 1"), Part(b"0\r"), Part(b"\n01234"), Part(b"56789\r"),
    b"\n", b"get ~a\r\n")
case("key in pieces", Part(b"se"), Part(b"t ~a 0 "), Part(b"0 1\r\nx\r\nge"), Part(b"t ~"[:3]),
    b"a\r\n")
case("value of 1 MiB is too large", sset(b"~a", b"old"), sset(b"~a", b"x" * 1048576), b"get ~a\r\n")
case("value of 3 MiB is too large", sset(b"~a", b"old"), sset(b"~a", b"x" * 3145728), b"get ~a\r\n")
case("value near the limit", sset(b"~a", b"z" * 1048000), b"get ~a\r\n")
case("value above half of the limit", sset(b"~a", b"h" * 600000), b"get ~a\r\n")
case("too large, noreply", sset(b"~a", b"old"), sset(b"~a", b"x" * 1048576, more=b" noreply"),
    b"get ~a\r\n")
for word in ("add", "replace", "append", "prepend"):
    case(f"{word} too large leaves the old value", sset(b"~a", b"old"),
        store(word.encode(), b"~a", b"x" * 1048576), b"get ~a\r\n")
case("cas too large leaves the old value", sset(b"~a", b"old"), b"gets ~a\r\n",
    store(b"cas", b"~a", b"x" * 1048576, more=b" {cas0}"), b"get ~a\r\n")
case("append makes it too large", sset(b"~a", b"a" * 800000),
    store(b"append", b"~a", b"b" * 800000), b"mg ~a s\r\n")
case("prepend makes it too large", sset(b"~a", b"a" * 800000),
    store(b"prepend", b"~a", b"b" * 800000), b"mg ~a s\r\n")
case("append keeps flags and time", sset(b"~a", b"old", b"5", b"1000"),
    store(b"append", b"~a", b"new", b"6", b"2000"), b"mg ~a v f t h\r\n")
case("prepend keeps flags and time", sset(b"~a", b"old", b"5", b"1000"),
    store(b"prepend", b"~a", b"new", b"6", b"2000"), b"mg ~a v f t h\r\n")
case("replace changes flags and time", sset(b"~a", b"old", b"5", b"1000"),
    store(b"replace", b"~a", b"new", b"6", b"2000"), b"mg ~a v f t h\r\n")
case("append many times", sset(b"~a", b""), store(b"append", b"~a", b"ab") * 50, b"get ~a\r\n")
case("append with C via ms", sset(b"~a", b"x"), b"gets ~a\r\n", b"ms ~a 1 MA C{cas0}\r\ny\r\n",
    b"gets ~a\r\n")
case("expired at once, then add", sset(b"~a", b"v", exptime=b"-1"), store(b"add", b"~a", b"w"),
    b"get ~a\r\n")
case("expired at once, then replace", sset(b"~a", b"v", exptime=b"-1"),
    store(b"replace", b"~a", b"w"), b"get ~a\r\n")
case("expired at once, then append", sset(b"~a", b"v", exptime=b"-1"),
    store(b"append", b"~a", b"w"), b"get ~a\r\n")
case("set with an expired time removes", sset(b"~a", b"v"), sset(b"~a", b"w", exptime=b"-1"),
    b"get ~a\r\n")

# ---- cas ----
case("cas hit", sset(b"~a", b"1"), b"gets ~a\r\n", store(b"cas", b"~a", b"2", more=b" {cas0}"),
    b"gets ~a\r\n")
case("cas twice with one number", sset(b"~a", b"1"), b"gets ~a\r\n",
    store(b"cas", b"~a", b"2", more=b" {cas0}") + store(b"cas", b"~a", b"3", more=b" {cas0}"),
    b"get ~a\r\n")
case("cas miss", store(b"cas", b"~a", b"2", more=b" 1"), b"get ~a\r\n")
case("cas 0 on a present key", sset(b"~a"), store(b"cas", b"~a", b"2", more=b" 0"), b"get ~a\r\n")
case("cas 0 on an absent key", store(b"cas", b"~a", b"2", more=b" 0"), b"get ~a\r\n")
case("cas of an older number", sset(b"~a"), b"gets ~a\r\n",
    store(b"cas", b"~a", b"2", more=b" {cas0-1}"), b"get ~a\r\n")
case("cas of 2^64 - 1", sset(b"~a"), store(b"cas", b"~a", b"2", more=b" 18446744073709551615"))
case("cas of 2^64", sset(b"~a"), b"cas ~a 0 0 1 18446744073709551616\r\nx\r\n")
case("cas no number", sset(b"~a"), b"cas ~a 0 0 1 abc\r\nx\r\n")
case("cas negative", sset(b"~a"), b"cas ~a 0 0 1 -1\r\nx\r\n")
case("cas noreply hit", sset(b"~a", b"1"), b"gets ~a\r\n",
    store(b"cas", b"~a", b"2", more=b" {cas0} noreply"), b"get ~a\r\n")
case("cas noreply miss", store(b"cas", b"~a", b"2", more=b" 1 noreply"), b"get ~a\r\n")
case("cas bad end", sset(b"~a", b"1"), b"gets ~a\r\n", b"cas ~a 0 0 3 {cas0}\r\nabcXY",
    b"get ~a\r\n")
case("cas changes flags and time", sset(b"~a", b"1", b"5", b"1000"), b"gets ~a\r\n",
    store(b"cas", b"~a", b"2", b"6", b"2000", b" {cas0}"), b"mg ~a v f t\r\n")
case("cas key of 250", sset(LONG_250, b"1"), line(b"gets " + LONG_250),
    store(b"cas", LONG_250, b"2", more=b" {cas0}"))
for n in range(0, 4):
    case(f"cas with {n} of 5 words", line(b" ".join([b"cas", b"~a", b"0", b"0"][: n + 1])),
        expect=BAD_FORMAT, why=MISSING_WORDS)
case("touch leaves the number", sset(b"~a"), b"gets ~a\r\n", b"touch ~a 100\r\n", b"gets ~a\r\n",
    b"gat 100 ~a\r\n", b"gets ~a\r\n", b"mg ~a T100 c\r\n")
case("every change gives a new number", sset(b"~a", b"1"), b"gets ~a\r\n", sset(b"~a", b"1"),
    b"gets ~a\r\n", b"incr ~a 1\r\n", b"gets ~a\r\n", b"incr ~a 100\r\n", b"gets ~a\r\n",
    store(b"append", b"~a", b"1"), b"gets ~a\r\n", store(b"prepend", b"~a", b"1"), b"gets ~a\r\n",
    store(b"replace", b"~a", b"1"), b"gets ~a\r\n", b"md ~a I\r\n", b"gets ~a\r\n")
case("refused changes leave the number", sset(b"~a", b"x"), b"gets ~a\r\n",
    store(b"add", b"~a", b"1"), b"incr ~a 1\r\n", store(b"cas", b"~a", b"2", more=b" 1"),
    b"gets ~a\r\n")

# ---- retrieval ----
for command in (b"get", b"gets", b"gat 100", b"gats 100"):
    word = command.decode()
    case(f"{word} miss", line(command + b" ~a"))
    case(f"{word} hit", sset(b"~a", b"v", b"3"), line(command + b" ~a"))
    case(f"{word} several", sset(b"~a", b"1") + sset(b"~c", b"3"), line(command + b" ~a ~b ~c ~d"))
    case(f"{word} one key three times", sset(b"~a", b"1"), line(command + b" ~a ~a ~a"))
    case(f"{word} 100 keys",
        b"".join(sset(b"~%d" % i, b"%d" % i, more=b" noreply") for i in range(100)),
        line(command + b"".join(b" ~%d" % i for i in range(0, 200, 2))))
    case(f"{word} 700 keys, mostly absent", sset(b"~699"),
        line(command + b"".join(b" ~%d" % i for i in range(700))))
    case(f"{word} no key", line(command), expect=BAD_FORMAT,
        why=MISSING_WORDS)
    case(f"{word} spaces between keys", sset(b"~a", b"1"), line(command + b"  ~a   ~b    ~a  "))
    case(f"{word} tab is part of the key", sset(b"~a", b"1"), line(command + b" ~a\t~a"))
    case(f"{word} bare newline", sset(b"~a", b"1"), command + b" ~a\n")
    case(f"{word} key of 250", sset(LONG_250, b"1"), line(command + b" " + LONG_250))
    case(f"{word} key of 251", line(command + b" " + LONG_251))
    case(f"{word} key of 1000", line(command + b" ~" + b"y" * 990))
    case(f"{word} key of 251 behind a hit", sset(b"~a", b"1"), line(command + b" ~a " + LONG_251))
    case(f"{word} key of 251 before a hit", sset(b"~a", b"1"),
        line(command + b" " + LONG_251 + b" ~a"))
    case(f"{word} key of 251 behind 30 hits", sset(b"~a", b"1"),
        line(command + b" ~a" * 30 + b" " + LONG_251))
    case(f"{word} noreply is a key", line(command + b" ~a noreply"))
case("get, key of control characters", sset(b"~\x01\x02\x7f\xff", b"1"),
    b"get ~\x01\x02\x7f\xff\r\n")
case("get, carriage return within", sset(b"~a", b"1"), b"get ~a\r~b\r\n")
case("get 10 pipelined", sset(b"~a", b"1"), b"get ~a\r\n" * 10)
case("get 2000 pipelined", sset(b"~a", b"1"), b"get ~a\r\nget ~b\r\n" * 1000)
case("gat sets the time", sset(b"~a", b"1", exptime=b"1000"), b"gat 100 ~a\r\n", b"mg ~a t\r\n",
    b"gat 0 ~a\r\n", b"mg ~a t\r\n")
case("gat sets the time of several", sset(b"~a", b"1") + sset(b"~b", b"2"), b"gat 100 ~a ~b ~c\r\n",
    b"mg ~a t\r\nmg ~b t\r\n")
case("gat negative", sset(b"~a", b"1"), b"gat -1 ~a\r\n", b"get ~a\r\n")
case("gats shows the number", sset(b"~a", b"1"), b"gets ~a\r\n", b"gats 100 ~a\r\n")
for bad in (b"abc", b"1.5", b"99999999999999999999"):
    case(f"gat exptime {bad.decode()}", sset(b"~a"), b"gat %s ~a\r\n" % bad, b"mg ~a t\r\n")
    case(f"touch exptime {bad.decode()}", sset(b"~a"), b"touch ~a %s\r\n" % bad, b"mg ~a t\r\n")

# ---- touch ----
case("touch hit", sset(b"~a"), b"touch ~a 100\r\n", b"mg ~a t h\r\n")
case("touch miss", b"touch ~a 100\r\n")
case("touch 0", sset(b"~a", exptime=b"1000"), b"touch ~a 0\r\n", b"mg ~a t\r\n")
case("touch negative", sset(b"~a"), b"touch ~a -1\r\n", b"get ~a\r\n")
case("touch noreply", sset(b"~a"), b"touch ~a 100 noreply\r\n", b"mg ~a t\r\n")
case("touch noreply miss", b"touch ~a 100 noreply\r\n")
case("touch key of 250", sset(LONG_250), line(b"touch %s 10" % LONG_250))
case("touch key of 251", line(b"touch %s 10" % LONG_251))
for text in (b"touch", b"touch ~a"):
    case(f"{text.decode()}, too few words", line(text),
        expect=BAD_FORMAT, why=MISSING_WORDS)

# ---- delete ----
case("delete hit", sset(b"~a"), b"delete ~a\r\n", b"get ~a\r\n")
case("delete miss", b"delete ~a\r\n")
case("delete twice", sset(b"~a"), b"delete ~a\r\ndelete ~a\r\n")
case("delete noreply", sset(b"~a"), b"delete ~a noreply\r\n", b"get ~a\r\n")
case("delete noreply miss", b"delete ~a noreply\r\n")
case("delete 0", sset(b"~a"), b"delete ~a 0\r\n", b"get ~a\r\n")
case("delete 0 noreply", sset(b"~a"), b"delete ~a 0 noreply\r\n", b"get ~a\r\n")
case("delete with a time", sset(b"~a"), b"delete ~a 10\r\n", b"get ~a\r\n",
    expect=b"STORED\r\nDELETED\r\nEND\r\n", why="extra words: CLIENT_ERROR until 1.6.18")
case("delete with a word", sset(b"~a"), b"delete ~a word\r\n", expect=b"STORED\r\nDELETED\r\n",
    why="extra words: CLIENT_ERROR until 1.6.18")
case("delete key of 250", sset(LONG_250), line(b"delete " + LONG_250))
case("delete key of 251", line(b"delete " + LONG_251))
case("delete without a key", b"delete\r\n", expect=BAD_FORMAT,
    why=MISSING_WORDS)
case("delete, then add", sset(b"~a", b"1"), b"delete ~a\r\n" + store(b"add", b"~a", b"2"),
    b"get ~a\r\n")

# ---- incr, decr ----
NUMBERS = (b"0", b"1", b"9", b"10", b"99", b"100", b"4294967295", b"9223372036854775807",
    b"9223372036854775808", b"18446744073709551615", b"007", b"00000000000000000000000000000001",
    b" 5", b"5 ", b"+5", b"5 apples", b"\t5", b"-0", b"-18446744073709551615")
for command in (b"incr", b"decr"):
    word = command.decode()
    for number in NUMBERS:
        for delta in (b"0", b"1", b"10", b"18446744073709551615"):
            case(f"{word} {number.decode()!r} by {delta.decode()}", sset(b"~a", number),
                b"%s ~a %s\r\n" % (command, delta), b"gets ~a\r\n")
    for text in (b"", b"abc", b"5apples", b"1.5", b"0x10", b"-1", b"-5", b"18446744073709551616",
            b"5,5", b"99999999999999999999999", b"+", b"-", b"+-5", b"--5", b"5-", b"\x00",
            b"\xff\xff"):
        case(f"{word} value {text!r}", sset(b"~a", text), b"%s ~a 1\r\n" % command, b"get ~a\r\n")
    for delta in (b"abc", b"-1", b"1.5", b"18446744073709551616", b"0x10", b"1a", b"+1", b"0001"):
        case(f"{word} by {delta.decode()}", sset(b"~a", b"10"), b"%s ~a %s\r\n" % (command, delta),
            b"get ~a\r\n")
        case(f"{word} by {delta.decode()}, key absent", b"%s ~a %s\r\n" % (command, delta))
    case(f"{word} miss", b"%s ~a 1\r\n" % command)
    case(f"{word} noreply", sset(b"~a", b"10"), b"%s ~a 1 noreply\r\n" % command, b"get ~a\r\n")
    case(f"{word} noreply, not a number", sset(b"~a", b"x"), b"%s ~a 1 noreply\r\n" % command,
        b"get ~a\r\n")
    case(f"{word} noreply miss", b"%s ~a 1 noreply\r\n" % command)
    case(f"{word} keeps flags, time and mark", sset(b"~a", b"10", b"5", b"1000"),
        b"%s ~a 5\r\n" % command, b"mg ~a f t h v\r\n")
    case(f"{word} extra word", sset(b"~a", b"10"), b"%s ~a 5 6\r\n" % command)
    case(f"{word} key of 251", line(b"%s %s 1" % (command, LONG_251)))
    case(f"{word} without a delta", line(command + b" ~a"),
        expect=BAD_FORMAT, why=MISSING_WORDS)
    case(f"{word} without a key", line(command), expect=BAD_FORMAT,
        why=MISSING_WORDS)
    case(f"{word} of a long value", sset(b"~a", b"1" + b" " * 2000), b"%s ~a 1\r\n" % command,
        b"get ~a\r\n")
DIGITS = "1.6.45 counts a number's characters, leading zeros among them"
case("incr by 22 and 23 digits", sset(b"~a", b"10"), line(b"incr ~a " + b"5".zfill(22)),
    line(b"incr ~a " + b"5".zfill(23)),
    expect=b"STORED\r\n15\r\nCLIENT_ERROR invalid numeric delta argument\r\n", why=DIGITS)
case("exptime of 11 and 12 digits", sset(b"~a", b"1"), line(b"touch ~a " + b"100".zfill(11)),
    line(b"touch ~a " + b"200".zfill(12)), line(b"gat %s ~a" % b"200".zfill(12)), b"mg ~a t\r\n",
    expect=b"STORED\r\nTOUCHED\r\n" + b"CLIENT_ERROR invalid exptime argument\r\n" * 2 + b"HD t100\r\n",
    why=DIGITS)
case("length of 11 and 12 digits", line(b"set ~a 0 0 " + b"2".zfill(11)) + b"hi\r\n",
    line(b"set ~a 0 0 " + b"2".zfill(12)) + b"version_\r\n", b"get ~a\r\n",
    expect=b"STORED\r\n" + BAD_FORMAT + b"ERROR\r\nVALUE ~a 0 2\r\nhi\r\nEND\r\n", why=DIGITS)
case("set, flags and exptime of 30 digits",
    sset(b"~a", b"1", b"5".zfill(30), b"100".zfill(30)), b"mg ~a f t\r\n")
MINUS = "a minus alone is 0 since 1.6.18"
case("exptime -", sset(b"~a", exptime=b"1000"), b"touch ~a -\r\n", b"mg ~a t\r\n",
    b"set ~b 0 0 -\r\n\r\n", b"gat - ~b\r\n",
    expect=b"STORED\r\nTOUCHED\r\nHD t-1\r\nSTORED\r\nVALUE ~b 0 0\r\n\r\nEND\r\n", why=MINUS)
case("flags and exptime that a NUL ends", b"set ~a 5\0 100\0x 1\r\nv\r\n", b"mg ~a f t\r\n",
    expect=b"STORED\r\nHD f5 t100\r\n", why="a NUL ends the line in 1.6.18")
WORDS = "since 1.6.18 only the first 23 words of a line are looked at"
case("noreply as word 23 and 24", sset(b"~a", b"10"),
    line(b"incr ~a 1" + b" x" * 19 + b" noreply"), line(b"incr ~a 1" + b" x" * 20 + b" noreply"),
    line(b"incr ~a 1" + b" x" * 19 + b" noreply x"), b"get ~a\r\n",
    expect=b"STORED\r\n12\r\nVALUE ~a 0 2\r\n13\r\nEND\r\n", why=WORDS)
case("incr grows the value", sset(b"~a", b"99", b"3"), b"incr ~a 1\r\n", b"get ~a\r\n",
    b"incr ~a 999999\r\n", b"get ~a\r\n")
case("decr keeps the width", sset(b"~a", b"1000"), b"decr ~a 1\r\n", b"get ~a\r\n",
    b"decr ~a 990\r\n", b"get ~a\r\n", b"incr ~a 1\r\n", b"get ~a\r\n", b"incr ~a 100000\r\n",
    b"get ~a\r\n")
case("count to 200", sset(b"~a", b"0"), b"incr ~a 1\r\n" * 200, b"get ~a\r\n")
case("appended digits count", sset(b"~a", b"1"), store(b"append", b"~a", b"23"), b"incr ~a 1\r\n",
    b"get ~a\r\n")
case("arithmetic on what was padded", sset(b"~a", b"10"), b"decr ~a 1\r\n",
    store(b"append", b"~a", b"7"), b"incr ~a 1\r\n", b"get ~a\r\n")
