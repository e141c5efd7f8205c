#!/usr/bin/env python3
"""Forward + backward of this engine beside transformers on the same batches, alternately; prints medians and ratios.

    .deps/testenv/bin/python tools/bench_engine/compare.py MODEL_DIR TEXTS [--rounds 5] [--steps 20] [--batch 32] [--bf16] [--attention sdpa|eager]

transformers runs as its Trainer does by default: random batches padded to their longest row, sdpa attention, dropout on. No optimizer on either side.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time


def reference(options):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.set_num_threads(options.threads)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForSequenceClassification.from_pretrained(options.model, num_labels=3, attn_implementation=options.attention).train()
    with open(options.texts, newline="\n") as file:
        texts = [file.readline().rstrip("\n") for _ in range(options.steps * options.batch)]
    batches = [tokenizer(texts[i:i + options.batch], padding=True, truncation=True, max_length=options.max_length, return_tensors="pt")
               for i in range(0, len(texts), options.batch)]
    labels = torch.zeros(options.batch, dtype=torch.long)

    def step(batch):
        model.zero_grad()
        begin = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
            loss = model(**batch, labels=labels).loss
        loss.backward()
        return time.perf_counter() - begin

    step(batches[0]), step(batches[0])
    cpu = time.process_time()
    seconds = [step(batch) for batch in batches]
    cpu = time.process_time() - cpu
    real = sum(int(batch["attention_mask"].sum()) for batch in batches)
    padded = sum(batch["input_ids"].numel() for batch in batches)
    print(json.dumps(dict(samples_per_second=len(texts) / sum(seconds), median_step_ms=statistics.median(seconds) * 1e3,
                          cpu_step_ms=cpu / len(batches) * 1e3, real_share=real / padded)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("texts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--bf16", action="store_true", help="on both sides")
    parser.add_argument("--attention", default="sdpa")
    parser.add_argument("--engine", default="build/full/tools/bench_engine/engine_step")
    parser.add_argument("--reference-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reference_only:
        return reference(options)
    shared = [options.model, options.texts] + [f"--{name}={getattr(options, name.replace('-', '_'))}" for name in ("batch", "steps", "max-length", "threads")]
    shared += ["--bf16"] * options.bf16
    engine = [options.engine] + [part for item in shared for part in item.split("=", 1)]
    theirs = [sys.executable, __file__, "--reference-only", f"--attention={options.attention}"] + shared
    samples, cpu = {"engine": [], "transformers": []}, {"engine": [], "transformers": []}
    for _ in range(options.rounds):
        for name, command in (("engine", engine), ("transformers", theirs)):
            result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
            samples[name].append(result["samples_per_second"])
            cpu[name].append(result["cpu_step_ms"])
            print(name, json.dumps(result), flush=True)
    medians = {name: statistics.median(values) for name, values in samples.items()}
    cpu = {name: statistics.median(values) for name, values in cpu.items()}
    print(f"median processor time of a step: engine {cpu['engine']:.1f} ms, transformers {cpu['transformers']:.1f} ms, ratio {cpu['transformers'] / cpu['engine']:.2f}")
    print(f"median samples/s: engine {medians['engine']:.1f}, transformers {medians['transformers']:.1f}, ratio {medians['engine'] / medians['transformers']:.2f}")


if __name__ == "__main__":
    main()
