"""Worker processes, and the devices that they run on."""
from boards.panels import GREEN, ORANGE, RED, SERVER, YELLOW, Board, or_zero, quantiles, server_variable

UID = "attune-workers"


def build():
    board = Board(UID, "Attune: workers and devices", "The processes that train: how many, how they end, how soon they are there; and GPUs, where NVML finds any.",
                  variables=(server_variable(),))
    board.row("Workers")
    board.series(1, "Workers by state", "The server keeps at least one idle or starting worker besides those that train.", "none",
                 [(f"sum by (state) (attune_workers{{{SERVER}}})", "{{state}}")], stacked=True)
    board.series(2, "Workers ready", "Idle or busy, by server. None for minutes: jobs cannot begin.", "none",
                 [(f"attune:workers_ready:sum{{{SERVER}}}", "{{instance}}")], limits=[(1, GREEN)], base=RED)
    board.series(3, "Bad ends", "Workers of the last 15 minutes that crashed, were killed, ran out of memory, fell silent or never connected.", "none",
                 [(or_zero(f'sum by (reason) (increase(attune_worker_exits_total{{{SERVER}, reason!~"clean|idle_shutdown"}}[15m]))'), "{{reason}}")],
                 limits=[(5, RED)], stacked=True)
    board.series(4, "All ends", "In the last hour. clean and idle_shutdown are as they should be.", "none",
                 [(or_zero(f"sum by (reason) (increase(attune_worker_exits_total{{{SERVER}}}[1h]))"), "{{reason}}")], stacked=True, width=12)
    board.series(5, "Time to start one", "From launch to ready: LibTorch is loaded, the worker has called the server.", "s",
                 quantiles("attune_worker_start_seconds", SERVER), limits=[(10, YELLOW), (30, ORANGE)], width=12)
    board.row("GPUs")
    board.series(10, "Utilisation", "Share of time in which a kernel ran.", "percentunit",
                 [(f"attune_gpu_utilisation_ratio{{{SERVER}}}", "{{instance}} {{gpu}} {{name}}")], most=1)
    board.series(11, "Memory used", "Share of the device's memory, by all processes.", "percentunit",
                 [(f"attune_gpu_memory_used_bytes{{{SERVER}}} / attune_gpu_memory_bytes{{{SERVER}}}", "{{instance}} {{gpu}} {{name}}")],
                 limits=[(0.95, ORANGE)], most=1)
    board.series(12, "Temperature", "Above some 85 degrees the device slows itself down.", "celsius",
                 [(f"attune_gpu_temperature_celsius{{{SERVER}}}", "{{instance}} {{gpu}} {{name}}")], limits=[(80, YELLOW), (85, RED)], least=None)
    board.series(13, "Power", "What each device draws.", "watt", [(f"attune_gpu_power_watts{{{SERVER}}}", "{{instance}} {{gpu}} {{name}}")], width=12)
    board.series(14, "GPUs that answer", "Devices of each server that NVML reports. Fewer than before: one fell off the bus, or its driver hangs.", "none",
                 [(f"attune:gpus:count{{{SERVER}}}", "{{instance}}"), (f"max_over_time(attune:gpus:count{{{SERVER}}}[6h])", "{{instance}}, most in 6 h")], limits=[(1, GREEN)], base=RED,
                 width=12)
    return board.build()
