import contextlib
import io
import sys

import pytest

from attune_client import progress, v1
from test_client import event


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(params=["tqdm", "plain"])
def bars(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    return request.param


def metrics(sequence, step):
    point = v1.MetricPoint(step=step, phase="head", values={"loss": 0.25})
    return v1.WatchFineTuningJobResponse(event=v1.JobEvent(sequence=sequence, metrics=point))


def drawn_by(call, stream=None):
    with contextlib.redirect_stderr(stream or Terminal()) as drawn:
        call()
    return drawn.getvalue()


def test_a_bar_on_a_terminal(server, client, tmp_path, bars):
    (tmp_path / "reviews.csv").write_bytes(b"x" * 2_000_000)
    drawn = drawn_by(lambda: client.upload(tmp_path / "reviews.csv"))
    assert "reviews.csv: 100%" in drawn and drawn.endswith("\n")


def test_a_bar_of_steps(server, client, bars):
    server.jobs.job.progress.total_steps = 40
    server.jobs.streams = [[metrics(1, 10), metrics(2, 40), event(3, terminal=True)]]
    drawn = drawn_by(lambda: client.wait("j1"))
    assert "fineTuningJobs/j1: " in drawn and "100%" in drawn and "40" in drawn and "head, loss 0.25" in drawn


def test_none_where_there_is_no_terminal_and_none_when_unwanted(server, client, tmp_path, monkeypatch):
    (tmp_path / "reviews.csv").write_bytes(b"x")
    upload = lambda progress: client.upload(tmp_path / "reviews.csv", progress=progress)
    assert drawn_by(lambda: upload(False)) == ""
    assert drawn_by(lambda: upload(None), io.StringIO()) == ""
    assert "reviews.csv" in drawn_by(lambda: upload(True), io.StringIO())
    monkeypatch.setattr(sys, "stderr", None)  # as pythonw has it
    upload(None)


def test_the_total_is_asked_for_seldom(server, client, bars):
    server.jobs.streams = [[metrics(n, n) for n in range(1, 1001)] + [event(1001, terminal=True)]]
    assert "1000" in drawn_by(lambda: client.wait("j1"))
    assert sum(method == "GetFineTuningJob" for method, _ in server.calls) < 15


def test_a_plain_bar_is_drawn_ten_times_a_second_at_most():
    stream, now = io.StringIO(), [0.0]
    bar = progress._PlainBar("data", "B", stream, clock=lambda: now[0])
    for done in range(0, 1000):
        now[0] += 0.01
        bar.update_to(done, 1000, "")
    assert 90 <= stream.getvalue().count("\r") <= 101
    bar.update_to(1000, 1000, "")
    bar.close()
    assert stream.getvalue().endswith("data: 100% 0.0 MB of 0.0 MB\n")


def test_a_shorter_line_leaves_nothing_of_a_longer_one():
    stream = io.StringIO()
    bar = progress._PlainBar("t", "rows", stream, clock=iter([0, 1]).__next__)
    bar.update_to(1, 2, "a long note")
    bar.update_to(2, 2, "")
    first, second = stream.getvalue().split("\r")[1:]
    assert len(second) == len(first)
