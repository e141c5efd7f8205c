"""What the server exports, as dashboards and rules know it: metric -> its labels. A metric that is renamed there must be renamed here, and then in whatever uses it."""
import re

HISTOGRAMS = {
    "attune_rpc_seconds": {"method"},
    "attune_job_wait_seconds": {"project", "priority"},
    "attune_job_first_step_seconds": {"priority"},
    "attune_checkpoint_write_seconds": set(),
    "attune_checkpoint_bytes": set(),
    "attune_worker_start_seconds": set(),
    "attune_store_commit_seconds": set(),
}
_TRAINING = {"project", "architecture"}
_GPU = {"gpu", "name"}
METRICS = {
    "attune_audit_failures_total": set(),
    "attune_auth_ended_streams_total": set(),
    "attune_auth_refused_calls_total": {"reason"},
    "attune_auth_tokens": set(),
    "attune_certificate_expiry_timestamp_seconds": set(),
    "attune_certificate_reload_failures_total": set(),
    "attune_jwks_age_seconds": set(),
    "attune_build_info": {"version", "libtorch_version"},
    "attune_ready": set(),
    "attune_rpc_total": {"method", "code"},
    "attune_rpc_active": {"method"},
    "attune_job_slots": set(),
    "attune_jobs_running": set(),
    "attune_jobs_queued": {"project", "priority"},
    "attune_jobs_longest_wait_seconds": {"project", "priority"},
    "attune_jobs_created_total": {"project", "priority"},
    "attune_jobs_ended_total": {"project", "state", "fault"},
    "attune_training_steps_total": {*_TRAINING, "kind"},
    "attune_training_samples_total": _TRAINING,
    "attune_training_tokens_total": _TRAINING,
    "attune_training_step_seconds_total": _TRAINING,
    "attune_training_input_wait_seconds_total": _TRAINING,
    "attune_job_retries_total": {"reason"},
    "attune_job_preemptions_total": set(),
    "attune_jobs_not_finite_total": set(),
    "attune_out_of_memory_recoveries_total": set(),
    "attune_checkpoints_damaged_total": set(),
    "attune_checkpoint_oldest_seconds": set(),
    "attune_feature_cache_hits_total": set(),
    "attune_feature_cache_misses_total": set(),
    "attune_workers": {"state"},
    "attune_worker_exits_total": {"reason"},
    "attune_store_commit_failures_total": set(),
    "attune_events_total": set(),
    "attune_events_shed_total": set(),
    "attune_watchers": set(),
    "attune_watch_behind_events": set(),
    "attune_watch_dropped_events_total": set(),
    "attune_stored_bytes": {"kind"},
    "attune_disk_free_bytes": set(),
    "attune_disk_bytes": set(),
    "attune_uploads_open": set(),
    "attune_gpu_utilisation_ratio": _GPU,
    "attune_gpu_memory_used_bytes": _GPU,
    "attune_gpu_memory_bytes": _GPU,
    "attune_gpu_temperature_celsius": _GPU,
    "attune_gpu_power_watts": _GPU,
    **{f"{name}_{part}": labels | ({"le"} if part == "bucket" else set()) for name, labels in HISTOGRAMS.items() for part in ("bucket", "sum", "count")},
    # Prometheus' own.
    "up": set(),
    "ALERTS": {"alertname", "alertstate", "severity"},
}
# Labels of the target, which every series has.
TARGET = {"instance", "job"}
_NAME = re.compile(r"\b(attune[\w:]+|ALERTS|up)\b\s*(\{[^}]*\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")


def uses(expression):
    """(metric, labels that it is matched by) of an expression."""
    return [(name, set(_MATCHER.findall(matchers or ""))) for name, matchers in _NAME.findall(_without_words(expression))]


def unknown(expression, recorded=frozenset()):
    """What of it the server does not export, in words."""
    faults = []
    for name, labels in uses(expression):
        if name not in METRICS and name not in recorded:
            faults.append(f"{name} is no metric")
        elif extra := labels - METRICS.get(name, set()) - TARGET:
            faults.append(f"{name} has no label {', '.join(sorted(extra))}")
    return faults


def grouped_by(expression):
    """Labels in by (...) and without (...)."""
    return {label for inner in re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", expression) for label in re.findall(r"\w+", inner)}


def _without_words(expression):
    # What is quoted in matchers may look like a metric.
    return re.sub(r'"[^"]*"', '""', expression)
