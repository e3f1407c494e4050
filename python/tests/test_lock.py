"""While the model computes, other Python threads keep running and Ctrl-C works."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Callable

import longclip
import numpy as np
import pytest

from programs import run_python
from reference import ROOT

CAT = ROOT / "img" / "cat.jpg"


def longest_pause_s(work: Callable[[], Any]) -> tuple[float, float]:
    """The longest pause of another Python thread while `work` ran, and how long `work` took."""
    pauses: list[float] = []
    done = threading.Event()

    def watch() -> None:
        last = time.perf_counter()
        while not done.is_set():
            time.sleep(0.001)
            now = time.perf_counter()
            pauses.append(now - last)
            last = now

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.perf_counter()
    work()
    took = time.perf_counter() - begun
    done.set()
    watcher.join()
    return max(pauses), took


@pytest.mark.parametrize("what", ["pixels", "pictures", "texts", "hidden", "labels", "classify", "tokenize", "preprocess", "first use"])
def test_other_threads_keep_running(what: str, nano: Any, b_file: Path, tmp_path: Path) -> None:
    model, preprocess = longclip.load("nano", threads=1)
    cat = CAT.read_bytes()
    from PIL import Image

    if what == "preprocess":
        Image.open(CAT).resize((9000, 9000)).save(tmp_path / "large.jpg")
    words = [f"a photo of {i} cats and {i * 7} dogs" for i in range(3000)]
    works: dict[str, Callable[[], Any]] = {
        "pixels": lambda pixels=np.zeros((400, 3, 64, 64), np.float32): model.encode_image(pixels),
        "pictures": lambda: model.encode_image([cat] * 100),
        "texts": lambda ids=longclip.tokenize(words): model.encode_text(ids),
        "hidden": lambda ids=longclip.tokenize(words[:40]): model.encode_text_full(ids),
        "labels": lambda: longclip.Classifier(words, model),
        "classify": lambda classifier=longclip.Classifier(["a", "b"], model): classifier.classify([cat] * 100),
        "tokenize": lambda: longclip.tokenize(words * 60),
        "preprocess": lambda: preprocess(tmp_path / "large.jpg"),
        "first use": lambda: longclip.load(b_file, threads=1)[0].encode_image(cat),
    }
    # A call that held the lock would cause a pause as long as the call, each time. A busy machine pauses only now and then.
    for _ in range(3):
        pause, took = longest_pause_s(works[what])
        assert took > 0.1, f"{what} took {took:.3f} s, too short to measure a pause"
        if pause < max(0.5 * took, 0.08):
            return
    pytest.fail(f"{what} took {took:.2f} s, and other threads paused for {pause:.2f} s of it")


def test_several_threads_can_share_a_model(nano: Any) -> None:
    model, _ = nano
    expected = model.encode_image(CAT)
    results: list[bool] = []

    def work() -> None:
        results.extend(bool((model.encode_image(CAT) == expected).all()) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 80


def test_ctrl_c_is_noticed_between_batches() -> None:
    # Measured in CPU time, which does not depend on other work of the machine. The handler is set because Ctrl-C may be
    # ignored if tests run in the background.
    program = """
import longclip, signal, threading, time, _thread
signal.signal(signal.SIGINT, signal.default_int_handler)
model, _ = longclip.load("nano", threads=1)
cat = open("img/cat.jpg", "rb").read()
begun = time.process_time()
model.encode_image([cat] * 200)
all_s = 50 * (time.process_time() - begun)
threading.Timer(0.3, _thread.interrupt_main).start()
begun = time.process_time()
try:
    model.encode_image([cat] * 10000)
    print("not noticed")
except KeyboardInterrupt:
    took_s = time.process_time() - begun
    print("noticed" if took_s < all_s / 2 else f"noticed after {took_s:.1f} s of {all_s:.1f} s")
"""
    assert run_python(program) == "noticed\n"
