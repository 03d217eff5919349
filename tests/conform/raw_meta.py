# SPDX-License-Identifier: BSD-3-Clause
"""The meta commands."""

from raw_build import (
    BAD_FORMAT, BINARY, LONG_250, LONG_251, MISSING_WORDS, collector, line, sset, store,
)
from raw_lib import Raw

CASES, case = collector()

# ---- meta: mn, me, mg ----
case("mn", b"mn\r\nmn\r\n")
case("mn with words", b"mn a b c\r\n")
case("me miss", b"me ~a\r\n")
case("me hit", sset(b"~a"), b"me ~a\r\n", b"get ~a\r\n", b"me ~a\r\n")
case("me with a time", sset(b"~a", exptime=b"1000"), b"me ~a\r\n",
    expect=b"STORED\r\nME ~a exp=1000 la=0 cas=<cas0> fetch=no cls=_ size=75\r\n",
    why="1.6.18 shows exp negated")
case("me base64", b"ms {b64:bin} 1 b\r\nx\r\n", b"me {b64:bin} b\r\n", b"me ~bin\r\n")
case("me without a key", b"me\r\n", expect=BAD_FORMAT,
    why=MISSING_WORDS)
case("me key of 251", line(b"me " + LONG_251))

SINGLE = b"v t f s c k l h O123 q u".split()
case("mg miss", b"mg ~a\r\n")
case("mg miss, v", b"mg ~a v\r\n")
case("mg hit, no flags", sset(b"~a"), b"mg ~a\r\n")
for flag in SINGLE:
    case(f"mg {flag.decode()}", sset(b"~a", b"hello", b"17", b"1000"), b"mg ~a %s\r\n" % flag)
    case(f"mg {flag.decode()}, miss", b"mg ~a %s\r\n" % flag)
    case(f"mg {flag.decode()} v", sset(b"~a", b"hello", b"17"),
        b"mg ~a %s%s\r\n" % (flag, b"" if flag == b"v" else b" v"))
    case(f"mg {flag.decode()} twice", sset(b"~a"), b"mg ~a %s %s\r\n" % (flag, flag))
case("mg all flags", sset(b"~a", b"hello", b"17"), b"mg ~a v t f s c k l h Oopaque q u\r\n")
case("mg all flags, other order", sset(b"~a", b"hello", b"17"), b"mg ~a h l u q Ox k c s f t v\r\n")
case("mg miss, k and O", b"mg ~a k Oabc v\r\n", b"mg ~a Oabc k\r\n")
case("mg miss, q", b"mg ~a q v\r\nmg ~a k v q O1\r\nmn\r\n")
case("mg hit, q", sset(b"~a"), b"mg ~a q\r\nmg ~a k q v\r\n")
case("mg empty value", sset(b"~a", b""), b"mg ~a v s\r\n")
case("mg binary value", sset(b"~a", BINARY), b"mg ~a v s\r\n")
case("mg large value", sset(b"~a", b"L" * 900000), b"mg ~a v s\r\n")
case("mg h before and after", sset(b"~a"),
    b"mg ~a h u\r\n" * 2 + b"mg ~a h\r\n" * 3 + b"mg ~a h u\r\n")
case("mg h after get", sset(b"~a"), b"get ~a\r\n", b"mg ~a h\r\n")
case("mg h after set anew", sset(b"~a"), b"get ~a\r\n", sset(b"~a"), b"mg ~a h\r\n")
case("mg h after touch", sset(b"~a"), b"touch ~a 0\r\n", b"mg ~a h\r\n")
case("mg h after incr", sset(b"~a", b"1"), b"incr ~a 1\r\n", b"mg ~a h\r\n")
case("mg h after a refused add", sset(b"~a", b"1"), store(b"add", b"~a", b"2"), b"mg ~a h\r\n")
case("mg h after append", sset(b"~a", b"1"), b"get ~a\r\n", store(b"append", b"~a", b"2"),
    b"mg ~a h\r\n")
case("mg O of 31 and 32", sset(b"~a"), b"mg ~a O%s\r\n" % (b"o" * 30),
    b"mg ~a O%s\r\n" % (b"o" * 31))
case("mg O of 33", sset(b"~a"), b"mg ~a O%s\r\n" % (b"o" * 32), b"mg ~b O%s\r\n" % (b"o" * 32),
    counted=False)
case("mg O empty", sset(b"~a"), b"mg ~a O\r\n")
case("mg unknown flag", sset(b"~a"), b"mg ~a y\r\n", b"mg ~b y v\r\n")
case("mg unknown flag !", sset(b"~a"), b"mg ~a !\r\n")
case("mg P and L are ignored", sset(b"~a"), b"mg ~a Pabc Lxyz v\r\n")
case("mg key of 250", sset(LONG_250), line(b"mg %s v k" % LONG_250))
case("mg key of 251", line(b"mg %s v" % LONG_251))
case("mg key of 251, q", line(b"mg %s v q" % LONG_251))
case("mg without a key", b"mg\r\n", expect=BAD_FORMAT,
    why=MISSING_WORDS)
case("mg extra spaces", sset(b"~a"), b"mg   ~a   v    k \r\n")
case("mg bare newline", sset(b"~a"), b"mg ~a v\n")
case("mg T", sset(b"~a"), b"mg ~a T100\r\n", b"mg ~a t\r\n", b"mg ~a T0\r\n", b"mg ~a t\r\n")
case("mg t before T", sset(b"~a"), b"mg ~a t T100\r\n", b"mg ~a T200 t\r\n")
case("mg T on a miss", b"mg ~a T100 v\r\n", b"get ~a\r\n")
case("mg T negative", sset(b"~a"), b"mg ~a T-1 v\r\n", b"mg ~a v\r\n")
for flag in (b"T", b"N", b"R"):
    for bad in (b"", b"abc", b"1.5", b"2147483648"):
        case(f"mg {flag.decode()}={bad.decode()}", sset(b"~a"), b"mg ~a %s%s v\r\n" % (flag, bad),
            b"mg ~b %s%s v\r\n" % (flag, bad))
case("mg N on a hit", sset(b"~a", b"v"), b"mg ~a N100 v t\r\n")
case("mg N on a miss", b"mg ~a N100 v t s c k f h l Oo\r\n", b"mg ~a N100 v t s\r\n", b"get ~a\r\n")
case("mg N order of t", b"mg ~a t N100\r\n", b"mg ~a t\r\n")
case("mg N0", b"mg ~a N0 t v\r\n", b"mg ~a t v\r\n")
case("mg N negative", b"mg ~a N-1 v\r\n", b"mg ~a v\r\n")
case("mg N q", b"mg ~a N100 q v\r\n", b"mg ~a N100 q v\r\n")
case("mg N then set takes the mark", b"mg ~a N100 v\r\n", sset(b"~a"), b"mg ~a N100 v t\r\n")
case("mg N then ms with C", b"mg ~a N100 v c\r\n", b"ms ~a 3 C{cas0}\r\nnew\r\n", b"mg ~a v\r\n")
case("mg N then delete", b"mg ~a N100 v\r\n", b"delete ~a\r\n", b"mg ~a N100 v\r\n")
case("mg N then append keeps no mark", b"mg ~a N100 v\r\n", store(b"append", b"~a", b"x"),
    b"mg ~a v t\r\n")
case("mg N and T", b"mg ~a N100 T200 t\r\n", b"mg ~a T300 N100 t\r\n", b"mg ~b T300 N100 t\r\n")
case("mg R above the time left", sset(b"~a", exptime=b"100"), b"mg ~a R200 v\r\n",
    b"mg ~a R200 v\r\n", b"mg ~a v\r\n")
case("mg R below the time left", sset(b"~a", exptime=b"1000"), b"mg ~a R200 v\r\n",
    b"mg ~a R200 v\r\n")
case("mg R, no time", sset(b"~a"), b"mg ~a R200 v\r\n")
case("mg R0", sset(b"~a", exptime=b"100"), b"mg ~a R0 v\r\n")
case("mg R on a miss", b"mg ~a R100 v\r\n")
case("mg R and T by order", sset(b"~a", exptime=b"500") + sset(b"~b", exptime=b"500"),
    b"mg ~a T100 R200 t\r\n", b"mg ~b R200 T100 t\r\n")
case("mg N and R", b"mg ~a N100 R200 v\r\n", b"mg ~a N100 R200 v\r\n")
case("mg R then set", sset(b"~a", exptime=b"100"), b"mg ~a R200\r\n", sset(b"~a", exptime=b"100"),
    b"mg ~a R200\r\n")
case("mg C equal", sset(b"~a", b"v"), b"mg ~a c\r\n", b"mg ~a C{cas0} v c\r\n",
    expect=b"STORED\r\nHD c<cas0>\r\nHD c<cas0>\r\n", why="mg C is new since 1.6.18")
case("mg C other", sset(b"~a", b"v"), b"mg ~a c\r\n", b"mg ~a C{cas0+1} v c\r\n",
    expect=b"STORED\r\nHD c<cas0>\r\nVA 1 c<cas0>\r\nv\r\n", why="mg C is new since 1.6.18")
case("mg E for what N makes", b"mg ~a N100 E777777 c v\r\n", b"mg ~a c\r\n",
    expect=b"VA 0 c<cas0> W\r\n\r\nHD c<cas0> Z\r\n", why="mg E is new since 1.6.18")

# ---- meta: base64 keys ----
case("base64 set and get", b"ms {b64:one} 3 b k\r\nabc\r\n", b"mg {b64:one} b v k\r\n",
    b"get ~one\r\n")
case("base64 key shows as it was stored", b"ms {b64:two} 3 b\r\nabc\r\n", b"mg ~two v k\r\n",
    b"ms ~two 3\r\nabc\r\n", b"mg {b64:two} b v k\r\n", b"mg ~two v k\r\n")
case("base64 miss", b"mg {b64:none} b v k\r\n", b"md {b64:none} b k\r\n", b"ma {b64:none} b k\r\n")
case("base64 delete", b"ms {b64:del} 1 b\r\nx\r\n", b"md {b64:del} b k Oq\r\n", b"get ~del\r\n")
case("base64 arithmetic", b"ms {b64:num} 1 b\r\n5\r\n", b"ma {b64:num} b k v\r\n",
    b"ma {b64:num2} b k v N0\r\n", b"mg ~num2 k v\r\n")
case("base64 of bytes", b"ms AAECAwR+fwoNIP8= 1 b k\r\nx\r\n", b"mg AAECAwR+fwoNIP8= b k v\r\n",
    b"md AAECAwR+fwoNIP8= b k\r\n", literal=True)
case("base64 without padding", b"ms QUJD 1 b k\r\nx\r\n", b"mg ABC k v\r\n", b"md QUJD b\r\n",
    literal=True)
for bad in (b"!!!!", b"QUJ", b"Q", b"QUJDR", b"====", b"QU=D", b"QUJD=", b"QUJDRA=", b"QUJDRA=="):
    case(f"base64 key {bad.decode()}", b"mg %s b v k\r\n" % bad, literal=True)
    case(f"md, base64 key {bad.decode()}", b"md %s b k\r\n" % bad, literal=True)
    case(f"ma, base64 key {bad.decode()}", b"ma %s b k\r\n" % bad, literal=True)
case("base64 key, mg, letter b behind others", b"ms {b64:late} 1 k b\r\nx\r\n",
    b"mg {b64:late} v k b\r\n")

# ---- meta: ms ----
case("ms", b"ms ~a 3\r\nabc\r\n", b"get ~a\r\n")
case("ms empty", b"ms ~a 0\r\n\r\n", b"get ~a\r\n")
case("ms 100 KiB", b"ms ~a 102400\r\n%s\r\n" % (b"m" * 102400), b"mg ~a v\r\n")
case("ms all flags", b"ms ~a 3 F17 T1000 k Oopaque c\r\nabc\r\n", b"mg ~a v f t c\r\n")
case("ms flags in other order", b"ms ~a 3 c Oopaque k T1000 F17 q\r\nabc\r\n", b"mg ~a v f t c\r\n")
case("ms q", b"ms ~a 3 q\r\nabc\r\nms ~a 1 q k Ox c\r\nz\r\nmn\r\n", b"get ~a\r\n")
case("ms q, refused", b"ms ~a 3 q MR\r\nabc\r\n", b"ms ~a 3 q C1 k\r\nabc\r\n", sset(b"~a"),
    b"ms ~a 3 q ME k Oo\r\nabc\r\n")
for mode in (b"ME", b"MA", b"MP", b"MR", b"MS", b"Me", b"Ma", b"Mp", b"Mr", b"Ms"):
    case(f"ms {mode.decode()}, absent", b"ms ~a 3 %s k F5 T100\r\nnew\r\n" % mode,
        b"mg ~a v f t\r\n")
    case(f"ms {mode.decode()}, present", sset(b"~a", b"old", b"4", b"1000"),
        b"ms ~a 3 %s k F5 T100\r\nnew\r\n" % mode, b"mg ~a v f t h\r\n")
    case(f"ms {mode.decode()} C equal", sset(b"~a", b"old"), b"gets ~a\r\n",
        b"ms ~a 3 %s C{cas0} c\r\nnew\r\n" % mode, b"mg ~a v c\r\n")
    case(f"ms {mode.decode()} C other", sset(b"~a", b"old"), b"gets ~a\r\n",
        b"ms ~a 3 %s C{cas0+1}\r\nnew\r\n" % mode, b"mg ~a v c\r\n")
    case(f"ms {mode.decode()} C older", sset(b"~a", b"old"), b"gets ~a\r\n",
        b"ms ~a 3 %s C{cas0-1}\r\nnew\r\n" % mode, b"mg ~a v c\r\n")
    case(f"ms {mode.decode()} C0", sset(b"~a", b"old"), b"ms ~a 3 %s C0\r\nnew\r\n" % mode,
        b"mg ~a v\r\n")
    case(f"ms {mode.decode()} C, absent", b"ms ~a 3 %s C5\r\nnew\r\n" % mode, b"mg ~a v\r\n")
for bad in (b"MX", b"M", b"M1"):
    case(f"ms {bad.decode()}", Raw(b"ms ~a 3 %s\r\nabc\r\n" % bad), b"get ~a\r\n")
for bad in (b"Fabc", b"F", b"F-1", b"F4294967296", b"Tabc", b"T", b"Cabc", b"C",
        b"C18446744073709551616", b"y", b"k k", b"T1 T2"):
    case(f"ms {bad.decode()}", Raw(b"ms ~a 3 %s\r\nabc\r\n" % bad), b"get ~a\r\n")
case("ms O of 32", b"ms ~a 3 O%s\r\nabc\r\n" % (b"o" * 31))
case("ms O of 33", Raw(b"ms ~a 3 O%s\r\nabc\r\n" % (b"o" * 32)), b"get ~a\r\n")
case("ms T negative", b"ms ~a 3 T-1\r\nabc\r\n", b"get ~a\r\n")
case("ms bad end", b"ms ~a 3\r\nabcXY", b"get ~a\r\n")
case("ms bad end, q", b"ms ~a 3 q\r\nabcXY", b"get ~a\r\n")
case("ms bad end leaves the old value", sset(b"~a", b"old"), b"ms ~a 3\r\nabcXY", b"get ~a\r\n")
case("ms too large", sset(b"~a", b"old"), b"ms ~a 1048576\r\n%s\r\n" % (b"x" * 1048576),
    b"get ~a\r\n")
case("ms too large, q", sset(b"~a", b"old"), b"ms ~a 1048576 q k\r\n%s\r\n" % (b"x" * 1048576),
    b"get ~a\r\n")
case("ms ME too large deletes too", sset(b"~a", b"old"),
    b"ms ~a 1048576 ME\r\n%s\r\n" % (b"x" * 1048576), b"get ~a\r\n")
case("ms key of 250", b"ms %s 1 k\r\nx\r\n" % LONG_250)
case("ms key of 251", Raw(b"ms %s 1 k\r\nx\r\n" % LONG_251))
case("ms negative length", Raw(b"ms ~a -1\r\n"))
case("ms length no number", Raw(b"ms ~a abc\r\n"))
case("ms length S of old", Raw(b"ms ~a S3\r\n"))
case("ms without a length", b"ms ~a\r\n", expect=BAD_FORMAT,
    why=MISSING_WORDS)
case("ms without words", b"ms\r\n", expect=BAD_FORMAT,
    why=MISSING_WORDS)
case("ms s", b"ms ~a 3 s k\r\nabc\r\n", expect=b"HD s3 k~a\r\n", why="ms s is new since 1.6.18")
case("ms s of an append", sset(b"~a", b"12345"), b"ms ~a 3 s MA\r\nabc\r\n", b"get ~a\r\n",
    expect=b"STORED\r\nHD s8\r\nVALUE ~a 0 8\r\n12345abc\r\nEND\r\n",
    why="ms s is new since 1.6.18")
case("ms E", b"ms ~a 3 E555555 c\r\nabc\r\n", b"mg ~a C555555 v c\r\n", b"ms ~a 1 C555555\r\nx\r\n",
    b"mg ~a C555555 v\r\n", expect=b"HD c<cas0>\r\nHD c<cas0>\r\nHD\r\nVA 1\r\nx\r\n",
    why="E is new since 1.6.18")
case("ms MA N, absent", b"ms ~a 3 MA N100 F5 T1000\r\nabc\r\n", b"mg ~a v f t\r\n",
    expect=b"HD\r\nVA 3 f5 t100\r\nabc\r\n", why="append-vivify is new since 1.6.18")
case("ms MP N, present", sset(b"~a", b"old", b"4", b"1000"), b"ms ~a 3 MP N100 F5\r\nnew\r\n",
    b"mg ~a v f t\r\n", expect=b"STORED\r\nHD\r\nVA 6 f4 t1000\r\nnewold\r\n",
    why="append-vivify is new since 1.6.18")

# ---- meta: stale values ----
case("md I, stale and win", sset(b"~a", b"v"), b"mg ~a c\r\n", b"md ~a I T100\r\n",
    b"mg ~a v c t\r\n", b"mg ~a v c t\r\n", b"get ~a\r\n")
case("md I without T keeps the time", sset(b"~a", b"v", exptime=b"1000"), b"md ~a I\r\n",
    b"mg ~a v t\r\n")
case("md T without I does nothing to the time", sset(b"~a", b"v"), b"md ~a T100\r\n",
    b"mg ~a v t\r\n")
case("md I twice", sset(b"~a", b"v"), b"md ~a I T100\r\n", b"mg ~a v\r\nmg ~a v\r\n",
    b"md ~a I\r\n", b"mg ~a v\r\nmg ~a v\r\n")
case("stale, then set", sset(b"~a", b"v"), b"md ~a I\r\n", sset(b"~a", b"w"), b"mg ~a v\r\n")
case("stale, then ms C of the winner", sset(b"~a", b"v"), b"md ~a I T100\r\n", b"mg ~a v c\r\n",
    b"ms ~a 1 C{cas0} T1000\r\nw\r\n", b"mg ~a v t\r\n")
case("stale, then ms C I of an old number", sset(b"~a", b"v"), b"mg ~a c\r\n", b"md ~a I T100\r\n",
    b"mg ~a v c\r\n", b"ms ~a 1 C{cas0} I T1000 c\r\nw\r\n", b"mg ~a v t c\r\n", b"mg ~a v t\r\n")
case("ms C I older, nobody won", sset(b"~a", b"v"), b"mg ~a c\r\n", sset(b"~a", b"u"),
    b"ms ~a 1 C{cas0} I\r\nw\r\n", b"mg ~a v\r\n", b"mg ~a v\r\n")
case("ms C I newer", sset(b"~a", b"v"), b"mg ~a c\r\n", b"ms ~a 1 C{cas0+5} I\r\nw\r\n",
    b"mg ~a v\r\n")
case("ms C I equal", sset(b"~a", b"v"), b"mg ~a c\r\n", b"ms ~a 1 C{cas0} I\r\nw\r\n",
    b"mg ~a v\r\n")
case("ms C I, absent", b"ms ~a 1 C5 I\r\nw\r\n", b"mg ~a v\r\n")
case("ms I without C", sset(b"~a", b"v"), b"ms ~a 1 I\r\nw\r\n", b"mg ~a v\r\n")
case("stale and incr", sset(b"~a", b"1"), b"md ~a I\r\n", b"incr ~a 1\r\n", b"mg ~a v\r\n",
    b"incr ~a 100\r\n", b"mg ~a v\r\n")
case("stale and append", sset(b"~a", b"1"), b"md ~a I\r\n", store(b"append", b"~a", b"2"),
    b"mg ~a v\r\n")
case("stale and touch", sset(b"~a", b"1"), b"md ~a I T100\r\n", b"touch ~a 1000\r\n",
    b"mg ~a v t\r\n")
case("stale, k before the marks", sset(b"~a", b"1"), b"md ~a I\r\n", b"mg ~a k Oo s\r\n",
    b"mg ~a k Oo s v\r\n")
case("stale, R and N", sset(b"~a", b"1", exptime=b"100"), b"md ~a I\r\n", b"mg ~a R200 N100 v\r\n",
    b"mg ~a R200 N100 v\r\n")

case("T and E of an ma that makes the number longer", sset(b"~a", b"9", b"5", b"1000"),
    b"ma ~a T2000 E777777 t c v\r\n", b"mg ~a t c v f\r\n",
    expect=b"STORED\r\nVA 2 t2000 c<cas0>\r\n10\r\nVA 2 t2000 c<cas0> f5\r\n10\r\n",
    why="memcached gives them to the item that the longer number replaces")
case("ms, ma, md numbers of many digits", b"ms ~a 00000000002 F00000000005 T00000001000\r\n10\r\n",
    line(b"ma ~a v D" + b"5".zfill(22)), line(b"ma ~a v D" + b"5".zfill(23)),
    line(b"mg ~a T" + b"100".zfill(12)), line(b"ms ~a 1 F" + b"5".zfill(12)) + b"x\r\n",
    line(b"md ~a C" + b"5".zfill(23)), b"mg ~a v t f T-\r\n", b"mg ~a t\r\n",
    expect=b"HD\r\nVA 2\r\n15\r\nCLIENT_ERROR invalid or duplicate flag\r\n"
    b"CLIENT_ERROR bad token in command line format\r\n" + BAD_FORMAT
    + b"CLIENT_ERROR bad token in command line format\r\nVA 2 t1000 f5\r\n15\r\nHD t-1\r\n",
    why="1.6.45 counts a number's characters, and takes a minus alone for 0")

# ---- meta: md ----
case("md hit", sset(b"~a"), b"md ~a\r\n", b"get ~a\r\n")
case("md miss", b"md ~a\r\n")
case("md k O", sset(b"~a"), b"md ~a k Oabc\r\n", b"md ~a Oabc k\r\n")
case("md q", sset(b"~a"), b"md ~a q\r\nmd ~a q\r\nmn\r\n", b"get ~a\r\n")
case("md q k O, miss", b"md ~a q k Oo\r\n")
case("md C equal", sset(b"~a"), b"gets ~a\r\n", b"md ~a C{cas0}\r\n", b"get ~a\r\n")
case("md C other", sset(b"~a"), b"gets ~a\r\n", b"md ~a C{cas0+1} k\r\n",
    b"md ~a C{cas0+1} q Ox\r\n", b"get ~a\r\n")
case("md C0", sset(b"~a"), b"md ~a C0\r\n", b"get ~a\r\n")
case("md C, absent", b"md ~a C1\r\n")
case("md C I equal", sset(b"~a"), b"gets ~a\r\n", b"md ~a C{cas0} I\r\n", b"mg ~a v\r\n")
case("md C I other", sset(b"~a"), b"gets ~a\r\n", b"md ~a C{cas0+1} I\r\n", b"mg ~a v\r\n")
for bad in (b"y", b"k k", b"Cabc", b"C", b"Tabc", b"O%s" % (b"o" * 32)):
    case(f"md {bad.decode()[:8]}", sset(b"~a"), b"md ~a %s\r\n" % bad, b"get ~a\r\n")
case("md key of 250", sset(LONG_250), line(b"md %s k" % LONG_250))
case("md key of 251", line(b"md %s k" % LONG_251))
case("md without a key", b"md\r\n", expect=BAD_FORMAT,
    why=MISSING_WORDS)
case("md x", sset(b"~a", b"value", b"5", b"1000"), b"mg ~a c\r\n", b"md ~a x\r\n",
    b"mg ~a v f t c\r\n", expect=b"STORED\r\nHD c<cas0>\r\nHD\r\nVA 0 f0 t-1 c<cas0>\r\n\r\n",
    why="md x is new since 1.6.18")
case("md x I T", sset(b"~a", b"value", b"5", b"1000"), b"mg ~a c\r\n", b"md ~a x I T100\r\n",
    b"mg ~a v t c\r\n", b"mg ~a v\r\n",
    expect=b"STORED\r\nHD c<cas0>\r\nHD\r\nVA 0 t100 c<cas1> X W\r\n\r\nVA 0 Z X\r\n\r\n",
    why="md x is new since 1.6.18")
case("md I E", sset(b"~a", b"v"), b"md ~a I E666666\r\n", b"mg ~a C666666 v\r\n",
    expect=b"STORED\r\nHD\r\nHD X W\r\n", why="E is new since 1.6.18")

# ---- meta: ma ----
case("ma", sset(b"~a", b"10"), b"ma ~a\r\n", b"get ~a\r\n")
case("ma v", sset(b"~a", b"10"), b"ma ~a v\r\n")
case("ma miss", b"ma ~a\r\n", b"ma ~a v k Oo\r\n")
case("ma q", sset(b"~a", b"10"), b"ma ~a q\r\nma ~a q v\r\nma ~b q\r\nmn\r\n", b"get ~a\r\n")
case("ma all", sset(b"~a", b"10", exptime=b"1000"), b"ma ~a v t c k Oo D5\r\n", b"gets ~a\r\n")
for mode in (b"MI", b"M+", b"MD", b"M-", b"Mi", b"Md"):
    case(f"ma {mode.decode()}", sset(b"~a", b"10"), b"ma ~a %s v D3\r\n" % mode, b"get ~a\r\n")
for bad in (b"MX", b"M", b"Dabc", b"D", b"D-1", b"D18446744073709551616", b"Jabc N0", b"Nabc",
        b"Tabc", b"Cabc", b"y", b"k k"):
    case(f"ma {bad.decode()[:12]}", sset(b"~a", b"10"), b"ma ~a %s\r\n" % bad,
        b"ma ~b %s\r\n" % bad, b"get ~a\r\n")
case("ma O of 33", sset(b"~a", b"10"), b"ma ~a O%s\r\n" % (b"o" * 32), b"get ~a\r\n",
    expect=b"STORED\r\nCLIENT_ERROR opaque token too long\r\nVALUE ~a 0 2\r\n10\r\nEND\r\n",
    why="memcached counts and then finds the opaque too long; here nothing is done")
case("ma wraps", sset(b"~a", b"18446744073709551615"), b"ma ~a v\r\n", b"get ~a\r\n")
case("ma stops at 0", sset(b"~a", b"5"), b"ma ~a MD D10 v\r\n", b"get ~a\r\n")
case("ma N", b"ma ~a N0 v t\r\n", b"ma ~a N0 v\r\n", b"get ~a\r\n")
case("ma N J", b"ma ~a N100 J13 v t c\r\n", b"ma ~a N100 J13 v t\r\n", b"get ~a\r\n")
case("ma N J without v", b"ma ~a N100 J13\r\n", b"get ~a\r\n")
case("ma N MD", b"ma ~a N100 J13 MD v\r\n", b"ma ~a MD D3 v\r\n")
case("ma N of 2^64 - 1", b"ma ~a N0 J18446744073709551615 v\r\n", b"ma ~a v\r\n")
case("ma N negative", b"ma ~a N-1 J5 v\r\n", b"get ~a\r\n")
case("ma N q", b"ma ~a N0 q\r\n", b"get ~a\r\n")
case("ma T", sset(b"~a", b"1"), b"ma ~a T100\r\n", b"mg ~a t\r\n", b"ma ~a t T200\r\n",
    b"ma ~a T300 t\r\n")
case("ma N and T", b"ma ~a N100 T200 t\r\n", b"ma ~b T200 N100 t\r\n")
case("ma C equal", sset(b"~a", b"1"), b"gets ~a\r\n", b"ma ~a C{cas0} v c\r\n", b"gets ~a\r\n")
case("ma C other", sset(b"~a", b"1"), b"gets ~a\r\n", b"ma ~a C{cas0+1} v c k Oo\r\n",
    b"ma ~a C{cas0+1} q\r\n", b"get ~a\r\n")
case("ma C0", sset(b"~a", b"1"), b"ma ~a C0 v\r\n")
case("ma C, absent", b"ma ~a C5 v\r\n", b"ma ~a C5 N0 v\r\n")
case("ma not a number", sset(b"~a", b"x"), b"ma ~a v\r\n", b"ma ~a q\r\n", b"get ~a\r\n")
case("ma not a number, C other", sset(b"~a", b"x"), b"gets ~a\r\n", b"ma ~a C{cas0+1}\r\n")
case("ma empty value, C other", sset(b"~a", b""), b"gets ~a\r\n", b"ma ~a C{cas0+1}\r\n")
case("ma grows the value", sset(b"~a", b"99", b"5", b"1000"), b"ma ~a v t c\r\n",
    b"mg ~a v f t c\r\n")
case("ma key of 251", line(b"ma %s k" % LONG_251))
case("ma without a key", b"ma\r\n", expect=BAD_FORMAT,
    why=MISSING_WORDS)
case("ma E", sset(b"~a", b"1"), b"ma ~a E888888 c\r\n", b"mg ~a C888888 v\r\n",
    b"ma ~b N0 E888889\r\n", b"mg ~b C888889 v\r\n",
    expect=b"STORED\r\nHD c<cas0>\r\nHD\r\nHD\r\nHD\r\n", why="E is new since 1.6.18")

# ---- meta: too many flags ----
EIGHTEEN = b"".join(b" %c" % c for c in b"abcdefghijklmnopqr")
EITHER = b"invalid or duplicate flag"
for command, error in ((b"mg", b"invalid flag"), (b"md", b"invalid flag"), (b"ma", EITHER)):
    case(f"{command.decode()} with 18 flags", sset(b"~a", b"1"), line(command + b" ~a" + EIGHTEEN),
        expect=b"STORED\r\nCLIENT_ERROR " + error + b"\r\n",
        why="1.6.18 counts the line's end among the 20 words")
    case(f"{command.decode()} with 30 flags", sset(b"~a", b"1"),
        line(command + b" ~a" + b" k" * 30))
case("bget", sset(b"~a", b"1"), b"bget ~a\r\n", expect=b"STORED\r\nERROR\r\n",
    why="bget is gone since 1.6.18")
