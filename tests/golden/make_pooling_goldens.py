#!/usr/bin/env python3
"""Writes what pooling other than a model's own gives, from the outputs that transformers computes: tests/golden/pooling.safetensors.

    make_pooling_goldens.py

For the committed cases bert/tiny, vision/vit and vision/dinov2: CASE.first_token, CASE.mean and CASE.max, [rows, hidden]. The mean of a text is over its tokens, special
ones included (sentence-transformers' Pooling); of an image over its patches, without the class token (timm's global_pool="avg").
"""
import os

import torch
from safetensors.torch import load_file, save_file
from transformers import BertModel, Dinov2Model, ViTModel

HERE = os.path.dirname(os.path.abspath(__file__))


def pooled(name, states, mask):
    """states [rows, tokens, hidden]; mask [rows, tokens]: what mean and maximum are over."""
    mask = mask.unsqueeze(-1)
    return {f"{name}.first_token": states[:, 0].contiguous(), f"{name}.mean": (states * mask).sum(1) / mask.sum(1),
            f"{name}.max": states.masked_fill(mask == 0, -torch.inf).amax(1)}


@torch.no_grad()
def main():
    out = {}
    golden = load_file(os.path.join(HERE, "bert", "tiny", "golden.safetensors"))
    model = BertModel.from_pretrained(os.path.join(HERE, "bert", "tiny"), attn_implementation="eager").eval()
    inputs = {name: golden[name] for name in ("input_ids", "token_type_ids", "attention_mask")}
    out.update(pooled("bert", model(**inputs).last_hidden_state, inputs["attention_mask"]))
    for name, kind in (("vit", ViTModel), ("dinov2", Dinov2Model)):
        directory = os.path.join(HERE, "vision", name)
        model = kind.from_pretrained(directory, attn_implementation="eager").eval()
        states = model(load_file(os.path.join(directory, "golden.safetensors"))["pixels"]).last_hidden_state
        patches = torch.ones(states.shape[:2])
        patches[:, 0] = 0
        out.update(pooled(name, states, patches))
    save_file(out, os.path.join(HERE, "pooling.safetensors"))


if __name__ == "__main__":
    main()
