"""Queue, outcomes, training and checkpoints of all jobs together."""
from boards.panels import GREEN, JOBS, ORANGE, RED, SERVER, TRAINING, YELLOW, Board, family_variable, or_zero, project_variable, quantiles, server_variable

UID = "attune-jobs"
RATE = "[$__rate_interval]"


def build():
    board = Board(UID, "Attune: jobs and training", "What waits and for how long, how jobs end, how fast and how well training goes.",
                  variables=(server_variable(), project_variable(), family_variable()))
    queue(board)
    outcomes(board)
    training(board)
    checkpoints(board)
    return board.build()


def queue(board):
    board.row("Queue")
    board.series(1, "Slots", "Jobs that hold a slot, and how many can. Jobs that wait while none runs are stuck.", "none",
                 [(f"sum(attune_jobs_running{{{SERVER}}})", "running"), (f"sum(attune_job_slots{{{SERVER}}})", "slots"),
                  (f"sum(attune_jobs_queued{{{JOBS}}})", "waiting")])
    board.series(2, "Longest wait", "Of the jobs that wait now, by project and priority. Lines: one hour (too long for high), eight hours (for normal), three days (for low).", "s",
                 [(f"max by (project, priority) (attune_jobs_longest_wait_seconds{{{JOBS}}})", "{{project}} {{priority}}")],
                 limits=[(3600, YELLOW), (8 * 3600, ORANGE), (3 * 86400, RED)])
    board.series(3, "Waiting jobs by project", "Who waits.", "none", [(f"sum by (project) (attune_jobs_queued{{{JOBS}}})", "{{project}}")], stacked=True)
    board.series(4, "Wait before an attempt", "How long attempts had waited when they got a worker.", "s", quantiles("attune_job_wait_seconds", JOBS, ["priority"]))
    board.series(5, "From creation to the first step", "Queue, start of the worker, loading of weights and data.", "s",
                 quantiles("attune_job_first_step_seconds", SERVER, ["priority"]))
    board.series(6, "Jobs created", "In the last hour, by project.", "none",
                 [(or_zero(f"sum by (project) (increase(attune_jobs_created_total{{{JOBS}}}[1h]))"), "{{project}}")], stacked=True)


def outcomes(board):
    board.row("Outcomes")
    board.series(10, "Jobs that ended", "In the last hour, by how.", "none",
                 [(or_zero(f"sum by (state) (increase(attune_jobs_ended_total{{{JOBS}}}[1h]))"), "{{state}}")], stacked=True)
    board.series(11, "Failures by fault", "In the last hour. user and data are for who made the job; resource and system are for the operator.", "none",
                 [(or_zero(f'sum by (fault) (increase(attune_jobs_ended_total{{{JOBS}, state="failed"}}[1h]))'), "{{fault}}")], stacked=True)
    board.series(12, "Jobs that failed by our fault", "Share of the jobs that ended in the last hour, with fault resource or system.", "percentunit",
                 [(f"attune:jobs_failed:ratio1h{{{SERVER}}}", "{{instance}}")], limits=[(0.1, YELLOW), (0.25, RED)], most=1)
    board.series(13, "Attempts tried again", "In the last hour, by what ended the attempt.", "none",
                 [(or_zero(f"sum by (reason) (increase(attune_job_retries_total{{{SERVER}}}[1h]))"), "{{reason}}")], stacked=True)
    board.series(14, "Loss not finite", "Jobs of the last hour that failed because loss or gradients became NaN or infinite.", "none",
                 [(f"sum by (instance) (increase(attune_jobs_not_finite_total{{{SERVER}}}[1h]))", "{{instance}}")], limits=[(1, ORANGE)])
    board.series(15, "Memory that ran out, and places given up", "In the last hour: steps repeated in smaller parts, and jobs that gave way to a higher priority.", "none",
                 [(f"sum(increase(attune_out_of_memory_recoveries_total{{{SERVER}}}[1h]))", "out of memory, recovered"),
                  (f"sum(increase(attune_job_preemptions_total{{{SERVER}}}[1h]))", "preempted")])


def training(board):
    board.row("Training")
    board.series(20, "Steps a second", "Useful ones, and those that repeat what was lost.", "none",
                 [(f"sum by (kind) (rate(attune_training_steps_total{{{TRAINING}}}{RATE}))", "{{kind}}")], stacked=True)
    board.series(21, "Goodput", "Useful steps beside all.", "percentunit",
                 [(f'sum by (project) (rate(attune_training_steps_total{{{TRAINING}, kind="useful"}}{RATE}))'
                   f" / sum by (project) (rate(attune_training_steps_total{{{TRAINING}}}{RATE}))", "{{project}}")],
                 limits=[(0.9, YELLOW), (0.98, GREEN)], base=ORANGE, most=1)
    board.series(22, "Samples a second", "By model family.", "none",
                 [(f"sum by (architecture) (rate(attune_training_samples_total{{{TRAINING}}}{RATE}))", "{{architecture}}")], stacked=True)
    board.series(23, "Tokens a second", "Real tokens of text models, without padding, by model family.", "none",
                 [(f"sum by (architecture) (rate(attune_training_tokens_total{{{TRAINING}}}{RATE}))", "{{architecture}}")], stacked=True)
    board.series(24, "Time of a step", "Mean, by model family.", "s",
                 [(f"sum by (architecture) (rate(attune_training_step_seconds_total{{{TRAINING}}}{RATE}))"
                   f" / sum by (architecture) (rate(attune_training_steps_total{{{TRAINING}}}{RATE}))", "{{architecture}}")])
    board.series(25, "Waiting for input", "Share of the steps' time that training stood still for want of a batch. Much of it: slow disk, or too few threads to decode.", "percentunit",
                 [(f"sum by (architecture) (rate(attune_training_input_wait_seconds_total{{{TRAINING}}}{RATE}))"
                   f" / sum by (architecture) (rate(attune_training_step_seconds_total{{{TRAINING}}}{RATE}))", "{{architecture}}")],
                 limits=[(0.1, YELLOW), (0.3, ORANGE)], most=1)


def checkpoints(board):
    board.row("Checkpoints")
    board.series(30, "Oldest checkpoint", "Of running jobs: time since the last durable one, or since training began. So much work a loss would cost.", "s",
                 [(f"attune_checkpoint_oldest_seconds{{{SERVER}}}", "{{instance}}")], limits=[(1800, YELLOW), (3600, RED)])
    board.series(31, "Time to write one", "Training goes on meanwhile.", "s", quantiles("attune_checkpoint_write_seconds", SERVER))
    board.series(32, "Size", "Of a checkpoint with its optimizer state.", "bytes", quantiles("attune_checkpoint_bytes", SERVER))
    board.series(33, "Damaged checkpoints", "In the last hour: their bytes did not have the digest that they were written with. The one before was taken instead.", "none",
                 [(f"sum by (instance) (increase(attune_checkpoints_damaged_total{{{SERVER}}}[1h]))", "{{instance}}")], limits=[(1, RED)], width=12)
    board.series(34, "Feature cache hits", "Share of the frozen layers' outputs that were read instead of computed.", "percentunit",
                 [(f"sum by (instance) (rate(attune_feature_cache_hits_total{{{SERVER}}}{RATE}))"
                   f" / sum by (instance) (rate(attune_feature_cache_hits_total{{{SERVER}}}{RATE}) + rate(attune_feature_cache_misses_total{{{SERVER}}}{RATE}))",
                   "{{instance}}")], most=1, width=12)
