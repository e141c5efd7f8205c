"""Client of Attune, the fine-tuning service.

    from attune_client import Client

    client = Client("127.0.0.1:50051")
    model = client.import_model("all-MiniLM-L6-v2")
    dataset = client.import_dataset("reviews.csv", dataset_id="reviews")
    job = client.create_job(base_model=model.name, dataset=dataset.name, n_epochs=2)
    job = client.wait(job.name)
    client.download(job.best_checkpoint, "model")
    print(client.predict(job.name, ["what a day"])[0].labels)

Messages and enums are in attune_client.v1, for example v1.FineTuningSpec.
"""
from attune_client import v1
from attune_client.client import Client
from attune_client.errors import AttuneError, FieldViolation, JobFailed
from attune_client.retry import RetryPolicy

__all__ = ["AttuneError", "Client", "FieldViolation", "JobFailed", "RetryPolicy", "v1"]
