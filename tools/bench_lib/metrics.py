"""`tools/bench metrics` (bench.py has its description): what the metrics cost, and how soon /metrics answers when the store is full."""
import json
import os
import re
import sqlite3
import statistics
import tempfile
import threading
import time
import urllib.request

from service import Service, harness, say
from harness import job_pb, spec_pb

PROJECTS = 12  # jobs are spread over so many, to see what of the series depends on them
EVERYTHING = [spec_pb.Phase(name="all", learning_rate=5e-5, trainable=spec_pb.Trainable(all=True))]  # of the model: steps as long as they get
TICKS = os.sysconf("SC_CLK_TCK")


class Metrics(Service):
    def __init__(self, directory):
        super().__init__(directory, "--metrics-listen", "127.0.0.1:0")
        port = re.findall(r'"metrics_port":(\d+)', self.server.log_text())[-1]
        self.url = f"http://127.0.0.1:{port}/metrics"

    def scrape(self):
        """(seconds, number of series)"""
        begin = time.perf_counter()
        with urllib.request.urlopen(self.url, timeout=harness.DEADLINE) as response:
            text = response.read().decode()
        return time.perf_counter() - begin, sum(1 for line in text.splitlines() if line and not line.startswith("#"))

    def cpu_seconds(self):
        """Of the server's process, which does not train."""
        with open(f"/proc/{self.server.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def latency(service, scrapes):
    taken = sorted(service.scrape() for _ in range(scrapes))
    seconds, series = [each[0] for each in taken], taken[0][1]
    return {"p50_ms": 1e3 * statistics.median(seconds), "p99_ms": 1e3 * seconds[min(len(seconds) - 1, int(0.99 * len(seconds)))], "longest_ms": 1e3 * seconds[-1], "series": series}


def multiply(data_dir, ended, count):
    """`count` more jobs like `ended`, an ended one: rows, events, and its directory as hard links. Of a server that does not run."""
    database = sqlite3.connect(os.path.join(data_dir, "attune.db"))
    resource, = database.execute("SELECT resource FROM jobs WHERE id = ?", (ended,)).fetchone()
    order, = database.execute("SELECT max(creation_order) FROM jobs").fetchone()
    events = database.execute("SELECT sequence, kind, event FROM job_events WHERE job_id = ?", (ended,)).fetchall()
    checkpoints = database.execute("SELECT step, directory, resource FROM checkpoints WHERE job_id = ?", (ended,)).fetchall()
    source = os.path.join(data_dir, "jobs", ended)
    for n in range(count):
        new = f"j{n:016d}"
        job = harness.Job.FromString(resource)
        job.name = f"fineTuningJobs/{new}"
        job.best_checkpoint = job.best_checkpoint.replace(ended, new)
        for spec in (job.spec, job.effective_spec):
            spec.scheduling.project = f"team-{n % PROJECTS}"
        database.execute("INSERT INTO jobs VALUES(?, ?, ?, NULL, '', 0, 0)", (new, order + 1 + n, job.SerializeToString()))
        database.executemany("INSERT INTO job_events VALUES(?, ?, ?, ?)", [(new, *event) for event in events])
        for step, directory, bytes_ in checkpoints:
            checkpoint = harness.checkpoint_pb.Checkpoint.FromString(bytes_)
            checkpoint.name = checkpoint.name.replace(ended, new)
            database.execute("INSERT INTO checkpoints VALUES(?, ?, ?, ?)", (new, step, directory, checkpoint.SerializeToString()))
        for folder, _, names in os.walk(source):
            target = os.path.join(data_dir, "jobs", new, os.path.relpath(folder, source))
            os.makedirs(target)
            for name in names:
                os.link(os.path.join(folder, name), os.path.join(target, name))
    database.commit()
    database.close()


def bench_full_store(options):
    with tempfile.TemporaryDirectory() as directory:
        service = Metrics(directory)
        server = service.server
        model = server.import_model(harness.make_tiny_bert(os.path.join(directory, "bert")), "tiny-bert").name
        dataset = server.import_dataset(harness.sentiment_csv(64)).name
        ended = service.run(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=2, batch_size=8)).job.name.split("/")[1]
        few = latency(service, options.scrapes)
        service.close()
        say(f"multiplying an ended job by {options.jobs}")
        multiply(server.data_dir, ended, options.jobs)
        begin = time.perf_counter()
        service = Metrics(directory)
        start = time.perf_counter() - begin
        server = service.server
        listed = server.jobs.ListFineTuningJobs(job_pb.ListFineTuningJobsRequest(page_size=1000))
        assert len(listed.fine_tuning_jobs) == 1000 and listed.next_page_token, "the jobs are there"
        many = latency(service, options.scrapes)
        # The same work as before the first figures, so that the series may be compared.
        service.run(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=2, batch_size=8))
        long = server.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=1000, batch_size=8))
        server.wait_for_event(long.name, "metrics")
        busy = latency(service, options.scrapes)
        server.jobs.CancelFineTuningJob(job_pb.CancelFineTuningJobRequest(name=long.name))
        server.wait(long.name)
        service.close()
    for name, figures in (("1 job in the store", few), (f"{options.jobs} jobs", many), (f"{options.jobs} jobs, while one trains", busy)):
        say(f"{name}: /metrics median {figures['p50_ms']:.1f} ms, p99 {figures['p99_ms']:.1f} ms, longest {figures['longest_ms']:.1f} ms, {figures['series']} series")
    say(f"start with {options.jobs} jobs until the first answer: {start:.2f} s")
    print(json.dumps({"bench": "metrics", "jobs": options.jobs, "few": few, "many": many, "busy": busy, "start_seconds": start}))


def bench_step_cost(options, model_directory, texts):
    """The server's processor time beside the time of the steps: with a scrape each second and with none."""
    with tempfile.TemporaryDirectory() as directory:
        service = Metrics(directory)
        server = service.server
        model = server.import_model(model_directory, "minilm").name
        dataset = server.import_dataset(texts, "texts.csv", max_bad_rows=-1, tokenizer_model=model, validation_fraction=0, test_fraction=0).name
        shares = {"scraped": [], "alone": []}
        for _ in range(options.rounds):
            for name in shares:
                stop = threading.Event()

                def scrape_each_second():
                    while not stop.wait(1):
                        service.scrape()
                scraper = threading.Thread(target=scrape_each_second)
                if name == "scraped":
                    scraper.start()
                before = service.cpu_seconds()
                run = service.run(model, dataset, hyperparameters=spec_pb.Hyperparameters(batch_size=32, max_steps=options.steps), phases=EVERYTHING)
                used = service.cpu_seconds() - before
                stop.set()
                if scraper.is_alive():
                    scraper.join()
                shares[name].append(used / run.steps_seconds)
                say(f"{name}: {options.steps} steps in {run.steps_seconds:.2f} s; the server took {used:.3f} s of a core in all, {100 * shares[name][-1]:.2f} % of the steps' time")
        service.close()
    medians = {name: statistics.median(values) for name, values in shares.items()}
    say(f"all that the server does, metrics included: {100 * medians['scraped']:.2f} % of the steps' time scraped each second, {100 * medians['alone']:.2f} % without")
    print(json.dumps({"bench": "metrics step cost", "steps": options.steps, "share": shares, "median": medians}))
