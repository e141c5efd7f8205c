import pickle
import threading

import grpc
import pytest

from attune_client import (AlreadyExistsError, AttuneError, DeadlineExceededError, FailedPreconditionError, FieldViolation, InvalidArgumentError, JobFailed, NotFoundError,
                           PermissionDeniedError, ResourceExhaustedError, UnauthenticatedError, UnavailableError, v1)
from fake_server import cut, refuse


@pytest.mark.parametrize("code, kind", [
    (grpc.StatusCode.INVALID_ARGUMENT, InvalidArgumentError), (grpc.StatusCode.UNAUTHENTICATED, UnauthenticatedError), (grpc.StatusCode.NOT_FOUND, NotFoundError),
    (grpc.StatusCode.PERMISSION_DENIED, PermissionDeniedError), (grpc.StatusCode.ALREADY_EXISTS, AlreadyExistsError),
    (grpc.StatusCode.FAILED_PRECONDITION, FailedPreconditionError), (grpc.StatusCode.RESOURCE_EXHAUSTED, ResourceExhaustedError),
    (grpc.StatusCode.UNAVAILABLE, UnavailableError), (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceededError), (grpc.StatusCode.INTERNAL, AttuneError)])
def test_each_status_has_its_class(server, client, code, kind):
    server.models.failures = [lambda context: refuse(context, code, "no", "WHY")] * 5
    with pytest.raises(AttuneError) as caught:
        client.call(client.models.GetModel, v1.GetModelRequest(name="models/m"))
    assert type(caught.value) is kind and caught.value.code == code and caught.value.reason == "WHY"


def test_bad_rows_are_violations(server, client, tmp_path):
    rows = [("files[0]: reviews.csv line 42", "not UTF-8"), ("files[0]: reviews.csv line 7 column label", "missing")]
    server.datasets.imports = [[lambda context: refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "2 rows", "BAD_ROWS", rows)]]
    (tmp_path / "reviews.csv").write_text("text,label\n")
    with pytest.raises(InvalidArgumentError) as caught:
        client.import_dataset(tmp_path / "reviews.csv")
    assert caught.value.violations == [FieldViolation("files[0]: reviews.csv line 42", "not UTF-8"), FieldViolation("files[0]: reviews.csv line 7 column label", "missing")]


def test_a_server_that_asks_for_too_long_a_wait_gets_none(server, client, sleeps):
    server.models.failures = [lambda context: refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "quota", retry_after=3600)]
    with pytest.raises(ResourceExhaustedError) as caught:
        client.call(client.models.GetModel, v1.GetModelRequest(name="models/m"))
    assert caught.value.retry_delay == 3600 and sleeps == []


def test_waits_that_the_server_asks_for_are_bounded_in_number(server, client, sleeps):
    server.models.failures = [lambda context: refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "quota", retry_after=2)] * 99
    with pytest.raises(ResourceExhaustedError):
        client.call(client.models.GetModel, v1.GetModelRequest(name="models/m"))
    assert sleeps == [2, 2, 2, 2]


def test_a_call_that_takes_too_long(server, client):
    server.models.failures = [until_cancelled]
    with pytest.raises(DeadlineExceededError):
        client.call(client.models.GetModel, v1.GetModelRequest(name="models/m"), timeout=0.1)
    assert len(server.models.requests) == 1


def until_cancelled(context):
    ended = threading.Event()
    if context.add_callback(ended.set):
        ended.wait(10)


def test_errors_survive_a_process_boundary():
    error = InvalidArgumentError(grpc.StatusCode.INVALID_ARGUMENT, "2 faults", reason="WHY", metadata={"a": "b"}, violations=[FieldViolation("f", "d")], retry_delay=1.5)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is InvalidArgumentError and vars(again) == vars(error) and str(again) == str(error)


def test_a_failed_job_says_whose_fault_it_was():
    job = v1.FineTuningJob(name="fineTuningJobs/j1", state=v1.FineTuningJob.STATE_FAILED)
    job.error.message = "out of memory"
    job.error.details.add().Pack(v1.FailureInfo(category=v1.FailureInfo.CATEGORY_RESOURCE, retryable=True, log_tail=["line"]))
    failed = JobFailed(job)
    assert (failed.category, failed.retryable, failed.log_tail) == ("RESOURCE", True, ["line"])
    assert str(failed) == "fineTuningJobs/j1 is FAILED: out of memory"
    assert JobFailed(v1.FineTuningJob(state=v1.FineTuningJob.STATE_CANCELLED)).category == ""


def test_a_cut_connection_is_unavailable(server, client):
    server.models.failures = [cut] * 5
    with pytest.raises(UnavailableError, match="connection reset"):
        client.call(client.models.GetModel, v1.GetModelRequest(name="models/m"))
