"""Kills a worker with `kill -9` while it works, and checks by journals that another worker did its batch.

Every worker writes a journal of the images in the batches that it has begun and done. One of them publishes its process id in
the middle of its third batch and keeps working until it is killed. Its journal then ends with a batch that it began, and other
workers have done these images (in other batches if the engine shuffles again).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Test machines are sometimes slow.
PATIENCE_S = 240


def executor_of_this_worker() -> int:
    """The process id of the Spark executor. It starts a daemon, from which this worker was forked."""
    parents = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()
    return int(parents[1])


class Killing:
    """Is made by the test, in a folder that all workers can reach, and pickled to them. `victim` is called in the worker."""

    def __init__(self, folder: Path, victim: Callable[[], int] = os.getpid) -> None:
        self.folder, self.victim = folder, victim
        folder.mkdir()
        os.mkfifo(folder / "victim")

    def begin(self) -> threading.Thread:
        """Starts a thread that waits for a victim and kills it."""

        def kill() -> None:
            worker, victim = (self.folder / "victim").read_text().split()
            os.kill(int(victim), signal.SIGKILL)
            (self.folder / "killed").write_text(worker)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        return killer

    def work(self, batch: Any, label: Callable[[], Any]) -> Any:
        """Labels one batch in a worker and writes the journal."""
        journal = self.folder / f"{os.getpid()}.journal"
        names = batch.column("path").to_pylist()
        with journal.open("a") as lines:
            print("begun", *names, file=lines, flush=True)
            if journal.read_text().count("begun ") == 3 and self._is_chosen():
                (self.folder / "victim").write_text(f"{os.getpid()} {self.victim()}")
                while True:
                    label()
            labelled = label()
            print("done", *names, file=lines, flush=True)
        return labelled

    def _is_chosen(self) -> bool:
        """Whether this worker is the victim: the first one that asks is."""
        try:
            (self.folder / "chosen").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def check(self, killer: threading.Thread) -> None:
        """Checks that a worker was killed during a batch, and that other workers have done it since."""
        killer.join(PATIENCE_S)
        killed = (self.folder / "killed").read_text()
        journals = {path.stem: path.read_text().splitlines() for path in self.folder.glob("*.journal")}
        *before, last = journals.pop(killed)
        assert [line.split()[0] for line in before] == ["begun", "done"] * 2
        begun, *names = last.split()
        assert begun == "begun" and names, "the worker was killed between batches"
        done = {name for lines in journals.values() for line in lines if line.startswith("done") for name in line.split()}
        assert done.issuperset(names), "no other worker has done the last batch"
