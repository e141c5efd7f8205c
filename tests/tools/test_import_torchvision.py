"""tools/import_torchvision.py: names of every library, what is kept, dropped and missing, and what it refuses."""
import json
import os
import sys

import pytest
import safetensors.torch
import torch
import torchvision
import transformers

import foreign_names

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import import_torchvision  # noqa: E402  (found by the path above)


class Imported:
    def __init__(self, directory):
        self.directory = directory
        self.state = safetensors.torch.load_file(os.path.join(directory, "model.safetensors"))
        with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
            self.config = json.load(file)


@pytest.fixture
def bring(tmp_path):
    """Imports a state_dict, or random weights with state None."""
    def call(state, architecture, *options, file="weights.pth"):
        arguments = ["--architecture", architecture, "--out", str(tmp_path / "out"), *options]
        if state is not None:
            path = str(tmp_path / file)
            safetensors.torch.save_file(state, path) if file.endswith(".safetensors") else torch.save(state, path)
            arguments.insert(0, path)
        import_torchvision.main(arguments)
        return Imported(str(tmp_path / "out"))
    return call


def refusal(bring, *arguments, **more):
    with pytest.raises(SystemExit) as refused:
        bring(*arguments, **more)
    assert isinstance(refused.value.code, str), "argparse refused, rather than the tool"
    return refused.value.code


def made(name, **settings):
    torch.manual_seed(3)
    if name == "inception_v3":
        settings.setdefault("init_weights", False)
    return torchvision.models.get_model(name, weights=None, **settings)


def without_head(model, *heads):
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(heads)}


def assert_same(actual, expected):
    assert set(actual) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(actual[name], tensor), name


@pytest.mark.parametrize("name, heads, resize", [("resnet18", ("fc.",), 256), ("mobilenet_v2", ("classifier.",), 256), ("efficientnet_b0", ("classifier.",), 256),
                                                 ("inception_v3", ("fc.", "AuxLogits.fc."), 342)])
def test_torchvision_names_stay(bring, capsys, name, heads, resize):
    model = made(name)
    imported = bring({"state_dict": {f"module.{key}": tensor for key, tensor in model.state_dict().items()}}, name)
    assert_same(imported.state, without_head(model, *heads))
    assert imported.config["model_type"] == name
    assert imported.config["resize_size"] == resize
    assert imported.config["image_mean"] == [0.485, 0.456, 0.406]
    said = capsys.readouterr().out
    assert f"kept      {len(imported.state)} tensors" in said
    assert f"dropped   {2 * len(heads)} tensors, the old head: " in said
    assert "missing   nothing" in said


@pytest.mark.parametrize("name, rewrite", [("mobilenet_v2", foreign_names.mobilenet_v2_of_timm), ("efficientnet_b0", foreign_names.efficientnet_of_timm)])
def test_timm_names_become_torchvisions(bring, capsys, name, rewrite):
    model = made(name)
    assert_same(bring(rewrite(model), name).state, without_head(model, "classifier."))
    assert "(timm's names)" in capsys.readouterr().out


def test_vgg_of_timm(bring):
    narrow = made("vgg11_bn", num_classes=2)
    for index, sizes in ((0, (512 * 49, 32)), (3, (32, 32)), (6, (32, 2))):
        narrow.classifier[index] = torch.nn.Linear(*sizes)
    imported = bring(foreign_names.vgg_of_timm(narrow), "vgg11_bn", "--set", "classifier_width=32")
    assert_same(imported.state, without_head(narrow, "classifier.6"))
    assert imported.config["classifier_width"] == 32


def test_half_precision_stays_and_a_missing_top_is_said(bring, capsys):
    state = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in without_head(made("vgg11"), "classifier.").items()}
    imported = bring(state, "vgg11", file="weights.safetensors")
    assert {tensor.dtype for tensor in imported.state.values()} == {torch.float16}
    said = capsys.readouterr().out
    assert "float16" in said
    assert "missing   classifier.0, classifier.3: training starts them anew" in said


def test_inception_without_its_auxiliary_head_and_with_another_normalisation(bring):
    state = without_head(made("inception_v3"), "AuxLogits.", "fc.")
    config = bring(state, "inception_v3", "--set", "pool_count_include_pad=false", "--set", "image_mean=0,0,0", "--set", "image_std=1,1,1").config
    assert (config["aux_logits"], config["transform_input"], config["pool_count_include_pad"]) == (False, False, False)
    assert (config["image_mean"], config["image_std"]) == ([0, 0, 0], [1, 1, 1])
    assert bring(state, "inception_v3").config["transform_input"] is True


def small_vit():
    torch.manual_seed(5)
    model = torchvision.models.VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=128, mlp_dim=64, num_classes=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model.eval()


@pytest.mark.parametrize("rewrite, resize, mean", [(lambda model: model.state_dict(), 36, 0.485), (foreign_names.vit_of_timm, 35, 0.5)])
def test_a_vision_transformer_computes_the_same_in_transformers(bring, rewrite, resize, mean):
    model = small_vit()
    imported = bring(rewrite(model), "vit")
    assert (imported.config["hidden_size"], imported.config["num_attention_heads"], imported.config["image_size"]) == (128, 2, 32)
    assert (imported.config["resize_size"], imported.config["image_mean"][0]) == (resize, mean)
    loaded, info = transformers.ViTModel.from_pretrained(imported.directory, add_pooling_layer=False, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    pixels = torch.randn(2, 3, 32, 32)
    model.heads = torch.nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(loaded(pixels).last_hidden_state[:, 0], model(pixels), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("swiglu", [False, True])
def test_dinov2_in_its_own_names(bring, swiglu):
    torch.manual_seed(2)
    config = transformers.Dinov2Config(hidden_size=64, num_hidden_layers=2, num_attention_heads=1, image_size=42, patch_size=14, use_swiglu_ffn=swiglu)
    model = transformers.Dinov2Model(config).eval()
    imported = bring(foreign_names.dinov2_of_meta(model), "dinov2")
    assert imported.config["use_swiglu_ffn"] is swiglu
    assert imported.config["interpolation"] == "bicubic"
    loaded = transformers.Dinov2Model.from_pretrained(imported.directory).eval()
    pixels = torch.randn(2, 3, 42, 42)
    with torch.no_grad():
        torch.testing.assert_close(loaded(pixels).last_hidden_state, model(pixels).last_hidden_state, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture, options", [("resnet18", ()), ("mobilenet_v2", ("--set", "width_mult=0.5")),
                                                   ("vit", ("--set", "hidden_size=64", "--set", "num_attention_heads=4", "--set", "num_hidden_layers=1")),
                                                   ("dinov2", ("--set", "hidden_size=64", "--set", "num_hidden_layers=1", "--set", "image_size=56"))])
def test_random_weights_follow_the_seed(bring, architecture, options):
    first = bring(None, architecture, "--reference-seed", "4", *options).state
    assert_same(bring(None, architecture, "--reference-seed", "4", *options).state, first)
    other = bring(None, architecture, "--reference-seed", "5", *options)
    assert other.config["model_type"] == architecture
    assert any(not torch.equal(other.state[name], tensor) for name, tensor in first.items())


def test_other_weights_are_refused_with_the_closest_architecture(bring, tmp_path):
    text = refusal(bring, made("resnet18").state_dict(), "resnet50")
    assert "is no resnet50" in text and "tensors are missing: layer1.0.conv3.weight" in text
    assert "closest architecture: resnet18" in text
    assert "closest architecture: vit" in refusal(bring, small_vit().state_dict(), "resnet50")
    assert "closest architecture: vit" in refusal(bring, small_vit().state_dict(), "vit_b_16")
    assert "closest architecture: resnet18" in refusal(bring, made("resnet18").state_dict(), "vit")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change, said", [
    (lambda state: state.pop("bn1.running_var"), "1 tensors are missing: bn1.running_var"),
    (lambda state: state.update({"extra.weight": torch.zeros(2)}), "1 tensors mean nothing to it: extra.weight"),
    (lambda state: state.update({"conv1.weight": torch.zeros(64, 1, 7, 7)}), "conv1.weight is [64, 1, 7, 7], but must be [64, 3, 7, 7]"),
    (lambda state: state.update({"conv1.weight": torch.zeros(64, 3, 7, 7, dtype=torch.int8)}), "conv1.weight has type torch.int8"),
])
def test_weights_that_do_not_fit_are_refused(bring, change, said):
    state = made("resnet18").state_dict()
    change(state)
    assert said in refusal(bring, state, "resnet18")


def test_half_of_an_optional_top_is_refused(bring):
    state = without_head(made("vgg11"), "classifier.3", "classifier.6")
    assert "2 tensors are missing: classifier.3.weight, classifier.3.bias" in refusal(bring, state, "vgg11")


@pytest.mark.parametrize("architecture, options, said", [
    ("resnet5", ("--reference-seed", "1"), "did you mean resnet50?"),
    ("resnet18", (), "give either WEIGHTS or --reference-seed"),
    ("resnet18", ("--reference-seed", "1", "--set", "image_mena=0,0,0"), "did you mean image_mean?"),
    ("resnet18", ("--reference-seed", "1", "--set", "image_mean"), "must be key=value"),
    ("vit", ("--reference-seed", "1", "--set", "width_mult=2"), "a vit has no such setting"),
])
def test_bad_arguments_are_refused(bring, architecture, options, said):
    assert said in refusal(bring, None, architecture, *options)


def test_positions_say_a_transformers_image_size(bring):
    assert "--set image_size: a vit has no such setting" in refusal(bring, small_vit().state_dict(), "vit", "--set", "image_size=64")


def test_heads_that_the_weights_do_not_say_are_asked_for(bring, tmp_path):
    model = transformers.ViTModel(transformers.ViTConfig(hidden_size=48, num_hidden_layers=1, num_attention_heads=4, intermediate_size=32), add_pooling_layer=False)
    model.save_pretrained(tmp_path / "vit")
    state = safetensors.torch.load_file(tmp_path / "vit" / "model.safetensors")
    assert "--set num_attention_heads=N" in refusal(bring, state, "vit")
    assert bring(state, "vit", "--set", "num_attention_heads=4").config["num_attention_heads"] == 4


@pytest.mark.parametrize("file, content, said", [
    ("model.pth", b"not a pickle", "no state_dict that can be read safely"),
    ("model.safetensors", b"\x08\0\0\0\0\0\0\0nonsense", "is no safetensors file"),
    ("model.pth", None, "no such file"),
])
def test_files_that_hold_no_weights_are_refused(tmp_path, file, content, said):
    path = tmp_path / file
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit) as refused:
        import_torchvision.main([str(path), "--architecture", "resnet18", "--out", str(tmp_path / "out")])
    assert said in refused.value.code


def test_a_pickled_module_is_refused_and_not_run(bring):
    assert "save the weights alone" in refusal(bring, torch.nn.Linear(2, 2), "resnet18")
    assert "holds no state_dict" in refusal(bring, {"epoch": 3}, "resnet18")
