"""Checks that the README's first command left a picture in FOLDER: a PNG of sensible size that is not flat."""
import struct
import sys
import zlib
from pathlib import Path

path = Path(sys.argv[1]) / "anime.png"
data = path.read_bytes()
assert data[:8] == b"\x89PNG\r\n\x1a\n", f"{path} is no PNG"
width, height = struct.unpack(">II", data[16:24])
packed, at = b"", 8
while at < len(data):
    (length,) = struct.unpack(">I", data[at : at + 4])
    if data[at + 4 : at + 8] == b"IDAT":
        packed += data[at + 8 : at + 8 + length]
    at += 12 + length
raw = zlib.decompress(packed)
assert width >= 640 and height >= 640, f"{path} is {width}x{height}"
assert len(set(raw)) > 100, f"{path} is flat"
print(f"{path.name}: {width}x{height}")
