"""Scenario files: tests/vm/scenarios/NAME.toml. The form is described in tests/vm/README.md."""
import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .qemu import Disk

OS_VERSIONS = ("1", "2", "3", "4")  # os/build says which kernel each has
CHECK_TIMEOUT = 60
# `fails COMMAND` passes if the command does not: bash -e overlooks a bare `! COMMAND`.
PRELUDE = 'fails() { ! "$@"; }\n'


SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
LAST_CHECK = "nothing is left that the state does not call for"


class ScenarioError(Exception):
    pass


@dataclass(frozen=True)
class Check:
    name: str
    run: str
    timeout: int


@dataclass(frozen=True)
class Boot:
    os: str
    end: str  # "poweroff", "kill" (by the harness, once all checks are done) or "panic" (by itself, without checks)
    kernel_args: tuple[str, ...]  # beside the scenario's
    checks: tuple[Check, ...]
    saves: tuple[Check, ...]


@dataclass(frozen=True)
class Scenario:
    name: str
    ignition: Path | None
    serve: dict[str, Path]
    disks: tuple[Disk, ...]
    kernel_args: tuple[str, ...]
    memory: int
    boots: tuple[Boot, ...]

    @property
    def versions(self) -> set[str]:
        return {b.os for b in self.boots}


class _Table:
    """A TOML table that knows where it is and whether all of it was understood."""

    def __init__(self, where: str, table):
        if not isinstance(table, dict):
            raise ScenarioError(f"{where}: must be a table")
        self.where, self._left = where, dict(table)

    def take(self, key: str, kind: type, default=None, required: bool = False):
        if key not in self._left:
            if required:
                raise ScenarioError(f"{self.where}: '{key}' is missing")
            return default
        value = self._left.pop(key)
        if not isinstance(value, kind) or isinstance(value, bool) and kind is int:
            raise ScenarioError(f"{self.where}: '{key}' must be a {kind.__name__}, not {value!r}")
        return value

    def tables(self, key: str) -> list["_Table"]:
        return [_Table(f"{self.where}: {key} {n}", t) for n, t in enumerate(self.take(key, list, []), 1)]

    def choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.take(key, str, default)
        if value not in allowed:
            raise ScenarioError(f"{self.where}: '{key}' must be one of {', '.join(allowed)}, not '{value}'")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.take(key, list, [])
        if not all(isinstance(v, str) for v in values):
            raise ScenarioError(f"{self.where}: '{key}' must be a list of texts")
        return tuple(values)

    def done(self) -> None:
        if self._left:
            raise ScenarioError(f"{self.where}: unknown key '{next(iter(self._left))}'")


def load(path: Path, variables: dict[str, str], repo: Path) -> Scenario:
    try:
        table = tomllib.loads(path.read_text())
    except OSError as e:
        raise ScenarioError(f"{path}: {e.strerror}") from None
    except tomllib.TOMLDecodeError as e:
        raise ScenarioError(f"{path}: not valid TOML: {e}") from None
    return parse(path.stem, str(path), table, variables, repo)


def parse(name: str, where: str, table: dict, variables: dict[str, str], repo: Path) -> Scenario:
    top = _Table(where, table)

    def file(value: str, what: str) -> Path:
        """A host file: relative to the repository, {name} stands for --var name=..."""
        def variable(m: re.Match) -> str:
            if m[1] not in variables:
                raise ScenarioError(f"{where}: {what} needs --var {m[1]}=...")
            return variables[m[1]]
        path = repo / re.sub(r"\{(\w+)\}", variable, value)
        if not path.is_file() and not (what.startswith("serve ") and path.is_dir()):
            raise ScenarioError(f"{where}: {what}: no such file: {path}")
        return path

    os_version = top.choice("os", OS_VERSIONS, OS_VERSIONS[0])
    ignition = top.take("ignition", str)
    serve = {}
    for url, value in top.take("serve", dict, {}).items():
        if not isinstance(value, str):
            raise ScenarioError(f"{where}: serve '{url}' must name a file")
        parts = url.removeprefix("/").split("/")
        if any(p in ("", ".", "..") for p in parts):
            raise ScenarioError(f"{where}: serve: '{url}' is not a plain URL path")
        serve["/".join(parts)] = file(value, f"serve '{url}'")
    disks = []
    for t in top.tables("disk"):
        serial = t.take("serial", str, required=True)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,20}", serial):  # virtio-blk keeps 20 characters
            raise ScenarioError(f"{t.where}: 'serial' must be 1 to 20 letters, digits, '_' or '-'")
        disks.append(Disk(file(t.take("path", str, required=True), t.where), serial))
        t.done()
    kernel_args = top.texts("kernel_args")
    memory = top.take("memory", int, 1024)
    boots = tuple(_boot(t, os_version, Path(where).parent) for t in top.tables("boot"))
    if not boots:
        raise ScenarioError(f"{where}: no [[boot]]: a scenario needs at least one")
    top.done()
    return Scenario(name, file(ignition, "ignition") if ignition else None, serve, tuple(disks), kernel_args,
                    memory, boots)


def _boot(table: _Table, os_version: str, folder: Path) -> Boot:
    version = table.choice("os", OS_VERSIONS, os_version)
    end = table.choice("end", ("poweroff", "kill", "panic"), "poweroff")
    kernel_args = table.texts("kernel_args")
    checks = tuple(_check(t, folder) for t in table.tables("check"))
    if end == "poweroff":  # after all others: what they leave is looked at too
        last = {"name": LAST_CHECK, "script": str(SCENARIOS / "checks" / "nothing-left-over")}
        checks += (_check(_Table(f"{table.where}: {LAST_CHECK}", last), folder),)
    saves = tuple(_check(t, folder) for t in table.tables("save"))
    for s in saves:
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", s.name):
            raise ScenarioError(f"{table.where}: save '{s.name}': the name must be a plain file name")
    if end == "panic" and (checks or saves):
        raise ScenarioError(f"{table.where}: a boot that ends in a panic has no checks: who is to run them?")
    table.done()
    return Boot(version, end, kernel_args, checks, saves)


def _check(table: _Table, folder: Path) -> Check:
    name = table.take("name", str, required=True)
    script, text = table.take("script", str), table.take("run", str)
    if (script is None) == (text is None):
        raise ScenarioError(f"{table.where}: needs either 'run' or 'script'")
    if script is not None:
        try:
            text = (folder / script).read_text()
        except OSError as e:
            raise ScenarioError(f"{table.where}: script '{script}': {e.strerror}") from None
    env = table.take("env", dict, {})
    exports = "".join(f"export {k}={shlex.quote(str(v))}\n" for k, v in env.items())
    check = Check(name, PRELUDE + exports + text, table.take("timeout", int, CHECK_TIMEOUT))
    if check.timeout < 1:
        raise ScenarioError(f"{table.where}: 'timeout' must be at least 1 second")
    table.done()
    return check
