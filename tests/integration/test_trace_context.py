"""A caller's W3C trace context: found again in the job, its events, and the logs of server and worker."""
import json

import harness
from harness import Job, job_pb, spec_pb

CREATES, CANCELS = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"


def header(trace_id):
    return (("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01"),)


def log(server, message):
    lines = [json.loads(line) for line in server.log_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["message"] == message]


def test_a_trace_goes_through_events_and_logs(tmp_path):
    with harness.Server(tmp_path / "data", "--log-level", "debug") as server:
        model = server.import_model(harness.make_tiny_bert(str(tmp_path / "bert")), "tiny-bert").name
        dataset = server.import_dataset(harness.sentiment_csv(64)).name
        spec = spec_pb.FineTuningSpec(base_model=model, dataset=dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=1000, batch_size=8, learning_rate=1e-3))
        job = server.jobs.CreateFineTuningJob(job_pb.CreateFineTuningJobRequest(spec=spec), metadata=header(CREATES))
        assert job.trace_id == CREATES
        server.wait_for_event(job.name, "metrics")
        server.jobs.CancelFineTuningJob(job_pb.CancelFineTuningJobRequest(name=job.name), metadata=header(CANCELS))
        assert server.wait(job.name).trace_id == CREATES, "the job keeps the trace that it began in"
        changes = {event.state_changed.to: event.trace_id for event in server.events(job.name) if event.WhichOneof("payload") == "state_changed"}
        assert changes == {"QUEUED": CREATES, "PREPARING": CREATES, "RUNNING": CREATES, "CANCELLING": CANCELS, "CANCELLED": CREATES}
        assert all(not event.trace_id for event in server.events(job.name) if event.WhichOneof("payload") in ("metrics", "log_line"))
        assert {line["to"]: line["trace_id"] for line in log(server, "job state changed")} == {state: trace for state, trace in changes.items() if state != "QUEUED"}
        workers = [line["line"] for line in log(server, "worker")]
        begun, = [line for line in workers if line["message"] == "attempt begins"]
        assert begun["job"] == job.name and begun["trace_id"] == CREATES, "the worker's line"
        calls = {line["method"].rsplit("/", 1)[1]: line.get("trace_id") for line in log(server, "rpc")}
        assert calls["CreateFineTuningJob"] == CREATES and calls["CancelFineTuningJob"] == CANCELS and calls["ImportModel"] is None


def test_calls_without_a_trace_and_with_nonsense(server, model, dataset):
    spec = spec_pb.FineTuningSpec(base_model=model, dataset=dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=1, batch_size=8))
    for metadata in ((), (("traceparent", "nonsense"),), header("0" * 32), header(CREATES.upper()), (("traceparent", "0" * 4000),)):
        job = server.jobs.CreateFineTuningJob(job_pb.CreateFineTuningJobRequest(spec=spec), metadata=metadata)
        assert job.trace_id == ""
        server.jobs.CancelFineTuningJob(job_pb.CancelFineTuningJobRequest(name=job.name))
        assert all(not event.trace_id for event in server.events(job.name))


def test_the_command_line_passes_on_its_environments_trace(server, model, dataset, monkeypatch):
    for traceparent, expected in ((f"00-{CREATES}-00f067aa0ba902b7-01", CREATES), ("nonsense\n", None)):
        monkeypatch.setenv("TRACEPARENT", traceparent)
        job = json.loads(harness.cli(server, "jobs", "create", "--base-model", model, "--dataset", dataset, "--n-epochs", "1", "--output", "json").stdout)
        assert job.get("traceId") == expected
        assert server.wait(job["name"]).state == Job.STATE_SUCCEEDED
