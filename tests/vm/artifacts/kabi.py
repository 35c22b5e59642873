"""Images of small drivers for several kernels, and what the kernels' own lists of exported symbols say of each.

A kernel with symbol versions takes a module of another release if every symbol that it imports has the same checksum and
the options in its vermagic are the same. Which releases Debian has changes from week to week, so what is expected is
worked out from them: by kmod's reading of the modules and the lists in the headers, not by driverext.
"""
import json
import lzma
from pathlib import Path

from .host import REPO, run
from .images import Packer

BUILD = REPO / "tests" / "support" / "kabi" / "build"
STOCK_MODULE = "kernel/drivers/net/virtio_net.ko.xz"  # of the kernel itself: tells its vermagic


class Kernel:
    def __init__(self, system: dict):
        symvers = REPO / system["symvers"]
        self.release = system["kernel_release"]
        self.flags = flags(symvers.parent / STOCK_MODULE)
        # CRC, symbol, module, export type, namespace
        lines = [line.split("\t") for line in lzma.decompress(symvers.read_bytes()).decode().splitlines()]
        self.symbols = {line[1]: line[0] for line in lines}
        self.plain = {line[1] for line in lines if line[2] == "vmlinux" and not line[4]}

    def verdict(self, module: Path) -> dict:
        """What driverext and this kernel must make of a module, and what insmod and the kernel say."""
        imports = dict(reversed(line.split()) for line in run("modprobe", "--dump-modversions", module).splitlines())
        missing = sorted(s for s in imports if s not in self.symbols)
        other = sorted(s for s in imports if s not in missing and self.symbols[s] != imports[s])
        has_flags = flags(module) == self.flags
        if has_flags and not missing and not other:
            return {"loads": True}
        if not has_flags:
            found = {"requirement": "vermagic", "reason": "vermagic-mismatch"}
        else:
            found = {"requirement": "symbols", "reason": "symbol-missing" if missing else "symbol-mismatch"}
        # The kernel looks at its own layout of modules first, then at the vermagic, then at the symbols one by one.
        if "module_layout" in other:
            said = ("Invalid module format", "disagrees about version of symbol module_layout")
        elif not has_flags:
            said = ("Invalid module format", "version magic '")
        elif missing:
            said = ("Unknown symbol in module", f"Unknown symbol ({'|'.join(missing)}) ")
        else:
            said = ("Invalid parameters", f"disagrees about version of symbol ({'|'.join(other)})")
        return {"loads": False, **found, "symbols": (missing or other) if has_flags else [],
                "insmod": said[0], "kernel": said[1]}


def flags(module: Path) -> list[str]:
    return run("modinfo", "-F", "vermagic", module).split()[1:]


def fragile_symbol(own: Kernel, others: list[Kernel], must: list[Kernel]) -> str:
    """A symbol that all kernels have, with another checksum in as many of the others as there is one for."""
    def differs(symbol: str, kernels: list[Kernel]) -> int:
        return sum(k.symbols[symbol] != own.symbols[symbol] for k in kernels)
    common = own.plain.intersection(*(k.plain for k in others))
    found = [s for s in sorted(common) if differs(s, must) == len(must)]
    if not found:
        raise SystemExit("make-artifacts: no symbol differs between the kernels of OS 1 and OS 3 and 4")
    return max(found, key=lambda s: differs(s, others))


def with_other_flags(module: Path) -> None:
    """As if it had been compiled with other options: same length, so that the file stays well-formed."""
    code = module.read_bytes()
    assert code.count(b" SMP preempt ") == 1, "the kernel's vermagic is not as it was"
    module.write_bytes(code.replace(b" SMP preempt ", b" SMP PREEMPT "))


def make_kabi(packer: Packer, systems: dict, out: Path) -> None:
    """Images into `out`/kabi; facts.json there says for each kernel release which of them it takes."""
    folder = out / "kabi"
    folder.mkdir()
    kernels = {v: Kernel(s) for v, s in systems.items()}
    fragile = fragile_symbol(kernels["1"], [kernels[v] for v in "234"], [kernels[v] for v in "34"])
    verdicts: dict[str, dict] = {k.release: {} for k in kernels.values()}

    # The newer version is there for the kernel of OS 4 alone: what is built for a kernel wins all the same.
    for version, system, name, *symbol in (("1.0", "1", "stablecam"), ("1.1", "4", "stablecam"),
                                           ("1.0", "1", "fragilecam", fragile), ("1.0", "1", "oddcam")):
        modules = packer.work / f"kabi-{name}-{version}"
        run(BUILD, kernels[system].release, name, version, modules, *symbol)
        if name == "oddcam":
            with_other_flags(modules / f"{name}.ko")
        packer.pack(folder / f"{name}-{version}.raw", "modules", name, version, "--modules", modules,
                    *packer.keys("publisher"), system=system)
        for kernel in kernels.values():
            verdicts[kernel.release][f"{name}-{version}"] = kernel.verdict(modules / f"{name}.ko")

    second = verdicts[kernels["2"].release]
    if not any(second[f"stablecam-{v}"]["loads"] for v in ("1.0", "1.1")):
        raise SystemExit("make-artifacts: the kernel of OS 2 takes the modules of no other: the scenario kernel-choice "
                         "has nothing to show there")
    (folder / "facts.json").write_text(json.dumps(verdicts, indent=2) + "\n")
