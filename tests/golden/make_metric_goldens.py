#!/usr/bin/env python3
"""Writes what scikit-learn and scipy compute, for tests/training/tasks to compare with: make_metric_goldens.py tests/golden/metrics.json"""
import json
import sys

import numpy
from scipy.stats import pearsonr
from sklearn.metrics import (accuracy_score, confusion_matrix, f1_score, log_loss, mean_absolute_error, mean_squared_error, precision_recall_fscore_support,
                             top_k_accuracy_score)

random = numpy.random.default_rng(0)


def single(classes, truth, predicted):
    labels = list(range(classes))
    precision, recall, f1, support = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    return dict(classes=classes, truth=list(map(int, truth)), predicted=list(map(int, predicted)), accuracy=accuracy_score(truth, predicted),
                f1_macro=f1_score(truth, predicted, average="macro", zero_division=0), f1_micro=f1_score(truth, predicted, average="micro", zero_division=0),
                precision=precision.tolist(), recall=recall.tolist(), f1=f1.tolist(), support=support.tolist(),
                confusion=confusion_matrix(truth, predicted, labels=labels).flatten().tolist())


def multi(truth, predicted):
    precision, recall, f1, support = precision_recall_fscore_support(truth, predicted, average=None, zero_division=0)
    return dict(classes=truth.shape[1], truth=truth.flatten().tolist(), predicted=predicted.flatten().tolist(), accuracy=accuracy_score(truth, predicted),
                f1_macro=f1_score(truth, predicted, average="macro", zero_division=0), f1_micro=f1_score(truth, predicted, average="micro", zero_division=0),
                precision=precision.tolist(), recall=recall.tolist(), f1=f1.tolist(), support=support.tolist())


def regression(truth, predicted):
    return dict(truth=truth.tolist(), predicted=predicted.tolist(), mse=mean_squared_error(truth, predicted), mae=mean_absolute_error(truth, predicted), pearson=float(pearsonr(truth, predicted)[0]))


def scored(classes, rows, scale):
    """Logits: top k, the loss, and the expected calibration error as Guo et al. 2017 define it, with 15 bins (lower, upper]."""
    truth = random.integers(0, classes, rows)
    logits = random.normal(size=(rows, classes)).astype(numpy.float32).astype(float) * scale
    logits[numpy.arange(rows), truth] += scale * random.integers(0, 3, rows)
    logits = logits.astype(numpy.float32).astype(float)
    probabilities = numpy.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    confidence, right = probabilities.max(1), logits.argmax(1) == truth
    bins, ece = [], 0.0
    for lower, upper in zip(numpy.arange(15) / 15, numpy.arange(1, 16) / 15):
        inside = (confidence > lower) & (confidence <= upper)
        bins.append(dict(rows=int(inside.sum()), confidence=float(confidence[inside].mean()) if inside.any() else 0.0,
                         accuracy=float(right[inside].mean()) if inside.any() else 0.0))
        ece += inside.mean() * abs(bins[-1]["accuracy"] - bins[-1]["confidence"])
    labels = list(range(classes))
    return dict(classes=classes, truth=truth.tolist(), logits=logits.flatten().tolist(), bins=bins, ece=ece, loss=log_loss(truth, probabilities, labels=labels),
                top={str(k): top_k_accuracy_score(truth, logits, k=k, labels=labels) for k in (1, 3, 5) if k < classes})


skewed = random.choice(5, 60, p=[0.6, 0.2, 0.1, 0.1, 0.0])
target = random.normal(size=30).astype(numpy.float32).astype(float)
goldens = dict(
    single=[
        single(3, random.integers(0, 3, 50), random.integers(0, 3, 50)),
        single(5, skewed, numpy.where(random.random(60) < 0.7, skewed, 0)),  # class 4 is neither true nor predicted, and does not count
        single(3, [0, 0, 1], [2, 0, 1]),  # class 2 is predicted but never true: it counts
        single(2, [1, 1, 1], [0, 0, 0]),
        single(2, [1], [1]),
    ],
    multi=[
        multi(random.integers(0, 2, (40, 4)), random.integers(0, 2, (40, 4))),
        multi(numpy.array([[1, 0, 0], [0, 1, 0]]), numpy.array([[1, 0, 0], [1, 1, 0]])),  # the last class counts with 0
    ],
    regression=[regression(target, target * 0.5 + random.normal(size=30).astype(numpy.float32)), regression(numpy.array([1.0, 2.0]), numpy.array([3.0, 1.0]))],
    scored=[scored(7, 80, 1.0), scored(12, 50, 3.0), scored(4, 30, 0.2)],
)
with open(sys.argv[1], "w") as file:
    json.dump(goldens, file)
    file.write("\n")
