"""Fixtures of PyTorch files: what torch.save writes, and what it holds. Needs torch and safetensors only.

    torch_files.py --out Tests/Fixtures/Torch

OUT/plain.pt           dictionaries, lists, tuples, numbers, texts, torch.Size, a set, OrderedDict, a parameter
OUT/tensors.pt         tensors of every type; views: transposed, sliced, shared, expanded, empty, a single element
OUT/tensors.safetensors   the same tensors, row by row
OUT/protocol_N.pt      a smaller one in the pickle protocols 3, 4, 5
OUT/no_sums.pt         written without checksums
OUT/legacy.pt          in the form before PyTorch 1.6
OUT/script.pt          a TorchScript program
OUT/module.pt          a whole module, whose class a reader would have to import
OUT/system.pt          a pickle that would run a command
"""
import argparse
import collections
import os
import pathlib

import torch

from safetensors.torch import save_file


class Runs:
    def __reduce__(self):
        return (os.system, ("true",))


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(4, 6, generator=generator)
    ones = torch.arange(5)
    result = {"base": base, "transposed": base.t(), "columns": base[:, 1::2], "row": base[2], "element": base[3, 5],
              "permuted": torch.randn(2, 3, 4, generator=generator).permute(2, 0, 1), "expanded": base[0:1].expand(3, 6),
              "empty": torch.zeros(0, 4), "scalar": torch.tensor(7.5)}
    for name in ("float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8"):
        result[name] = ones.to(getattr(torch, name))
    result["bool"] = ones % 2 == 0
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    plain = {"step": 400000, "ema": None, "flag": True, "off": False, "rate": 1e-4, "name": "é\n", "large": 2**40, "negative": -3,
             "list": [1, [2.5, "x"], []], "tuple": (1, 2, 3, 4), "size": torch.Size([2, 3]), "set": {7},
             "ordered": collections.OrderedDict(b=1, a=2), 5: "five",
             "parameter": torch.nn.Parameter(torch.tensor([1.0, 2.0])), "same": None}
    plain["same"] = plain["list"]
    torch.save(plain, out / "plain.pt")
    torch.save(tensors(), out / "tensors.pt")
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors().items()}, str(out / "tensors.safetensors"))
    small = {"a": torch.arange(6.0).reshape(2, 3), "b": ["x", (1, 2)], "c": {1, 2}, "bytes": b"\x00\xff"}
    for protocol in (3, 4, 5):
        torch.save(small, out / f"protocol_{protocol}.pt", pickle_protocol=protocol)
    torch.serialization.set_crc32_options(False)
    torch.save({"a": torch.arange(6.0)}, out / "no_sums.pt")
    torch.serialization.set_crc32_options(True)
    torch.save({"a": torch.arange(6.0)}, out / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(out / "script.pt"))
    torch.save(torch.nn.Linear(2, 2), out / "module.pt")
    torch.save({"a": Runs()}, out / "system.pt")


main()
