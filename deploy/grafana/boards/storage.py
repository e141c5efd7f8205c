"""What lies on the disk, and when it will be full."""
from boards.panels import GREEN, ORANGE, RED, SERVER, YELLOW, Board, server_variable

UID = "attune-storage"
RATE = "[$__rate_interval]"
DAY = 86400


def build():
    board = Board(UID, "Attune: storage", "The data directory: what takes its space, what is left, and for how long.", variables=(server_variable(),), span="now-2d")
    board.row("Disk")
    board.series(1, "Free", "Share of the file system that is free.", "percentunit", [(f"attune:disk_free:ratio{{{SERVER}}}", "{{instance}}")],
                 limits=[(0.03, ORANGE), (0.2, GREEN)], base=RED, most=1)
    board.series(2, "Free in three days", "Where free space will be if it goes on as in the last six hours.", "bytes",
                 [(f"predict_linear(attune_disk_free_bytes{{{SERVER}}}[6h], {3 * DAY})", "{{instance}}")], limits=[(0, GREEN)], base=RED, least=None)
    board.series(3, "Free in four hours", "Where free space will be if it goes on as in the last hour.", "bytes",
                 [(f"predict_linear(attune_disk_free_bytes{{{SERVER}}}[1h], {4 * 3600})", "{{instance}}")], limits=[(0, GREEN)], base=RED, least=None)
    board.row("What is stored")
    board.series(10, "Stored by kind", "Bytes of everything that the server keeps.", "bytes", [(f"sum by (kind) (attune_stored_bytes{{{SERVER}}})", "{{kind}}")],
                 stacked=True, width=16)
    board.series(11, "Free and whole", "Bytes of the file system.", "bytes",
                 [(f"sum by (instance) (attune_disk_free_bytes{{{SERVER}}})", "{{instance}} free"), (f"sum by (instance) (attune_disk_bytes{{{SERVER}}})", "{{instance}} whole")])
    board.series(12, "Database", "attune.db with its write-ahead log.", "bytes", [(f'sum by (instance) (attune_stored_bytes{{{SERVER}, kind="database"}})', "{{instance}}")])
    board.series(13, "Uploads open", "Begun and not ended; they are removed a while after their last byte (upload_expiry_hours).", "none",
                 [(f"sum by (instance) (attune_uploads_open{{{SERVER}}})", "{{instance}}")], limits=[(100, YELLOW)])
    board.series(14, "Feature cache", "Frozen layers' outputs: read (hits) or computed and kept (misses), a second.", "none",
                 [(f"sum(rate(attune_feature_cache_hits_total{{{SERVER}}}{RATE}))", "hits"), (f"sum(rate(attune_feature_cache_misses_total{{{SERVER}}}{RATE}))", "misses")])
    return board.build()
