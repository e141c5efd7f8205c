"""What a failed call raises, with the server's google.rpc details taken apart."""
from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Type

import grpc
from google.rpc import error_details_pb2, status_pb2

if TYPE_CHECKING:
    from attune_client import v1


@dataclasses.dataclass(frozen=True)
class FieldViolation:
    """One fault of a request."""
    field: str  # path in the request: "spec.hyperparameters.batch_size", or "files[0]: reviews.csv line 42 column label" for a bad row
    description: str  # what is wrong and what to do


class AttuneError(Exception):
    """A call failed. str() gives everything; the parts are attributes. A subclass for each status that a program may want to handle by itself.

    code: gRPC's status. message: the server's words. reason: the fault in UPPER_SNAKE_CASE; empty when it does not come from the server. metadata: what the reason is about.
    violations: each fault of the request, bad rows included. retry_delay: seconds that the server asks to wait; None when it does not.
    """

    def __init__(self, code: grpc.StatusCode, message: str, *, reason: str = "", metadata: Optional[Dict[str, str]] = None,
                 violations: Optional[List[FieldViolation]] = None, retry_delay: Optional[float] = None):
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata = metadata or {}
        self.violations = violations or []
        self.retry_delay = retry_delay
        super().__init__("\n".join([f"{code.name}: {message}"] + [f"  {v.field}: {v.description}" for v in self.violations]))

    def __reduce__(self) -> Any:
        return _restored, (self.code, self.message, self.reason, self.metadata, self.violations, self.retry_delay)

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed when it is made again."""
        from_connection = self.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED) and not self.reason
        return self.code == grpc.StatusCode.UNAVAILABLE or self.retry_delay is not None or from_connection


class InvalidArgumentError(AttuneError):
    """The request, a dataset or a model is wrong: `violations` say where, and what to do."""


class UnauthenticatedError(AttuneError):
    """The server wants a token or a certificate, or does not accept the one that it got."""


class PermissionDeniedError(AttuneError):
    """The caller is known and may not do this."""


class NotFoundError(AttuneError):
    """There is no such resource, or it belongs to a project of others."""


class AlreadyExistsError(AttuneError):
    """The id is taken."""


class FailedPreconditionError(AttuneError):
    """The state of the resource does not allow this: `message` says which state it is in."""


class ResourceExhaustedError(AttuneError):
    """A quota, the disk or the memory does not allow this now; with `retry_delay` where waiting helps."""


class UnavailableError(AttuneError):
    """No answer from the server, after all retries."""


class DeadlineExceededError(AttuneError):
    """The server did not answer within the call's timeout."""


class DataLossError(AttuneError):
    """Bytes arrived that are not those that were sent."""


_CLASSES: Dict[grpc.StatusCode, Type[AttuneError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgumentError, grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError, grpc.StatusCode.NOT_FOUND: NotFoundError, grpc.StatusCode.ALREADY_EXISTS: AlreadyExistsError,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPreconditionError, grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError, grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError, grpc.StatusCode.DATA_LOSS: DataLossError}


def error_of(code: grpc.StatusCode, message: str, *, reason: str = "", metadata: Optional[Dict[str, str]] = None,
             violations: Optional[List[FieldViolation]] = None, retry_delay: Optional[float] = None) -> AttuneError:
    """The AttuneError of the class that the status has."""
    return _CLASSES.get(code, AttuneError)(code, message, reason=reason, metadata=metadata, violations=violations, retry_delay=retry_delay)


def _restored(code: grpc.StatusCode, message: str, reason: str, metadata: Dict[str, str], violations: List[FieldViolation], retry_delay: Optional[float]) -> AttuneError:
    return error_of(code, message, reason=reason, metadata=metadata, violations=violations, retry_delay=retry_delay)


class JobFailed(Exception):
    """A job did not succeed.

    job: the job with its state and error. category: whose fault it was, "USER", "DATA", "RESOURCE" or "SYSTEM"; empty for a cancelled job. retryable: whether the same job might
    succeed when it is tried again. log_tail: the last lines of the worker's log.
    """

    def __init__(self, job: "v1.FineTuningJob"):
        from attune_client import v1
        self.job = job
        failure = v1.FailureInfo()
        for detail in job.error.details:
            if detail.Is(v1.FailureInfo.DESCRIPTOR):
                detail.Unpack(failure)
        self.category = v1.FailureInfo.Category.Name(failure.category)[len("CATEGORY_"):] if failure.category else ""
        self.retryable = failure.retryable
        self.log_tail = list(failure.log_tail)
        state = v1.FineTuningJob.State.Name(job.state)[len("STATE_"):]
        super().__init__(f"{job.name} is {state}: {job.error.message or job.state_reason or 'no reason is given'}")

    def __reduce__(self) -> Any:
        return JobFailed, (self.job,)


def from_rpc_error(error: grpc.RpcError) -> AttuneError:
    """Every grpc.RpcError that a call raises is also a grpc.Call (or grpc.aio.AioRpcError), which carries the details in its trailers."""
    call: Any = error
    reason, metadata, violations, delay = "", {}, [], None
    status = status_pb2.Status()
    for key, value in (call.trailing_metadata() or ()):
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
    for detail in status.details:
        info, bad_request, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad_request):
            violations = [FieldViolation(v.field, v.description) for v in bad_request.field_violations]
        elif detail.Unpack(retry):
            delay = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return error_of(call.code(), call.details() or "", reason=reason, metadata=metadata, violations=violations, retry_delay=delay)
