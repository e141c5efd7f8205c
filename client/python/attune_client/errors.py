"""What a failed call says, with the server's google.rpc details taken apart."""
from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Dict, List, Optional

import grpc
from google.rpc import error_details_pb2, status_pb2

if TYPE_CHECKING:
    from attune_client import v1


@dataclasses.dataclass(frozen=True)
class FieldViolation:
    """One fault of a request."""
    field: str  # path in the request, or where in a file
    description: str  # what is wrong and what to do


class AttuneError(Exception):
    """A call failed. str() gives everything; the parts are attributes."""

    def __init__(self, code: grpc.StatusCode, message: str, *, reason: str = "", metadata: Optional[Dict[str, str]] = None,
                 violations: Optional[List[FieldViolation]] = None, retry_delay: Optional[float] = None):
        self.code = code
        self.message = message
        self.reason = reason  # UPPER_SNAKE_CASE; empty when it does not come from the server
        self.metadata = metadata or {}
        self.violations = violations or []
        self.retry_delay = retry_delay  # seconds that the server asks to wait
        super().__init__("\n".join([f"{code.name}: {message}"] + [f"  {v.field}: {v.description}" for v in self.violations]))

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed when it is made again."""
        from_connection = self.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED) and not self.reason
        return self.code == grpc.StatusCode.UNAVAILABLE or self.retry_delay is not None or from_connection


class JobFailed(Exception):
    """A job did not succeed. `job` has its state and error."""

    def __init__(self, job: "v1.FineTuningJob"):
        self.job = job
        state = type(job).State.Name(job.state)[len("STATE_"):]
        super().__init__(f"{job.name} is {state}: {job.error.message or job.state_reason or 'no reason is given'}")


def from_rpc_error(error: grpc.RpcError) -> AttuneError:
    """Every grpc.RpcError that a call raises is also a grpc.Call, which carries the details in its trailers."""
    reason, metadata, violations, delay = "", {}, [], None
    status = status_pb2.Status()
    for key, value in (error.trailing_metadata() or ()):
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
    return AttuneError(error.code(), error.details() or "", reason=reason, metadata=metadata, violations=violations, retry_delay=delay)
