"""Debian's -dkms packages, and a builder root with the headers of Debian's kernel, in .cache/dkms."""
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[2]
sys.path.insert(0, str(REPO / "tests/vm/os"))

from cache import Cache, digest, digest_files  # noqa: E402
from debian import HOST_SUITE, Debian  # noqa: E402

# gcc is the kernel's own there; libxtables is for those that build a part of iptables, too.
ROOT_PACKAGES = ["linux-headers-amd64", "gcc", "make", "patch", "libc6-dev", "bc", "kmod", "libelf-dev", "pkgconf",
                 "libxtables-dev"]


class Dkms:
    """What is missing is made: the root in one to two minutes, once a kernel."""

    def __init__(self, names: list[str]):
        self.cache = cache = Cache(REPO / ".cache/dkms")  # with its lock
        cache.lock()
        debian = Debian(cache.folder / "apt", HOST_SUITE)
        debian.prepare()
        resolved = debian.resolve(ROOT_PACKAGES)
        self.kernel_release = next(m[1] for line in resolved if (m := re.match(r"linux-headers-(\d\S*-amd64) ", line)))
        env = {**debian.env, "SUITE": HOST_SUITE, "SOURCES": str(debian.sources_file)}
        root = cache.part("root", digest("\n".join(resolved), digest_files(HERE / "root.sh")), str(HERE / "root.sh"),
                          {**env, "PACKAGES": ",".join(ROOT_PACKAGES)})
        # URI, name, size and SHA-256 of each.
        uris = subprocess.run(["apt-get", "-q", "--print-uris", "download", *names], env=debian.env, check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        packages = cache.part("packages", digest(uris, digest_files(HERE / "packages.sh")),
                              str(HERE / "packages.sh"), {**env, "PACKAGES": " ".join(names)})
        self.root = root / "root"
        self.files = {deb.name.split("_")[0]: deb for deb in packages.glob("*.deb")}
