"""Calls, their errors and times; watchers and the event store; certificates and credentials."""
from boards.panels import GREEN, ORANGE, RED, SERVER, YELLOW, Board, or_zero, quantiles, server_variable

UID = "attune-api"
RATE = "[$__rate_interval]"


def build():
    board = Board(UID, "Attune: API and errors", "Is the server reached and ready, what is called, what fails, how long it takes, and whether events are stored and seen.",
                  variables=(server_variable(),))
    board.row("Server")
    board.series(1, "Scraped", "1 where Prometheus reached the server's metrics.", "none", [(f'up{{job=~".*attune.*", {SERVER}}}', "{{instance}}")],
                 limits=[(1, GREEN)], base=RED, most=1)
    board.series(2, "Ready", "1 while the store commits and the disk has room; 0 otherwise, and while the server drains.", "none",
                 [(f"attune_ready{{{SERVER}}}", "{{instance}}")], limits=[(1, GREEN)], base=RED, most=1)
    board.series(3, "Calls going on", "The ten methods with most. Watches are long by nature.", "none",
                 [(f"topk(10, sum by (method) (attune_rpc_active{{{SERVER}}}))", "{{method}}")], stacked=True)
    board.row("Calls")
    board.series(10, "Calls by code", "That ended, a second.", "reqps", [(f"sum by (code) (rate(attune_rpc_total{{{SERVER}}}{RATE}))", "{{code}}")], stacked=True)
    board.series(11, "Calls that failed by our fault", "Share of calls with INTERNAL, UNKNOWN, UNAVAILABLE or DATA_LOSS. What clients do wrong does not count.", "percentunit",
                 [(f"attune:rpc_errors:ratio_rate10m{{{SERVER}}}", "{{instance}}")], limits=[(0.01, YELLOW), (0.05, RED)])
    board.series(12, "Errors by method", "The ten most frequent of all codes but OK and CANCELLED, a second.", "reqps",
                 [(or_zero(f'topk(10, sum by (method, code) (rate(attune_rpc_total{{{SERVER}, code!~"OK|CANCELLED"}}{RATE})))'), "{{method}} {{code}}")])
    board.series(13, "Time of unary calls", "All methods together.", "s", quantiles("attune_rpc_seconds", SERVER), limits=[(0.5, YELLOW), (2, ORANGE)])
    board.series(14, "Time by method", "99th percentile of unary calls.", "s",
                 [(f"histogram_quantile(0.99, sum by (le, method) (rate(attune_rpc_seconds_bucket{{{SERVER}}}{RATE})))", "{{method}}")])
    board.series(15, "Calls by method", "That ended, a second.", "reqps", [(f"sum by (method) (rate(attune_rpc_total{{{SERVER}}}{RATE}))", "{{method}}")], stacked=True)
    board.row("Events and their store")
    board.series(20, "Time of a commit", "Transactions of the job store; nothing is acknowledged before its commit.", "s",
                 quantiles("attune_store_commit_seconds", SERVER) + [(f"attune:store_commit_seconds:p99_rate10m{{{SERVER}}}", "{{instance}} alert")],
                 limits=[(0.1, YELLOW), (0.5, ORANGE)])
    board.series(21, "Commits that failed, events not stored", "In five minutes. Metrics and log lines are given up first; changes of state are tried again until they are stored.", "none",
                 [(f"sum by (instance) (increase(attune_store_commit_failures_total{{{SERVER}}}[5m]))", "{{instance}} commits failed"),
                  (f"sum by (instance) (increase(attune_events_shed_total{{{SERVER}}}[5m]))", "{{instance}} events given up")], limits=[(1, RED)])
    board.series(22, "Events stored", "A second.", "none", [(f"sum by (instance) (rate(attune_events_total{{{SERVER}}}{RATE}))", "{{instance}}")])
    board.series(23, "Watchers", "Open watches.", "none", [(f"sum by (instance) (attune_watchers{{{SERVER}}})", "{{instance}}")])
    board.series(24, "Watchers behind", "Events that the watcher furthest behind has not taken yet.", "none",
                 [(f"max by (instance) (attune_watch_behind_events{{{SERVER}}})", "{{instance}}")], limits=[(512, YELLOW), (1024, ORANGE)])
    board.series(25, "Events that watchers missed", "A second: metrics and log lines left out for watchers that are too slow. States, evaluations and checkpoints never are.", "none",
                 [(f"sum by (instance) (rate(attune_watch_dropped_events_total{{{SERVER}}}{RATE}))", "{{instance}}")], limits=[(1, ORANGE)])
    board.row("TLS and credentials")
    board.series(30, "Certificate's time left", "Until the server's TLS certificate expires. Nothing where it has no TLS.", "s",
                 [(f"attune_certificate_expiry_timestamp_seconds{{{SERVER}}} - time()", "{{instance}}")], limits=[(86400, ORANGE), (14 * 86400, GREEN)], base=RED)
    board.series(31, "TLS files not taken", "In five minutes: times that new files did not fit each other, or were no good, so that those of before stay.", "none",
                 [(f"sum by (instance) (increase(attune_certificate_reload_failures_total{{{SERVER}}}[5m]))", "{{instance}}")], limits=[(1, ORANGE)])
    board.series(32, "Calls refused by reason", "For who made them, or what they may not do, a second; and streams that were ended because their token was revoked. Some are usual: credentials expire.", "reqps",
                 [(or_zero(f"sum by (reason) (rate(attune_auth_refused_calls_total{{{SERVER}}}{RATE}))"), "{{reason}}"),
                  (f"sum(rate(attune_auth_ended_streams_total{{{SERVER}}}{RATE}))", "streams ended")], limits=[(1, ORANGE)], stacked=True)
    board.series(33, "Age of the issuer's keys", "Since the keys of JWTs were fetched; every ten minutes is usual, and after a day they count no more.", "s",
                 [(f"attune_jwks_age_seconds{{{SERVER}}}", "{{instance}}")], limits=[(3600, YELLOW), (6 * 3600, RED)])
    board.series(34, "Audit lines not written", "In 15 minutes: they went to the server's log instead.", "none",
                 [(f"sum by (instance) (increase(attune_audit_failures_total{{{SERVER}}}[15m]))", "{{instance}}")], limits=[(1, ORANGE)])
    board.series(35, "API tokens", "Neither revoked nor expired.", "none", [(f"attune_auth_tokens{{{SERVER}}}", "{{instance}}")])
    return board.build()
