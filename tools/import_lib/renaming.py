"""What timm, torchvision and DINOv2's own code call a tensor, and what Attune calls it (torchvision's names for convolutional networks, transformers' for vision
transformers). Pure. Each function takes a state_dict and gives one under the new names; a name that it does not know stays as it is, so that a check of all names finds it.

    state, source = to_torchvision(state, "efficientnet_b0")     # source: "timm's names" or "torchvision's names"
    state, source = to_transformers(state)
"""
import re

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def rename(state, rules):
    """The first rule that fits a whole name renames it."""
    compiled = [(re.compile(pattern + r"\Z"), new) for pattern, new in rules]
    renamed = {}
    for name, tensor in state.items():
        for pattern, new in compiled:
            match = pattern.match(name)
            if match:
                name = new(match) if callable(new) else match.expand(new)
                break
        renamed[name] = tensor
    return renamed


def vgg_from_timm(state):
    """timm writes the first two linear layers as convolutions of 7 x 7 and 1 x 1."""
    renamed = rename(state, [(r"pre_logits\.fc1\.(.*)", r"classifier.0.\1"), (r"pre_logits\.fc2\.(.*)", r"classifier.3.\1"), (r"head\.fc\.(.*)", r"classifier.6.\1")])
    return {name: tensor.flatten(1) if name.startswith("classifier.") and tensor.dim() == 4 else tensor for name, tensor in renamed.items()}


def mobilenet_v2_from_timm(state):
    """timm counts blocks within stages, torchvision all of them."""
    positions = sorted({tuple(int(part) for part in match.groups()) for match in (re.match(r"blocks\.(\d+)\.(\d+)\.", name) for name in state) if match})
    number = {position: index + 1 for index, position in enumerate(positions)}
    parts = {"conv_pw": "0.0", "bn1": "0.1", "conv_dw": "1.0", "bn2": "1.1", "conv_pwl": "2", "bn3": "3"}
    first = {"conv_dw": "0.0", "bn1": "0.1", "conv_pw": "1", "bn2": "2"}  # of a block without expansion

    def block(match):
        stage, index, part, rest = int(match[1]), int(match[2]), match[3], match[4]
        plain = f"blocks.{stage}.{index}.conv_pwl.weight" not in state
        return f"features.{number[stage, index]}.conv.{(first if plain else parts).get(part, part)}.{rest}"

    last = len(positions) + 1
    return rename(state, [(r"conv_stem\.(.*)", r"features.0.0.\1"), (r"bn1\.(.*)", r"features.0.1.\1"), (r"blocks\.(\d+)\.(\d+)\.(\w+)\.(.*)", block),
                          (r"conv_head\.(.*)", rf"features.{last}.0.\1"), (r"bn2\.(.*)", rf"features.{last}.1.\1"), (r"classifier\.(weight|bias)", r"classifier.1.\1")])


def mobilenet_v2_of_2018(state):
    """The names of the first PyTorch port (tonylins/pytorch-mobilenet-v2): a block's layers in one row."""
    parts = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "6": "2", "7": "3"}
    first = {"0": "0.0", "1": "0.1", "3": "1", "4": "2"}  # of a block without expansion

    def block(match):
        plain = f"features.{match[1]}.conv.6.weight" not in state
        return f"features.{match[1]}.conv.{(first if plain else parts).get(match[2], match[2])}.{match[3]}"

    return rename(state, [(r"features\.(\d+)\.conv\.(\d+)\.(\w+)", block), (r"classifier\.(weight|bias)", r"classifier.1.\1")])


def efficientnet_from_timm(state):
    parts = {"conv_pw": "0.0", "bn1": "0.1", "conv_dw": "1.0", "bn2": "1.1", "se.conv_reduce": "2.fc1", "se.conv_expand": "2.fc2", "conv_pwl": "3.0", "bn3": "3.1"}
    first = {"conv_dw": "0.0", "bn1": "0.1", "se.conv_reduce": "1.fc1", "se.conv_expand": "1.fc2", "conv_pw": "2.0", "bn2": "2.1"}

    def block(match):
        stage, index, part, rest = int(match[1]), match[2], match[3], match[4]
        plain = f"blocks.{stage}.{index}.conv_pwl.weight" not in state
        return f"features.{stage + 1}.{index}.block.{(first if plain else parts).get(part, part)}.{rest}"

    return rename(state, [(r"conv_stem\.(.*)", r"features.0.0.\1"), (r"bn1\.(.*)", r"features.0.1.\1"), (r"blocks\.(\d+)\.(\d+)\.(se\.\w+|\w+)\.(.*)", block),
                          (r"conv_head\.(.*)", r"features.8.0.\1"), (r"bn2\.(.*)", r"features.8.1.\1"), (r"classifier\.(weight|bias)", r"classifier.1.\1")])


def to_torchvision(state, architecture):
    """timm's ResNets and Inception v3 have torchvision's names already."""
    if architecture.startswith("vgg") and any(name.startswith(("pre_logits.", "head.fc.")) for name in state):
        return vgg_from_timm(state), "timm's names"
    if "conv_stem.weight" in state and architecture == "mobilenet_v2":
        return mobilenet_v2_from_timm(state), "timm's names"
    if "features.1.conv.0.weight" in state and architecture == "mobilenet_v2":
        return mobilenet_v2_of_2018(state), "the names of 2018"
    if "conv_stem.weight" in state and architecture.startswith("efficientnet_b"):
        return efficientnet_from_timm(state), "timm's names"
    return state, "torchvision's names"


def split_qkv(state):
    """Query, key and value in one matrix, one after the other: three matrices."""
    split = {}
    for name, tensor in state.items():
        match = re.match(r"(encoder\.layer\.\d+\.attention\.attention)\.qkv\.(weight|bias)\Z", name)
        if match and tensor.shape[0] % 3 == 0:
            split.update({f"{match[1]}.{part}.{match[2]}": third for part, third in zip(("query", "key", "value"), tensor.chunk(3))})
        else:
            split[name] = tensor
    return split


VIT_FROM_TORCHVISION = [
    (r"class_token", "embeddings.cls_token"), (r"encoder\.pos_embedding", "embeddings.position_embeddings"), (r"conv_proj\.(.*)", r"embeddings.patch_embeddings.projection.\1"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.ln_1\.(.*)", r"encoder.layer.\1.layernorm_before.\2"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.ln_2\.(.*)", r"encoder.layer.\1.layernorm_after.\2"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.in_proj_(.*)", r"encoder.layer.\1.attention.attention.qkv.\2"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.out_proj\.(.*)", r"encoder.layer.\1.attention.output.dense.\2"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:0|linear_1)\.(.*)", r"encoder.layer.\1.intermediate.dense.\2"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:3|linear_2)\.(.*)", r"encoder.layer.\1.output.dense.\2"),
    (r"encoder\.ln\.(.*)", r"layernorm.\1"), (r"heads\.(?:head\.)?(weight|bias)", r"classifier.\1"),
]
FROM_TIMM = [  # and from DINOv2's own code
    (r"cls_token", "embeddings.cls_token"), (r"pos_embed", "embeddings.position_embeddings"), (r"mask_token", "embeddings.mask_token"),
    (r"patch_embed\.proj\.(.*)", r"embeddings.patch_embeddings.projection.\1"), (r"norm\.(.*)", r"layernorm.\1"), (r"head\.(.*)", r"classifier.\1"),
    (r"blocks\.(\d+)\.attn\.qkv\.(.*)", r"encoder.layer.\1.attention.attention.qkv.\2"), (r"blocks\.(\d+)\.attn\.proj\.(.*)", r"encoder.layer.\1.attention.output.dense.\2"),
]
VIT_FROM_TIMM = FROM_TIMM + [
    (r"blocks\.(\d+)\.norm1\.(.*)", r"encoder.layer.\1.layernorm_before.\2"), (r"blocks\.(\d+)\.norm2\.(.*)", r"encoder.layer.\1.layernorm_after.\2"),
    (r"blocks\.(\d+)\.mlp\.fc1\.(.*)", r"encoder.layer.\1.intermediate.dense.\2"), (r"blocks\.(\d+)\.mlp\.fc2\.(.*)", r"encoder.layer.\1.output.dense.\2"),
]
DINOV2_FROM_TIMM = FROM_TIMM + [
    (r"blocks\.(\d+)\.norm([12])\.(.*)", r"encoder.layer.\1.norm\2.\3"), (r"blocks\.(\d+)\.ls([12])\.gamma", r"encoder.layer.\1.layer_scale\2.lambda1"),
    (r"blocks\.(\d+)\.mlp\.w12\.(.*)", r"encoder.layer.\1.mlp.weights_in.\2"), (r"blocks\.(\d+)\.mlp\.w3\.(.*)", r"encoder.layer.\1.mlp.weights_out.\2"),
    (r"blocks\.(\d+)\.mlp\.(fc[12])\.(.*)", r"encoder.layer.\1.mlp.\2.\3"),
]


def to_transformers(state, model_type):
    """(renamed, where the names are from, the preprocessing that goes with weights from there)."""
    if "class_token" in state:
        return split_qkv(rename(state, VIT_FROM_TORCHVISION)), "torchvision's names", {**IMAGENET, "interpolation": "bilinear", "resize_share": 224 / 256, "layer_norm_eps": 1e-6}
    if "cls_token" in state:
        rules = DINOV2_FROM_TIMM if model_type == "dinov2" else VIT_FROM_TIMM
        usual = IMAGENET if model_type == "dinov2" else {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resize_share": 0.9}
        return split_qkv(rename(state, rules)), "timm's names", {**usual, "interpolation": "bicubic", "layer_norm_eps": 1e-6}
    plain = {name.removeprefix(model_type + "."): tensor for name, tensor in state.items()}
    return plain, "transformers' names", {}
