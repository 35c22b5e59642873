"""dm-verity in user space: making the tree and checking all of an image, beside veritysetup. What memory
it takes is among the gates."""
from support.image_inputs import Inputs, by_turns, seconds, warm

SALT = "5a" * 32
GOALS = {"portable": 1 / 2.3, "sha-extensions": 1 / 4}
TURNS = 21  # they are short, and a machine's speed goes up and down by more than what is left to the goal


def run(bench):
    inputs = Inputs(bench)
    data = inputs.folder / "data"
    if not data.exists():
        with data.open("wb") as out:
            for path in sorted(p for p in inputs.tree().rglob("*") if p.is_file()):
                out.write(path.read_bytes())
            out.truncate(out.tell() // 4096 * 4096)
    warm(data)
    ours_hash, peer_hash = inputs.folder / "ours.hash", inputs.folder / "peer.hash"
    results, root_hash = [], ""
    for backend in inputs.ours("backends").split():
        if backend not in GOALS:
            continue
        root_hash = inputs.ours("tree", backend, data, ours_hash, SALT).split()[0]
        ours, peer = by_turns(
            lambda: seconds([inputs.program, "tree", backend, data, ours_hash, SALT], lambda: ours_hash.unlink(missing_ok=True)),
            lambda: seconds(["veritysetup", "format", f"--salt={SALT}", data, peer_hash], lambda: peer_hash.unlink(missing_ok=True)),
            TURNS)
        results.append(bench.Comparison(f"verity-tree-{backend}-ms", ours, peer, goal=round(GOALS[backend], 3)))
        ours, peer = by_turns(lambda: seconds([inputs.program, "check", backend, data, ours_hash, root_hash]),
                              lambda: seconds(["veritysetup", "verify", data, peer_hash, root_hash]), TURNS)
        results.append(bench.Comparison(f"verity-check-{backend}-ms", ours, peer, goal=round(GOALS[backend], 3)))
    return results
