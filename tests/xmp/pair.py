"""Makes a JPEG that holds two, with the list of both that phones write (CIPA DC-007): pair.py FIRST SECOND OUT"""

import struct
import sys

first, second = (open(path, "rb").read() for path in sys.argv[1:3])
assert first[:2] == b"\xff\xd8"


def listed(size, offset):
    entries = struct.pack("<IIIHH", 0x20030000, size, 0, 0, 0) + struct.pack("<IIIHH", 0, len(second), offset, 0, 0)
    fields = [(0xB000, 7, 4, b"0100"), (0xB001, 4, 1, struct.pack("<I", 2)), (0xB002, 7, len(entries), struct.pack("<I", 50))]
    directory = struct.pack("<H", 3) + b"".join(struct.pack("<HHI", *field[:3]) + field[3] for field in fields)
    content = b"MPF\0II*\0" + struct.pack("<I", 8) + directory + bytes(4) + entries
    return first[:2] + b"\xff\xe2" + struct.pack(">H", len(content) + 2) + content + first[2:]


size = len(listed(0, 0))
open(sys.argv[3], "wb").write(listed(size, size - (2 + 4 + 4)) + second)
