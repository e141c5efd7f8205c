"""`tools/bench plan`: what PlanFineTuningJob says beforehand beside what the same job then took: peak memory (JobProgress.peak_memory_bytes at its end) and seconds of training, over
models, batch sizes, precisions and ways of adapting. Each point is planned, then run, on one server."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

from service import ROOT, Service, say
from vision import Images, convert
from harness import DEPS, job_pb, spec_pb

MEMORY_BOUND, TIME_BOUND = 0.15, 0.25


def bert(directory, **sizes):
    """Random weights under MiniLM's tokenizer."""
    from transformers import BertConfig, BertModel
    BertModel(BertConfig(vocab_size=30522, **sizes)).save_pretrained(directory)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(os.path.join(DEPS, "minilm", name), directory)
    return directory


def head():
    return [spec_pb.Phase(name="head", n_epochs=2, trainable=spec_pb.Trainable(head_only=True), learning_rate=1e-3)]


def full(n_epochs=2):
    return [spec_pb.Phase(name="all", n_epochs=n_epochs, trainable=spec_pb.Trainable(all=True), learning_rate=2e-5)]


def last_group():
    return [spec_pb.Phase(name="last", n_epochs=2, trainable=spec_pb.Trainable(last_n_groups=1), learning_rate=1e-3)]


# name, model, batch_size, precision, phases, more of the spec
POINTS = [
    ("head", "minilm", 32, "FP32", head, {}),
    ("head", "mobilenet_v2", 32, "FP32", head, {}),
    ("full", "mobilenet_v2", 16, "FP32", full, {}),
    ("last group", "resnet18", 16, "FP32", last_group, {}),
    ("full", "minilm", 16, "FP32", full, {}),
    ("lora", "minilm", 16, "FP32", full, {"lora": spec_pb.LoraSpec(r=8)}),
    ("full", "resnet18", 32, "BF16", full, {}),
    ("head, then full", "minilm", 16, "FP32", lambda: head() + full(1), {}),
    ("full, ema", "bert-512x4", 8, "FP32", full, {"ema": True}),
    ("full", "minilm", 4, "FP32", full, {}),
    ("full", "mobilenet_v2", 32, "FP32", full, {}),
    ("full", "resnet18", 4, "FP32", full, {}),
    ("full", "minilm", 32, "BF16", full, {}),
    ("head", "vgg11", 16, "FP32", head, {}),
    ("full", "minilm", 32, "FP32", full, {}),
]


def spec_of(point, model, dataset):
    _, _, batch_size, precision, phases, more = point
    hyperparameters = spec_pb.Hyperparameters(batch_size=batch_size)
    if more.get("ema"):
        hyperparameters.ema_decay = 0.99
    spec = spec_pb.FineTuningSpec(base_model=model, dataset=dataset, hyperparameters=hyperparameters, phases=phases(), precision=spec_pb.Precision.Value(f"PRECISION_{precision}"))
    if "lora" in more:
        spec.lora.CopyFrom(more["lora"])
    return spec


def bench_plan(options):
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.executable, os.path.join(ROOT, "tools", "text_data.py"), directory, "--train", str(options.rows), "--validation", str(options.rows // 4),
                        "--test", str(options.rows // 4)], check=True)
        service = Service(directory, "--worker-threads", str(options.threads)) if options.threads else Service(directory)
        server = service.server
        parts = {}
        for split in ("train", "validation", "test"):
            with open(os.path.join(directory, f"{split}.csv"), "rb") as file:
                parts[split] = file.read()
        texts = server.import_dataset(parts, "tweets.csv", max_bad_rows=1000).name
        pictures = Images(directory, None, options.images)
        with open(pictures.tar, "rb") as file:
            images = server.import_dataset(file.read(), "images.tar", validation_fraction=0, test_fraction=0).name
        wanted = [p for p in POINTS if not options.only or p[1] in options.only]
        models = {}
        for name in dict.fromkeys(point[1] for point in wanted):
            where = os.path.join(options.keep or directory, name)
            if name == "minilm":
                where = os.path.join(DEPS, "minilm")
            elif os.path.exists(os.path.join(where, "model.safetensors")):
                pass
            elif name.startswith("bert"):
                bert(where, hidden_size=512, num_hidden_layers=4, num_attention_heads=8, intermediate_size=2048)
            else:
                convert(where, name, "--reference-seed", "1", "--set", f"image_size={options.image_size}")
            models[name] = server.import_model(where, name.replace("_", "-")).name
        rows = []
        for point in wanted:
            spec = spec_of(point, models[point[1]], texts if point[1] in ("minilm",) or point[1].startswith("bert") else images)
            plan = server.jobs.PlanFineTuningJob(job_pb.PlanFineTuningJobRequest(spec=spec), timeout=1800)
            run = service.run(spec.base_model, spec.dataset, **{field.name: value for field, value in spec.ListFields() if field.name not in ("base_model", "dataset")})
            measured, seconds = run.job.progress.peak_memory_bytes, run.whole_seconds
            rows.append({"model": point[1], "batch_size": point[2], "precision": point[3], "policy": point[0], "load": os.getloadavg()[0],
                         "planned_bytes": plan.memory.peak_bytes, "measured_bytes": measured, "memory_error": plan.memory.peak_bytes / measured - 1,
                         "planned_seconds": plan.total_seconds, "low": plan.total_seconds_low, "high": plan.total_seconds_high, "measured_seconds": seconds,
                         "time_error": plan.total_seconds / seconds - 1})
            row = rows[-1]
            say(f"{row['model']:13} {row['batch_size']:3} {row['precision']:5} {row['policy']:16} memory {measured / 2**20:7.0f} MiB, plan {row['planned_bytes'] / 2**20:7.0f} "
                f"({row['memory_error']:+6.1%})   time {seconds:6.1f} s, plan {row['planned_seconds']:6.1f} ({row['time_error']:+6.1%}), load {row['load']:.1f}")
            if options.verbose:
                say(str(plan.memory) + str(plan.phases) + plan.summary)
        service.close()
    within = {"memory": sum(abs(r["memory_error"]) <= MEMORY_BOUND for r in rows), "time": sum(abs(r["time_error"]) <= TIME_BOUND for r in rows)}
    say(f"{len(rows)} points; memory within {MEMORY_BOUND:.0%}: {within['memory']}; time within {TIME_BOUND:.0%}: {within['time']}")
    print(json.dumps({"bench": "plan", "points": rows, "within": within}))


def add_command(commands):
    plan = commands.add_parser("plan", help="what PlanFineTuningJob says beside what jobs took")
    plan.add_argument("--threads", type=int, default=0, help="CPU threads of a job; 0: all cores")
    plan.add_argument("--rows", type=int, default=128, help="training texts; a quarter as many of each other split")
    plan.add_argument("--images", type=int, default=128, help="most of each split")
    plan.add_argument("--image-size", type=int, default=64)
    plan.add_argument("--only", nargs="+", help="models")
    plan.add_argument("--keep", help="directory where models of random weights are kept for the next time")
    plan.add_argument("--verbose", action="store_true", help="also what memory and time are made of")
    plan.set_defaults(run=bench_plan)
