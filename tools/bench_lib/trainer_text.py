#!/usr/bin/env python3
"""The alternative: transformers' Trainer fine-tunes BertForSequenceClassification on text,label CSV files. Prints one JSON object.

    trainer_text.py --model DIR --data DIR --epochs 3 --learning-rate 5e-5 --batch-size 32 --seed 1 [--bf16] [--group-by-length] [--evaluate]

Everything not named is the Trainer's own default (AdamW, linear schedule, dynamic padding by the tokenizer's collator).
"""
import argparse
import csv
import io
import json
import os
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def read_csv(path):
    """Rows that are UTF-8, as the service keeps them; the others are left out there and here."""
    csv.field_size_limit(sys.maxsize)
    good = []
    with open(path, "rb") as file:
        text = file.read().decode("utf-8", errors="surrogateescape")
    for row in csv.DictReader(io.StringIO(text, newline="")):
        try:
            row["text"].encode("utf-8")
        except UnicodeEncodeError:
            continue
        if row["text"].strip() and row["label"]:
            good.append((row["text"], row["label"]))
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="directory with train.csv and test.csv")
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--max-steps", type=int, default=-1)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--group-by-length", action="store_true")
    parser.add_argument("--evaluate", action="store_true", help="also report accuracy on test.csv")
    options = parser.parse_args()

    begin = time.time()
    import numpy
    import torch
    import transformers
    from transformers import (AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments, set_seed)

    set_seed(options.seed)
    train = read_csv(os.path.join(options.data, "train.csv"))
    labels = sorted({label for _, label in train})
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForSequenceClassification.from_pretrained(options.model, num_labels=len(labels))

    class Rows(torch.utils.data.Dataset):
        def __init__(self, rows):
            encoded = tokenizer([text for text, _ in rows], truncation=True, max_length=options.max_length)
            self.items = [{"input_ids": i, "attention_mask": a, "token_type_ids": t, "labels": labels.index(label)}
                          for i, a, t, (_, label) in zip(encoded["input_ids"], encoded["attention_mask"], encoded["token_type_ids"], rows)]

        def __len__(self):
            return len(self.items)

        def __getitem__(self, index):
            return self.items[index]

    rows = Rows(train)
    with tempfile.TemporaryDirectory() as scratch:
        flags = dict(output_dir=scratch, num_train_epochs=options.epochs, max_steps=options.max_steps,
                     learning_rate=options.learning_rate, per_device_train_batch_size=options.batch_size, per_device_eval_batch_size=64,
                     seed=options.seed, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True, bf16=options.bf16,
                     logging_strategy="no")
        if options.group_by_length:
            flags["train_sampling_strategy"] = "group_by_length"
        trainer = Trainer(model=model, args=TrainingArguments(**flags), train_dataset=rows,
                          data_collator=DataCollatorWithPadding(tokenizer))
        ready = time.time()
        result = trainer.train()
        metrics = result.metrics
        out = {"engine": "transformers.Trainer", "transformers": transformers.__version__, "torch": torch.__version__,
               "threads": torch.get_num_threads(), "rows": len(train), "labels": labels,
               "train_seconds": metrics["train_runtime"], "samples_per_second": metrics["train_samples_per_second"],
               "steps": result.global_step, "start_seconds": ready - begin}
        lengths = sorted(len(item["input_ids"]) for item in rows.items)
        out["lengths"] = {"median": lengths[len(lengths) // 2], "p95": lengths[int(len(lengths) * 0.95)], "max": lengths[-1]}
        if options.evaluate:
            test = [row for row in read_csv(os.path.join(options.data, "test.csv")) if row[1] in labels]
            predictions = trainer.predict(Rows(test))
            predicted = numpy.argmax(predictions.predictions, axis=-1)
            out["test_rows"] = len(test)
            out["test_accuracy"] = float((predicted == predictions.label_ids).mean())
    print(json.dumps(out))


if __name__ == "__main__":
    sys.exit(main())
