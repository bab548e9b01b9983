"""The float network in ncnn's form, by its converter pnnx.

It stays float: ncnn's quantizer (ncnn2table and ncnn2int8) is in no package of PyPI or Debian.
"""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import onnx

NAME = "ncnn.param"


def convert(source: Path, folder: Path) -> None:
    """Writes `ncnn.param` and `ncnn.bin`."""
    work = folder / "pnnx"
    work.mkdir()
    shutil.copy(source, work / "net.onnx")
    # The package itself cannot be imported without PyTorch, its program needs nothing.
    converter = Path(find_spec("pnnx").submodule_search_locations[0]) / "pnnx"
    subprocess.run(
        # The shape is one to trace with; the network takes any.
        [converter, "net.onnx", "inputshape=[1,3,480,640]", "fp16=0"],
        cwd=work,
        check=True,
        capture_output=True,
    )
    block = block_size(source)
    lines = (work / "net.ncnn.param").read_text().splitlines()
    (folder / NAME).write_text("".join(f"{in_onnx_order(line, block)}\n" for line in lines))
    shutil.move(work / "net.ncnn.bin", folder / "ncnn.bin")
    shutil.rmtree(work)


def block_size(source: Path) -> int:
    """The block of all of a network's SpaceToDepth and DepthToSpace."""
    sizes = {
        attribute.i
        for node in onnx.load(source).graph.node
        for attribute in node.attribute
        if attribute.name == "blocksize"
    }
    if len(sizes) != 1:
        raise SystemExit(f"{source}: blocks of {sorted(sizes)}; the conversion to ncnn knows networks with one size")
    return sizes.pop()


def in_onnx_order(line: str, block: int) -> str:
    """A line of a .param file, with what pnnx loses of SpaceToDepth and DepthToSpace put right.

    It writes the one with PyTorch's order of channels (mode 0) instead of ONNX's (mode 1), and leaves the other as a
    layer that ncnn does not have.
    """
    words = line.split()
    if words[0] == "Reorg":
        return line.replace(" 1=0", " 1=1")
    if words[0] == "DepthToSpace":
        return " ".join(["PixelShuffle", *words[1:6], f"0={block}", "1=1"])
    return line
