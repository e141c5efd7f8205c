# Made by client/python/make_sync.py from attune_client/_async/connection.py; change that.
"""The channel, its stubs, and calls that are tried again. What Client is built on."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, cast

from attune_client import v1
from attune_client._sync.job import Job
from attune_client._sync.transport import Channel, call_once, open_channel, pause
from attune_client._generated.attune.v1 import (admin_pb2_grpc, checkpoint_pb2_grpc, dataset_pb2_grpc, fine_tuning_job_pb2_grpc, model_pb2_grpc, prediction_pb2_grpc,
                                                system_pb2_grpc, upload_pb2_grpc)
from attune_client.errors import AttuneError
from attune_client.retry import Backoff, RetryPolicy
from attune_client.settings import Pem, connection_settings

if TYPE_CHECKING:
    from attune_client._sync.client import Client


class Connection:
    def __init__(self, address: Optional[str] = None, *, token: Optional[str] = None, tls: Optional[bool] = None, ca_certificate: Optional[Pem] = None,
                 client_certificate: Optional[Pem] = None, client_key: Optional[Pem] = None, allow_plaintext_token: bool = False, timeout: float = 30.0,
                 long_timeout: float = 600.0, stall_timeout: float = 60.0, retry: RetryPolicy = RetryPolicy(), channel: Optional[Channel] = None):
        self.timeout, self.long_timeout, self.stall_timeout, self.retry = timeout, long_timeout, stall_timeout, retry
        settings = connection_settings(address, token="" if channel is not None else token, tls=tls, ca_certificate=ca_certificate, client_certificate=client_certificate,
                                       client_key=client_key, allow_plaintext_token=allow_plaintext_token)
        self.address = settings.address
        self._channel = channel or open_channel(settings)
        self.uploads = upload_pb2_grpc.UploadServiceStub(self._channel)
        self.datasets = dataset_pb2_grpc.DatasetServiceStub(self._channel)
        self.models = model_pb2_grpc.ModelServiceStub(self._channel)
        self.jobs = fine_tuning_job_pb2_grpc.FineTuningJobServiceStub(self._channel)
        self.checkpoints = checkpoint_pb2_grpc.CheckpointServiceStub(self._channel)
        self.prediction = prediction_pb2_grpc.PredictionServiceStub(self._channel)
        self.system = system_pb2_grpc.SystemServiceStub(self._channel)
        self.admin = admin_pb2_grpc.AdminServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def call(self, method: Callable[..., Any], request: Any, *, timeout: Optional[float] = None) -> Any:
        """Makes a unary call of one of the stubs with the client's deadline and retries; `timeout` in seconds. Raises AttuneError."""
        backoff = Backoff(self.retry)
        while True:
            try:
                return call_once(method, request, self.timeout if timeout is None else timeout)
            except AttuneError as error:
                self._pause(backoff.after(error))

    def server_info(self) -> v1.ServerInfo:
        """Version and state of the server."""
        info: v1.ServerInfo = self.call(self.system.GetServerInfo, v1.GetServerInfoRequest())
        return info

    def _pause(self, seconds: float) -> None:
        pause(self.retry, seconds)

    def _job(self, message: v1.FineTuningJob) -> Job:
        return Job(cast("Client", self), message)
