"""Running programs, and where things are."""
import subprocess
import sys
from pathlib import Path

VM = Path(__file__).resolve().parents[1]
REPO = VM.parents[1]
CACHE = REPO / ".cache" / "artifacts"


def run(*command, **options) -> str:
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"make-artifacts: {command[0]} failed with status {done.returncode}")
    return done.stdout


def make_key(out: Path, name: str, subject: str) -> None:
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "3650", "-subj", subject,
        "-keyout", out / f"{name}.key", "-out", out / f"{name}.crt", stderr=subprocess.DEVNULL)
