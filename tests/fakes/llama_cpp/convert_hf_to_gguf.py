"""A stand-in for llama.cpp's script of this name: the same arguments, and a true GGUF file, but no architecture."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import gguf
from safetensors.torch import load_file

parser = argparse.ArgumentParser()
parser.add_argument("--outfile", type=Path, required=True)
parser.add_argument("--outtype", choices=("f32", "f16", "bf16", "q8_0", "auto"), default="auto")
parser.add_argument("--model-name")
parser.add_argument("model", type=Path)
given = parser.parse_args()

TYPES = {
    "f32": gguf.GGMLQuantizationType.F32,
    "f16": gguf.GGMLQuantizationType.F16,
    "bf16": gguf.GGMLQuantizationType.BF16,
    "q8_0": gguf.GGMLQuantizationType.Q8_0,
    "auto": gguf.GGMLQuantizationType.F16,
}
config = json.loads((given.model / "config.json").read_text())
writer = gguf.GGUFWriter(given.outfile, config["model_type"])
writer.add_name(given.model_name)
writer.add_description(" ".join(sorted(path.name for path in given.model.iterdir())))
writer.add_string("test.environment", " ".join(sorted(os.environ)))
for file in sorted(given.model.glob("*.safetensors")):
    for name, values in sorted(load_file(file).items()):
        full = values.float().numpy()
        kind = TYPES[given.outtype] if full.ndim > 1 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(full, kind), raw_dtype=kind)
print("INFO:hf-to-gguf:Set model parameters")
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
