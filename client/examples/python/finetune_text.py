#!/usr/bin/env python3
"""The whole workflow: a pretrained model directory and a CSV file (columns text and label) become a fine-tuned classifier on this machine.

    PYTHONPATH=client/python python finetune_text.py MODEL_DIR DATA.csv [--out finetuned] [--epochs 1] [--server 127.0.0.1:50051]
"""
import argparse
import sys

from attune_client import AlreadyExistsError, AttuneError, Client, JobFailed

TEXTS = ["what a wonderful day", "this is the worst thing ever"]


def import_model(client, directory):
    """Makes a base model of a directory that transformers' save_pretrained() wrote. It stays on the server for other jobs."""
    try:
        return client.import_model(directory).name
    except AlreadyExistsError:
        print("the server has this model already")
        return directory.rstrip("/").split("/")[-1]


def print_event(event):
    kind = event.WhichOneof("payload")
    if kind == "state_changed":
        print(event.state_changed.to)
    elif kind == "evaluation":
        figures = "  ".join(f"{name} {value:.3f}" for name, value in sorted(event.evaluation.values.items()))
        print(f"step {event.evaluation.step}, {event.evaluation.split}: {figures}")


def run(options):
    with Client(options.server) as client:
        model = import_model(client, options.model_dir)

        # Every row is checked; a tenth is drawn for validation, another for the final figure. Rows that cannot be used are left out and named.
        dataset = client.import_dataset(options.csv, validation_fraction=0.1, test_fraction=0.1, max_bad_rows=-1)
        print(f"{dataset.name}: {dataset.report.rows_used} rows of {dataset.report.rows_read}, labels {', '.join(dataset.labels)}")
        for issue in dataset.report.issues[:5]:
            print(f"  left out {issue.filename}:{issue.line} {issue.message}")

        # What is left out has good defaults: first the new head alone, then all layers at a smaller rate.
        job = client.create_job(base_model=model, dataset=dataset.name, n_epochs=options.epochs)
        print(job.name)
        job.wait(on_event=print_event)
        print("test:", {name: round(value, 3) for name, value in job.test_evaluation.values.items()})

        for text, prediction in zip(TEXTS, job.predict(TEXTS)):
            print(f"{prediction.scores[0].score:6.1%} {prediction.labels[0]}: {text}")

        job.download(options.out)
        print(f"the model is in {options.out}: transformers.pipeline('text-classification', '{options.out}')")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_dir", help="directory with config.json, model.safetensors, tokenizer.json")
    parser.add_argument("csv", help="CSV file with the columns text and label")
    parser.add_argument("--out", default="finetuned", help="directory for the fine-tuned model (default: finetuned)")
    parser.add_argument("--epochs", type=int, default=1, help="passes over the training rows (default: 1)")
    parser.add_argument("--server", help="host:port (default: ATTUNE_SERVER, else 127.0.0.1:50051)")
    try:
        run(parser.parse_args())
    except (AttuneError, JobFailed, OSError, ValueError) as error:
        sys.exit(f"finetune_text.py: {error}")


if __name__ == "__main__":
    main()
