"""Client of Attune, the fine-tuning service.

    from attune_client import Client

    client = Client("127.0.0.1:50051")
    model = client.import_model("all-MiniLM-L6-v2")
    dataset = client.import_dataset("reviews.csv", dataset_id="reviews")
    job = client.create_job(base_model=model.name, dataset=dataset.name, n_epochs=2)
    job = job.wait()
    print(job.metrics().tail())
    job.download("model")
    print(job.predict(["what a day"])[0].labels)

AsyncClient has the same methods for asyncio. Messages and enums are in attune_client.v1, for example v1.FineTuningSpec.
"""
from attune_client import v1
from attune_client._async.client import AsyncClient
from attune_client._async.job import AsyncJob
from attune_client._sync.client import Client
from attune_client._sync.job import Job
from attune_client.errors import (AlreadyExistsError, AttuneError, DataLossError, DeadlineExceededError, FailedPreconditionError, FieldViolation, InvalidArgumentError,
                                  JobFailed, NotFoundError, PermissionDeniedError, ResourceExhaustedError, UnauthenticatedError, UnavailableError)
from attune_client.retry import RetryPolicy

__all__ = ["AlreadyExistsError", "AsyncClient", "AsyncJob", "AttuneError", "Client", "DataLossError", "DeadlineExceededError", "FailedPreconditionError", "FieldViolation",
           "InvalidArgumentError", "Job", "JobFailed", "NotFoundError", "PermissionDeniedError", "ResourceExhaustedError", "RetryPolicy", "UnauthenticatedError",
           "UnavailableError", "v1"]
