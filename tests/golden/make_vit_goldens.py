#!/usr/bin/env python3
"""Writes what transformers' ViTForImageClassification and Dinov2ForImageClassification compute, for tests/training/models/vision to compare with.

    make_vit_goldens.py small DIRECTORY    the small random cases (committed in tests/golden/vision)
    make_vit_goldens.py true DIRECTORY     two layers of ViT-B/16's and DINOv2-S/14's own sizes (made at test time, not committed)

A case is a directory: config.json and model.safetensors, as save_pretrained writes them; golden.safetensors, with pixels, labels, features (what the head's last layer
sees), logits and loss in evaluation mode, train_logits in training mode (all dropouts are 0, so that both agree), and grad.NAME for each parameter from training mode,
under the checkpoint's names. Seeded random weights, eager attention, fp32.
"""
import json
import os
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import Dinov2Config, Dinov2ForImageClassification, ViTConfig, ViTForImageClassification

VIT = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40, image_size=32, patch_size=8)
DINO = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=48, patch_size=8, layerscale_value=0.7)
# `pixels`: side of the images, where it is not the config's; the scale of weights is larger than usual, so that nothing is near-linear.
SMALL = {
    "vit": dict(num_labels=3, num_hidden_layers=3),
    "vit_larger_images": dict(num_labels=2, pixels=48),
    "vit_no_qkv_bias": dict(num_labels=4, qkv_bias=False, hidden_act="gelu_new", layer_norm_eps=1e-6, problem_type="multi_label_classification"),
    "vit_regression": dict(num_labels=1, hidden_act="relu", num_hidden_layers=1, problem_type="regression"),
    "dinov2": dict(num_labels=3, num_hidden_layers=3),
    "dinov2_smaller_images": dict(num_labels=2, pixels=32, hidden_act="silu"),
    "dinov2_swiglu": dict(num_labels=2, use_swiglu_ffn=True, qkv_bias=False, use_mask_token=False),
}
TRUE = {
    "vit_base_16": dict(hidden_size=768, num_hidden_layers=2, num_attention_heads=12, intermediate_size=3072, image_size=224, patch_size=16),
    "dinov2_small_14": dict(hidden_size=384, num_hidden_layers=2, num_attention_heads=6, mlp_ratio=4, image_size=518, patch_size=14, pixels=224),
}


def random_labels(config, rows, generator):
    if config.problem_type == "multi_label_classification":
        return torch.randint(0, 2, (rows, config.num_labels), generator=generator).float()
    if config.problem_type == "regression":
        return torch.randn(rows, generator=generator)
    return torch.randint(0, config.num_labels, (rows,), generator=generator)


def forward(model, pixels, labels):
    resized = {"interpolate_pos_encoding": True} if model.config.model_type == "vit" else {}
    return model(pixel_values=pixels, labels=labels, **resized)


def saved(model):
    """The parameters under the names and in the forms that a checkpoint has them in."""
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        return load_file(os.path.join(scratch, "model.safetensors"))


def run(model, pixels, labels):
    seen = []
    hook = model.classifier.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].detach()))
    model.eval()
    with torch.no_grad():
        evaluated = forward(model, pixels, labels)
    hook.remove()
    model.train()
    trained = forward(model, pixels, labels)
    trained.loss.backward()
    golden = dict(pixels=pixels, labels=labels, features=seen[0], logits=evaluated.logits, loss=evaluated.loss.reshape(1), train_logits=trained.logits.detach())
    with torch.no_grad():  # the same conversion turns gradients into the checkpoint's form
        for parameter in model.parameters():
            parameter.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
    golden.update({"grad." + name: tensor for name, tensor in saved(model).items() if not name.endswith("mask_token")})
    return {name: tensor.contiguous() for name, tensor in golden.items()}


def make(directory, name, sizes, case, seed, noise, rows):
    case = {**sizes, **case}
    pixels_side = case.pop("pixels", case["image_size"])
    is_vit = name.startswith("vit")
    torch.manual_seed(seed)
    config = (ViTConfig if is_vit else Dinov2Config)(**case, attn_implementation="eager", initializer_range=noise)
    model = (ViTForImageClassification if is_vit else Dinov2ForImageClassification)(config)
    with torch.no_grad():
        for parameter in model.parameters():  # biases, norms and scales too: zeros and ones would hide mistakes
            parameter.add_(torch.randn_like(parameter) * noise / 2)
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(rows, 3, pixels_side, pixels_side, generator=generator)
    labels = random_labels(config, rows, generator)
    target = os.path.join(directory, name)
    os.makedirs(target, exist_ok=True)
    save_file(saved(model), os.path.join(target, "model.safetensors"))
    save_file(run(model, pixels, labels), os.path.join(target, "golden.safetensors"))
    with open(os.path.join(target, "config.json"), "w") as file:
        file.write(json.dumps(config.to_dict(), indent=1, sort_keys=True) + "\n")


def main(kind, directory):
    for seed, (name, case) in enumerate((SMALL if kind == "small" else TRUE).items()):
        small = kind == "small"
        sizes = (VIT if name.startswith("vit") else DINO) if small else dict(num_labels=5)
        make(directory, name, sizes, case, seed, noise=0.2 if small else 0.05, rows=3 if small else 2)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("small", "true"):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
