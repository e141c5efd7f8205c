#!/usr/bin/env python3
"""Writes what transformers' BertForSequenceClassification computes, for tests/training/models to compare with.

    make_bert_goldens.py tiny DIRECTORY              the small random cases (committed in tests/golden/bert)
    make_bert_goldens.py pretrained DIRECTORY MODEL  real weights of a model directory (made at test time, not committed)

A case is a directory: config.json; model.safetensors, the weights (for `pretrained` only the head; the rest is MODEL's own); golden.safetensors, with the padded inputs
(input_ids, token_type_ids, attention_mask, labels), logits, loss and grad.NAME for each parameter. Eager attention, evaluation mode (no dropout), fp32.
"""
import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

SIZES = dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, max_position_embeddings=24)
CASES = {
    "tiny": dict(num_labels=3),
    "pairs": dict(num_labels=2, num_attention_heads=4, pairs=True),
    "label_smoothing": dict(num_labels=4, label_smoothing=0.1),
    "gelu_new": dict(num_labels=2, hidden_act="gelu_new", layer_norm_eps=1e-6),
    "relu": dict(num_labels=2, hidden_act="relu", type_vocab_size=1),
    "silu": dict(num_labels=2, hidden_act="silu", num_hidden_layers=1),
    "multi_label": dict(num_labels=5, problem_type="multi_label_classification"),
    "regression": dict(num_labels=1, problem_type="regression"),
}
TEXTS = [
    "so happy today", "this is the worst flight that I have ever been on and nobody at the desk could say when the next one goes", "ok", "meh",
    "@airline thanks for the quick reply, my bag arrived this morning!! see https://example.org/x?y=1", "I do not know what to think about it.",
    "naïve café über straße — 你好 мир 🙂", "lost my phone, missed the train, spilled coffee on the laptop: great start of the week", "", "not bad at all",
    "the film is long, sometimes slow, and yet the last half hour is worth every minute of it " * 4, "so happy today", "why", "three word text", "no [MASK] and [UNK]", "x" * 40,
]


def random_batch(config, pairs, generator):
    """Ragged rows, equal lengths among them, padded on the right."""
    lengths = [5, 9, 3, 9, 24, 2, 5, 1]
    rows = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    types, mask = torch.zeros_like(rows), torch.zeros_like(rows)
    for i, n in enumerate(lengths):
        rows[i, :n] = torch.randint(0, config.vocab_size, (n,), generator=generator)  # id 0, the padding token, too
        mask[i, :n] = 1
        if pairs:
            types[i, n // 2:n] = 1
    return rows, types, mask


def random_labels(config, rows, generator):
    if config.problem_type == "multi_label_classification":
        return torch.randint(0, 2, (rows, config.num_labels), generator=generator).float()
    if config.problem_type == "regression":
        return torch.randn(rows, generator=generator)
    return torch.randint(0, config.num_labels, (rows,), generator=generator)


def run(model, rows, types, mask, labels, label_smoothing=0.0):
    model.eval()
    out = model(input_ids=rows, token_type_ids=types, attention_mask=mask, labels=labels)
    loss = torch.nn.functional.cross_entropy(out.logits, labels, label_smoothing=label_smoothing) if label_smoothing else out.loss
    loss.backward()
    golden = dict(input_ids=rows, token_type_ids=types, attention_mask=mask, labels=labels, logits=out.logits.detach(), loss=loss.detach().reshape(1))
    golden.update({"grad." + name: parameter.grad for name, parameter in model.named_parameters()})
    return {name: tensor.contiguous() for name, tensor in golden.items()}


def write(directory, config, weights, golden, label_smoothing):
    os.makedirs(directory, exist_ok=True)
    save_file(weights, os.path.join(directory, "model.safetensors"))
    save_file(golden, os.path.join(directory, "golden.safetensors"))
    with open(os.path.join(directory, "config.json"), "w") as file:
        content = config.to_dict()
        content["attune_label_smoothing"] = label_smoothing  # read by the test alone
        file.write(json.dumps(content, indent=1, sort_keys=True) + "\n")


def tiny(directory):
    for seed, (name, case) in enumerate(CASES.items()):
        case = dict(case)
        pairs, label_smoothing = case.pop("pairs", False), case.pop("label_smoothing", 0.0)
        config = BertConfig(**{**SIZES, **case}, attn_implementation="eager", initializer_range=0.3)  # larger than usual, so that nothing is near-linear
        torch.manual_seed(seed)
        model = BertForSequenceClassification(config)
        with torch.no_grad():
            for parameter in model.parameters():  # biases and norms too: zeros and ones would hide mistakes
                parameter.add_(torch.randn_like(parameter) * 0.1)
        generator = torch.Generator().manual_seed(seed)
        rows, types, mask = random_batch(config, pairs, generator)
        golden = run(model, rows, types, mask, random_labels(config, len(rows), generator), label_smoothing)
        write(os.path.join(directory, name), config, {k: v.contiguous() for k, v in model.state_dict().items()}, golden, label_smoothing)


def pretrained(directory, source):
    torch.manual_seed(0)
    model = BertForSequenceClassification.from_pretrained(source, num_labels=3, attn_implementation="eager")
    batch = AutoTokenizer.from_pretrained(source)(TEXTS, padding=True, truncation=True, max_length=128, return_tensors="pt")
    labels = torch.arange(len(TEXTS)) % 3
    golden = run(model, batch["input_ids"], batch["token_type_ids"], batch["attention_mask"], labels)
    head = {name: tensor.detach().contiguous() for name, tensor in model.classifier.state_dict(prefix="classifier.").items()}
    write(directory, model.config, head, golden, 0.0)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "tiny":
        tiny(sys.argv[2])
    elif len(sys.argv) == 4 and sys.argv[1] == "pretrained":
        pretrained(sys.argv[2], sys.argv[3])
    else:
        sys.exit(__doc__)
