"""A state_dict from a file: .safetensors, or what torch.save wrote (.pt, .pth, .bin). Pickles are read with weights_only, so that nothing in them runs.

    state = read("resnet50.pth")      # {"conv1.weight": tensor, ...}; Refused says what is wrong with the file
"""
import os
import pickle

import safetensors
import safetensors.torch
import torch

WRAPPERS = ("state_dict", "model_state_dict", "model", "state_dict_ema", "teacher")  # under which training scripts keep the weights


class Refused(Exception):
    """What is wrong with the input, and what to do."""


def is_state(value):
    return isinstance(value, dict) and value and all(isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in value.items())


def unpickle(path):
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise Refused(f"{path} is no state_dict that can be read safely: {str(error).splitlines()[0]}\n"
                      "save the weights alone: torch.save(model.state_dict(), PATH), or safetensors.torch.save_file") from error


def read(path):
    if not os.path.isfile(path):
        raise Refused(f"{path}: no such file")
    if path.endswith(".safetensors"):
        try:
            state = safetensors.torch.load_file(path)
        except (safetensors.SafetensorError, OSError) as error:
            raise Refused(f"{path} is no safetensors file: {error}") from error
    else:
        state = unpickle(path)
        if isinstance(state, dict) and not is_state(state):
            inner = [state[key] for key in WRAPPERS if is_state(state.get(key))]
            state = inner[0] if inner else state
    if not is_state(state):
        raise Refused(f"{path} holds no state_dict (tensors by name), but {type(state).__name__}; save the weights alone: torch.save(model.state_dict(), PATH)")
    return {strip(name): tensor for name, tensor in state.items()}


def strip(name):
    """Without what DistributedDataParallel and torch.compile put before names."""
    for prefix in ("module.", "_orig_mod."):
        name = name.removeprefix(prefix)
    return name
