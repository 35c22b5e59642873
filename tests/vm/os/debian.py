"""A private apt set-up for the guest's Debian release.

The host's own sources file is taken and only the release name in it is changed, so that
whatever mirror the host uses serves the guest too and no mirror is named in this repository.
Nothing of the host's apt state is read or written apart from that.
"""
import os
import re
import subprocess
import time
from pathlib import Path

HOST_SUITE, GUEST_SUITE = "bookworm", "trixie"
HOST_SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
LISTS_MAX_AGE = 12 * 3600  # seconds; a download that fails refreshes them earlier


class DebianError(Exception):
    pass


class Debian:
    def __init__(self, folder: Path, suite: str = GUEST_SUITE):
        self.folder, self.suite = folder, suite
        self.sources = folder / "sources.list.d"
        self.config = folder / "apt.conf"
        self._stamp = folder / "updated"

    @property
    def env(self) -> dict[str, str]:
        """Environment that makes every apt program use this set-up."""
        return {**os.environ, "APT_CONFIG": str(self.config), "LC_ALL": "C"}

    @property
    def sources_file(self) -> Path:
        return next(self.sources.glob("debian.*"))

    def prepare(self, refresh: bool = False) -> None:
        host = next((p for p in HOST_SOURCES if p.is_file()), None)
        if host is None:
            raise DebianError(f"no apt sources found: need one of {', '.join(map(str, HOST_SOURCES))}")
        # Comment lines go: they are of no use and may name a mirror that isn't used.
        lines = [x for x in host.read_text().splitlines() if not x.startswith("#")]
        text = "\n".join(lines).replace(HOST_SUITE, self.suite) + "\n"
        if self.suite not in text:
            raise DebianError(f"{host} names neither {HOST_SUITE} nor {self.suite}, whose packages are wanted")
        for d in (self.sources, self.folder / "state/lists/partial", self.folder / "cache/archives/partial"):
            d.mkdir(parents=True, exist_ok=True)
        target = self.sources / ("debian" + (".sources" if host.suffix == ".sources" else ".list"))
        changed = not target.exists() or target.read_text() != text
        target.write_text(text)
        (self.folder / "status").touch()  # no package is installed: resolve from nothing
        self.config.write_text(f'''Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{self.sources}";
Dir::State "{self.folder}/state";
Dir::State::status "{self.folder}/status";
Dir::Cache "{self.folder}/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
Acquire::Retries "3";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
''')
        old = not self._stamp.exists() or time.time() - self._stamp.stat().st_mtime > LISTS_MAX_AGE
        if changed or refresh or old:
            self.update()

    def update(self) -> None:
        r = subprocess.run(["apt-get", "-q", "update"], env=self.env, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if r.returncode:
            if not self._stamp.exists():
                raise DebianError(f"apt-get update failed:\n{r.stdout}")
            print("os: apt-get update failed; going on with the package lists of last time", flush=True)
        self._stamp.touch()

    def resolve(self, packages: list[str]) -> list[str]:
        """Every package, with its version, that installing `packages` on nothing brings in."""
        r = subprocess.run(["apt-get", "-s", "-q", "install", "--no-install-recommends", "?essential", *packages],
                           env=self.env, text=True, capture_output=True)
        if r.returncode:
            raise DebianError(f"apt cannot resolve the packages of the test guest:\n{r.stdout}{r.stderr}")
        return sorted(" ".join(m) for m in re.findall(r"^Inst (\S+) \((\S+)", r.stdout, re.M))

    def candidates(self, packages: list[str]) -> list[str]:
        """These packages with the versions that would be downloaded, without what they depend on."""
        r = subprocess.run(["apt-cache", "policy", *packages], env=self.env, text=True, capture_output=True)
        found = dict(re.findall(r"^(\S+):\n.*\n  Candidate: (\S+)$", r.stdout, re.M))
        missing = [p for p in packages if found.get(p, "(none)") == "(none)"]
        if missing:
            raise DebianError(f"not in {self.suite}: {', '.join(missing)}")
        return [f"{p} {found[p]}" for p in packages]

    def kernels(self, flavour: str) -> list[str]:
        """Releases of the kernels of one flavour that have headers too, oldest first."""
        r = subprocess.run(["apt-cache", "pkgnames", "linux-"], env=self.env, text=True, capture_output=True)
        names = set(r.stdout.split())
        found = [m[1] for n in names if (m := re.fullmatch(rf"linux-image-(\d[\d.]*\+deb\d+-{flavour})", n))]
        found = [k for k in found if f"linux-headers-{k}" in names]
        return sorted(found, key=lambda k: [int(x) for x in re.findall(r"\d+", k)])
