#!/usr/bin/env python3
"""Loads a downloaded checkpoint as its users do, in transformers or torchvision, and predicts.

    tools/check_checkpoint.py DIRECTORY TEXT
    tools/check_checkpoint.py DIRECTORY IMAGE... [--predictions FILE] [--tolerance 1e-3]

Fails when the library misses weights or finds some that it does not expect. --predictions names what `attune --output json predict` said of these images, in this
order: it fails, too, where a class differs, or a logit by more than the tolerance. (Attune decodes photos that are much larger than the model needs at a fraction of their
size; there the last digits may differ.)
"""
import argparse
import json
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "vision_lib"))
import torch  # noqa: E402  (after the environment is set)


def check_text(directory, text):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
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


def compare(images, predictions, logits, names, tolerance):
    if len(predictions) != len(images):
        sys.exit(f"{len(predictions)} predictions for {len(images)} images: name the images that were predicted, in that order")
    theirs = torch.tensor([p["logits"] for p in predictions])
    apart = (theirs - logits).abs().amax(-1)
    for image, prediction, row, distance in zip(images, predictions, logits, apart):
        if not distance <= tolerance:
            sys.exit(f"{image}: logits are {float(distance):.2g} apart, more than {tolerance:g}: {prediction['logits']} and here {row.tolist()}")
        if prediction["labels"] != [names[int(row.argmax())]]:
            sys.exit(f"{image}: the server says {prediction['labels']}, here it is {names[int(row.argmax())]}")
    print(f"{len(images)} images: the same class as the server says for each, logits at most {float(apart.max()):.1e} apart")


def check_images(directory, images, predictions, tolerance):
    import reference
    model, config = reference.load(directory)
    library = "torchvision" if reference.is_torchvision(config) else "transformers"
    print(f"{library}: {config['model_type']} ({type(model).__name__}) loaded strictly, no weight missing or unexpected")
    logits = reference.predict(model, reference.preprocessing(config), images)
    names = {int(index): name for index, name in config["id2label"].items()}
    best = int(logits[0].argmax())
    print(f"{images[0]} is {names[best]} ({float(logits[0].softmax(-1)[best]):.3f})")
    if predictions:
        with open(predictions, encoding="utf-8") as file:
            compare(images, json.load(file)["predictions"], logits, names, tolerance)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory")
    parser.add_argument("inputs", nargs="+", metavar="TEXT|IMAGE")
    parser.add_argument("--predictions")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    options = parser.parse_args()
    if os.path.exists(os.path.join(options.directory, "tokenizer.json")):
        check_text(options.directory, options.inputs[0])
    else:
        check_images(options.directory, options.inputs, options.predictions, options.tolerance)


if __name__ == "__main__":
    main()
