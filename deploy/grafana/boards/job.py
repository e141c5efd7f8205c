"""The training curves of one job, read from the server's JSON pages through the Infinity data source: no job's id is a label in Prometheus."""
import dataclasses

from boards.panels import GREEN, ORANGE, YELLOW, Board, lines
from grafana_foundation_sdk.builders import dashboard, table, trend
from grafana_foundation_sdk.cog import builder, variants
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models import dashboard as model

UID = "attune-job"
INFINITY = "yesoreyeram-infinity-datasource"
SOURCE = model.DataSourceRef(type_val=INFINITY, uid="${jobs}")
METRICS = "/jobs/${job}/metrics"
# Arrays in brackets, because JSONata makes a lone row, or none, no array.
ALL_JOBS = '[$.{"id": $substringAfter(job, "/"), "title": display_name & " (" & $substringAfter(job, "/") & ", " & state & ")"}]'
EVALUATIONS = "[$[$exists(eval_loss)]]"


@dataclasses.dataclass
class PageQuery(variants.Dataquery, builder.Builder):
    """One GET of the server, as the Infinity plugin writes it down. Paths are relative to the data source's address. No columns: all."""
    path: str
    columns: list
    rows: str = ""

    def build(self):
        return self

    def to_json(self):
        return {
            "refId": "A", "datasource": SOURCE.to_json(), "type": "json", "source": "url", "format": "table", "parser": "backend", "url": self.path,
            "url_options": {"method": "GET", "data": ""}, "root_selector": self.rows, "filters": [],
            "columns": [{"selector": selector, "text": text, "type": kind} for selector, text, kind in self.columns],
        }


def numbers(*names):
    return [(name, name, "number") for name in names]


def curve(board, number, title, description, unit, query, *, keep=None, log_scale=False, limits=(), least=None, most=None, width=12):
    """Values against the optimizer step. `keep`: only fields whose names match."""
    panel = trend.Panel().with_target(query).x_field("step").span_nulls(True).show_points(look.VisibilityMode.AUTO)
    if keep:
        panel = panel.with_transformation(model.DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"pattern": keep}}))
    # An attempt that goes on from a checkpoint repeats steps, and the panel wants them in order.
    panel = panel.with_transformation(model.DataTransformerConfig(id_val="sortBy", options={"sort": [{"field": "step"}]}))
    panel = lines(panel, limits, stacked=False, log_scale=log_scale).override_by_name("step", [model.DynamicConfigValue(id_val="unit", value="none")])
    if least is not None:
        panel = panel.min(least)
    if most is not None:
        panel = panel.max(most)
    board.add(panel, number, title, description, unit, width=width, height=9, limits=limits, source=SOURCE)


def job_variable():
    choices = PageQuery("/jobs", [("title", "__text", "string"), ("id", "__value", "string")], ALL_JOBS)
    return (dashboard.QueryVariable("job").label("Job").description("Every job that the server knows, newest first.").datasource(SOURCE)
            .query({"refId": "job", "queryType": "infinity", "query": "", "infinityQuery": {**choices.to_json(), "refId": "job"}})
            .refresh(model.VariableRefresh.ON_DASHBOARD_LOAD).sort(model.VariableSort.DISABLED).multi(False).include_all(False))


def build():
    sources = dashboard.DatasourceVariable("jobs").label("Server's jobs").type(INFINITY)
    board = Board(UID, "Attune: one job", "Loss, metrics and learning rate of a job against its steps, from the server's page /jobs/ID/metrics.", variables=(sources, job_variable()),
                  refresh="10s")
    board.row("Learning")
    curve(board, 1, "Loss", "Of training batches, and of evaluations where there were any. On a logarithmic scale.", "none",
          PageQuery(METRICS, numbers("step", "loss", "eval_loss")), log_scale=True)
    curve(board, 2, "Evaluation", "Every metric of the evaluations on the validation rows.", "none", PageQuery(METRICS, [], EVALUATIONS), keep="^(step|eval_(?!loss$).*)$")
    curve(board, 3, "Learning rate", "Of the group with the largest rate, as the schedule and live changes make it.", "none", PageQuery(METRICS, numbers("step", "learning_rate")), least=0)
    curve(board, 4, "Gradient norm", "Before clipping. On a logarithmic scale; one that climbs for many steps says that the rate is too high.", "none",
          PageQuery(METRICS, numbers("step", "grad_norm")), log_scale=True)
    board.row("Speed")
    curve(board, 10, "Samples a second", "Rows learnt from.", "none", PageQuery(METRICS, numbers("step", "samples_per_second")), least=0)
    curve(board, 11, "Waiting for input", "Share of the steps' time in which training stood still for want of a batch.", "percentunit",
          PageQuery(METRICS, numbers("step", "input_wait")), limits=[(0.1, YELLOW), (0.3, ORANGE)], least=0, most=1)
    board.row("Jobs")
    columns = [("job", "Job", "string"), ("display_name", "Name", "string"), ("state", "State", "string"), ("project", "Project", "string"),
               ("model", "Model", "string"), ("create_time", "Created", "string")]
    board.add(table.Panel().with_target(PageQuery("/jobs", columns)).no_value("none"), 20, "All jobs", "What the server lists; choose one above.", "none",
              width=24, height=9, base=GREEN, source=SOURCE)
    return board.build()
