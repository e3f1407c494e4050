"""A worker that is killed with -9 from outside while it is at work, and journals that tell who did what.

Every worker notes the pictures of batches that it begins and that it has done. One of them, in the middle of its third batch,
gives its process's number away and works on until it is dead: its journal ends with a batch that it began, and others have done
those pictures. (As other batches, where the engine shuffles again.)
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Machines that test are slow now and then.
PATIENCE_S = 240


def executor_of_this_worker() -> int:
    """The process of Spark's that has started this worker's parent, from which workers are forked."""
    parents = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()
    return int(parents[1])


class Killing:
    """Made where workers are called, in a folder that all of them can reach; it travels to them. `victim` is asked there."""

    def __init__(self, folder: Path, victim: Callable[[], int] = os.getpid) -> None:
        self.folder, self.victim = folder, victim
        folder.mkdir()
        os.mkfifo(folder / "victim")

    def begin(self) -> threading.Thread:
        """Waits for a victim, and kills it."""

        def kill() -> None:
            worker, victim = (self.folder / "victim").read_text().split()
            os.kill(int(victim), signal.SIGKILL)
            (self.folder / "killed").write_text(worker)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        return killer

    def work(self, batch: Any, label: Callable[[], Any]) -> Any:
        """A worker's work on one batch, with its notes."""
        journal = self.folder / f"{os.getpid()}.journal"
        names = batch.column("path").to_pylist()
        with journal.open("a") as notes:
            print("begun", *names, file=notes, flush=True)
            if journal.read_text().count("begun ") == 3 and self._is_chosen():
                (self.folder / "victim").write_text(f"{os.getpid()} {self.victim()}")
                while True:
                    label()
            labelled = label()
            print("done", *names, file=notes, flush=True)
        return labelled

    def _is_chosen(self) -> bool:
        """The first to ask is."""
        try:
            (self.folder / "chosen").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def check(self, killer: threading.Thread) -> None:
        """That one was killed over a batch, which another worker has done since."""
        killer.join(PATIENCE_S)
        killed = (self.folder / "killed").read_text()
        journals = {path.stem: path.read_text().splitlines() for path in self.folder.glob("*.journal")}
        *before, last = journals.pop(killed)
        assert [line.split()[0] for line in before] == ["begun", "done"] * 2
        begun, *names = last.split()
        assert begun == "begun" and names, "it was killed between batches"
        done = {name for lines in journals.values() for line in lines if line.startswith("done") for name in line.split()}
        assert done.issuperset(names), "nobody has done its last batch"
