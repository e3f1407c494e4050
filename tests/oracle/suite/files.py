"""Files of other formats and encodings, which must be refused by name."""

import json
import struct

import numpy as np
import torch
from safetensors.torch import save_file

from .case import Case


def cases(images):
    yield refused("ONNX", "model.onnx", b"\x08\x0a\x12\x07pytorch\x1a\x052.1.0", "ONNX")
    yield refused("TensorFlow Lite", "model.tflite", b"\x1c\0\0\0TFL3" + b"\0" * 100, "TensorFlow Lite")
    yield refused("HDF5", "tf_model.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "HDF5")
    yield refused("msgpack", "flax_model.msgpack", b"\x82\xa4text\x81\xa1a\x01", "msgpack")
    yield refused("GGUF", "model.gguf", b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "GGUF")
    yield refused(
        "OpenVINO", "openvino_model.xml", b'<?xml version="1.0"?>\n<net name="Model0" version="11">\n', "OpenVINO"
    )
    yield made("the numbers of OpenVINO", openvino, "OpenVINO")
    yield made("npz", npz, "NumPy")
    yield made("torch.export", exported, "torch.export")
    yield made("float8 in safetensors", float8_safetensors, "F8")
    yield made("float8 in PyTorch's format", float8_torch, "float8")
    yield made("quantised by PyTorch", torch_quantised, "quantised by PyTorch")
    yield tensors(
        "LoRA",
        {"base_model.model.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight": torch.zeros(4, 8)},
        "LoRA",
    )
    yield tensors(
        "bitsandbytes in 8 bits",
        {"visual.proj": torch.zeros(4, 4, dtype=torch.int8), "visual.proj.SCB": torch.zeros(4)},
        "bitsandbytes",
    )
    yield tensors(
        "bitsandbytes in 4 bits",
        {"visual.proj.quant_map": torch.zeros(16), "visual.proj.absmax": torch.zeros(4)},
        "bitsandbytes",
    )
    yield tensors(
        "GPTQ",
        {
            "text_model.encoder.layers.0.mlp.fc1.qweight": torch.zeros(4, 4, dtype=torch.int32),
            "text_model.encoder.layers.0.mlp.fc1.g_idx": torch.zeros(4, dtype=torch.int32),
        },
        "GPTQ",
    )
    yield tensors(
        "quanto",
        {
            "text_model.encoder.layers.0.mlp.fc1.weight._data": torch.zeros(4, 4, dtype=torch.int8),
            "text_model.encoder.layers.0.mlp.fc1.weight._scale": torch.zeros(4, 1),
        },
        "quanto",
    )
    yield refused("a web page", "model.safetensors", b"<!DOCTYPE html><html></html>", "web page")
    yield refused(
        "a Git LFS pointer",
        "model.safetensors",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
        "LFS",
    )
    yield refused("an empty file", "model.safetensors", b"", "empty")


def refused(name, file, content, said):
    def write(folder):
        (folder / file).write_bytes(content)
        return folder / file

    return made(name, write, said)


def tensors(name, values, said):
    def write(folder):
        save_file(values, folder / "model.safetensors")
        return folder

    return made(name, write, said)


def made(name, write, said):
    def make(folder):
        folder.mkdir(parents=True)
        return write(folder), None

    return Case(f"format: {name}", make, "refused", (said,))


def openvino(folder):
    (folder / "openvino_model.xml").write_text('<?xml version="1.0"?>\n<net name="Model0" version="11">\n')
    (folder / "openvino_model.bin").write_bytes(np.zeros(100, np.float32).tobytes())
    return folder


def npz(folder):
    np.savez(folder / "model.npz", weight=np.zeros(3, np.float32))
    return folder / "model.npz"


def exported(folder):
    program = torch.export.export(torch.nn.Linear(4, 4), (torch.zeros(1, 4),))
    torch.export.save(program, folder / "model.pt2")
    return folder / "model.pt2"


def float8_safetensors(folder):
    save_file({"visual.proj": torch.zeros(4, 4).to(torch.float8_e4m3fn)}, folder / "model.safetensors")
    return folder


def float8_torch(folder):
    torch.save({"visual.proj": torch.zeros(4, 4).to(torch.float8_e4m3fn)}, folder / "model.pt")
    return folder / "model.pt"


def torch_quantised(folder):
    linear = torch.nn.Sequential(torch.nn.Linear(4, 4))
    torch.save(torch.ao.quantization.quantize_dynamic(linear, {torch.nn.Linear}).state_dict(), folder / "model.pt")
    return folder / "model.pt"
