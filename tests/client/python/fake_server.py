"""Scripted services in this process. Each keeps just enough state to be honest and misbehaves where the test says so."""
import concurrent.futures
import hashlib

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from attune_client import v1
from attune_client._generated.attune.v1 import (checkpoint_pb2_grpc, dataset_pb2_grpc, fine_tuning_job_pb2_grpc, model_pb2_grpc, prediction_pb2_grpc,
                                                upload_pb2_grpc)


def refuse(context, code, message, reason="FAKE", violations=(), retry_after=0, metadata=None):
    """Ends the call like the server: with an ErrorInfo, and what else is given."""
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="attune.dev", metadata=metadata or {})]
    if violations:
        details.append(error_details_pb2.BadRequest(field_violations=[
            error_details_pb2.BadRequest.FieldViolation(field=f, description=d) for f, d in violations]))
    if retry_after:
        info = error_details_pb2.RetryInfo()
        info.retry_delay.seconds = retry_after
        details.append(info)
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
    context.abort(code, message)


def cut(context):
    context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")


class Uploads(upload_pb2_grpc.UploadServiceServicer):
    def __init__(self):
        self.uploads, self.contents, self.by_request_id = {}, {}, {}
        self.cut_after, self.offsets, self.corrupt, self.forget = [], [], 0, False
        self.hang = None  # an event that the next stream waits for

    def CreateUpload(self, request, context):
        name = self.by_request_id.setdefault(request.request_id, f"uploads/u{len(self.by_request_id) + 1}")
        if name not in self.uploads:
            self.uploads[name] = v1.Upload(name=name, filename=request.filename, size_bytes=request.size_bytes, sha256=request.sha256,
                                           state=v1.Upload.STATE_ACTIVE)
            self.contents[name] = b""
        return self.uploads[name]

    def GetUpload(self, request, context):
        return self.uploads[request.name]

    def WriteUpload(self, messages, context):
        if self.hang is not None:
            hang, self.hang = self.hang, None
            hang.wait(10)
            cut(context)
        first = next(messages)
        self.offsets.append(first.offset)
        if self.forget:
            self.forget = False
            refuse(context, grpc.StatusCode.NOT_FOUND, "no such upload")
        upload = self.uploads[first.name]
        if first.offset != upload.committed_bytes:
            refuse(context, grpc.StatusCode.OUT_OF_RANGE, "wrong offset")
        left = self.cut_after.pop(0) if self.cut_after else 1 << 60
        for data in [first.data] + [message.data for message in messages]:
            self.contents[first.name] += data[:left]
            left -= len(data)
            upload.committed_bytes = len(self.contents[first.name])
            if left < 0:
                cut(context)
        if self.corrupt:
            self.corrupt -= 1
            self.contents[first.name] = bytes([self.contents[first.name][0] ^ 1]) + self.contents[first.name][1:]
        if hashlib.sha256(self.contents[first.name]).hexdigest() != upload.sha256:
            self.contents[first.name] = b""
            upload.committed_bytes = 0
            refuse(context, grpc.StatusCode.DATA_LOSS, "wrong SHA-256")
        upload.state = v1.Upload.STATE_COMPLETE
        return upload


class Datasets(dataset_pb2_grpc.DatasetServiceServicer):
    def __init__(self):
        self.requests, self.imports, self.answers = [], [], []

    def ImportDataset(self, request, context):
        self.requests.append(v1.ImportDatasetRequest.FromString(request.SerializeToString()))
        for step in self.imports.pop(0):
            if callable(step):
                step(context)
            yield step

    def GetDataset(self, request, context):
        return self.answers.pop(0)


class Models(model_pb2_grpc.ModelServiceServicer):
    def __init__(self):
        self.requests, self.failures = [], []

    def GetModel(self, request, context):
        self.requests.append(request)
        if self.failures:
            self.failures.pop(0)(context)
        return v1.Model(name=request.name)

    def ImportModel(self, request, context):
        self.requests.append(request)
        return v1.Model(name=f"models/{request.model_id}")

    def ListArchitectures(self, request, context):
        return v1.ListArchitecturesResponse(architectures=[v1.Architecture(name="bert"), v1.Architecture(name="resnet50", modality="image")])


class Jobs(fine_tuning_job_pb2_grpc.FineTuningJobServiceServicer):
    def __init__(self):
        self.created, self.failures, self.streams, self.watched_after, self.stored, self.removed = [], [], [], [], [], []
        self.planned, self.points = [], []
        self.job = v1.FineTuningJob(name="fineTuningJobs/j1", state=v1.FineTuningJob.STATE_SUCCEEDED)

    def CreateFineTuningJob(self, request, context):
        self.created.append(request)
        if self.failures:
            self.failures.pop(0)(context)
        return v1.FineTuningJob(name="fineTuningJobs/j1", spec=request.spec)

    def PlanFineTuningJob(self, request, context):
        self.planned.append(request)
        return v1.PlanFineTuningJobResponse(effective_spec=request.spec, fits=True, summary="fits")

    def GetFineTuningJob(self, request, context):
        return self.job

    def CancelFineTuningJob(self, request, context):
        return self.job

    def DeleteFineTuningJob(self, request, context):
        self.removed.append(request.name)
        return v1.DeleteFineTuningJobResponse()

    def ListJobMetrics(self, request, context):
        begin = int(request.page_token or 0)
        return v1.ListJobMetricsResponse(points=self.points[begin:begin + 2], next_page_token=str(begin + 2) if begin + 2 < len(self.points) else "")

    def ListJobEvents(self, request, context):
        return v1.ListJobEventsResponse(events=[e for e in self.stored if e.sequence > request.after_sequence][:2])

    def WatchFineTuningJob(self, request, context):
        self.watched_after.append(request.after_sequence)
        if not self.streams:
            cut(context)
        for step in self.streams.pop(0):
            if callable(step):
                step(context)
            else:
                yield step


class Checkpoints(checkpoint_pb2_grpc.CheckpointServiceServicer):
    def __init__(self):
        self.checkpoint = v1.Checkpoint(name="fineTuningJobs/j1/checkpoints/30")
        self.contents, self.cut_after, self.downloads, self.updates, self.listed = {}, [], [], [], []

    def UpdateCheckpoint(self, request, context):
        self.updates.append(request)
        return v1.Checkpoint(name=request.checkpoint.name, pinned=request.checkpoint.pinned)

    def add(self, path, content, purpose=v1.CheckpointFile.PURPOSE_WEIGHTS):
        self.contents[path] = content
        self.checkpoint.files.add(path=path, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), purpose=purpose)

    def GetCheckpoint(self, request, context):
        return self.checkpoint

    def ListCheckpoints(self, request, context):
        return v1.ListCheckpointsResponse(checkpoints=self.listed)

    def DownloadCheckpointFile(self, request, context):
        self.downloads.append((request.name, request.path, request.offset))
        left = self.cut_after.pop(0) if self.cut_after else 1 << 60
        content = self.contents[request.path]
        for offset in range(request.offset, len(content), 10):
            if left < 10:
                cut(context)
            left -= 10
            yield v1.DownloadCheckpointFileResponse(offset=offset, data=content[offset:offset + 10])


class Prediction(prediction_pb2_grpc.PredictionServiceServicer):
    def __init__(self):
        self.requests, self.evaluations, self.streams = [], [], []

    def Evaluate(self, request, context):
        self.evaluations.append(request)
        for step in self.streams.pop(0):
            if callable(step):
                step(context)
            yield step

    def Predict(self, request, context):
        self.requests.append(request)
        return v1.PredictResponse(checkpoint="fineTuningJobs/j1/checkpoints/30",
                                  predictions=[v1.Prediction(labels=[i.text + i.text_pair]) for i in request.inputs] +
                                  [v1.Prediction(labels=[image[:20].decode()]) for image in request.images])


class _Recorder(grpc.ServerInterceptor):
    def __init__(self):
        self.calls = []

    def intercept_service(self, continuation, details):
        self.calls.append((details.method.rsplit("/", 1)[1], dict(details.invocation_metadata).get("authorization")))
        return continuation(details)


class FakeServer:
    """credentials: of a server with TLS. `calls` has (method, authorization metadata) of each call."""

    def __init__(self, credentials=None):
        self.uploads, self.datasets, self.models, self.jobs = Uploads(), Datasets(), Models(), Jobs()
        self.checkpoints, self.prediction = Checkpoints(), Prediction()
        self.recorder = _Recorder()
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), interceptors=[self.recorder], options=[("grpc.max_receive_message_length", 36 << 20)])
        upload_pb2_grpc.add_UploadServiceServicer_to_server(self.uploads, self._server)
        dataset_pb2_grpc.add_DatasetServiceServicer_to_server(self.datasets, self._server)
        model_pb2_grpc.add_ModelServiceServicer_to_server(self.models, self._server)
        fine_tuning_job_pb2_grpc.add_FineTuningJobServiceServicer_to_server(self.jobs, self._server)
        checkpoint_pb2_grpc.add_CheckpointServiceServicer_to_server(self.checkpoints, self._server)
        prediction_pb2_grpc.add_PredictionServiceServicer_to_server(self.prediction, self._server)
        port = self._server.add_secure_port("127.0.0.1:0", credentials) if credentials else self._server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    @property
    def calls(self):
        return self.recorder.calls

    def stop(self):
        self._server.stop(None).wait()
