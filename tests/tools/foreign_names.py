"""torchvision's and transformers' weights under other libraries' names, built from the modules themselves rather than from the tool's tables."""
import torch


def put(state, name, module):
    for part, tensor in module.state_dict().items():
        state[f"{name}.{part}"] = tensor


def mobilenet_v2_of_timm(model):
    """timm: conv_stem, bn1, blocks.STAGE.INDEX, conv_head, bn2, classifier."""
    state = {}
    put(state, "conv_stem", model.features[0][0])
    put(state, "bn1", model.features[0][1])
    blocks = list(model.features)[1:-1]
    for stage, count in enumerate((1, 2, 3, 4, 3, 3, 1)):
        for index in range(count):
            layers = blocks.pop(0).conv
            name = f"blocks.{stage}.{index}"
            if len(layers) == 4:
                named = (("conv_pw", layers[0][0]), ("bn1", layers[0][1]), ("conv_dw", layers[1][0]), ("bn2", layers[1][1]), ("conv_pwl", layers[2]), ("bn3", layers[3]))
            else:
                named = (("conv_dw", layers[0][0]), ("bn1", layers[0][1]), ("conv_pw", layers[1]), ("bn2", layers[2]))
            for part, module in named:
                put(state, f"{name}.{part}", module)
    put(state, "conv_head", model.features[-1][0])
    put(state, "bn2", model.features[-1][1])
    put(state, "classifier", model.classifier[1])
    return state


def efficientnet_of_timm(model):
    state = {}
    put(state, "conv_stem", model.features[0][0])
    put(state, "bn1", model.features[0][1])
    for stage, blocks in enumerate(list(model.features)[1:-1]):
        for index, whole in enumerate(blocks):
            layers = list(whole.block)
            squeeze = layers.pop(-2)
            name = f"blocks.{stage}.{index}"
            convolutions = ("conv_pw", "conv_dw", "conv_pwl") if len(layers) == 3 else ("conv_dw", "conv_pw")
            for number, (part, layer) in enumerate(zip(convolutions, layers), start=1):
                put(state, f"{name}.{part}", layer[0])
                put(state, f"{name}.bn{number}", layer[1])
            put(state, f"{name}.se.conv_reduce", squeeze.fc1)
            put(state, f"{name}.se.conv_expand", squeeze.fc2)
    put(state, "conv_head", model.features[-1][0])
    put(state, "bn2", model.features[-1][1])
    put(state, "classifier", model.classifier[1])
    return state


def vgg_of_timm(model):
    state = {}
    put(state, "features", model.features)
    first, second = model.classifier[0], model.classifier[3]
    state["pre_logits.fc1.weight"] = first.weight.detach().reshape(first.out_features, -1, 7, 7)
    state["pre_logits.fc1.bias"] = first.bias.detach()
    state["pre_logits.fc2.weight"] = second.weight.detach()[:, :, None, None]
    state["pre_logits.fc2.bias"] = second.bias.detach()
    put(state, "head.fc", model.classifier[6])
    return state


def vit_of_timm(model):
    """Of torchvision's VisionTransformer."""
    state = {"cls_token": model.class_token.detach(), "pos_embed": model.encoder.pos_embedding.detach()}
    put(state, "patch_embed.proj", model.conv_proj)
    for i, layer in enumerate(model.encoder.layers):
        name = f"blocks.{i}"
        put(state, f"{name}.norm1", layer.ln_1)
        put(state, f"{name}.norm2", layer.ln_2)
        state[f"{name}.attn.qkv.weight"] = layer.self_attention.in_proj_weight.detach()
        state[f"{name}.attn.qkv.bias"] = layer.self_attention.in_proj_bias.detach()
        put(state, f"{name}.attn.proj", layer.self_attention.out_proj)
        put(state, f"{name}.mlp.fc1", layer.mlp[0])
        put(state, f"{name}.mlp.fc2", layer.mlp[3])
    put(state, "norm", model.encoder.ln)
    put(state, "head", model.heads.head)
    return state


def dinov2_of_meta(model):
    """Of transformers' Dinov2Model, as facebookresearch/dinov2 names them."""
    embeddings = model.embeddings
    state = {"cls_token": embeddings.cls_token.detach(), "pos_embed": embeddings.position_embeddings.detach(), "mask_token": embeddings.mask_token.detach()}
    put(state, "patch_embed.proj", embeddings.patch_embeddings.projection)
    for i, layer in enumerate(model.encoder.layer):
        name, attention = f"blocks.{i}", layer.attention
        parts = (attention.q_proj, attention.k_proj, attention.v_proj)
        put(state, f"{name}.norm1", layer.norm1)
        put(state, f"{name}.norm2", layer.norm2)
        state[f"{name}.attn.qkv.weight"] = torch.cat([part.weight.detach() for part in parts])
        state[f"{name}.attn.qkv.bias"] = torch.cat([part.bias.detach() for part in parts])
        put(state, f"{name}.attn.proj", attention.o_proj)
        state[f"{name}.ls1.gamma"], state[f"{name}.ls2.gamma"] = layer.layer_scale1.lambda1.detach(), layer.layer_scale2.lambda1.detach()
        if hasattr(layer.mlp, "fc1"):
            put(state, f"{name}.mlp.fc1", layer.mlp.fc1)
            put(state, f"{name}.mlp.fc2", layer.mlp.fc2)
        else:
            for part in ("weight", "bias"):
                state[f"{name}.mlp.w12.{part}"] = torch.cat([getattr(layer.mlp.gate_proj, part).detach(), getattr(layer.mlp.up_proj, part).detach()])
            put(state, f"{name}.mlp.w3", layer.mlp.down_proj)
    put(state, "norm", model.layernorm)
    return state
