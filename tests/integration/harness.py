"""Starts real servers with real workers and talks to them through the generated stubs. Everything in temporary directories, port 0.

    with Server(data_dir) as server:
        server.jobs.GetFineTuningJob(...)
"""
import csv
import hashlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

import grpc

SOURCE = os.environ.get("ATTUNE_SOURCE_DIR", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.environ.get("ATTUNE_BUILD_DIR", os.path.join(SOURCE, "build", "full"))
DEPS = os.environ.get("ATTUNE_DEPS_DIR", os.path.join(SOURCE, ".deps"))
SERVER = os.path.join(BUILD, "server", "main", "attune-server")
CLI = os.path.join(BUILD, "client", "cli", "attune")
# Sanitizers make everything slower; a deadline is a guard against hanging, not a measure.
DEADLINE = 300 * float(os.environ.get("ATTUNE_TEST_PATIENCE", "1"))
# How much more memory a sanitizer takes than the program.
MEMORY_FACTOR = int(os.environ.get("ATTUNE_TEST_MEMORY_FACTOR", "1"))


def _generate_stubs():
    from grpc_tools import protoc
    import grpc_tools
    out = tempfile.mkdtemp(prefix="attune-stubs-")
    proto = os.path.join(SOURCE, "proto")
    files = [os.path.join("attune", "v1", f) for f in sorted(os.listdir(os.path.join(proto, "attune", "v1"))) if f.endswith(".proto")]
    include = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
    if protoc.main(["protoc", "-I", proto, "-I", include, f"--python_out={out}", f"--grpc_python_out={out}", *files]) != 0:
        raise RuntimeError("protoc failed")
    sys.path.insert(0, out)


_generate_stubs()
pb = {}
for _name in ("common", "upload", "dataset", "model", "training_spec", "fine_tuning_job", "job_event", "checkpoint", "prediction", "system", "admin"):
    pb[_name] = importlib.import_module(f"attune.v1.{_name}_pb2")
rpc = {name: importlib.import_module(f"attune.v1.{name}_pb2_grpc")
       for name in ("upload", "dataset", "model", "fine_tuning_job", "checkpoint", "prediction", "system", "admin")}
upload_pb, dataset_pb, model_pb = pb["upload"], pb["dataset"], pb["model"]
spec_pb, job_pb, event_pb = pb["training_spec"], pb["fine_tuning_job"], pb["job_event"]
checkpoint_pb, prediction_pb, system_pb, common_pb = pb["checkpoint"], pb["prediction"], pb["system"], pb["common"]
Job = job_pb.FineTuningJob
CHANNEL_OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.use_local_subchannel_pool", 1)]
FINAL = (Job.STATE_SUCCEEDED, Job.STATE_FAILED, Job.STATE_CANCELLED)


class Server:
    """One attune-server process on a data directory; start() may be called again after stop() or kill()."""

    def __init__(self, data_dir, *flags):
        self.data_dir = str(data_dir)
        self.flags = list(flags)
        self.runner = []  # a command that runs the server's
        self.process = None
        self.log_path = self.data_dir.rstrip("/") + ".log"

    def start(self):
        port_file = self.data_dir.rstrip("/") + ".port"
        if os.path.exists(port_file):
            os.remove(port_file)
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            [*self.runner, SERVER, "--listen", "127.0.0.1:0", "--data-dir", self.data_dir, "--port-file", port_file, *self.flags],
            stdout=self.log, stderr=self.log)
        wait_until(lambda: os.path.exists(port_file) or self.process.poll() is not None, "the server to listen")
        if self.process.poll() is not None:
            raise RuntimeError(f"server exited with {self.process.returncode}:\n{self.log_text()[-3000:]}")
        with open(port_file) as file:
            self.address = f"127.0.0.1:{file.read().strip()}"
        self.connect()
        return self

    def connect(self):
        self.channel = self.open_channel(CHANNEL_OPTIONS)
        ready = grpc.channel_ready_future(self.channel)
        wait_until(lambda: ready.done() or self.process.poll() is not None, "the server to answer")
        if not ready.done():
            ready.cancel()
            raise RuntimeError(f"server exited with {self.process.returncode}:\n{self.log_text()[-3000:]}")
        self.use(self.channel)

    def open_channel(self, options):
        return grpc.insecure_channel(self.address, options=options)

    def use(self, channel):
        """Makes the calls of this object go over `channel`."""
        self.uploads = rpc["upload"].UploadServiceStub(channel)
        self.datasets = rpc["dataset"].DatasetServiceStub(channel)
        self.models = rpc["model"].ModelServiceStub(channel)
        self.jobs = rpc["fine_tuning_job"].FineTuningJobServiceStub(channel)
        self.checkpoints = rpc["checkpoint"].CheckpointServiceStub(channel)
        self.prediction = rpc["prediction"].PredictionServiceStub(channel)
        self.system = rpc["system"].SystemServiceStub(channel)
        self.admin = rpc["admin"].AdminServiceStub(channel)

    def kill(self):
        """SIGKILL, as a power cut would."""
        self.channel.close()
        self.process.kill()
        self.process.wait(DEADLINE)

    def stop(self):
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)

    def log_text(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.channel.close()
        if self.process.poll() is None:
            assert self.stop() == 0, self.log_text()[-3000:]
        at = self.log_text().find("Sanitizer")
        assert at < 0, self.log_text()[max(0, at - 200):at + 4000]

    # What most tests do -----------------------------------------------------------------------------------------------
    def upload(self, content, filename, sha256=None, chunk=256 << 10):
        created = self.uploads.CreateUpload(upload_pb.CreateUploadRequest(
            filename=filename, size_bytes=len(content), sha256=sha256 or hashlib.sha256(content).hexdigest()))
        return self.write_upload(created.name, content, 0, chunk)

    def write_upload(self, name, content, offset, chunk=256 << 10):
        def messages():
            yield upload_pb.WriteUploadRequest(name=name, offset=offset, data=content[offset:offset + chunk])
            for begin in range(offset + chunk, len(content), chunk):
                yield upload_pb.WriteUploadRequest(data=content[begin:begin + chunk])
        return self.uploads.WriteUpload(messages(), timeout=DEADLINE)

    def import_dataset(self, content, filename="data.csv", **fields):
        """Content is bytes, or a dict of split name to bytes."""
        parts = content if isinstance(content, dict) else {None: content}
        files = []
        for split, data in parts.items():
            upload = self.upload(data, filename if split is None else f"{split}-{filename}")
            files.append(dataset_pb.ImportFile(upload=upload.name, split=0 if split is None else dataset_pb.Split.Value(f"SPLIT_{split.upper()}")))
        last = None
        for last in self.datasets.ImportDataset(dataset_pb.ImportDatasetRequest(files=files, **fields), timeout=DEADLINE):
            pass
        return last.dataset

    def import_model(self, directory, model_id):
        files = []
        for name in sorted(os.listdir(directory)):
            if name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt",
                        "preprocessor_config.json"):
                with open(os.path.join(directory, name), "rb") as file:
                    files.append(model_pb.ModelFile(path=name, upload=self.upload(file.read(), name).name))
        return self.models.ImportModel(model_pb.ImportModelRequest(model_id=model_id, files=files), timeout=DEADLINE)

    def create_job(self, model, dataset, **spec):
        message = spec_pb.FineTuningSpec(base_model=model, dataset=dataset, **spec)
        return self.jobs.CreateFineTuningJob(job_pb.CreateFineTuningJobRequest(spec=message), timeout=DEADLINE)

    def events(self, name, after=0):
        """Yields events until the terminal one."""
        for response in self.jobs.WatchFineTuningJob(job_pb.WatchFineTuningJobRequest(name=name, after_sequence=after), timeout=DEADLINE):
            if response.WhichOneof("kind") == "event":
                yield response.event

    def wait(self, name):
        for _ in self.events(name):
            pass
        return self.jobs.GetFineTuningJob(job_pb.GetFineTuningJobRequest(name=name))

    def wait_for_event(self, name, kind, count=1):
        for event in self.events(name):
            if event.WhichOneof("payload") == kind:
                count -= 1
                if count == 0:
                    return event
        raise AssertionError(f"{name} ended without {kind}")

    def wait_for_state(self, name, state):
        for event in self.events(name):
            if event.state_changed.to == state:
                return event
        raise AssertionError(f"{name} ended without becoming {state}")

    def kill_workers(self):
        """Kills all, the idle one too: where the job reached it before its death was known, that attempt is lost as well."""
        victims = worker_pids(self)
        assert victims
        for pid in victims:
            os.kill(pid, signal.SIGKILL)

    def wait_for_later_attempt(self, name):
        """Until an attempt after the first trains."""
        for event in self.events(name):
            if event.attempt > 1 and event.WhichOneof("payload") == "metrics":
                return event
        raise AssertionError(f"{name} ended in its first attempt")

    def download(self, checkpoint, directory, weights_only=True):
        found = self.checkpoints.GetCheckpoint(checkpoint_pb.GetCheckpointRequest(name=checkpoint))
        os.makedirs(directory, exist_ok=True)
        for entry in found.files:
            if weights_only and entry.purpose != checkpoint_pb.CheckpointFile.PURPOSE_WEIGHTS:
                continue
            data = b"".join(part.data for part in self.checkpoints.DownloadCheckpointFile(
                checkpoint_pb.DownloadCheckpointFileRequest(name=found.name, path=entry.path), timeout=DEADLINE))
            assert len(data) == entry.size_bytes and hashlib.sha256(data).hexdigest() == entry.sha256, entry.path
            with open(os.path.join(directory, entry.path), "wb") as file:
                file.write(data)
        return found


def wait_until(condition, what):
    """Polls processes and files, which have no events to wait for."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {DEADLINE:.0f} s for {what}")
        threading.Event().wait(0.02)


def worker_pids(server):
    """Processes whose parent is the server."""
    children = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent == server.process.pid:
            children.append(int(pid))
    return children


def make_tiny_bert(directory, **overrides):
    """A random tiny BERT with a WordPiece tokenizer over the synthetic vocabulary, as transformers saves it."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + GOOD + BAD + FILLER
    words += [chr(c) for c in range(ord("a"), ord("z") + 1)] + ["##" + chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(dict.fromkeys(words))}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ids = {w: tokenizer.token_to_id(w) for w in ("[CLS]", "[SEP]")}
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                                                             special_tokens=list(ids.items()))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
                            mask_token="[MASK]", model_max_length=64).save_pretrained(directory)
    config = dict(vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
                  max_position_embeddings=64)
    config.update(overrides)
    BertModel(BertConfig(**config)).save_pretrained(directory)
    return str(directory)


GOOD = ["good", "great", "fine", "happy", "love", "nice"]
BAD = ["bad", "awful", "poor", "sad", "hate", "nasty"]
FILLER = ["the", "a", "film", "book", "food", "was", "is", "and", "very", "so", "this", "that", "it", "we", "they", "of"]


def sentiment_csv(rows, seed=0, labels=("negative", "positive")):
    """Learnable synthetic rows of ragged lengths, balanced."""
    import random
    rng = random.Random(seed)
    lines = ["text,label"]
    for i in range(rows):
        label = i % 2
        words = [rng.choice(FILLER) for _ in range(rng.randint(2, 20))]
        words.insert(rng.randrange(len(words) + 1), rng.choice(GOOD if label else BAD))
        lines.append(f"{' '.join(words)},{labels[label]}")
    return ("\n".join(lines) + "\n").encode()


def error_of(call, *args, **kwargs):
    """Runs a call that must fail; returns (code, message)."""
    try:
        result = call(*args, **kwargs)
        if hasattr(result, "__iter__") and hasattr(result, "code"):
            for _ in result:
                pass
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError("the call succeeded")


def cli(server, *args, check=True):
    done = subprocess.run([CLI, "--server", server.address, *args], capture_output=True, text=True, timeout=DEADLINE)
    if check and done.returncode != 0:
        raise AssertionError(f"attune {' '.join(args)} exited with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done
