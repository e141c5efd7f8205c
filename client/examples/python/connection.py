"""A channel to an Attune server, what its errors say, and retries."""
import random
import time

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

CALL_SECONDS = 120
MAX_RETRIES = 5
FIRST_BACKOFF_SECONDS = 0.2


def open_channel(address, ca_file=None, token=None):
    """Without ca_file in plain text, and then without a token: gRPC does not let one travel unencrypted. Connects at the first call, so a wrong address shows up there."""
    if ca_file is None:
        return grpc.insecure_channel(address)
    with open(ca_file, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    if token is not None:
        credentials = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(token))
    return grpc.secure_channel(address, credentials)


def detail(error, kind):
    """The google.rpc message of this type that the server sent with an error, in grpc-status-details-bin; None when there is none, as for a connection that broke."""
    status = rpc_status.from_call(error)
    message = kind()
    return message if any(packed.Unpack(message) for packed in (status.details if status else ())) else None


def describe(error):
    """Code, message and the fields at fault, for people."""
    faults = detail(error, error_details_pb2.BadRequest)
    return "; ".join([f"{error.code().name}: {error.details()}"] + [f"{fault.field}: {fault.description}" for fault in (faults.field_violations if faults else ())])


def retry(attempt, *codes):
    """Runs `attempt` again when the server answers UNAVAILABLE, one of `codes`, or with a RetryInfo: after the delay that it asks for, otherwise after a growing one; five times at most. What is tried must be harmless to
    repeat, by its nature or through a request_id."""
    for retries in range(MAX_RETRIES + 1):
        try:
            return attempt()
        except grpc.RpcError as error:
            transient = error.code() in (grpc.StatusCode.UNAVAILABLE, *codes) or detail(error, error_details_pb2.RetryInfo)
            if not transient or retries == MAX_RETRIES:
                raise
            time.sleep(_delay_seconds(error, retries))


def _delay_seconds(error, retries):
    info = detail(error, error_details_pb2.RetryInfo)
    return info.retry_delay.ToTimedelta().total_seconds() if info else FIRST_BACKOFF_SECONDS * 2**retries * random.uniform(0.5, 1)


def call(method, request):
    """A unary call. gRPC waits for ever unless it is given a timeout."""
    return retry(lambda: method(request, timeout=CALL_SECONDS))
