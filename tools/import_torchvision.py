#!/usr/bin/env python3
"""Makes a model directory that `attune models import` takes of weights that torchvision, timm or DINOv2's own code saved.

    tools/import_torchvision.py resnet50.pth --architecture resnet50 --out models/resnet50
    tools/import_torchvision.py inception.safetensors --architecture inception_v3 --out models/inception --set image_mean=0,0,0 --set image_std=1,1,1
    tools/import_torchvision.py --reference-seed 1 --architecture vit --out models/vit --set hidden_size=64 --set num_attention_heads=4

WEIGHTS is a state_dict: .safetensors, or .pt, .pth and .bin as torch.save writes them (read without running anything in them). Architectures are torchvision's names of
ResNet, ResNeXt, Wide ResNet, VGG, MobileNetV2, EfficientNet and Inception v3; vit (or vit_b_16, ...) and dinov2 (or dinov2_vits14, ...), in any of these libraries' names.
timm's tf_ variants pad otherwise than torchvision and give worse results. The old head is dropped: a job makes its own. Weights keep their type, fp16 too. --set changes
config.json: sizes, and what the weights expect of an image (image_mean, image_std, image_size, resize_size, interpolation). With --reference-seed and no WEIGHTS: random
weights, as the reference library initialises them.

Says what was kept, dropped and is missing. Exit 1, and nothing is written, when names or shapes do not fit.
"""
import argparse
import json
import os
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
import safetensors.torch  # noqa: E402  (after the environment is set)
import torch  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from import_lib import renaming, targets  # noqa: E402
from import_lib.weights_file import Refused, read  # noqa: E402

LISTED = 4  # names in one line of the report


def parse_value(text):
    """Of --set: JSON, or numbers with commas between them, or plain text."""
    for candidate in (text, f"[{text}]" if "," in text else text):
        try:
            return json.loads(candidate)
        except ValueError:
            pass
    return text


def parse_settings(pairs):
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise Refused(f"--set {pair}: must be key=value")
        settings[key] = parse_value(value)
    return settings


def random_transformer(model_type, architecture, settings, seed):
    """transformers' own initialisation, in the form that save_pretrained writes."""
    import transformers
    transformers.utils.logging.disable_progress_bar()
    sizes = {**targets.VIT_SIZES, **targets.DINOV2_SIZES}.get(architecture)
    known = dict(zip(("hidden_size", "num_hidden_layers", "patch_size"), sizes)) if sizes else {}
    if sizes:
        known.update({"intermediate_size": 4 * sizes[0]} if model_type == "vit" else {"use_swiglu_ffn": architecture == "dinov2_vitg14"})
    config_class, model_class = {"vit": (transformers.ViTConfig, transformers.ViTModel), "dinov2": (transformers.Dinov2Config, transformers.Dinov2Model)}[model_type]
    known["num_attention_heads"] = targets.heads_of(settings.get("hidden_size", known.get("hidden_size", 768)), settings)
    torch.manual_seed(seed)
    config = config_class(**{**known, **settings})
    model = model_class(config, add_pooling_layer=False) if model_type == "vit" else model_class(config)
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        # Copies, since the file goes away.
        state = {name: tensor.clone() for name, tensor in safetensors.torch.load_file(os.path.join(scratch, "model.safetensors")).items()}
    return state, {"num_attention_heads": config.num_attention_heads}


def random_torchvision(name, settings, seed):
    torch.manual_seed(seed)
    config = {"model_type": name, **({"aux_logits": True} if name == "inception_v3" else {}), **settings}
    return targets.reference_build(config, classes=1000).state_dict()


def load(args, state, model_type, settings):
    """(state under Attune's names, target, whose names the file has)."""
    is_transformer = model_type in ("vit", "dinov2")
    if args.weights is None and not is_transformer:
        return random_torchvision(model_type, settings, args.reference_seed), targets.of_torchvision(model_type, settings), f"random weights of seed {args.reference_seed}"
    if args.weights is None:
        state, usual = random_transformer(model_type, args.architecture, settings, args.reference_seed)
        kept = {key: value for key, value in settings.items() if key not in ("image_size",)}
        return state, targets.of_transformer(model_type, model_type, state, kept, usual), f"random weights of seed {args.reference_seed}"
    if is_transformer:
        state, source, usual = renaming.to_transformers(state, model_type)
        return state, targets.of_transformer(args.architecture, model_type, state, settings, usual), source
    state, source = renaming.to_torchvision(state, model_type)
    has_auxiliary = any(name.startswith("AuxLogits.") for name in state)
    return state, targets.of_torchvision(model_type, settings, has_auxiliary), source


def fit(state, target):
    """How much of the state_dict and of the architecture are the same tensors, 0 to 1."""
    same = sum(1 for name, shape in target.shapes.items() if name in state and tuple(state[name].shape) == shape)
    others = sum(1 for name in state if name.rpartition(".")[0] not in target.head)
    return same / max(len(target.shapes) + others - same, 1)


# A tensor that only a family has -> how the names of that family's architectures begin.
FAMILIES = {"layer1.0.conv1.weight": ("resn", "wide_resn"), "features.0.weight": ("vgg",), "Conv2d_1a_3x3.conv.weight": ("inception",),
            "features.0.0.weight": ("mobilenet", "efficientnet"), "conv_stem.weight": ("mobilenet", "efficientnet")}


def closest(original):
    """The architecture that these weights look like, if any."""
    if {"class_token", "cls_token", "embeddings.cls_token", "vit.embeddings.cls_token", "dinov2.embeddings.cls_token"} & set(original):
        return "dinov2" if any(name.endswith(("ls1.gamma", "lambda1")) for name in original) else "vit"
    beginnings = tuple(beginning for name, family in FAMILIES.items() if name in original for beginning in family)
    scores = {}
    for name in targets.torchvision_names():
        if name.startswith(beginnings):
            state, _ = renaming.to_torchvision(original, name)
            scores[name] = fit(state, targets.of_torchvision(name, {}, any(key.startswith("AuxLogits.") for key in state)))
    best = max(scores, key=scores.get, default=None)
    return best if best and scores[best] > 0.5 else None


def listing(names):
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def shape_text(shape):
    return "[" + ", ".join(str(size) for size in shape) + "]"


def sort_out(state, target):
    """(kept tensors, dropped {name: why}, layers that are missing and may be). Refused when something does not fit."""
    kept, dropped, faults, unknown = {}, {}, [], []
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            tensor = tensor.reshape(-1)[:1].sum().long()  # some write [n] for n
        why = next((why for prefix, why in target.ignored.items() if name.startswith(prefix)), None)
        if name.rpartition(".")[0] in target.head:
            dropped[name] = "the old head"
        elif name in target.shapes and tuple(tensor.shape) == tuple(target.shapes[name]):
            kept[name] = (tensor.float() if tensor.dtype == torch.float64 else tensor).contiguous()
        elif name in target.shapes:
            faults.append(f"{name} is {shape_text(tensor.shape)}, but must be {shape_text(target.shapes[name])}")
        elif why:
            dropped[name] = why
        else:
            unknown.append(name)
    missing = [name for name in target.shapes if name not in state and not name.endswith("num_batches_tracked")]
    layers = sorted({name.rpartition(".")[0] for name in missing if name.rpartition(".")[0] in target.optional})
    if layers == sorted(target.optional):
        missing = [name for name in missing if name.rpartition(".")[0] not in layers]
    else:
        layers = []
    if faults:
        faults = [f"{len(faults)} tensors have another shape: " + "; ".join(faults[:LISTED])]
    if missing:
        faults.append(f"{len(missing)} tensors are missing: {listing(missing)}")
    if unknown:
        faults.append(f"{len(unknown)} tensors mean nothing to it: {listing(unknown)}")
    faults += [f"{name} has type {tensor.dtype}; weights must be fp32, fp16 or bf16" for name, tensor in kept.items()
               if not name.endswith("num_batches_tracked") and tensor.dtype not in (torch.float32, torch.float16, torch.bfloat16)][:1]
    if faults:
        raise Refused("\n".join(faults))
    return kept, dropped, layers


def report(args, source, target, kept, dropped, layers):
    types = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in kept.values() if tensor.is_floating_point()})
    values = sum(tensor.numel() for tensor in kept.values())
    print(f"{target.config['model_type']} from {args.weights or source}" + (f" ({source})" if args.weights else ""))
    print(f"kept      {len(kept)} tensors, {values:,} values, {' and '.join(types)}")
    for why in dict.fromkeys(dropped.values()):
        names = [name for name, reason in dropped.items() if reason == why]
        print(f"dropped   {len(names)} tensors, {why}: {listing(names)}")
    if not dropped:
        print("dropped   nothing")
    print("missing   " + (f"{listing(layers)}: training starts them anew" if layers else "nothing"))
    print("config    " + ", ".join(f"{key}={json.dumps(value)}" for key, value in target.config.items() if key != "model_type"))
    print(f"wrote     {os.path.join(args.out, 'config.json')}, {os.path.join(args.out, 'model.safetensors')}")


def run(args):
    if (args.weights is None) == (args.reference_seed is None):
        raise Refused("give either WEIGHTS or --reference-seed")
    model_type = targets.model_type_of(args.architecture)
    settings = parse_settings(args.set)
    targets.check_settings(model_type, settings, with_sizes=args.weights is None)
    original = read(args.weights) if args.weights else None
    target = None
    try:
        state, target, source = load(args, original, model_type, settings)
        kept, dropped, layers = sort_out(state, target)
    except Refused as refused:
        said = f"{args.weights or args.architecture} is no {args.architecture}: {refused}"
        if original and "closest architecture" not in said and (target is None or fit(state, target) < 0.8):
            name = closest(original)
            said += f"\nclosest architecture: {name}" if name and name != model_type else ""
        raise Refused(said) from refused
    os.makedirs(args.out, exist_ok=True)
    safetensors.torch.save_file(kept, os.path.join(args.out, "model.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(args.out, "config.json"), "w", encoding="utf-8") as file:
        file.write(json.dumps(target.config, indent=2) + "\n")
    report(args, source, target, kept, dropped, layers)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], epilog=__doc__.split("\n\n", 1)[1], formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", metavar="WEIGHTS")
    parser.add_argument("--architecture", required=True, help="resnet50, vit, ...")
    parser.add_argument("--out", required=True, metavar="DIR", help="where config.json and model.safetensors go")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of config.json; repeatable")
    parser.add_argument("--reference-seed", type=int, metavar="N", help="random weights, in place of WEIGHTS")
    try:
        run(parser.parse_args(arguments))
    except Refused as refused:
        sys.exit(f"import_torchvision: {refused}")


if __name__ == "__main__":
    main()
