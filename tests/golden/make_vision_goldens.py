#!/usr/bin/env python3
"""Writes what torchvision computes, for tests/training/models/vision to compare with.

    make_vision_goldens.py CASE... --out DIRECTORY     DIRECTORY/CASE for each; CASE is a torchvision builder or one of SPECIAL
    make_vision_goldens.py --list                      the names of all cases

A case is a directory: config.json; model.safetensors, seeded random weights with BatchNorm statistics near those of the images; layout.json, name and shape of each
parameter and buffer that the builder makes by default; golden.safetensors: pixels, labels, and
  features, logits, eval.loss, eval.grad.NAME    evaluation mode
  pooled.mean, pooled.max                        in evaluation mode, over the positions of the last map of the backbone
  train.logits, train.loss, train.grad.NAME      training mode without dropout and stochastic depth; Inception's loss has 0.4 of the auxiliary classifier's
  train.buffer.NAME                              BatchNorm's buffers after that forward pass
  eval.single, train.single                      how far torchvision itself is from these in fp32: logits (of the largest), gradients (of the length of all as one vector)
Gradients of many values are sampled: `sampled`. Cross-entropy. The weights are fp32; what is computed from them is computed in fp64 and rounded, so that a ReLU at its kink
or a deep chain of norms says nothing about whether two programs do the same. Everything is seeded by the case's name: a case does not depend on the others.
"""
import argparse
import copy
import json
import os
import sys
import zlib

import torch
import torchvision
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from vision_lib import reference  # noqa: E402

CLASSES = 5
KEPT_VALUES = 65536  # of a gradient
VGG = ["vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"]
RESNET = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"]
EFFICIENTNET = [f"efficientnet_b{i}" for i in range(8)]
PLAIN = [*VGG, *RESNET, "inception_v3", "mobilenet_v2", *EFFICIENTNET]
# Case -> builder and config.json's keys. `pixels` (size of the images) is no such key.
SPECIAL = {
    "resnet_narrow": ("resnext50_32x4d", dict(layers=[1, 2, 1, 1], groups=4, width_per_group=8)),
    "vgg_narrow": ("vgg13_bn", dict(features=[8, "M", 16, 16, "M", 24, "M"], classifier_width=20)),
    "mobilenet_v2_narrow": ("mobilenet_v2", dict(width_mult=0.35, inverted_residual_setting=[[1, 16, 1, 1], [4, 24, 2, 2], [6, 40, 2, 1], [6, 64, 2, 2]])),
    "efficientnet_b5_narrow": ("efficientnet_b5", dict(width_mult=0.3, depth_mult=0.7)),
    "inception_v3_small": ("inception_v3", dict(aux_logits=False, transform_input=False, pool_count_include_pad=False, batch_norm_eps=1e-2, pixels=107)),
}
# A classifier of full width is 120 million parameters; layout.json shows that the default is right.
DEFAULTS = {**{name: dict(classifier_width=128) for name in VGG}, "inception_v3": dict(pixels=299, transform_input=True)}
IMAGES, PIXELS = 3, 64


def images(size):
    """Large shapes with some noise: noise alone looks the same to a deep network whichever way it fell."""
    shapes = torch.nn.functional.interpolate(torch.randn(IMAGES, 3, 6, 6), size=(size, size), mode="bicubic")
    return shapes + 0.3 * torch.randn(IMAGES, 3, size, size)


def randomise(model, pixels):
    """Other than a new model's, so that nothing is hidden by ones and zeros; but BatchNorm's statistics near those of the images, so that values neither vanish nor explode,
    and logits near 1, where cross-entropy is not saturated."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
        momenta = [m.momentum for m in norms]
        for m in norms:
            m.momentum = 1.0
        model.train()(pixels)
        for m, momentum in zip(norms, momenta):
            m.momentum = momentum
            m.running_mean += torch.randn_like(m.running_mean) * 0.03 * m.running_var.sqrt()
            m.running_var *= torch.rand_like(m.running_var) * 0.1 + 0.95
            m.num_batches_tracked.fill_(7)
        for head in [module for module in model.modules() if isinstance(module, torch.nn.Linear) and module.out_features == CLASSES]:
            seen = []
            hook = head.register_forward_hook(lambda module, inputs, output: seen.append(output))
            model.train()(pixels)
            hook.remove()
            head.weight /= seen[0].std()
            head.bias /= seen[0].std()
        for m in norms:  # moved by what the heads were measured with
            m.num_batches_tracked.fill_(7)


def sampled(gradient):
    """All values, or about KEPT_VALUES at equal distances and, as the last one, the norm of all."""
    flat = gradient.flatten()
    if len(flat) <= KEPT_VALUES:
        return gradient.contiguous().clone()
    return torch.cat([flat[:: len(flat) // KEPT_VALUES], flat.norm().reshape(1)])


def step(model, pixels, labels, prefix):
    model.zero_grad(set_to_none=True)
    outputs = model(pixels)
    logits = outputs if isinstance(outputs, torch.Tensor) else outputs.logits
    loss = cross_entropy(logits, labels)
    if logits is not outputs and outputs.aux_logits is not None:
        loss = loss + 0.4 * cross_entropy(outputs.aux_logits, labels)
    loss.backward()
    golden = {prefix + "logits": logits.detach().clone(), prefix + "loss": loss.detach().reshape(1)}
    golden.update({prefix + "grad." + name: sampled(p.grad) for name, p in model.named_parameters() if p.grad is not None})
    return golden


def backbone(model):
    """The module that gives the last map."""
    return next(getattr(model, name) for name in ("features", "layer4", "Mixed_7c") if hasattr(model, name))


def goldens(model, pixels, labels):
    golden = dict(pixels=pixels, labels=labels)
    seen = {}
    last = backbone(model).register_forward_hook(
        lambda module, inputs, output: seen.update({"pooled.mean": output.detach().mean((2, 3)), "pooled.max": output.detach().amax((2, 3))}))
    head = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]
    hook = head.register_forward_hook(lambda module, inputs, output: seen.update(features=inputs[0].detach().clone()))
    golden.update(step(model.eval(), pixels, labels, "eval."))
    golden.update(seen)
    hook.remove()
    last.remove()
    golden["logits"] = golden.pop("eval.logits")
    golden.update(step(model.train(), pixels, labels, "train."))
    golden.update({"train.buffer." + name: buffer.clone() for name, buffer in model.named_buffers()})
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in golden.items()}


def single(model, golden, prefix, pixels, labels):
    """[2]. On channels-last images, which convolutions are faster on."""
    def channels_last(x):
        return x.contiguous(memory_format=torch.channels_last)
    if hasattr(model, "_transform_input"):  # Inception's loses the order
        model._transform_input = lambda x: channels_last(type(model)._transform_input(model, x))
    ours = step(model, channels_last(pixels), labels, prefix)
    logits = golden["logits" if prefix == "eval." else "train.logits"]
    names = [name for name in ours if name.startswith(prefix + "grad.")]
    difference, length = (sum(t.square().sum() for t in ts) for ts in ([ours[n] - golden[n] for n in names], [golden[n] for n in names]))
    return torch.stack([(ours[prefix + "logits"] - logits).abs().max() / logits.abs().max(), (difference / length).sqrt()])


def write(case, out):
    builder, keys = SPECIAL.get(case) or (case, DEFAULTS.get(case, {}))
    keys = dict(keys)
    size = keys.pop("pixels", PIXELS)
    if builder in VGG:
        keys.setdefault("classifier_width", 128)
    config = dict(keys, model_type=builder, image_size=size, resize_size=size)
    if builder not in RESNET:
        config["dropout"] = 0
    if builder in EFFICIENTNET:
        config["stochastic_depth_prob"] = 0
    torch.manual_seed(zlib.crc32(case.encode()))
    model = reference.build(config, CLASSES)
    pixels, labels = images(size), torch.arange(IMAGES) % CLASSES
    randomise(model, pixels)
    directory = os.path.join(out, case)
    os.makedirs(directory, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, os.path.join(directory, "model.safetensors"))
    with torch.device("meta"):
        usual = getattr(torchvision.models, builder)(**(dict(init_weights=False) if builder == "inception_v3" else {}))
    for name, content in (("config.json", config), ("layout.json", [[name, list(tensor.shape)] for name, tensor in usual.state_dict().items()])):
        with open(os.path.join(directory, name), "w") as file:
            json.dump(content, file)
    golden = goldens(copy.deepcopy(model).double(), pixels.double(), labels)
    golden["eval.single"] = single(model.eval(), golden, "eval.", pixels, labels)
    golden["train.single"] = single(model.train(), golden, "train.", pixels, labels)
    save_file(golden, os.path.join(directory, "golden.safetensors"))  # last: a case that has it is whole


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *PLAIN, *SPECIAL], metavar="CASE")
    parser.add_argument("--out", default=".")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # tests run beside others
    for name in [*PLAIN, *SPECIAL] if arguments.list else []:
        print(name)
    for name in arguments.cases:
        write(name, arguments.out)
