"""Update channels, as their publishers make them, and what is wrong with some of them."""
import shutil
import subprocess
from pathlib import Path

from .host import run


class Publisher:
    def __init__(self, driverext: Path, out: Path):
        self.driverext, self.out = driverext, out

    def channel(self, verb: str, *arguments, key: str = "publisher") -> None:
        run(self.driverext, "channel", verb, "--key", self.out / f"{key}.key", "--certificate", self.out / f"{key}.crt",
            *arguments, stderr=subprocess.DEVNULL)

    def copy(self, name: str, target: str) -> Path:
        shutil.copytree(self.out / name, self.out / target)
        return self.out / target

    def make(self, coming_kernel: str, halves: list) -> None:
        # One channel at three moments: empty, with a release for nobody, with the same for all.
        loopback = self.out / "channel"
        self.channel("init", "--name=stable", loopback)
        self.copy("channel", "channel-older")
        self.channel("publish", "--release=1.0.0", "--percent=0", loopback, self.out / "v4l2loopback.raw")
        self.copy("channel", "channel-waiting")
        self.channel("rollout", "--percent=100", loopback)

        # Still well-formed, and with the serial number that the node has seen: only the signature tells.
        altered = self.copy("channel", "channel-altered") / "index.cms"
        altered.write_bytes(altered.read_bytes().replace(b'"release": "1.0.0"', b'"release": "1.0.1"'))
        assert altered.read_bytes() != (loopback / "index.cms").read_bytes()

        other = self.out / "channel-of-another-name"
        self.channel("init", "--name=abandoned", other)
        self.channel("publish", "--release=9.0.0", other, self.out / "v4l2loopback.raw")

        stranger = self.out / "channel-by-stranger"
        self.channel("init", "--name=stable", stranger, key="stranger")
        self.channel("publish", "--release=9.0.0", stranger, self.out / "signed-by-stranger.raw", key="stranger")

        # A driver for two OS versions: the newer one's image is a release of its own.
        nvidia = self.out / "channel-nvidia"
        self.channel("init", "--name=gpus", nvidia)
        self.channel("publish", "--release=1.0.0", nvidia, self.out / "nvidia-1.raw")
        self.channel("publish", "--release=1.1.0", nvidia, self.out / "nvidia-2.raw")
        (nvidia / "coming-kernel").write_text(coming_kernel + "\n")  # for the scenario, not part of the format

        apart = self.out / "channel-halves"
        self.channel("init", "--name=gpus", apart)
        self.channel("publish", "--release=1.0.0", apart, *halves)
        (apart / "coming-kernel").write_text(coming_kernel + "\n")
