#!/usr/bin/env python3
"""Loads a downloaded checkpoint as its users do and predicts a text: tools/check_checkpoint.py DIRECTORY TEXT

Fails when transformers misses weights or finds some that it does not expect.
"""
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
import torch  # noqa: E402  (after the environment is set)
from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: E402

directory, text = sys.argv[1:]
model, info = AutoModelForSequenceClassification.from_pretrained(directory, output_loading_info=True)
faults = {key: value for key, value in info.items() if value}
if faults:
    sys.exit(f"transformers finds fault with the weights: {faults}")
tokenizer = AutoTokenizer.from_pretrained(directory)
with torch.no_grad():
    probabilities = model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0]
best = int(probabilities.argmax())
print(f"transformers {model.config.transformers_version or ''}: {type(model).__name__} loaded, no weight missing or unexpected")
print(f'"{text}" is {model.config.id2label[best]} ({float(probabilities[best]):.3f})')
