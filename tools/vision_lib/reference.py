"""An image model's directory (config.json, model.safetensors) in the library that its names come from, loaded strictly, with that library's preprocessing.

    model, config = load("demo-vision/model")            # every tensor found, none left over, or an error that names them
    logits = predict(model, preprocessing(config), ["bag.png"])   # [1, classes]
"""
import functools
import inspect
import json
import os

import safetensors.torch
import torch
import torchvision
from PIL import Image, ImageOps
from torchvision.transforms._presets import ImageClassification

INTERPOLATION = {"bilinear": torchvision.transforms.InterpolationMode.BILINEAR, "bicubic": torchvision.transforms.InterpolationMode.BICUBIC}
ACTIVATION = {"relu": torch.nn.ReLU, "gelu": torch.nn.GELU, "tanh": torch.nn.Tanh, "silu": torch.nn.SiLU}
RESIZE = {"inception_v3": (299, 342), "resnext101_64x4d": (224, 232)}  # of torchvision's weights, where they are not (224, 256)
EFFICIENTNET = {f"efficientnet_b{i}": sizes for i, sizes in enumerate([(1, 1), (1, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8), (1.6, 2.2), (1.8, 2.6), (2, 3.1)])}  # width, depth
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def read_config(directory):
    """config.json; under "preprocessor" and "head_activation" what preprocessor_config.json and attune.json add to it, where there are some."""
    parts = {}
    for name in ("config", "preprocessor_config", "attune"):
        path = os.path.join(directory, f"{name}.json")
        parts[name] = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                parts[name] = json.load(file)
    return {"head_activation": parts["attune"].get("head_activation", "relu"), "preprocessor": parts["preprocessor_config"], **parts["config"]}


def is_torchvision(config):
    return config["model_type"] in torchvision.models.list_models(module=torchvision.models)


def preprocessing(config, image_size=None):
    """The reference's evaluation transform of a PIL image: shorter side, central crop, mean and deviation as config.json has them, or transformers' preprocessor."""
    processor = config["preprocessor"]
    crop, shorter = RESIZE.get(config["model_type"], (224, 256))
    usual = processor["crop_size"]["height"] if processor else config.get("image_size") or crop
    resize = processor["size"]["shortest_edge"] if processor else config.get("resize_size") or round(usual * shorter / crop)
    mode = {2: "bilinear", 3: "bicubic"}[processor["resample"]] if processor else config.get("interpolation", "bilinear")
    size = image_size or usual
    return ImageClassification(crop_size=size, resize_size=round(resize * size / usual), interpolation=INTERPOLATION[mode], antialias=True,
                               mean=(processor or config).get("image_mean", IMAGENET["image_mean"]), std=(processor or config).get("image_std", IMAGENET["image_std"]))


def open_image(source):
    """RGB of a path or a file object, turned as its camera says."""
    with Image.open(source) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def head_of(model):
    """Name of the last linear layer: what a job replaces."""
    return [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)][-1]


def replace(model, name, module):
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)


def build_resnet(config, kwargs):
    """A ResNet whose blocks, groups or width config.json sets: torchvision's builders refuse values other than their own."""
    resnet = torchvision.models.resnet
    usual = torchvision.models.get_model(config["model_type"], weights=None, num_classes=1)
    kwargs = {"groups": usual.groups, "width_per_group": usual.base_width, **kwargs}
    layers = kwargs.pop("layers", [len(getattr(usual, f"layer{i}")) for i in range(1, 5)])
    return resnet.ResNet(type(usual.layer1[0]), layers, **kwargs)


def build_vgg(config, kwargs):
    """A VGG whose convolutions (torchvision's cfgs) or classifier width config.json sets."""
    vgg = torchvision.models.vgg
    features = kwargs.pop("features", None)
    width = config.get("classifier_width", 4096)
    if features is None and width == 4096:
        return torchvision.models.get_model(config["model_type"], weights=None, **kwargs)
    features = features or vgg.cfgs[{"vgg11": "A", "vgg13": "B", "vgg16": "D", "vgg19": "E"}[config["model_type"].removesuffix("_bn")]]
    model = vgg.VGG(vgg.make_layers(features, batch_norm=config["model_type"].endswith("_bn")), **kwargs)
    inputs = [channels for channels in features if channels != "M"][-1] * 49
    for index, sizes in ((0, (inputs, width)), (3, (width, width)), (6, (width, kwargs["num_classes"]))):
        model.classifier[index] = torch.nn.Linear(*sizes)
        torch.nn.init.normal_(model.classifier[index].weight, 0, 0.01)  # as torchvision.models.vgg.VGG has it
        torch.nn.init.zeros_(model.classifier[index].bias)
    return model


def build_efficientnet(config, kwargs):
    """An EfficientNet whose width or depth config.json sets: what else its builder decides is taken from the usual one."""
    efficientnet = torchvision.models.efficientnet
    name = config["model_type"]
    with torch.device("meta"):
        usual = torchvision.models.get_model(name, weights=None)
    width, depth = EFFICIENTNET[name]
    blocks, last = efficientnet._efficientnet_conf(name, width_mult=config.get("width_mult") or width, depth_mult=config.get("depth_mult") or depth)
    norm = usual.features[0][1]
    kwargs = {"dropout": usual.classifier[0].p, **kwargs, "norm_layer": functools.partial(torch.nn.BatchNorm2d, eps=norm.eps, momentum=norm.momentum)}
    return efficientnet.EfficientNet(blocks, last_channel=last, **kwargs)


def build_inception(builder, config, kwargs):
    """An Inception v3; weights that came from elsewhere may have been trained with average pools that leave the padding out, or another epsilon."""
    model = builder(weights=None, **{"transform_input": True, "init_weights": False, **kwargs})
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = config.get("batch_norm_eps", module.eps)
        if config.get("pool_count_include_pad") is False and name.endswith(".branch_pool"):
            module.register_forward_pre_hook(without_padding)
    return model


def without_padding(module, inputs):
    """Makes the average over 3 x 3 values, zeros of the padding among them, one over the others alone."""
    share = torch.nn.functional.avg_pool2d(torch.ones_like(inputs[0][:1, :1]), kernel_size=3, stride=1, padding=1)
    return (inputs[0] / share,)


def build(config, classes, dropout=None):
    """torchvision's model of that name and those sizes, with its usual weights before training and a head of `classes`."""
    builder = torchvision.models.get_model_builder(config["model_type"])
    kind = inspect.signature(builder).return_annotation
    known = set(inspect.signature(kind).parameters)
    kwargs = {key: config[key] for key in known if config.get(key) is not None}
    kwargs["num_classes"] = classes
    if dropout is not None and "dropout" in known:
        kwargs["dropout"] = dropout
    if kind is torchvision.models.ResNet:
        return build_resnet(config, kwargs)
    if kind is torchvision.models.VGG:
        return build_vgg(config, kwargs)
    if kind is torchvision.models.EfficientNet and config["model_type"] in EFFICIENTNET:
        return build_efficientnet(config, kwargs)
    if kind is torchvision.models.Inception3:
        return build_inception(builder, config, kwargs)
    return builder(weights=None, **kwargs)


def sequential(state, head, activation):
    """Dropout, linear, activation, dropout, linear, ...: the layers that the head's tensors name, for evaluation."""
    linear = {int(name[len(head) + 1:-len(".weight")]): value.shape for name, value in state.items() if name.startswith(head + ".") and name.endswith(".weight")}
    layers = [torch.nn.Identity() for _ in range(max(linear) + 1)]
    for index, (outputs, inputs) in linear.items():
        layers[index] = torch.nn.Linear(inputs, outputs)
        if index != max(linear):
            layers[index + 1] = ACTIVATION[activation]()
    return torch.nn.Sequential(*layers)


def load_torchvision(config, state):
    head = head_of(build(config, 1))
    weights = [value for name, value in state.items() if name.startswith(head + ".") and name.endswith(".weight")]
    config = {**config, "aux_logits": any(name.startswith("AuxLogits.") for name in state)} if config["model_type"] == "inception_v3" else config
    model = build(config, weights[-1].shape[0])
    if head + ".weight" not in state:
        replace(model, head, sequential(state, head, config["head_activation"]))
    model.load_state_dict(state, strict=True)
    return model


def load_transformers(directory, config, state):
    """transformers renames tensors as it loads, so a head with hidden layers is loaded beside the model that it reads."""
    from transformers import AutoModelForImageClassification
    model, info = AutoModelForImageClassification.from_pretrained(directory, output_loading_info=True)
    faults = {key: set(value) for key, value in info.items() if value}
    head = {name.removeprefix("classifier."): value for name, value in state.items() if name.startswith("classifier.")}
    if "weight" not in head:
        model.classifier = sequential(state, "classifier", config["head_activation"])
        model.classifier.load_state_dict(head, strict=True)
        faults = {"missing_keys": faults.pop("missing_keys", set()) - {"classifier.weight", "classifier.bias"},
                  "unexpected_keys": faults.pop("unexpected_keys", set()) - {f"classifier.{name}" for name in head}, **faults}
    if any(faults.values()):
        raise RuntimeError(f"transformers finds fault with the weights: {faults}")
    return model


def load(directory):
    """(model in evaluation mode, config). Raises where a tensor is missing, left over, or of another shape."""
    config = read_config(directory)
    own = is_torchvision(config) and not config["model_type"].startswith("vgg") and config.get("attune_pooling") == "mean"
    if config.get("attune_pooling") and not own:
        raise ValueError(f"{directory}: the head takes the {config['attune_pooling']} of the last outputs, which no class of torchvision or transformers does: docs/transfer.md")
    state = safetensors.torch.load_file(os.path.join(directory, "model.safetensors"))
    model = load_torchvision(config, state) if is_torchvision(config) else load_transformers(directory, config, state)
    return model.eval(), config


@torch.no_grad()
def predict(model, transform, sources, batch_size=32):
    """Logits [images, classes] of image files."""
    parts = []
    for begin in range(0, len(sources), batch_size):
        output = model(torch.stack([transform(open_image(source)) for source in sources[begin:begin + batch_size]]))
        parts.append(output.logits if hasattr(output, "logits") else output)
    return torch.cat(parts)
