"""One QEMU process."""
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from .osimage import System

SERVER_ADDRESS = "10.0.2.100"
ACCELERATORS = {
    "tcg": ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "qemu64,-svm"],  # svm: udev would load kvm_amd
    "kvm": ["-accel", "kvm", "-cpu", "host"],
}


@dataclass(frozen=True)
class Disk:
    path: Path
    serial: str  # /dev/disk/by-id/virtio-SERIAL in the guest


@dataclass(frozen=True)
class Machine:
    """Everything that makes up one boot."""
    system: System
    root_disk: Path
    accelerator: str
    agent_socket: Path | None = None
    ignition: Path | None = None
    serve: Path | None = None  # folder that http://10.0.2.100/ shows
    serve_log: Path | None = None
    disks: tuple[Disk, ...] = ()
    kernel_args: tuple[str, ...] = ()
    memory: int = 1024  # MiB
    cpus: int = 1
    serial: list[str] = field(default_factory=lambda: ["-serial", "none"])


def escape(value: str | Path) -> str:
    """A comma inside a QEMU option value is written twice."""
    return str(value).replace(",", ",,")


def kernel_command_line(machine: Machine) -> str:
    s = machine.system
    return " ".join([
        "console=ttyS0", "quiet", "loglevel=5",  # 5: warnings and worse
        f"verity.usrhash={s.roothash}", f"verity.usroff={s.hash_offset}", "ignition.platform.id=qemu",
        "panic=-1",  # with -no-reboot a panic ends QEMU at once
        "lsm=capability",  # attaching systemd's BPF LSM program takes a second and a half
        "mitigations=off", "audit=0", "net.ifnames=0", "cryptomgr.notests", "TERM=dumb", "systemd.show_status=auto",
        *machine.kernel_args])


def block(name: str, options: str, serial: str) -> list[str]:
    return ["-drive", f"if=none,id={name},{options}", "-device", f"virtio-blk-pci,drive={name},serial={serial}"]


def command(m: Machine) -> list[str]:
    args = ["qemu-system-x86_64", "-M", "pc,usb=off,vmport=off", *ACCELERATORS[m.accelerator], "-smp", str(m.cpus),
            "-m", str(m.memory),
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", *m.serial,
            "-kernel", str(m.system.kernel), "-initrd", str(m.system.initrd), "-append", kernel_command_line(m),
            "-device", "virtio-rng-pci"]
    # In this order they are /dev/vda (root), /dev/vdb (/usr), /dev/vdc...
    args += block("root", f"format=qcow2,cache=unsafe,file={escape(m.root_disk)}", "root")
    args += block("usr", f"format=raw,readonly=on,file={escape(m.system.usr)}", "usr")
    for n, disk in enumerate(m.disks):
        args += block(f"disk{n}", f"format=raw,readonly=on,file={escape(disk.path)}", disk.serial)
    # restrict: the guest reaches nothing but our server, which has no port on this host.
    net = "user,id=n0,restrict=on"
    if m.serve:
        server = [sys.executable, "-I", "-S", str(Path(__file__).with_name("serve.py")), str(m.serve)]
        if m.serve_log:
            server.append(str(m.serve_log))
        net += f",guestfwd=tcp:{SERVER_ADDRESS}:80-cmd:{escape(shlex.join(server))}"
    args += ["-netdev", net, "-device", "virtio-net-pci,netdev=n0,romfile="]
    if m.agent_socket:
        args += ["-device", "virtio-serial-pci",
                 "-chardev", f"socket,id=agent,server=on,wait=off,path={escape(m.agent_socket)}",
                 "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
    if m.ignition:
        args += ["-fw_cfg", f"name=opt/com.coreos/config,file={escape(m.ignition)}"]
    return args


class Qemu:
    """A running QEMU. It never outlives this process, nor the thread that started it."""

    def __init__(self, machine: Machine, log: Path):
        self._log = log
        with open(log, "ab") as out:
            # setpriv: the kernel ends QEMU when we die without a chance to. A session of its own:
            # Ctrl-C is ours to handle, not QEMU's.
            self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command(machine)],
                                             stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait(self, timeout: float) -> bool:
        """Wait for the machine to be off; False when it still runs after `timeout` seconds."""
        try:
            self._process.wait(timeout)
            return True
        except subprocess.TimeoutExpired:
            return False

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def messages(self) -> str:
        return self._log.read_text(errors="replace").strip()
