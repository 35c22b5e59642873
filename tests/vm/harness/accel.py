"""Choice of the accelerator: KVM only where it was seen to work, else TCG."""
import json
import os
import selectors
import subprocess
import time
from pathlib import Path

from .osimage import CACHE, System

PROBE_SECONDS = 8
REACHED = b"driverext-vm: userspace reached"


def choose(system: System) -> tuple[str, str]:
    """(accelerator, the reason in words)"""
    if not os.path.exists("/dev/kvm"):
        return "tcg", "this host has no /dev/kvm"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg", "no permission for /dev/kvm"
    stamp = CACHE / "vm-accel.json"
    key = [os.uname().release, Path("/proc/sys/kernel/random/boot_id").read_text().strip(), system.kernel_release]
    try:
        known = json.loads(stamp.read_text())
        if known["key"] == key:
            return known["accelerator"], known["reason"] + " (found earlier)"
    except (OSError, ValueError, KeyError):
        pass
    accelerator, reason = _probe(system)
    stamp.write_text(json.dumps({"key": key, "accelerator": accelerator, "reason": reason}) + "\n")
    return accelerator, reason


def _probe(system: System) -> tuple[str, str]:
    """Boot the real kernel and initrd: a /dev/kvm that can be opened may still not run a guest."""
    command = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-M", "pc", "-accel", "kvm", "-cpu", "host",
               "-m", "512", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
               "-kernel", str(system.kernel), "-initrd", str(system.initrd),
               "-append", "console=ttyS0 panic=-1 driverext.probe"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True)
    seen, deadline = b"", time.monotonic() + PROBE_SECONDS
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0 and selector.select(left):
                data = os.read(process.stdout.fileno(), 65536)
                seen += data
                if REACHED in seen:
                    return "kvm", "a guest reached user space with KVM"
                if not data:
                    lines = seen.decode(errors="replace").strip().splitlines()
                    return "tcg", f"QEMU gave up with KVM: {lines[-1] if lines else 'no output'}"
        return "tcg", f"a guest did not reach user space within {PROBE_SECONDS} s with KVM"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
