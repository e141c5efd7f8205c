"""`tools/bench soak` (bench.py has its description): does anything of a server grow with the jobs that it has run?"""
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor

from service import Service, harness, say
from harness import job_pb, spec_pb

WARM_UP = 0.2  # share of the jobs after which nothing should grow


def sample(server):
    """Resident memory, open files, threads, and bytes in the data directory."""
    base = f"/proc/{server.process.pid}"
    with open(f"{base}/status", encoding="utf-8") as file:
        status = dict(line.split(":", 1) for line in file)
    disk = sum(os.lstat(os.path.join(folder, name)).st_blocks * 512 for folder, _, names in os.walk(server.data_dir) for name in names
               if os.path.lexists(os.path.join(folder, name)))
    return {"rss_mib": int(status["VmRSS"].split()[0]) / 1024, "files": len(os.listdir(f"{base}/fd")), "threads": int(status["Threads"]), "disk_mib": disk / 2**20}


def slope(points):
    """Least squares: growth in 1,000 jobs."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return 1000 * sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def run_job(server, model, dataset):
    hyperparameters = spec_pb.Hyperparameters(max_steps=4, batch_size=4)
    job = server.create_job(model, dataset, hyperparameters=hyperparameters).name
    done = server.wait(job)
    if done.state != harness.Job.STATE_SUCCEEDED:
        raise RuntimeError(f"{job} ended as {harness.Job.State.Name(done.state)}: {done.error.message}")
    server.jobs.DeleteFineTuningJob(job_pb.DeleteFineTuningJobRequest(name=job), timeout=harness.DEADLINE)


def bench_soak(options):
    curve = []
    with tempfile.TemporaryDirectory() as directory:
        service = Service(directory, "--job-slots", str(options.slots), "--warm-workers", str(options.slots))
        server = service.server
        model = server.import_model(harness.make_tiny_bert(os.path.join(directory, "bert")), "tiny-bert").name
        dataset = server.import_dataset(harness.sentiment_csv(40)).name
        with ThreadPoolExecutor(options.slots) as pool:
            for done in range(options.every, options.jobs + 1, options.every):
                list(pool.map(lambda _: run_job(server, model, dataset), range(options.every)))
                curve.append({"jobs": done, **sample(server)})
                say(f"{done} jobs: " + ", ".join(f"{name} {value:.1f}" for name, value in curve[-1].items() if name != "jobs"))
        service.close()
    settled = [point for point in curve if point["jobs"] > WARM_UP * options.jobs]
    growth = {name: slope([(point["jobs"], point[name]) for point in settled]) for name in curve[0] if name != "jobs"}
    say("growth in 1,000 jobs after the first fifth: " + ", ".join(f"{name} {value:+.2f}" for name, value in growth.items()))
    print(json.dumps({"bench": "soak", "jobs": options.jobs, "curve": curve, "growth_in_1000_jobs": growth}))
