# SPDX-License-Identifier: BSD-3-Clause
"""What is not about one command: broken lines, pipelines, time, flush_all."""

from raw_build import collector, line, sset, store
from raw_lib import Part, Pause, Raw

CASES, case = collector()

# ---- unknown and broken lines ----
for text in (b"foo", b"GET ~a", b"Set ~a 0 0 1", b"getx ~a", b"mx ~a", b"m", b"mgg ~a",
        b"gets_ ~a", b"\x01\x02\x03", b"\xff\xfe", b"setq ~a 0 0 1", b"incrx ~a 1",
        b"delete_all", b"flushall", b"stat", b"versionx"):
    case(f"unknown {text!r}", line(text))
case("empty line", b"\r\n")
case("bare newline", b"\n")
case("three empty lines", b"\r\n\r\n\r\n")
case("bare carriage return", b"\rfoo\r\n")
case("a line of spaces", b"     \r\n", expect=b"ERROR\r\n",
    why="a leading space is an error since 1.6.18")
case("a leading space", sset(b"~a"), b" get ~a\r\n", expect=b"STORED\r\nERROR\r\n",
    why="a leading space is an error since 1.6.18")
case("NUL within a line", b"get ~a\x00b\r\n")
case("verbosity", b"verbosity 0\r\n", b"verbosity 1\r\n", b"verbosity 0\r\n")
case("verbosity noreply", b"verbosity 0 noreply\r\n")
case("quit", Raw(b"quit\r\n"))
case("quit behind a get", sset(b"~a"), Raw(b"get ~a\r\nquit\r\nget ~a\r\n"))
case("quit with a word", Raw(b"quit now\r\n"))
case("http", Raw(b"GET / HTTP/1.0\r\n\r\n"))
case("2000 bytes without a newline", Raw(b"x" * 2000), b"\r\n")
case("3000 bytes without a newline", Raw(b"x" * 3000))
case("3000 bytes of set without a newline", Raw(b"set " + b"x" * 3000))
case("3000 bytes of mg without a newline", Raw(b"mg " + b"x" * 3000))
case("get line of 20,000 bytes in pieces", sset(b"~a", b"1"), Part(b"get" + b" ~a ~b" * 100),
    Part(b" ~c" * 1000), b" ~a\r\n")
case("get line of 200,000 bytes", sset(b"~a", b"1"), b"get" + b" ~nothing" * 10000 + b" ~a\r\n")
case("gets line of 20,000 bytes in pieces", sset(b"~a", b"1"), Part(b"gets" + b" ~b" * 1000),
    b" ~a\r\n")

# ---- pipelines ----
case("mixed pipeline",
    sset(b"~a", b"1") + b"get ~a\r\nincr ~a 5\r\ndelete ~a\r\nget ~a\r\n"
        + store(b"add", b"~a", b"x") + b"mg ~a v k\r\nmn\r\nfoo\r\ntouch ~a 0\r\n"
        + store(b"append", b"~a", b"y", more=b" noreply") + b"gets ~a\r\n")
case("errors within a pipeline",
    b"foo\r\nget ~a\r\nset ~a abc 0 1\r\nv\r\nincr ~a x\r\nmg ~a ?\r\nget ~a\r\n")
case("200 sets and gets",
    b"".join(sset(b"~%d" % i, b"v%d" % i) + b"get ~%d\r\n" % i for i in range(200)))
case("quiet pipeline",
    b"".join(
        b"ms ~%d 1 q\r\nx\r\nmg ~%d v q k O%d\r\nmg ~no%d v q k\r\nmd ~%d q\r\n" % ((i,) * 5)
        for i in range(50)) + b"mn\r\n")
case("values change under a pipeline",
    (sset(b"~a", b"1") + b"get ~a\r\n" + sset(b"~a", b"22")
        + b"get ~a\r\ndelete ~a\r\nget ~a\r\n") * 20)
case("large and small",
    b"".join(sset(b"~%d" % i, b"x" * (i * 1000)) for i in range(40))
        + line(b"get" + b"".join(b" ~%d" % i for i in range(40))))
case("connection closes behind its input", Raw(b"get ~a\r\nget ~a\r\nquit\r\n"))

# ---- time ----
case("values expire",
    sset(b"~a", b"1", exptime=b"1") + sset(b"~b", b"2", exptime=b"100") + sset(b"~c", b"3")
        + sset(b"~d", b"4", exptime=b"1") + sset(b"~e", b"5", exptime=b"1")
        + b"touch ~c 1\r\ntouch ~d 100\r\ngat 100 ~e\r\n"
        + b"ms ~f 1 T1\r\nx\r\nma ~g N1\r\nmg ~h N1 v\r\n" + sset(b"~i", b"9") + b"md ~i I T1\r\n",
    Pause(2.5), b"get ~a ~b ~c ~d ~e ~f ~g ~h ~i\r\n",
    store(b"add", b"~a", b"7") + store(b"replace", b"~f", b"7")
        + b"incr ~g 1\r\ntouch ~h 1\r\ndelete ~i\r\nmd ~c I\r\nma ~c\r\n", b"get ~a\r\n")
case("absolute times",
    b"set ~a 0 2592001 1\r\nx\r\nset ~b 0 2147483000 1\r\nx\r\nget ~a ~b\r\n",
    b"touch ~b 3000000\r\nget ~b\r\n")

case("what is looked for last may have spaces before it",
    b" verbosity 0\r\n  verbosity x noreply\r\n get ~a noreply\r\nnoreply\r\n get ~a\r\n version\r\n",
    expect=b"OK\r\nERROR\r\nERROR\r\n", why="1.6.18 takes spaces before any command")

# ---- flush_all ----
case("flush_all", sset(b"~a") + sset(b"~b"), b"flush_all\r\n", b"get ~a ~b\r\n",
    sset(b"~a", b"new"), b"get ~a\r\n")
case("flush_all noreply", sset(b"~a"), b"flush_all noreply\r\n", b"get ~a\r\n")
case("flush_all 0", sset(b"~a"), b"flush_all 0\r\n", b"get ~a\r\n")
case("flush_all 0 noreply", sset(b"~a"), b"flush_all 0 noreply\r\n", b"get ~a\r\n")
case("flush_all negative", sset(b"~a"), b"flush_all -1\r\n", b"get ~a\r\n")
case("flush_all 1000", sset(b"~a"), b"flush_all 1000\r\n", b"get ~a\r\n", b"flush_all\r\n",
    b"get ~a\r\n")
case("flush_all 2", sset(b"~a"), b"flush_all 2\r\n", Pause(4.2), b"get ~a\r\n", sset(b"~a", b"n"),
    b"get ~a\r\n", b"flush_all\r\n")
case("flush_all no number", b"flush_all abc\r\n", b"flush_all abc noreply\r\n", counted=False)
case("flush_all, then every command misses", b"".join(sset(b"~%d" % i, b"1") for i in range(9)),
    b"flush_all\r\n",
    b"get ~0\r\nincr ~1 1\r\ndecr ~2 1\r\ndelete ~3\r\ntouch ~4 1\r\nmg ~5 v\r\nmd ~6\r\nma ~7\r\n"
        + store(b"replace", b"~8", b"1"))
