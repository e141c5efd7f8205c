"""What an architecture consists of: the tensors that Attune wants, and the config.json that describes them.

    target = of_torchvision("resnet50", settings={})                      # by torchvision's own builder, on no memory
    target = of_transformer("vit", state, settings={}, usual={...})       # by the sizes of the weights
"""
import dataclasses
import difflib
import math
import os
import re
import sys

import torch

from .weights_file import Refused

IMAGE_KEYS = ("image_size", "resize_size", "interpolation", "image_mean", "image_std")
FAMILY_KEYS = {
    "resnet": ("layers", "groups", "width_per_group"), "resnext": ("layers", "groups", "width_per_group"), "wide_resnet": ("layers", "groups", "width_per_group"),
    "vgg": ("features", "classifier_width", "dropout"), "inception": ("aux_logits", "transform_input", "pool_count_include_pad", "batch_norm_eps", "dropout"),
    "mobilenet": ("width_mult", "round_nearest", "inverted_residual_setting", "dropout"), "efficientnet": ("width_mult", "depth_mult", "dropout", "stochastic_depth_prob"),
    "vit": ("num_attention_heads", "hidden_act", "layer_norm_eps", "hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range"),
    "dinov2": ("num_attention_heads", "hidden_act", "layer_norm_eps", "hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range", "drop_path_rate"),
}
SIZES = ("hidden_size", "num_hidden_layers", "intermediate_size", "mlp_ratio", "patch_size", "use_swiglu_ffn", "qkv_bias")  # of a transformer; weights say them themselves
TORCHVISION = re.compile(r"(resnet(18|34|50|101|152)|resnext\w+|wide_resnet\w+|vgg(11|13|16|19)(_bn)?|inception_v3|mobilenet_v2|efficientnet_b[0-7])\Z")
VIT_SIZES = {"vit_b_16": (768, 12, 16), "vit_b_32": (768, 12, 32), "vit_l_16": (1024, 24, 16), "vit_l_32": (1024, 24, 32), "vit_h_14": (1280, 32, 14)}
DINOV2_SIZES = {"dinov2_vits14": (384, 12, 14), "dinov2_vitb14": (768, 12, 14), "dinov2_vitl14": (1024, 24, 14), "dinov2_vitg14": (1536, 40, 14)}


@dataclasses.dataclass
class Target:
    config: dict
    shapes: dict                                    # of everything that Attune wants, head excluded
    head: tuple                                     # layers whose tensors are dropped: a job makes its own
    optional: tuple = ()                            # layers that may all be missing: training initialises them
    ignored: dict = dataclasses.field(default_factory=dict)  # prefix of a name -> why such a tensor is dropped


def torchvision_names():
    import torchvision
    return [name for name in torchvision.models.list_models(module=torchvision.models) if TORCHVISION.match(name)]


def known_names():
    return sorted([*torchvision_names(), "vit", "dinov2", *VIT_SIZES, *DINOV2_SIZES])


def model_type_of(architecture):
    """"vit", "dinov2", or torchvision's name itself."""
    if architecture in VIT_SIZES or architecture == "vit":
        return "vit"
    if architecture in DINOV2_SIZES or architecture == "dinov2":
        return "dinov2"
    if TORCHVISION.match(architecture):
        return architecture
    nearest = difflib.get_close_matches(architecture, known_names(), n=1)
    raise Refused(f"no such architecture: {architecture}" + (f"; did you mean {nearest[0]}?" if nearest else "") + f"\nthere are: {', '.join(known_names())}")


def check_settings(model_type, settings, with_sizes=False):
    family = max((name for name in FAMILY_KEYS if model_type.startswith(name)), key=len)
    known = [*IMAGE_KEYS, *FAMILY_KEYS[family], *(SIZES if with_sizes and model_type in ("vit", "dinov2") else ())]
    if model_type in ("vit", "dinov2") and not with_sizes:
        known.remove("image_size")  # that of the positions, which the weights say; a job may train at another
    for key in settings:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1)
            raise Refused(f"--set {key}: a {model_type} has no such setting" + (f"; did you mean {nearest[0]}?" if nearest else "") + f"\nthere are: {', '.join(known)}")


def reference_build(config, classes=1):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    from vision_lib import reference
    return reference.build(config, classes)


def torchvision_input(name, settings):
    """What torchvision's own weights expect of an image; a resize_size that is not set keeps its ratio to the image_size that is."""
    import torchvision
    preset = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].transforms()
    size, resize = preset.crop_size[0], preset.resize_size[0]
    found = {"image_size": size, "resize_size": resize, "interpolation": preset.interpolation.value, "image_mean": list(preset.mean), "image_std": list(preset.std)}
    if isinstance(settings.get("image_size"), int):
        found["resize_size"] = max(settings["image_size"], round(resize / size * settings["image_size"]))
    return found


def of_torchvision(name, settings, has_auxiliary=True):
    config = {"model_type": name, **torchvision_input(name, settings)}
    ignored = {}
    if name == "inception_v3":
        config["aux_logits"] = has_auxiliary
        # torchvision's model undoes ImageNet's normalisation itself; with another one there is nothing to undo.
        config["transform_input"] = not any(settings.get(key, config[key]) != config[key] for key in ("image_mean", "image_std"))
        if settings.get("aux_logits") is False:
            ignored["AuxLogits."] = "the auxiliary classifier, which aux_logits=false leaves out"
    config.update(settings)
    try:
        with torch.device("meta"):
            model = reference_build(config)
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise Refused(f"torchvision makes no {name} of these settings: {error}") from error
    linear = [layer for layer, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    head = (linear[-1], *(layer for layer in linear if layer == "AuxLogits.fc"))
    optional = tuple(layer for layer in linear[:-1] if layer.startswith("classifier."))
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items() if key.rpartition(".")[0] not in head}
    return Target(config, shapes, head, optional, ignored)


def heads_of(hidden, settings):
    if "num_attention_heads" in settings:
        return settings["num_attention_heads"]
    if hidden == 1280:  # ViT-H
        return 16
    if hidden % 64 == 0:
        return hidden // 64
    raise Refused(f"the weights do not say into how many heads their {hidden} channels are split; add --set num_attention_heads=N")


def layer_shapes(model_type, i, hidden, wide, swiglu, qkv_bias):
    name, shapes = f"encoder.layer.{i}.", {}

    def linear(layer, out, inputs, bias=True):
        shapes[f"{name}{layer}.weight"] = (out, inputs)
        if bias:
            shapes[f"{name}{layer}.bias"] = (out,)

    for part in ("query", "key", "value"):
        linear(f"attention.attention.{part}", hidden, hidden, qkv_bias)
    linear("attention.output.dense", hidden, hidden)
    up, down = ("intermediate.dense", "output.dense") if model_type == "vit" else ("mlp.weights_in", "mlp.weights_out") if swiglu else ("mlp.fc1", "mlp.fc2")
    linear(up, 2 * wide if swiglu else wide, hidden)
    linear(down, hidden, wide)
    for norm in ("layernorm_before", "layernorm_after") if model_type == "vit" else ("norm1", "norm2"):
        shapes.update({f"{name}{norm}.weight": (hidden,), f"{name}{norm}.bias": (hidden,)})
    if model_type == "dinov2":
        shapes.update({f"{name}layer_scale{k}.lambda1": (hidden,) for k in (1, 2)})
    return shapes


def of_transformer(architecture, model_type, state, settings, usual):
    """`state` under transformers' names; `usual` is what goes with their source. resize_share: how much of the shorter side the central crop shows."""
    projection, positions = state.get("embeddings.patch_embeddings.projection.weight"), state.get("embeddings.position_embeddings")
    if projection is None or positions is None or projection.dim() != 4 or positions.dim() != 3:
        raise Refused(f"the weights have no patches and positions as those of a {model_type} (in torchvision's, timm's or transformers' names)")
    hidden, patch, side = projection.shape[0], projection.shape[2], math.isqrt(max(positions.shape[1] - 1, 0))
    layers = 1 + max((int(match[1]) for match in (re.match(r"encoder\.layer\.(\d+)\.", name) for name in state) if match), default=-1)
    swiglu = "encoder.layer.0.mlp.weights_in.weight" in state
    down = state.get({"vit": "encoder.layer.0.output.dense.weight", "dinov2": f"encoder.layer.0.mlp.{'weights_out' if swiglu else 'fc2'}.weight"}[model_type])
    if layers == 0 or down is None:
        raise Refused(f"the weights have no layers as those of a {model_type} (in torchvision's, timm's or transformers' names)")
    sizes = {**VIT_SIZES, **DINOV2_SIZES}.get(architecture)
    if sizes and sizes != (hidden, layers, patch):
        others = [name for name, other in (VIT_SIZES if model_type == "vit" else DINOV2_SIZES).items() if other == (hidden, layers, patch)]
        raise Refused(f"a {architecture} has {sizes[0]} channels, {sizes[1]} layers and patches of {sizes[2]}; these weights have {hidden}, {layers} and {patch}"
                      f"\nclosest architecture: {others[0] if others else model_type}")
    wide, qkv_bias = down.shape[1], "encoder.layer.0.attention.attention.query.bias" in state
    shapes = {"embeddings.cls_token": (1, 1, hidden), "embeddings.position_embeddings": (1, side * side + 1, hidden),
              "embeddings.patch_embeddings.projection.weight": (hidden, 3, patch, patch), "embeddings.patch_embeddings.projection.bias": (hidden,),
              "layernorm.weight": (hidden,), "layernorm.bias": (hidden,)}
    for i in range(layers):
        shapes.update(layer_shapes(model_type, i, hidden, wide, swiglu, qkv_bias))
    config = {"model_type": model_type, "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads_of(hidden, settings), "image_size": side * patch,
              "patch_size": patch, "qkv_bias": qkv_bias}
    if model_type == "vit":
        config["intermediate_size"] = wide
    else:
        config.update(mlp_ratio=4 if swiglu else wide // hidden, use_swiglu_ffn=swiglu)
    config.update({key: value for key, value in usual.items() if key != "resize_share"})
    if "resize_share" in usual:
        config["resize_size"] = math.floor(side * patch / usual["resize_share"])
    config.update(settings)
    why = "of pretraining alone"
    return Target(config, shapes, ("classifier",), (), {"embeddings.mask_token": why, "pooler.": why, "pre_logits.": why})
