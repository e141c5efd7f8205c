"""The measurements on images: `tools/bench vision` and `tools/bench accuracy-vision` (bench.py has their description). Both sides get the same model directory, the
same images, and one policy in two notations: trainer_vision.py's own, and Attune's phases."""
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile

from service import ROOT, Service, say
from harness import spec_pb

SPLITS = ("train", "validation", "test")
NEW_LAYERS = {"vgg": "classifier."}  # families whose weights come without layers below the head: these learn with it from the start


def trainer(model, data, policy, *flags):
    """Runs the torchvision script; its JSON result."""
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "bench_lib", "trainer_vision.py"), "--model", model, "--data", data, "--policy", json.dumps(policy),
                           *map(str, flags)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def convert(out, architecture, *arguments):
    subprocess.run([sys.executable, os.path.join(ROOT, "tools", "import_torchvision.py"), *map(str, arguments), "--architecture", architecture, "--out", out],
                   check=True, stdout=sys.stderr)
    return out


class Images:
    """The images of a tar, or Fashion-MNIST, as folders for the script and as a tar for Attune; at most `limit` of each split, drawn evenly over its classes."""

    def __init__(self, directory, path, limit, splits=SPLITS):
        if path is None:
            path = os.path.join(directory, "fashion.tar")
            subprocess.run([sys.executable, os.path.join(ROOT, "tools", "image_data.py"), path, "--train", "64", "--validation", "8", "--test", "8"], check=True)
        self.folder, self.tar = os.path.join(directory, "images"), os.path.join(directory, "images.tar")
        self.counts = dict.fromkeys(splits, 0)
        with tarfile.open(path) as archive, tarfile.open(self.tar, "w") as kept:
            for split, entries in self.draw(archive, limit, splits).items():
                for name, entry in entries:
                    file = os.path.join(self.folder, name)
                    os.makedirs(os.path.dirname(file), exist_ok=True)
                    with open(file, "wb") as out:
                        out.write(archive.extractfile(entry).read())
                    kept.add(file, name)
                self.counts[split] = len(entries)
        say(f"images: {self.counts}")

    @staticmethod
    def draw(archive, limit, splits):
        classes = {}
        for entry in archive.getmembers():
            parts = entry.name.split("/")[-3:]
            if entry.isfile() and len(parts) == 3 and parts[0] in splits and ".." not in parts:
                classes.setdefault(parts[0], {}).setdefault(parts[1], []).append(("/".join(parts), entry))
        drawn = {}
        for split, of_class in classes.items():
            for entries in of_class.values():
                entries.sort(key=lambda item: hashlib.sha256(item[0].encode()).digest())
            total = sum(map(len, of_class.values()))
            share = min(1.0, limit / total) if limit else 1.0
            drawn[split] = [item for entries in of_class.values() for item in entries[:max(1, round(len(entries) * share))]]
        return drawn


class Attune(Service):
    def __init__(self, directory, images, *flags):
        super().__init__(directory, *flags)
        with open(images.tar, "rb") as file:
            self.dataset = self.server.import_dataset(file.read(), "images.tar", validation_fraction=0, test_fraction=0).name

    def add(self, directory, name):
        return self.server.import_model(directory, name).name


def trainable(value):
    if isinstance(value, list):
        return spec_pb.Trainable(patterns=spec_pb.NamePatterns(patterns=[f"{prefix}*" for prefix in value]))
    return spec_pb.Trainable(head_only=True) if value == "head" else spec_pb.Trainable(all=True)


def spec_of(policy, image_size, seed):
    """The policy as Attune's spec."""
    phases = []
    for phase in policy["phases"]:
        length = {key: phase[key] for key in ("n_epochs", "max_steps") if key in phase}
        fields = {"augment": phase["augment"]} if "augment" in phase else {}
        fields["batch_norm"] = spec_pb.BATCH_NORM_TRAIN if phase.get("batch_norm") == "train" else spec_pb.BATCH_NORM_FROZEN
        phases.append(spec_pb.Phase(name=phase["name"], learning_rate=phase["learning_rate"], trainable=trainable(phase["trainable"]), **length, **fields))
    hyperparameters = spec_pb.Hyperparameters(batch_size=policy["batch_size"], **({"image_size": image_size} if image_size else {}))
    return dict(phases=phases, hyperparameters=hyperparameters, seed=seed)


def new_layers(architecture):
    """What a phase of new layers trains: the head, and with it what these weights lack."""
    return next(([prefix] for family, prefix in NEW_LAYERS.items() if architecture.startswith(family)), "head")


def policies(architecture, epochs, learning_rate, head_learning_rate):
    head = {"name": "head", "n_epochs": epochs, "trainable": new_layers(architecture), "learning_rate": head_learning_rate, "augment": False}
    return {"head": {"batch_size": 32, "phases": [head]},
            "full": {"batch_size": 32, "phases": [head, {"name": "all", "n_epochs": epochs, "trainable": "all", "learning_rate": learning_rate, "augment": True, "batch_norm": "frozen"}]},
            "scratch": {"batch_size": 32, "phases": [{"name": "all", "n_epochs": 2 * epochs, "trainable": "all", "learning_rate": 1e-3, "augment": True, "batch_norm": "train"}]}}


def size_flags(options):
    return ["--image-size", options.image_size] if options.image_size else []


def bench_accuracy(options):
    weights = dict(pair.split("=", 1) for pair in options.weights)
    settings = {}
    for text in options.set:
        architecture, _, setting = text.partition(":")
        settings.setdefault(architecture, []).extend(["--set", setting])
    results = {}
    with tempfile.TemporaryDirectory() as directory:
        images = Images(directory, options.images, options.limit)
        attune = Attune(directory, images)
        for architecture, path in weights.items():
            pretrained = convert(os.path.join(directory, architecture), architecture, path, *settings.get(architecture, []))
            base = attune.add(pretrained, architecture.replace("_", "-"))
            for mode in options.modes:
                policy = policies(architecture, options.epochs, options.learning_rate, options.head_learning_rate)[mode]
                figures = results.setdefault(f"{architecture}, {mode}", {side: [] for side in options.sides})
                for seed in options.seeds:
                    model, name = pretrained, base
                    if mode == "scratch":
                        model = convert(os.path.join(directory, f"{architecture}-{seed}"), architecture, "--reference-seed", seed, *settings.get(architecture, []))
                        name = attune.add(model, f"{architecture.replace('_', '-')}-scratch-{seed}")
                    if "attune" in figures:
                        figures["attune"].append(attune.run(name, attune.dataset, **spec_of(policy, options.image_size, seed)).job.test_evaluation.values["accuracy"])
                    if "torchvision" in figures:
                        figures["torchvision"].append(trainer(model, images.folder, policy, "--seed", seed, *size_flags(options))["test_accuracy"])
                    say(f"{architecture}, {mode}, seed {seed}: " + ", ".join(f"{side} {values[-1]:.4f}" for side, values in figures.items()))
        attune.close()
    mean = {name: {side: statistics.mean(values) for side, values in figures.items()} for name, figures in results.items()}
    say("\n| model, mode | Attune | torchvision | points |\n|---|---|---|---|")
    for name, sides in mean.items():
        points = f"{100 * (sides['attune'] - sides['torchvision']):+.2f}" if len(sides) == 2 else ""
        say(f"| {name} | " + " | ".join(f"{sides[side]:.4f}" if side in sides else "" for side in ("attune", "torchvision")) + f" | {points} |")
    print(json.dumps({"bench": "accuracy-vision", "images": images.counts, "image_size": options.image_size, "epochs": options.epochs, "learning_rate": options.learning_rate, "head_learning_rate": options.head_learning_rate, "seeds": options.seeds,
                      "test_accuracy": results, "mean": mean}))


def measure_steps(options, attune, images, directory, figures):
    """Full fine-tuning, in turns; samples/s of each into figures."""
    policy = {"batch_size": 32, "phases": [{"name": "all", "max_steps": options.steps, "trainable": "all", "learning_rate": 1e-4, "augment": True, "batch_norm": "train"}]}
    for architecture in options.models:
        model = convert(os.path.join(directory, architecture), architecture, "--reference-seed", 1)
        name = attune.add(model, architecture.replace("_", "-"))
        sides = figures.setdefault(f"{architecture}, full", {"attune": [], "torchvision": []})
        for turn in range(options.rounds):
            seconds = attune.run(name, attune.dataset, **spec_of(policy, options.image_size, 1)).steps_seconds
            epochs, rest = divmod(options.steps, -(-images.counts["train"] // 32))  # the last batch of an epoch may be small
            sides["attune"].append((epochs * images.counts["train"] + rest * 32) / seconds)
            theirs = trainer(model, images.folder, policy, "--no-evaluation", "--workers", options.workers, *size_flags(options))
            sides["torchvision"].append(theirs["phases"][0]["samples_per_second"])
            say(f"round {turn + 1}: {architecture}, full: attune {sides['attune'][-1]:.1f}, torchvision {sides['torchvision'][-1]:.1f} samples/s")


def measure_head(options, images, directory, seconds, waits):
    """Epochs of a new head alone: with kept features, another head that finds them, without, and in torchvision; seconds of each."""
    architecture = options.models[0]
    policy = {"batch_size": 32, "phases": [{"name": "head", "n_epochs": options.epochs, "trainable": "head", "learning_rate": 1e-3, "augment": False}]}
    for turn in range(options.rounds):
        for name, flags in (("attune, features kept", []), ("attune, features not kept", ["--feature-cache-bytes", "0"])):
            with tempfile.TemporaryDirectory() as place:  # a new server each time, so that nothing was kept before
                attune = Attune(place, images, *flags)
                model = attune.add(os.path.join(directory, architecture), architecture.replace("_", "-"))
                run = attune.run(model, attune.dataset, **spec_of(policy, options.image_size, 1))
                seconds.setdefault(name, []).append(run.whole_seconds)
                waits.setdefault(name, []).append(run.input_wait)
                if not flags:
                    another = spec_of(policy, options.image_size, 1) | {"head": spec_pb.HeadSpec(hidden_sizes=[128])}
                    seconds.setdefault("attune, another head on kept features", []).append(attune.run(model, attune.dataset, **another).whole_seconds)
                else:  # decoding and augmenting in every epoch: does the input keep up?
                    augmented = {**policy, "phases": [{**policy["phases"][0], "n_epochs": 2, "augment": True}]}
                    waits.setdefault("attune, augmented images", []).append(attune.run(model, attune.dataset, **spec_of(augmented, options.image_size, 1)).input_wait)
                attune.close()
        theirs = trainer(os.path.join(directory, architecture), images.folder, policy, "--no-evaluation", "--workers", options.workers, *size_flags(options))
        seconds.setdefault("torchvision", []).append(theirs["phases"][0]["seconds"])
        say(f"round {turn + 1}: {architecture}, {options.epochs} epochs of a new head: " + ", ".join(f"{name} {values[-1]:.1f} s" for name, values in seconds.items()))


def bench_speed(options):
    figures, seconds, waits = {}, {}, {}
    with tempfile.TemporaryDirectory() as directory:
        images = Images(directory, options.images, options.limit, splits=("train",))
        attune = Attune(directory, images)
        measure_steps(options, attune, images, directory, figures)
        attune.close()
        measure_head(options, images, directory, seconds, waits)
    median = {name: {side: statistics.median(values) for side, values in sides.items()} for name, sides in figures.items()}
    ratio = {name: sides["attune"] / sides["torchvision"] for name, sides in median.items()}
    head = {name: statistics.median(values) for name, values in seconds.items()}
    say("\n| model | Attune, samples/s | torchvision, samples/s | ratio |\n|---|---|---|---|")
    for name, sides in median.items():
        say(f"| {name} | {sides['attune']:.1f} | {sides['torchvision']:.1f} | {ratio[name]:.2f} |")
    for name, value in head.items():
        say(f"{options.epochs} epochs of a new head on {options.models[0]}, {name}: {value:.1f} s")
    wait = {name: statistics.median(values) for name, values in waits.items()}
    for name, share in wait.items():
        say(f"share of the steps' time spent waiting for images, {name}: {100 * share:.1f} %")
    print(json.dumps({"bench": "vision", "images": images.counts, "image_size": options.image_size, "steps": options.steps, "batch_size": 32, "samples_per_second": figures,
                      "median": median, "ratio": ratio, "head_epochs": options.epochs, "head_seconds": seconds, "head_median": head, "input_wait": wait}))


def add_commands(commands):
    """The subcommands; common options first."""
    speed = commands.add_parser("vision", help="speed on images")
    speed.add_argument("--rounds", type=int, default=3)
    speed.add_argument("--steps", type=int, default=20)
    speed.add_argument("--models", nargs="+", default=["mobilenet_v2", "resnet50"])
    speed.add_argument("--workers", type=int, default=2, help="the script's processes that decode")
    speed.set_defaults(run=bench_speed)
    accuracy = commands.add_parser("accuracy-vision", help="quality on images")
    accuracy.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    accuracy.add_argument("--modes", nargs="+", choices=["head", "full", "scratch"], default=["head", "full", "scratch"])
    accuracy.add_argument("--sides", nargs="+", choices=["attune", "torchvision"], default=["attune", "torchvision"])
    accuracy.add_argument("--weights", nargs="+", required=True, metavar="NAME=FILE", help="architecture and state_dict, for tools/import_torchvision.py")
    accuracy.add_argument("--set", nargs="+", default=[], metavar="NAME:KEY=VALUE", help="config.json of one architecture, for example inception_v3:image_mean=0,0,0")
    accuracy.add_argument("--learning-rate", type=float, default=1e-4, help="of all layers after the head")
    accuracy.add_argument("--head-learning-rate", type=float, default=1e-3)
    accuracy.set_defaults(run=bench_accuracy)
    for command, epochs in ((speed, 10), (accuracy, 5)):
        command.add_argument("--images", required=command is accuracy, metavar="TAR", help="a tar with train/CLASS/FILE (and validation/, test/); speed: Fashion-MNIST by default")
        command.add_argument("--image-size", type=int, help="pixels; the model's own by default")
        command.add_argument("--epochs", type=int, default=epochs, help=f"of each phase; {epochs} by default")
        command.add_argument("--limit", type=int, default=0, help="images of each split at most, evenly over classes; 0: all")
