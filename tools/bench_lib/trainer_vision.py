#!/usr/bin/env python3
"""The alternative: a plain torchvision script fine-tunes an image model on class folders, by the policy that Attune gets. Prints one JSON object.

    trainer_vision.py --model DIR --data DIR --policy FILE|JSON [--image-size 224] [--seed 1] [--limit 300] [--threads 2] [--workers 2]

--model: config.json and model.safetensors, as tools/import_torchvision.py writes them; a classifier that the weights lack is new. --data: train/CLASS/FILE, and
validation/ and test/ where there are some. The policy: {"phases": [{"name", "n_epochs" or "max_steps", "trainable": "head" or "all" or name prefixes,
"learning_rate", "augment", "batch_norm": "train" (default) or "frozen"}], "batch_size", "weight_decay", "warmup_ratio", "max_grad_norm", "label_smoothing",
"crop_scale_min", "horizontal_flip"}; what is left out is Attune's default. Each phase has an AdamW of its own with warm-up, then linearly to zero; biases and norms do not
decay; the best epoch on the validation images (the last where there are none) is tested.
"""
import argparse
import contextlib
import json
import math
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vision_lib"))
import numpy
import reference
import safetensors.torch
import torch
import torchvision
from torchvision import transforms

DEFAULTS = {"batch_size": 32, "weight_decay": 0.01, "warmup_ratio": 0.06, "max_grad_norm": 1.0, "label_smoothing": 0.0, "crop_scale_min": 0.4, "horizontal_flip": 0.5}
AUXILIARY_WEIGHT = 0.4  # of Inception's second loss, as its paper has it


class Images(torch.utils.data.Dataset):
    def __init__(self, root, limit, transform):
        folder = torchvision.datasets.ImageFolder(root)
        self.samples, self.classes, self.transform = folder.samples, folder.classes, transform
        random.Random(7).shuffle(self.samples)
        self.samples = self.samples[:limit or None]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        path, label = self.samples[index]
        return self.transform(reference.open_image(path)), label


def load_model(directory, classes):
    """The model with its pretrained weights; what is not in them (head, and a classifier that was cut off) as torchvision makes it."""
    config = reference.read_config(directory)
    state = {name: value.float() if value.is_floating_point() else value
             for name, value in safetensors.torch.load_file(os.path.join(directory, "model.safetensors")).items()}
    if config["model_type"] == "inception_v3":
        config.setdefault("aux_logits", any(name.startswith("AuxLogits.") for name in state))
    model = reference.build(config, classes)
    head = reference.head_of(model)
    for name in [name for name in state if name.startswith((head + ".", "AuxLogits.fc."))]:
        del state[name]
    answer = model.load_state_dict(state, strict=False)
    left = [name for name in answer.missing_keys if not name.startswith(("classifier.", "fc.", "AuxLogits."))]
    if left or answer.unexpected_keys:
        raise SystemExit(f"{directory}: missing {left}, unexpected {answer.unexpected_keys}")
    return model, config, head


def set_phase(model, head, phase):
    """What learns, and what BatchNorm does; returns the optimizer's groups without their decay filled in."""
    trainable = phase.get("trainable", "all")
    prefixes = tuple(trainable) if isinstance(trainable, list) else {"head": (), "all": ("",)}[trainable]
    decayed, plain = [], []
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith((head + ".", "AuxLogits.fc.", *prefixes)))
        if parameter.requires_grad:
            (decayed if parameter.dim() > 1 else plain).append(parameter)
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and (phase.get("batch_norm") == "frozen" or not module.weight.requires_grad):
            module.eval()
    return decayed, plain


def loss_of(model, criterion, images, labels):
    output = model(images)
    if isinstance(output, torch.Tensor):
        return criterion(output, labels)
    return criterion(output.logits, labels) + AUXILIARY_WEIGHT * criterion(output.aux_logits, labels)


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    right = sum(int((model(images).argmax(-1) == labels).sum()) for images, labels in loader)
    return right / len(loader.dataset)


class Run:
    def __init__(self, options):
        self.options = options
        text = options.policy
        if os.path.exists(text):
            with open(text, encoding="utf-8") as file:
                text = file.read()
        self.policy = {**DEFAULTS, **json.loads(text)}
        classes = len(Images(os.path.join(options.data, "train"), 0, None).classes)
        self.model, config, self.head = load_model(options.model, classes)
        plain = reference.preprocessing(config, options.image_size)
        self.size = plain.crop_size[0]
        augmented = transforms.Compose([
            transforms.RandomResizedCrop(self.size, scale=(self.policy["crop_scale_min"], 1), interpolation=plain.interpolation, antialias=True),
            transforms.RandomHorizontalFlip(self.policy["horizontal_flip"]),
            transforms.ToTensor(), transforms.Normalize(plain.mean, plain.std)])
        self.plain, self.augmented = self.loader("train", plain, True), self.loader("train", augmented, True)
        self.validation, self.test = self.loader("validation", plain, False), self.loader("test", plain, False)
        self.criterion = torch.nn.CrossEntropyLoss(label_smoothing=self.policy["label_smoothing"])
        self.best, self.best_state = -1.0, None

    def loader(self, split, transform, training):
        root = os.path.join(self.options.data, split)
        if not os.path.isdir(root):
            return None
        generator = torch.Generator().manual_seed(self.options.seed)
        return torch.utils.data.DataLoader(Images(root, self.options.limit, transform), batch_size=self.policy["batch_size"] * (1 if training else 2),
                                           shuffle=training, generator=generator, num_workers=self.options.workers, persistent_workers=False)

    def phase(self, phase):
        decayed, plain = set_phase(self.model, self.head, phase)
        loader = self.augmented if phase.get("augment", phase.get("trainable", "all") != "head") else self.plain
        steps = phase.get("max_steps") or phase["n_epochs"] * len(loader)
        warmup = math.ceil(steps * self.policy["warmup_ratio"])
        optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": self.policy["weight_decay"]}, {"params": plain, "weight_decay": 0.0}],
                                      lr=phase["learning_rate"])
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: step / max(1, warmup) if step < warmup else max(0.0, (steps - step) / max(1, steps - warmup)))
        done, seen, seconds, losses = 0, 0, 0.0, []
        while done < steps:
            set_phase(self.model, self.head, phase)
            begin = time.perf_counter()
            for images, labels in loader:
                loss = loss_of(self.model, self.criterion, images, labels)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                if self.policy["max_grad_norm"] > 0:
                    torch.nn.utils.clip_grad_norm_([*decayed, *plain], self.policy["max_grad_norm"])
                optimizer.step()
                scheduler.step()
                done, seen = done + 1, seen + len(labels)
                losses.append(float(loss.detach()))
                if done == steps:
                    break
            seconds += time.perf_counter() - begin
            self.observe()
        return {"name": phase.get("name", ""), "steps": done, "seconds": seconds, "samples_per_second": seen / seconds, "first_loss": losses[0], "last_loss": losses[-1],
                "parameters": sum(p.numel() for p in [*decayed, *plain])}

    def observe(self):
        """Keeps the best epoch on the validation images; a tie is not better."""
        value = accuracy(self.model, self.validation) if self.validation and not self.options.no_evaluation else self.best + 1
        if value > self.best:
            self.best = value
            if not self.options.no_evaluation:
                self.best_state = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--policy", required=True)
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--limit", type=int, default=0, help="images of each split at most; 0: all")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--workers", type=int, default=2, help="processes that decode; 0: the training thread does")
    parser.add_argument("--no-evaluation", action="store_true", help="speed alone: no validation, no test")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    random.seed(options.seed)
    numpy.random.seed(options.seed)
    torch.manual_seed(options.seed)
    with contextlib.redirect_stdout(sys.stderr):
        run = Run(options)
        phases = [run.phase(phase) for phase in run.policy["phases"]]
        out = {"engine": "torchvision", "torch": torch.__version__, "torchvision": torchvision.__version__, "threads": torch.get_num_threads(), "seed": options.seed,
               "image_size": run.size, "images": len(run.plain.dataset), "phases": phases}
        if not options.no_evaluation:
            run.model.load_state_dict(run.best_state)
            out["validation_accuracy"] = run.best if run.validation else None
            out["test_accuracy"] = accuracy(run.model, run.test) if run.test else None
    print(json.dumps(out))


if __name__ == "__main__":
    main()
