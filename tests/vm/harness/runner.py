"""Runs scenarios: boots the machine, runs the checks, keeps what it leaves behind."""
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from . import journal
from .agent import Agent, AgentError
from .osimage import Images, new_root_disk
from .qemu import Machine, Qemu
from .results import Results
from .scenario import Boot, Scenario

BOOT_SECONDS = 180
OFF_SECONDS = 60
TAIL_LINES = 20
# degraded: some unit failed; that is for the checks to judge.
WAIT_UNTIL_BOOTED = """until state=$(systemctl is-system-running --wait) || [ "$state" = degraded ]; do sleep 0.2; done
echo "$state"; [ "$state" = running ] || systemctl --failed --plain --no-legend"""


def serve_folder(files: dict[str, Path], folder: Path) -> Path:
    """A folder that looks as the URLs do; serve.py shows it."""
    for url, host_file in files.items():
        link = folder / url
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(host_file.resolve())
    return folder


class Runner:
    def __init__(self, images: Images, accelerator: str, results: Results, out: Path, keep: bool, cpus: int):
        self._images, self._accelerator, self._results = images, accelerator, results
        self._out, self._keep, self._cpus = out, keep, cpus
        self._machines: set[Qemu] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """End all machines now and start no more."""
        with self._lock:
            self._stopped = True
            for m in self._machines:
                m.kill()

    def run(self, scenario: Scenario) -> None:
        folder = self._out / scenario.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        disk = folder / "root.qcow2"
        with tempfile.TemporaryDirectory(prefix="driverext-vm-") as tmp:  # short: a socket's path has 107 bytes
            served = Path(tmp) / "www"
            served.mkdir()
            run = _Run(self, scenario, folder, Path(tmp), serve_folder(scenario.serve, served), disk)
            try:
                new_root_disk(self._images, disk)
                for number, boot in enumerate(scenario.boots, 1):
                    if self._stopped or not run.boot(number, boot):
                        break
            except (AgentError, OSError, subprocess.CalledProcessError) as e:
                run.failed_at_all(f"the harness failed: {e}")
        if run.failures and not self._stopped:
            kept = f", {disk.name}" if disk.exists() else ""
            self._results.say(f"     {scenario.name}: see {folder}/ (console.log, journal.txt{kept})")
        elif not self._keep:
            disk.unlink(missing_ok=True)

    def start(self, machine: Machine, log: Path) -> Qemu:
        with self._lock:
            if self._stopped:
                raise AgentError("interrupted")
            qemu = Qemu(machine, log)
            self._machines.add(qemu)
            return qemu

    def end(self, qemu: Qemu) -> None:
        qemu.kill()
        with self._lock:
            self._machines.discard(qemu)


class _Run:
    """One scenario being run."""

    def __init__(self, runner: Runner, scenario: Scenario, folder: Path, tmp: Path, served: Path, disk: Path):
        self._runner, self._scenario, self._folder = runner, scenario, folder
        self._tmp, self._served, self._disk = tmp, served, disk
        self._number, self.failures = 0, 0

    def _add(self, check: str, passed: bool, started: float, detail: str = "") -> None:
        self.failures += not passed
        self._runner._results.add(self._folder / "results.jsonl", self._scenario.name, self._number, check, passed,
                                  time.monotonic() - started, detail)

    def failed_at_all(self, why: str) -> None:
        self._add("the scenario runs", False, time.monotonic(), why)

    def boot(self, number: int, boot: Boot) -> bool:
        """Run one boot; False when the next one makes no sense."""
        self._number = number
        console, log, socket = self._folder / "console.log", self._folder / "qemu.log", self._tmp / f"agent{number}"
        with open(console, "a") as f:
            f.write(f"==== boot {number}, OS {boot.os}\n")
        s, started = self._scenario, time.monotonic()
        machine = Machine(
            system=self._runner._images.systems[boot.os], root_disk=self._disk, accelerator=self._runner._accelerator,
            agent_socket=socket, ignition=s.ignition, serve=self._served, serve_log=self._folder / "requests.log",
            disks=s.disks, kernel_args=s.kernel_args + boot.kernel_args, memory=s.memory, cpus=self._runner._cpus,
            serial=["-chardev", f"file,id=console,append=on,path={str(console).replace(',', ',,')}", "-serial", "chardev:console"])
        stage, agent = "the guest boots", Agent(socket)
        before = console.stat().st_size
        qemu = self._runner.start(machine, log)
        try:
            if boot.end == "panic":
                return self._panics(qemu, console, before, started)
            agent.connect(BOOT_SECONDS, lambda: qemu.running)
            left = max(BOOT_SECONDS - (time.monotonic() - started), 10)
            state = agent.run(WAIT_UNTIL_BOOTED, left)
            if state.code:
                raise AgentError(f"booting did not finish within {BOOT_SECONDS} s")
            self._add(stage, True, started, state.text())
            stage = "the guest stays up during the checks"
            for check in boot.checks:
                began = time.monotonic()
                result = agent.run(check.run, check.timeout)
                detail = result.text()[-2000:]
                if result.code == 124:
                    detail += f"\n(ended after {check.timeout} s)"
                elif result.code:
                    detail += f"\n(exit {result.code})"
                self._add(check.name, result.code == 0, began, detail.strip())
            for save in boot.saves:
                result = agent.run(save.run, save.timeout)
                (self._folder / save.name).write_bytes(result.out)
                if result.code:
                    self._add(f"save {save.name}", False, time.monotonic(), result.text()[-2000:])
            self._keep_journal(agent)
            stage, started = "the guest powers off", time.monotonic()
            if boot.end == "kill":
                return True
            self._power_off(agent)
            if not qemu.wait(OFF_SECONDS):
                raise AgentError(f"still running after {OFF_SECONDS} s")
            self._add(stage, True, started)
            return True
        except AgentError as e:
            if self._runner._stopped:
                return False
            qemu.wait(1)  # a machine that powers off is gone in a moment, with its last words on the console
            self._add(stage, False, started, "\n".join(filter(None, [str(e), qemu.messages(), self._console_tail(console)])))
            return False
        finally:
            agent.close()
            self._runner.end(qemu)

    def _panics(self, qemu: Qemu, console: Path, before: int, started: float) -> bool:
        """The guest's kernel is to panic, which ends QEMU; the console says why it ended."""
        ended = qemu.wait(BOOT_SECONDS)
        if self._runner._stopped:
            return False
        with open(console, "rb") as f:
            f.seek(before)
            panicked = b"Kernel panic - not syncing: " in f.read()
        detail = "" if ended and panicked else "\n".join([
            "it ended without a panic" if ended else f"it still ran after {BOOT_SECONDS} s", self._console_tail(console)])
        self._add("the guest's kernel panics", ended and panicked, started, detail)
        return ended and panicked

    def _keep_journal(self, agent: Agent) -> None:
        result = agent.run("journalctl -q -b -o export | zstd -q", 60)
        if result.code:
            self._add("the journal can be read", False, time.monotonic(), result.err.decode(errors="replace"))
            return
        with open(self._folder / "journal.export.zst", "ab") as f:  # frames, and entries, may follow each other
            f.write(result.out)
        text = subprocess.run(["zstd", "-dcq"], input=result.out, stdout=subprocess.PIPE, check=True).stdout
        with open(self._folder / "journal.txt", "a") as f:
            f.write(f"==== boot {self._number}\n{journal.to_text(text)}")

    @staticmethod
    def _power_off(agent: Agent) -> None:
        try:  # the agent's own shutdown command needs systemd-logind, which is masked
            agent.run("systemctl poweroff --no-block", 20)
        except AgentError:
            pass  # it may be gone before it answers; whether the machine goes off is what counts

    @staticmethod
    def _console_tail(console: Path) -> str:
        lines = [x for x in console.read_text(errors="replace").replace("\r", "").splitlines() if x.strip()]
        fatal = [x for x in lines if "driverext-vm: " in x and "FATAL: " in x][-1:]
        return "\n".join([*fatal, "last lines of the console:", *lines[-TAIL_LINES:]])
