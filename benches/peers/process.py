"""Times whole processes of longclip and ONNX Runtime in turn: start, load, two labels, one jpeg, print. The page cache is warm.

    venv/bin/python weights.py B B.safetensors
    venv/bin/python process.py B.safetensors --longclip ../../target/release/longclip [--rounds 7] [--json out.json]

ONNX Runtime runs in a Python process that imports only what it needs (no torch). It loads graphs of both towers that it optimised
beforehand, with the labels cut at the end token.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

LABELS = ["A cat jumping.", "A cat sleeping."]

ONCE = '''
import sys
import numpy as np
import onnxruntime as ort
from PIL import Image
image, text, ids, picture = sys.argv[1:]
options = ort.SessionOptions()
options.intra_op_num_threads = {threads}
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
sessions = [ort.InferenceSession(p, options, providers=["CPUExecutionProvider"]) for p in (image, text)]
p = Image.open(picture)
scale = 224 / min(p.size)
p = p.resize((round(p.width * scale), round(p.height * scale)), Image.BICUBIC)
left, top = (p.width - 224) // 2, (p.height - 224) // 2
x = np.asarray(p.crop((left, top, left + 224, top + 224)), np.float32) / 255
x = (x - np.float32([0.48145466, 0.4578275, 0.40821073])) / np.float32([0.26862954, 0.26130258, 0.27577711])
a = sessions[0].run(None, {{"x": x.transpose(2, 0, 1)[None]}})[0]
b = sessions[1].run(None, {{"x": np.load(ids)}})[0]
a, b = a / np.linalg.norm(a, axis=1, keepdims=True), b / np.linalg.norm(b, axis=1, keepdims=True)
logits = np.exp(np.float32(4.6052)) * (a @ b.T)[0]
e = np.exp(logits - logits.max())
print(*(e / e.sum()))
'''


class OnnxFiles:
    """Builds the ONNX files. Only this imports torch."""

    def __init__(self, weights, folder):
        import numpy as np
        import onnxruntime as ort
        import open_clip
        import torch
        from safetensors.torch import load_file

        from clip import TextCut, Vision

        loaded = load_file(weights)
        tokenizer = open_clip.tokenizer.SimpleTokenizer()
        rows = [[49406, *tokenizer.encode(t), 49407] for t in LABELS]
        assert len({len(r) for r in rows}) == 1, "labels of one length need no padding"
        ids = torch.tensor(rows)
        ends = torch.full((len(rows),), ids.shape[1] - 1)

        class Cut(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.text = TextCut(loaded)

            def forward(self, x):
                return self.text(x, ends)

        self.paths = []
        for name, module, x in (("image", Vision(loaded), torch.zeros(1, 3, 224, 224)), ("text", Cut(), ids)):
            plain, optimised = (os.path.join(folder, f"{name}{kind}.onnx") for kind in ("-plain", ""))
            torch.onnx.export(module.eval(), (x,), plain, input_names=["x"], output_names=["y"], dynamo=False, opset_version=17)
            options = ort.SessionOptions()
            options.optimized_model_filepath = optimised
            ort.InferenceSession(plain, options, providers=["CPUExecutionProvider"])
            self.paths.append(optimised)
        self.ids = os.path.join(folder, "ids.npy")
        np.save(self.ids, ids.numpy())


def measure(command):
    """The seconds and the output of a process."""
    start = time.perf_counter()
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return time.perf_counter() - start, said.strip()


PEAK = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"


def peak_mib(command):
    """The peak memory of a process. It is started by a small process, because a child's peak starts at the memory of its parent."""
    said = subprocess.run([sys.executable, "-c", PEAK, *command], check=True, capture_output=True, text=True).stdout
    return int(said) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--longclip", default="../../target/release/longclip")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json")
    opt = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        peer = OnnxFiles(opt.weights, folder)
        from PIL import Image

        picture = os.path.join(folder, "picture.jpg")
        Image.open(os.path.join(os.path.dirname(__file__), "../../img/coffee.jpg")).resize((1024, 768), Image.BICUBIC).save(picture, quality=90)
        once = os.path.join(folder, "once.py")
        with open(once, "w") as file:
            file.write(ONCE.format(threads=os.cpu_count()))
        ours = lambda *more: [opt.longclip, "classify", picture, "-q", "--labels", *LABELS, "--format", "ndjson", *more]
        processes = {
            "onnxruntime f32": [sys.executable, once, *peer.paths, peer.ids, picture],
            **{f"longclip {dtype}": ours("--model", opt.weights, "--dtype", dtype) for dtype in ("f32", "bf16", "int8")},
            "longclip nano": ours("--model", "nano"),
        }
        taken = {name: [] for name in processes}
        for round_ in range(opt.rounds + 1):
            for name, command in processes.items():
                seconds, said = measure(command)
                if round_ == 0:
                    print(f"{name:16} {said[:150]}")
                else:
                    taken[name].append(seconds)
        peaks = {name: peak_mib(command) for name, command in processes.items()}
    weights_mib = os.path.getsize(opt.weights) / 2**20
    result = {name: {"seconds": statistics.median(t), "peak_mib": peaks[name]} for name, t in taken.items()}
    base = result["onnxruntime f32"]["seconds"]
    for name, r in result.items():
        print(f"{name:16} {r['seconds'] * 1e3:8.0f} ms  peak {r['peak_mib']:6.0f} MiB  {base / r['seconds']:5.2f}x as fast as ONNX Runtime")
    print(f"the weights file is {weights_mib:.0f} MiB")
    if opt.json:
        with open(opt.json, "w") as file:
            json.dump({"rounds": opt.rounds, "weights_mib": weights_mib, "processes": result}, file, indent=1)


if __name__ == "__main__":
    main()
