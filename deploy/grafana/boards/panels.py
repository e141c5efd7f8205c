"""What the dashboards are made of: panels with one look, variables, and the board that holds them.

Every panel has a number of its own, given where it is made and never reused: alerts link to it by that number.
Prometheus is only named by the variable $datasource, so a dashboard works wherever it is imported.

    board = Board("attune-storage", "Attune: storage", "What is on the disk.")
    board.row("Disk")
    board.series(1, "Free space", "...", "bytes", [("attune_disk_free_bytes", "{{instance}}")], limits=[(1e9, GREEN)], base=RED)
    board.build()      # a dict, as Grafana stores it
"""
import json

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as query_model

GREEN, YELLOW, ORANGE, RED = "green", "yellow", "orange", "red"
PROMETHEUS = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "attune"
# Rows take numbers from here on, so that a new row never takes a panel's.
FIRST_ROW = 1000

# Label matchers of the variables. "All" is ".*", so series without the label are there too.
SERVER = 'instance=~"$instance"'
JOBS = f'{SERVER}, project=~"$project"'
TRAINING = f'{JOBS}, architecture=~"$architecture"'


def quantiles(metric, matchers, by=()):
    """Queries for the median and the 99th percentile of a histogram."""
    labels = ", ".join(["le", *by])
    name = " ".join(f"{{{{{label}}}}}" for label in by)
    return [(f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{{{matchers}}}[$__rate_interval])))", f"{name} {text}".strip())
            for q, text in ((0.5, "median"), (0.99, "99th percentile"))]


def or_zero(expression):
    """0 where the family has no series yet: labelled counters appear with their first event."""
    return f"{expression} or on() vector(0)"


def thresholds(base, limits):
    steps = [model.Threshold(value=None, color=base)] + [model.Threshold(value=value, color=color) for value, color in limits]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def targets(queries, instant=False, as_table=False):
    found = []
    for number, (expression, legend) in enumerate(queries):
        target = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + number)).datasource(PROMETHEUS)
        target = target.instant() if instant else target.range()
        if as_table:
            target = target.format(query_model.PromQueryFormat.TABLE)
        found.append(target)
    return found


def lines(panel, limits, stacked, log_scale=False):
    """The look of everything that is drawn as lines."""
    panel = (panel.legend(common.VizLegendOptions().display_mode(look.LegendDisplayMode.LIST).placement(look.LegendPlacement.BOTTOM).show_legend(True))
             .tooltip(common.VizTooltipOptions().mode(look.TooltipDisplayMode.MULTI).sort(look.SortOrder.DESCENDING))
             .line_width(1).fill_opacity(40 if stacked else 8))
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(look.StackingMode.NORMAL).group("A"))
    if limits:
        panel = panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(look.GraphThresholdsStyleMode.DASHED))
    if log_scale:
        panel = panel.scale_distribution(common.ScaleDistributionConfig().type(look.ScaleDistribution.LOG).log(10))
    return panel


class Board:
    def __init__(self, uid, title, description, *, variables=(), refresh="30s", span="now-6h"):
        self.uid = uid
        self._rows = 0
        self._board = (dashboard.Dashboard(title).uid(uid).description(description).tags([TAG]).time(span, "now").refresh(refresh)
                       .timezone("browser").tooltip(model.DashboardCursorSync.CROSSHAIR).readonly()
                       .link(dashboard.DashboardLink("Attune").type(model.DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True).keep_time(True)
                             .include_vars(True)))
        self._board.annotation(firing_alerts())
        for variable in (data_source(), *variables):
            self._board.with_variable(variable)

    def row(self, title):
        self._board.with_row(dashboard.Row(title).id(FIRST_ROW + self._rows))
        self._rows += 1

    def add(self, panel, number, title, description, unit, *, width, height, limits=(), base=GREEN, source=PROMETHEUS):
        self._board.with_panel(panel.id(number).title(title).description(description).unit(unit).datasource(source).span(width).height(height)
                               .thresholds(thresholds(base, limits)))

    def series(self, number, title, description, unit, queries, *, width=8, limits=(), base=GREEN, stacked=False, least=0, most=None):
        panel = lines(timeseries.Panel().targets(targets(queries)), limits, stacked)
        if least is not None:
            panel = panel.min(least)
        if most is not None:
            panel = panel.max(most)
        self.add(panel, number, title, description, unit, width=width, height=8, limits=limits, base=base)

    def figure(self, number, title, description, unit, expression, *, width=3, limits=(), base=GREEN, words=None, no_value="none"):
        """One number. `words` says a value in a word: {1: ("ready", GREEN)}."""
        panel = (stat.Panel().targets(targets([(expression, "")])).no_value(no_value).graph_mode(look.BigValueGraphMode.AREA)
                 .color_mode(look.BigValueColorMode.VALUE).reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False)))
        if words:
            panel = panel.mappings([model.ValueMap(options={str(value): model.ValueMappingResult(text=text, color=color)
                                                            for value, (text, color) in words.items()})])
        self.add(panel, number, title, description, unit, width=width, height=4, limits=limits, base=base)

    def listing(self, number, title, description, unit, expression, columns, *, width=12, limits=(), base=GREEN, height=8):
        """A table of the labels in `columns` (label -> heading) of the series that there are now."""
        shown = list(columns)
        panel = (table.Panel().targets(targets([(expression, "")], instant=True, as_table=True)).no_value("none")
                 .with_transformation(model.DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": shown}}))
                 .with_transformation(model.DataTransformerConfig(id_val="organize", options={
                     "indexByName": {name: place for place, name in enumerate(shown)}, "renameByName": columns})))
        self.add(panel, number, title, description, unit, width=width, height=height, limits=limits, base=base)

    def build(self):
        """What the file has. The version is left out: Grafana counts it."""
        return json.loads(JSONEncoder(sort_keys=True).encode(self._board.build()))


def data_source():
    return dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def choice(name, label, query, description):
    """Many of a label's values, or all."""
    return (dashboard.QueryVariable(name).label(label).description(description).query({"query": query, "refId": name}).datasource(PROMETHEUS)
            .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC).multi(True).include_all(True).all_value(".*")
            .current(model.VariableOption(text="All", value="$__all")))


def server_variable():
    return choice("instance", "Server", "label_values(attune_ready, instance)", "Which servers, by their scraped address.")


def project_variable():
    return choice("project", "Project", 'label_values(attune_jobs_queued{instance=~"$instance"}, project)', "Whose jobs.")


def family_variable():
    return choice("architecture", "Model family", 'label_values(attune_training_steps_total{instance=~"$instance"}, architecture)',
                  "Architectures of base models that were trained.")


def firing_alerts():
    """Alerts as marks on every panel of the board."""
    return (dashboard.AnnotationQuery().name("Alerts").datasource(PROMETHEUS).enable(True).icon_color("red")
            .expr('ALERTS{alertname=~"Attune.*", alertstate="firing"}'))
