#!/usr/bin/env python3
"""The conformance scenario (docs/conformance.md): from a file to predictions, over cut streams, refusals and retries. `run` starts it."""
import hashlib
import os
import sys
import threading
import time
import uuid

import grpc
from attune.v1 import checkpoint_pb2, checkpoint_pb2_grpc, common_pb2, dataset_pb2, dataset_pb2_grpc, fine_tuning_job_pb2, fine_tuning_job_pb2_grpc
from attune.v1 import prediction_pb2, prediction_pb2_grpc, training_spec_pb2, upload_pb2, upload_pb2_grpc
from google.rpc import error_details_pb2

from connection import CALL_SECONDS, call, describe, detail, open_channel, retry
from watch import JobWatch

PIECE_BYTES = 256 << 10
IMPORT_SECONDS = 300
TEXTS = ["the film was great and the food was nice", "the book was awful and we hate it"]


class Scenario:
    def __init__(self, channel, base_model, dataset_file, bad_dataset_file):
        self.uploads = upload_pb2_grpc.UploadServiceStub(channel)
        self.datasets = dataset_pb2_grpc.DatasetServiceStub(channel)
        self.jobs = fine_tuning_job_pb2_grpc.FineTuningJobServiceStub(channel)
        self.checkpoints = checkpoint_pb2_grpc.CheckpointServiceStub(channel)
        self.predictions = prediction_pb2_grpc.PredictionServiceStub(channel)
        self.base_model, self.dataset_file, self.bad_dataset_file = base_model, dataset_file, bad_dataset_file

    def steps(self):
        return {"upload": self.upload, "bad_row": self.bad_row, "import": self.import_dataset, "create": self.create, "watch": self.watch,
                "pause_resume_cancel": self.pause_resume_cancel, "pages": self.pages, "download": self.download, "predict": self.predict}

    def upload(self):
        content = read(self.dataset_file)
        upload = self._create_upload(self.dataset_file, content)
        committed = self._send_first_part(upload.name, content[:len(content) // 2])
        check(0 < committed < len(content), f"the server kept {committed} of {len(content)} bytes")
        self.good_upload = self._send_rest(upload.name, content)
        check(self.good_upload.state == upload_pb2.Upload.STATE_COMPLETE, "the upload is not complete")
        check(self.good_upload.sha256 == hashlib.sha256(content).hexdigest(), "the server has another SHA-256")
        return self.good_upload.name

    def bad_row(self):
        content = read(self.bad_dataset_file)
        upload = self._send_rest(self._create_upload(self.bad_dataset_file, content).name, content)
        try:
            self._import(upload)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.INVALID_ARGUMENT:
                raise
            info = detail(error, error_details_pb2.ErrorInfo)
            check((info.reason, info.domain) == ("BAD_ROWS", "attune.dev"), f"the reason is {info.reason} of {info.domain}")
            return detail(error, error_details_pb2.BadRequest).field_violations[0].field
        raise AssertionError("the import succeeded")

    def import_dataset(self):
        self.dataset = self._import(self.good_upload)
        check(self.dataset.state == dataset_pb2.Dataset.STATE_READY, f"{self.dataset.name} is not ready")
        return f"{self.dataset.name} {self.dataset.report.rows_used}"

    def create(self):
        request = self._job_request(n_epochs=3)
        self.job = call(self.jobs.CreateFineTuningJob, request)
        again = call(self.jobs.CreateFineTuningJob, request)
        check(again.name == self.job.name, f"one request_id made {self.job.name} and {again.name}")
        return self.job.name

    def watch(self):
        watch = JobWatch(self.jobs, self.job.name)
        watch.wait_for("its third event", lambda event: event.sequence == 3)
        last = watch.wait_for("its end", lambda event: event.state_changed.terminal)
        check(last.state_changed.to == "SUCCEEDED", f"the job became {last.state_changed.to}: {last.state_changed.reason}")
        ended = call(self.jobs.GetFineTuningJob, fine_tuning_job_pb2.GetFineTuningJobRequest(name=self.job.name))
        check(ended.state == fine_tuning_job_pb2.FineTuningJob.STATE_SUCCEEDED, "GetFineTuningJob does not say so")
        return f"{self.job.name} {watch.sequence}"

    def pause_resume_cancel(self):
        self.long_job = call(self.jobs.CreateFineTuningJob, self._job_request(n_epochs=200))
        name = self.long_job.name
        watch = JobWatch(self.jobs, name)
        watch.wait_for_state("RUNNING")
        call(self.jobs.PauseFineTuningJob, fine_tuning_job_pb2.PauseFineTuningJobRequest(name=name))
        watch.wait_for_state("PAUSED")
        call(self.jobs.ResumeFineTuningJob, fine_tuning_job_pb2.ResumeFineTuningJobRequest(name=name))
        watch.wait_for_state("RUNNING")
        call(self.jobs.CancelFineTuningJob, fine_tuning_job_pb2.CancelFineTuningJobRequest(name=name))
        last = watch.wait_for("its end", lambda event: event.state_changed.terminal)
        check(last.state_changed.to == "CANCELLED", f"the job became {last.state_changed.to}")
        return name

    def pages(self):
        names = []
        request = fine_tuning_job_pb2.ListFineTuningJobsRequest(page_size=1)
        while True:
            page = call(self.jobs.ListFineTuningJobs, request)
            names += [job.name for job in page.fine_tuning_jobs]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        check(len(set(names)) == len(names) and {self.job.name, self.long_job.name} <= set(names), f"the pages list {names}")
        return str(len(names))

    def download(self):
        checkpoint = call(self.checkpoints.GetCheckpoint, checkpoint_pb2.GetCheckpointRequest(name=f"{self.job.name}/checkpoints/best"))
        file = next(file for file in checkpoint.files if file.path == "model.safetensors")
        content = bytearray()
        # By the name with the step: "best" may come to mean another checkpoint between the two calls.
        self._receive(checkpoint.name, file, content, most_pieces=1)
        self._receive(checkpoint.name, file, content)
        digest = hashlib.sha256(content).hexdigest()
        check(digest == file.sha256, f"{len(content)} bytes with SHA-256 {digest} came, the checkpoint lists {file.size_bytes} with {file.sha256}")
        return digest

    def predict(self):
        inputs = [common_pb2.TextInput(text=text) for text in TEXTS]
        response = call(self.predictions.Predict, prediction_pb2.PredictRequest(checkpoint=self.job.name, inputs=inputs))
        return " ".join(prediction.labels[0] for prediction in response.predictions)

    def _create_upload(self, path, content):
        return call(self.uploads.CreateUpload, upload_pb2.CreateUploadRequest(
            filename=os.path.basename(path), size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), request_id=str(uuid.uuid4())))

    def _send_first_part(self, name, part):
        """Sends the part, cuts the stream, and returns how many bytes the server kept."""
        sent, cut = threading.Event(), threading.Event()

        def messages():
            yield upload_pb2.WriteUploadRequest(name=name, data=part)
            # gRPC reads this generator on a thread of its own, and asks for the next message when the one before is on its way.
            sent.set()
            cut.wait()

        stream = self.uploads.WriteUpload.future(messages(), timeout=CALL_SECONDS)
        stream.add_done_callback(lambda _: sent.set())
        sent.wait()
        stream.cancel()
        cut.set()
        return self._wait_for_bytes(name)

    def _wait_for_bytes(self, name):
        """The server makes durable what has arrived when it notices the cut."""
        for _ in range(100):
            upload = self._get_upload(name)
            if upload.committed_bytes > 0:
                return upload.committed_bytes
            time.sleep(0.05)
        return 0

    def _send_rest(self, name, content):
        """Sends what the server does not have yet."""
        def messages(offset):
            yield upload_pb2.WriteUploadRequest(name=name, offset=offset, data=content[offset:offset + PIECE_BYTES])
            for begin in range(offset + PIECE_BYTES, len(content), PIECE_BYTES):
                yield upload_pb2.WriteUploadRequest(data=content[begin:begin + PIECE_BYTES])

        def send():
            return self.uploads.WriteUpload(messages(self._get_upload(name).committed_bytes), timeout=CALL_SECONDS)

        # ABORTED: the server still holds the stream that was cut.
        return retry(send, grpc.StatusCode.ABORTED)

    def _get_upload(self, name):
        return call(self.uploads.GetUpload, upload_pb2.GetUploadRequest(name=name))

    def _import(self, upload):
        request = dataset_pb2.ImportDatasetRequest(files=[dataset_pb2.ImportFile(upload=upload.name)], validation_fraction=0.1, test_fraction=0.1, request_id=str(uuid.uuid4()))

        def read_all():
            # Messages before the last one say how far the import is.
            *_, last = self.datasets.ImportDataset(request, timeout=IMPORT_SECONDS)
            return last.dataset
        return retry(read_all)

    def _job_request(self, n_epochs):
        hyperparameters = training_spec_pb2.Hyperparameters(n_epochs=n_epochs, batch_size=8, learning_rate=1e-3)
        spec = training_spec_pb2.FineTuningSpec(base_model=self.base_model, dataset=self.dataset.name, hyperparameters=hyperparameters)
        return fine_tuning_job_pb2.CreateFineTuningJobRequest(spec=spec, request_id=str(uuid.uuid4()))

    def _receive(self, checkpoint, file, content, most_pieces=None):
        """Appends the file from where `content` ends: this many pieces at most, then the stream is cut."""
        def receive():
            stream = self.checkpoints.DownloadCheckpointFile(checkpoint_pb2.DownloadCheckpointFileRequest(name=checkpoint, path=file.path, offset=len(content)))
            for pieces, response in enumerate(stream, start=1):
                check(response.offset == len(content), f"byte {response.offset} came where {len(content)} was due")
                content.extend(response.data)
                if pieces == most_pieces:
                    stream.cancel()
                    return
        retry(receive)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def check(condition, otherwise):
    if not condition:
        raise AssertionError(otherwise)


def main():
    environment = os.environ
    with open_channel(environment["ATTUNE_SERVER"], environment.get("ATTUNE_CA_FILE"), environment.get("ATTUNE_TOKEN")) as channel:
        scenario = Scenario(channel, environment["ATTUNE_BASE_MODEL"], environment["ATTUNE_DATASET_FILE"], environment["ATTUNE_BAD_DATASET_FILE"])
        for name, step in scenario.steps().items():
            try:
                print("ok", name, step(), flush=True)
            except grpc.RpcError as error:
                sys.exit(f"failed {name}: {describe(error)}")
            except (AssertionError, OSError) as error:
                sys.exit(f"failed {name}: {error}")


if __name__ == "__main__":
    main()
