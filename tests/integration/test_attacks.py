"""What a tenant or a stranger tries against a real server over TLS. Nothing gets through, and under each flood the server stays within its memory and answers another client."""
import concurrent.futures
import gzip
import io
import os
import socket
import ssl
import struct
import tarfile
import threading
import time
import zipfile
import zlib

import grpc
import psutil
import pytest

import harness
import secure
from harness import checkpoint_pb, common_pb, dataset_pb, job_pb, model_pb, pb, prediction_pb, rpc, spec_pb, system_pb, upload_pb

MiB = 1 << 20
MEMORY_LIMIT = 192 * MiB * harness.MEMORY_FACTOR  # more than before the flood
# A guard against standing still. What the figures are on a quiet machine (the aim is 50 ms) stands in docs/benchmarks.md, from the lines that -s shows.
P99_SECONDS = 1.0 * float(os.environ.get("ATTUNE_TEST_PATIENCE", "1"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return secure.Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(tmp_path_factory, authority, tiny_bert):
    """team-a has a model, a dataset, an upload and a job with checkpoints; team-b has the same."""
    started = secure.SecureServer(tmp_path_factory.mktemp("server") / "data", authority, "--worker-threads", "1", "--max-dataset-rows", "1000000")
    started.runner = ["prlimit", "--nofile=256:"]  # shells and services begin with little more, and may have as many as they ask for
    with started as running:
        running.teams = {}
        for team in ("team-a", "team-b"):
            token = running.token(team, "write")
            running.as_caller(token)
            model = running.import_model(tiny_bert, f"bert-of-{team}").name
            dataset = running.import_dataset(harness.sentiment_csv(120 if team == "team-a" else 4000), test_fraction=0.2, dataset_id=f"data-of-{team}").name
            upload = running.upload(b"text,label\n", f"{team}.csv").name
            job = running.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=1)).name
            assert running.wait(job).state == harness.Job.STATE_SUCCEEDED
            running.teams[team] = {"token": token, "model": model, "dataset": dataset, "upload": upload, "job": job}
        yield running
        running.as_caller(running.admin_token)


def code_of(call):
    try:
        answer = call()
        if hasattr(answer, "__next__"):
            for _ in answer:
                pass
        return "OK"
    except grpc.RpcError as error:
        return error.code().name


def test_nothing_of_another_team_is_seen(server):
    a, b = server.teams["team-a"], server.teams["team-b"]
    server.as_caller(b["token"])
    jobs, checkpoint = server.jobs, f"{a['job']}/checkpoints/best"
    own = dict(base_model=b["model"], dataset=b["dataset"])
    create = lambda **spec: jobs.CreateFineTuningJob(job_pb.CreateFineTuningJobRequest(spec=spec_pb.FineTuningSpec(**{**own, **spec})))
    attempts = {
        "upload": lambda: server.uploads.GetUpload(upload_pb.GetUploadRequest(name=a["upload"])),
        "write to it": lambda: server.write_upload(a["upload"], b"x", 0),
        "import it": lambda: server.datasets.ImportDataset(dataset_pb.ImportDatasetRequest(files=[dataset_pb.ImportFile(upload=a["upload"])])),
        "dataset": lambda: server.datasets.GetDataset(dataset_pb.GetDatasetRequest(name=a["dataset"])),
        "its rows": lambda: server.datasets.PreviewRows(dataset_pb.PreviewRowsRequest(name=a["dataset"])),
        "its deletion": lambda: server.datasets.DeleteDataset(dataset_pb.DeleteDatasetRequest(name=a["dataset"])),
        "model": lambda: server.models.GetModel(model_pb.GetModelRequest(name=a["model"])),
        "job": lambda: jobs.GetFineTuningJob(job_pb.GetFineTuningJobRequest(name=a["job"])),
        "its events": lambda: jobs.ListJobEvents(job_pb.ListJobEventsRequest(parent=a["job"])),
        "watch": lambda: jobs.WatchFineTuningJob(job_pb.WatchFineTuningJobRequest(name=a["job"])),
        "weights": lambda: server.checkpoints.DownloadCheckpointFile(checkpoint_pb.DownloadCheckpointFileRequest(name=checkpoint, path="model.safetensors")),
        "prediction": lambda: server.prediction.Predict(prediction_pb.PredictRequest(checkpoint=checkpoint, inputs=[common_pb.TextInput(text="x")])),
        "evaluation on it": lambda: server.prediction.Evaluate(prediction_pb.EvaluateRequest(checkpoint=f"{b['job']}/checkpoints/best", dataset=a["dataset"])),
        "as base model": lambda: create(base_model=a["model"]),
        "as dataset": lambda: create(dataset=a["dataset"]),
        "as warm start": lambda: create(warm_start=spec_pb.WarmStart(checkpoint=checkpoint)),
        "as replay": lambda: create(replay=spec_pb.ReplaySpec(dataset=a["dataset"], fraction=0.2)),
    }
    assert {what: code_of(call) for what, call in attempts.items()} == dict.fromkeys(attempts, "NOT_FOUND")
    assert code_of(lambda: create(scheduling=spec_pb.SchedulingSpec(project="team-a"))) == "PERMISSION_DENIED"
    # An id that is taken says so, and no more: not by whom, nor what it is.
    taken = lambda: server.import_dataset(harness.sentiment_csv(50), dataset_id=a["dataset"].split("/")[1])
    with pytest.raises(grpc.RpcError) as error:
        taken()
    assert error.value.code() == grpc.StatusCode.ALREADY_EXISTS and a["dataset"] not in error.value.details()


def test_lists_filters_and_page_tokens_stay_at_home(server):
    a, b = server.teams["team-a"], server.teams["team-b"]
    listed = {}
    for team in ("team-a", "team-b"):
        server.as_caller(server.teams[team]["token"])
        listed[team] = [job.name for job in server.jobs.ListFineTuningJobs(job_pb.ListFineTuningJobsRequest()).fine_tuning_jobs]
        listed[team] += [dataset.name for dataset in server.datasets.ListDatasets(dataset_pb.ListDatasetsRequest()).datasets]
        listed[team] += [model.name for model in server.models.ListModels(model_pb.ListModelsRequest()).models]
    assert listed["team-a"] == [a["job"], a["dataset"], a["model"]] and listed["team-b"] == [b["job"], b["dataset"], b["model"]]
    # A page token of team-a's list of events, at team-b's job, at a list of jobs; and one of an administrator's list.
    server.as_caller(a["token"])
    token = server.jobs.ListJobEvents(job_pb.ListJobEventsRequest(parent=a["job"], page_size=1)).next_page_token
    server.as_caller(server.admin_token)
    everybody = server.jobs.ListFineTuningJobs(job_pb.ListFineTuningJobsRequest(page_size=1)).next_page_token
    server.as_caller(b["token"])
    assert token and code_of(lambda: server.jobs.ListJobEvents(job_pb.ListJobEventsRequest(parent=b["job"], page_token=token))) == "INVALID_ARGUMENT"
    assert code_of(lambda: server.jobs.ListJobEvents(job_pb.ListJobEventsRequest(parent=a["job"], page_token=token))) == "NOT_FOUND"
    page = server.jobs.ListFineTuningJobs(job_pb.ListFineTuningJobsRequest(page_token=everybody))
    assert a["job"] not in [job.name for job in page.fine_tuning_jobs]


def test_a_request_id_of_another_team_is_a_new_one(server):
    made = {}
    for team in ("team-a", "team-b"):
        server.as_caller(server.teams[team]["token"])
        request = upload_pb.CreateUploadRequest(filename="same.csv", size_bytes=7, request_id="guessed")
        made[team] = [server.uploads.CreateUpload(request).name for _ in range(2)]
    assert made["team-a"][0] == made["team-a"][1] != made["team-b"][0] == made["team-b"][1]


def test_names_lead_out_of_nothing(server):
    b = server.teams["team-b"]
    server.as_caller(b["token"])
    other = server.teams["team-a"]["job"].split("/")[1]
    for name in ("../../etc/passwd", "..", f"../../../{other}/checkpoints/1/model.safetensors", "/etc/passwd", "model.safetensors/../../x", "a\0b"):
        for checkpoint in (f"{b['job']}/checkpoints/best", f"{b['job']}/checkpoints/../../{other}/checkpoints/best"):
            request = checkpoint_pb.DownloadCheckpointFileRequest(name=checkpoint, path=name)
            assert code_of(lambda: server.checkpoints.DownloadCheckpointFile(request)) in ("NOT_FOUND", "INVALID_ARGUMENT"), (name, checkpoint)
        assert code_of(lambda: server.uploads.CreateUpload(upload_pb.CreateUploadRequest(filename=name, size_bytes=1))) in ("INVALID_ARGUMENT", "OK"), name
        assert code_of(lambda: server.datasets.GetDataset(dataset_pb.GetDatasetRequest(name=f"datasets/{name}"))) in ("NOT_FOUND", "INVALID_ARGUMENT"), name
        files = [model_pb.ModelFile(path=name, upload=b["upload"])]
        assert code_of(lambda: server.models.ImportModel(model_pb.ImportModelRequest(model_id="x", files=files))) in ("NOT_FOUND", "INVALID_ARGUMENT"), name


class Bystander:
    """Another team's client: asks again and again, on a thread and connections of its own, how long an answer takes."""

    def __init__(self, server):
        self.server = server
        self.seconds, self.failures = [], []
        self.stopping = threading.Event()

    def __enter__(self):
        self.channel = self.server.open_channel(harness.CHANNEL_OPTIONS, self.server.teams["team-a"]["token"])
        self.stub = rpc["fine_tuning_job"].FineTuningJobServiceStub(self.channel)
        self.ask()
        self.seconds.clear()
        self.peak = self.memory = psutil.Process(self.server.process.pid).memory_info().rss
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def ask(self):
        begin = time.monotonic()
        try:
            self.stub.GetFineTuningJob(job_pb.GetFineTuningJobRequest(name=self.server.teams["team-a"]["job"]), timeout=30)
        except grpc.RpcError as error:
            self.failures.append(error.code())
        self.seconds.append(time.monotonic() - begin)

    def run(self):
        while not self.stopping.wait(0.005):
            self.ask()
            self.peak = max(self.peak, psutil.Process(self.server.process.pid).memory_info().rss)

    def wait(self):
        """For 200 more answers."""
        enough = len(self.seconds) + 200
        harness.wait_until(lambda: len(self.seconds) >= enough, "enough answers")

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        self.channel.close()

    def check(self, what):
        ordered = sorted(self.seconds)
        p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
        print(f"{what}: another client's {len(ordered)} calls: p50 {1000 * p50:.1f} ms, p99 {1000 * p99:.1f} ms; memory +{(self.peak - self.memory) / MiB:.0f} MiB")
        assert not self.failures
        assert self.peak - self.memory < MEMORY_LIMIT, what
        assert p99 < P99_SECONDS, what


# The flooding clients run as processes of their own: Python's threads would hold up the bystander's clock.
FLOOD = """
import os, sys, time
os.nice(19)  # attackers have machines of their own
sys.path.insert(0, {directory!r})
import grpc, harness, secure
from harness import job_pb, rpc, upload_pb
authority = open({certificate!r}, "rb").read()
credentials = grpc.composite_channel_credentials(grpc.ssl_channel_credentials(authority), grpc.metadata_call_credentials(secure.BearerToken({token!r})))
channels = [grpc.secure_channel({address!r}, credentials, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range({connections})]
{body}
print("ready", flush=True)
sys.stdin.read()
"""


class Flood:
    def __init__(self, server, body, connections=10):
        self.arguments = dict(directory=os.path.dirname(os.path.abspath(__file__)), certificate=server.authority.certificate, token=server.teams["team-b"]["token"], address=server.address,
                              connections=connections, body=body)

    def __enter__(self):
        import subprocess
        import sys
        self.process = subprocess.Popen([sys.executable, "-c", FLOOD.format(**self.arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().strip() == "ready"
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(harness.DEADLINE)


def test_a_thousand_half_open_uploads(server):
    body = """
held = []
for i in range(1000):
    stub = rpc["upload"].UploadServiceStub(channels[i % len(channels)])
    upload = stub.CreateUpload(upload_pb.CreateUploadRequest(filename="half.csv", size_bytes=1 << 20))
    first = upload_pb.WriteUploadRequest(name=upload.name, data=b"x" * 1024)
    held.append(channels[i % len(channels)].stream_unary("/attune.v1.UploadService/WriteUpload", upload_pb.WriteUploadRequest.SerializeToString, upload_pb.Upload.FromString).future(
        (message for message in __import__("itertools").chain([first], iter(lambda: time.sleep(3600), None)))))
stub = rpc["upload"].UploadServiceStub(channels[0])
while sum(not call.done() for call in held) < 1000 or stub.GetUpload(upload_pb.GetUploadRequest(name=upload.name)).committed_bytes < 0:
    time.sleep(0.01)
"""
    with Bystander(server) as bystander, Flood(server, body):
        bystander.wait()
    bystander.check("1,000 half-open uploads")


def test_a_thousand_watchers_that_never_read(server):
    team = server.teams["team-b"]
    server.as_caller(team["token"])
    job = server.create_job(team["model"], team["dataset"], hyperparameters=spec_pb.Hyperparameters(n_epochs=1000, batch_size=4)).name
    server.wait_for_state(job, "RUNNING")
    body = f"""
held = [rpc["fine_tuning_job"].FineTuningJobServiceStub(channels[i % len(channels)]).WatchFineTuningJob(job_pb.WatchFineTuningJobRequest(name={job!r})) for i in range(1000)]
next(held[-1])  # the last has begun, so all have
"""
    with Bystander(server) as bystander, Flood(server, body):
        bystander.wait()
    server.jobs.CancelFineTuningJob(job_pb.CancelFineTuningJobRequest(name=job))
    bystander.check("1,000 watchers that never read, of a job that trains")


def png_of(side, rows):
    """A picture of side x side pixels, by its header, and `rows` lines of them."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    pixels = zlib.compressobj(1)
    content = b"".join(pixels.compress(bytes(1 + 3 * side)) for _ in range(rows)) + pixels.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def bombs():
    """Name, content, and what the refusal says."""
    yield "table.csv.gz", gzip.compress(b"text,label\n" + b"good,a\nbad,b\n" * (24 * MiB), compresslevel=1), "more than 1000000 rows"  # 312 MiB, and 40 bytes of memory a row
    yield "line.csv.gz", gzip.compress(b"text,label\n" + bytes(256 * MiB), compresslevel=1), "line 2"
    zeros = bytes(96 * MiB)
    photos, nested = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(photos, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for i in range(3):
            archive.writestr(f"cat/{i}.png", zeros)
    yield "photos.zip", photos.getvalue(), "image_too_large"
    with tarfile.open(fileobj=nested, mode="w:gz", compresslevel=1) as archive:
        entry = tarfile.TarInfo("cat/1.png")
        entry.size = len(zeros)
        archive.addfile(entry, io.BytesIO(zeros))
    yield "photos.tar.gz", nested.getvalue(), "unpacks to more"
    for name, content, words in (("inner.zip", photos.getvalue(), "has no images"), ("large.png", png_of(60000, 1), "image_too_large"), ("dense.png", png_of(20000, 400), "image_too_large")):
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"cat/{name}", content)
        yield f"{name}-in.zip", inner.getvalue(), words


def test_decompression_bombs(server):
    made = list(bombs())
    server.as_caller(server.teams["team-b"]["token"])
    with Bystander(server) as bystander:
        for name, content, words in made:
            assert len(content) < 8 * MiB
            code, message = harness.error_of(server.import_dataset, content, name)
            assert code == grpc.StatusCode.INVALID_ARGUMENT and words in message, (name, code, message)
        bystander.wait()
    bystander.check("decompression bombs")


def test_connections_that_never_speak(server):
    host, port = server.address.rsplit(":", 1)
    with Bystander(server) as bystander:
        connections = [socket.create_connection((host, int(port))) for _ in range(500)]
        bystander.wait()
    for connection in connections:
        connection.close()
    bystander.check("500 connections without a handshake")


def test_messages_without_measure(server):
    """Too large, too many headers, and streams without end: refused, and their connection's memory is bounded."""
    server.as_caller(server.teams["team-b"]["token"])
    large = upload_pb.WriteUploadRequest(name=server.teams["team-b"]["upload"], data=b"x" * (2 * MiB))
    assert code_of(lambda: server.uploads.WriteUpload(iter([large]))) == "INVALID_ARGUMENT"
    texts = [common_pb.TextInput(text="x" * MiB)] * 100
    huge = prediction_pb.PredictRequest(checkpoint=f"{server.teams['team-b']['job']}/checkpoints/best", inputs=texts)
    assert code_of(lambda: server.prediction.Predict(huge)) == "RESOURCE_EXHAUSTED"  # gRPC's own word, so nobody has read it
    headers = tuple((f"x-{i}", "y" * 1000) for i in range(64))
    assert code_of(lambda: server.system.GetServerInfo(system_pb.GetServerInfoRequest(), metadata=headers)) in ("RESOURCE_EXHAUSTED", "UNAVAILABLE", "INTERNAL")
    body = """
data = b"x" * (256 << 10)
def endless(name):
    yield upload_pb.WriteUploadRequest(name=name, data=data)
    while True:
        yield upload_pb.WriteUploadRequest(data=data)
def flood(stub):
    while True:
        try:
            stub.WriteUpload(endless(stub.CreateUpload(upload_pb.CreateUploadRequest(filename="endless.csv", size_bytes=8 << 20)).name))
        except grpc.RpcError:
            time.sleep(0.05)
import threading
for channel in channels[:2]:
    threading.Thread(target=flood, args=(rpc["upload"].UploadServiceStub(channel),), daemon=True).start()
"""
    with Bystander(server) as bystander, Flood(server, body):
        bystander.wait()
        parts = [entry.stat().st_size for entry in os.scandir(os.path.join(server.data_dir, "artifacts", "uploads")) if entry.name.endswith(".part")]
    bystander.check("uploads that do not end")
    assert 0 < max(parts) <= 8 * MiB


def test_pings_without_end_are_cut(server):
    """HTTP/2 pings as fast as they go: the server ends the connection (too_many_pings)."""
    host, port = server.address.rsplit(":", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, int(port)), timeout=30) as raw, context.wrap_socket(raw) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        ping = b"\0\0\x08\x06\0\0\0\0\0" + b"12345678"
        received = b""
        try:
            for _ in range(2000):
                connection.sendall(ping)
            while chunk := connection.recv(65536):
                received += chunk
        except (ssl.SSLError, ConnectionError):
            pass
        assert b"too_many_pings" in received or not received, received[-100:]
