"""The first page: is it well, what does it do, is it in time."""
from boards.panels import GREEN, JOBS, ORANGE, RED, SERVER, TRAINING, YELLOW, Board, family_variable, or_zero, project_variable, server_variable

UID = "attune-overview"


def build():
    board = Board(UID, "Attune: overview", "Is the service well, what does it do, and is work done in time. Each row has a dashboard of its own.",
                  variables=(server_variable(), project_variable(), family_variable()))
    board.row("Now")
    board.figure(1, "Ready", "The least of the servers: 1 while the store commits and the disk has room; 0 otherwise, and while a server drains.", "none",
                 f"min(attune_ready{{{SERVER}}})", limits=[(1, GREEN)], base=RED, words={0: ("not ready", RED), 1: ("ready", GREEN)}, no_value="no data")
    board.figure(2, "Alerts firing", "Attune's alerts that fire now; the table below says which.", "none",
                 'count(ALERTS{alertname=~"Attune.*", alertstate="firing"}) or vector(0)', limits=[(1, RED)])
    board.figure(3, "Jobs running", "Jobs that hold a slot.", "none", f"sum(attune_jobs_running{{{SERVER}}})")
    board.figure(4, "Jobs waiting", "Jobs in the queue of the chosen projects.", "none", f"sum(attune_jobs_queued{{{JOBS}}})")
    board.figure(5, "Longest wait", "How long the job has waited that has waited longest, of any priority.", "s",
                 f"max(attune_jobs_longest_wait_seconds{{{JOBS}}})", limits=[(3600, YELLOW), (8 * 3600, ORANGE)])
    board.figure(6, "Workers ready", "Worker processes that are connected: idle or busy. The server keeps at least one.", "none",
                 f"sum(attune:workers_ready:sum{{{SERVER}}})", limits=[(1, GREEN)], base=RED)
    board.figure(7, "Disk free", "The least of the servers: share of the data directory's file system that is free.", "percentunit",
                 f"min(attune:disk_free:ratio{{{SERVER}}})", limits=[(0.03, ORANGE), (0.2, GREEN)], base=RED)
    board.figure(8, "Oldest checkpoint", "Of running jobs: the longest time since the last durable checkpoint. So much work a loss of the machine would cost.", "s",
                 f"max(attune_checkpoint_oldest_seconds{{{SERVER}}})", limits=[(1800, YELLOW), (3600, RED)])
    board.row("Alerts and versions")
    board.listing(10, "Firing alerts", "What fires now, and how urgent it is: page wakes someone, ticket waits for the day.", "none",
                  'ALERTS{alertname=~"Attune.*", alertstate="firing"}',
                  {"alertname": "Alert", "severity": "Severity", "instance": "Server", "project": "Project", "priority": "Priority"}, width=16,
                  limits=[(1, RED)])
    board.listing(11, "Versions", "What runs where.", "none", f"attune_build_info{{{SERVER}}}",
                  {"instance": "Server", "version": "Attune", "libtorch_version": "LibTorch"}, width=8)
    board.row("Work")
    board.series(20, "Jobs that ended", "Ends of jobs in the last hour, by how.", "none",
                 [(or_zero(f"sum by (state) (increase(attune_jobs_ended_total{{{JOBS}}}[1h]))"), "{{state}}")], stacked=True)
    board.series(21, "Jobs in the queue", "By priority.", "none", [(f"sum by (priority) (attune_jobs_queued{{{JOBS}}})", "{{priority}}")], stacked=True)
    board.series(22, "Goodput", "Share of optimizer steps that were needed: the rest repeats what was lost with a worker or a server since the last checkpoint.", "percentunit",
                 [(f'sum(rate(attune_training_steps_total{{{TRAINING}, kind="useful"}}[$__rate_interval]))'
                   f" / sum(rate(attune_training_steps_total{{{TRAINING}}}[$__rate_interval]))", "goodput")],
                 limits=[(0.9, YELLOW), (0.98, GREEN)], base=ORANGE, most=1)
    board.series(23, "Samples a second", "Rows that training has learnt from, by model family.", "none",
                 [(f"sum by (architecture) (rate(attune_training_samples_total{{{TRAINING}}}[$__rate_interval]))", "{{architecture}}")], stacked=True)
    board.series(24, "Calls that failed by our fault", "Share of calls that ended with INTERNAL, UNKNOWN, UNAVAILABLE or DATA_LOSS.", "percentunit",
                 [(f"attune:rpc_errors:ratio_rate10m{{{SERVER}}}", "{{instance}}")], limits=[(0.01, YELLOW), (0.05, RED)])
    board.series(25, "Room on the disk", "Bytes that are free on the data directory's file system.", "bytes",
                 [(f"attune_disk_free_bytes{{{SERVER}}}", "{{instance}}")])
    return board.build()
