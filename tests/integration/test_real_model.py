"""Real weights and real texts: MiniLM fine-tuned on tweets, taken home, and beside transformers on every test row.

ATTUNE_TEST_ROWS (600) says how many rows are drawn for the test split, and half as many to learn from; 4000 are those of the demo.
"""
import csv
import io
import os
import subprocess
import sys

import numpy

import harness
from harness import Job, common_pb, dataset_pb, prediction_pb, spec_pb

ROWS = os.environ.get("ATTUNE_TEST_ROWS", "600")


def predict(server, checkpoint, texts):
    for begin in range(0, len(texts), 256):
        answer = server.prediction.Predict(prediction_pb.PredictRequest(
            checkpoint=checkpoint, inputs=[common_pb.TextInput(text=text) for text in texts[begin:begin + 256]]), timeout=harness.DEADLINE)
        yield from answer.predictions


def test_checkpoint_predicts_the_same_in_transformers_on_every_test_row(own_server, tmp_path):
    import torch
    import transformers
    server = own_server
    subprocess.run([sys.executable, os.path.join(harness.SOURCE, "tools", "text_data.py"), tmp_path, "--train", str(int(ROWS) // 2), "--validation", "50", "--test", ROWS],
                   check=True, env={**os.environ, "ATTUNE_DEPS_DIR": harness.DEPS})
    model = server.import_model(os.path.join(harness.DEPS, "minilm"), "minilm").name
    content = {split: (tmp_path / f"{split}.csv").read_bytes() for split in ("train", "validation", "test")}
    dataset = server.import_dataset(content, max_bad_rows=-1, tokenizer_model=model)
    job = server.create_job(model, dataset.name, phases=[
        spec_pb.Phase(name="head", n_epochs=1, learning_rate=1e-3, trainable=spec_pb.Trainable(head_only=True)),
        spec_pb.Phase(name="all", max_steps=3, learning_rate=5e-5, trainable=spec_pb.Trainable(all=True))])
    done = server.wait(job.name)
    assert done.state == Job.STATE_SUCCEEDED, done
    server.download(done.best_checkpoint, tmp_path / "model")

    model, info = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not any(info.values()), info
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    rows = csv.DictReader(io.StringIO(content["test"].decode(errors="surrogateescape"), newline=""))
    texts = [row["text"] for row in rows if row["text"].strip() and row["text"].encode(errors="ignore").decode() == row["text"]]
    assert [len(texts)] == [split.rows for split in dataset.report.splits if split.split == dataset_pb.SPLIT_TEST]
    ours = list(predict(server, done.best_checkpoint, texts))
    theirs = []
    with torch.no_grad():
        for begin in range(0, len(texts), 64):
            theirs.append(model(**tokenizer(texts[begin:begin + 64], padding=True, truncation=True, return_tensors="pt")).logits.numpy())
    theirs = numpy.concatenate(theirs)
    numpy.testing.assert_allclose(numpy.array([p.logits for p in ours]), theirs, atol=1e-4, rtol=1e-4)
    assert [p.labels[0] for p in ours] == [model.config.id2label[int(i)] for i in theirs.argmax(-1)]
