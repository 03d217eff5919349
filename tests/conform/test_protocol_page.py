# SPDX-License-Identifier: BSD-3-Clause
"""docs/protocol.md has every command, flag and opcode that the parsers know."""

import re

import pytest

from server import SOURCE

PAGE = (SOURCE / "docs/protocol.md").read_text()
WORDS = set(re.findall(r"[\w:]+", " ".join(re.findall(r"`([^`]+)`", PAGE))))
# What a source file knows: how a name stands in it.
KNOWN = {
    "proto_classic.c": r'NAME_IS\(name, "(\w+)"\)',
    "proto_admin.c": r'\{"(\w+)", (?:\w+_parse|PROTO_WATCH_\w+)\}',
    "proto_meta.c": r"PROTO_FLAG\('(\w)'\)",
    "proto_binary.c": r"\bCOMMAND\((0x\w\w),",
}


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("file", KNOWN)
def test_every_name_is_on_the_page(file):
    names = set(re.findall(KNOWN[file], (SOURCE / "lib/proto" / file).read_text()))
    assert len(names) > 5, f"{file} is not written as this test takes it to be"
    missing = sorted(names - WORDS)
    assert not missing, f"docs/protocol.md lacks {missing}"


def test_every_meta_command_is_in_its_table():
    source = (SOURCE / "lib/proto/proto_meta.c").read_text()
    letters = re.findall(r"case '(\w)':\n\t\tmeta_\w+_parse", source) + ["n"]
    assert len(letters) > 4
    for letter in letters:
        assert f"\n| `m{letter}` |" in section("Meta"), f"m{letter}"
