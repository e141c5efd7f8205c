"""The report page of real jobs: `attune jobs report` on a text job with hostile labels, and on images with their thumbnails."""
import base64
import io
import os
import re
from html.parser import HTMLParser

import pytest

import harness
from harness import Job, job_pb, spec_pb

LABELS = ("<b>negative</b>", "positive & \"good\"")
VOID = {"meta", "img"}
LINKS = {"href", "src", "srcset", "action", "data", "poster", "xlink:href"}


class Page(HTMLParser):
    """What a browser would see: texts by section, attributes; faults in the nesting fail."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.texts, self.section = [], set(), [], {}, "head"
        self.feed(text)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag == "section":
            self.section = dict(attrs)["id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.texts[self.section] = self.texts.get(self.section, "") + data + "\n"

    def links(self):
        return [value for _, name, value in self.attributes if name in LINKS]


def report(server, job, path, *flags):
    done = harness.cli(server, "jobs", "report", job, "--output", str(path), *flags)
    assert f"Wrote {path}" in done.stdout, done.stdout
    assert os.path.getsize(path) < 2 << 20
    with open(path, encoding="utf-8", errors="strict") as file:
        page = Page(file.read())
    # Nothing runs, nothing is loaded, nothing leads away.
    assert not page.tags & {"script", "iframe", "link", "object", "embed", "base", "form", "a"}
    assert all(link.startswith("data:image/png;base64,") for link in page.links()), [link[:50] for link in page.links()]
    assert not any(name.startswith("on") for _, name, _ in page.attributes)
    assert not any("url(" in (value or "") or "@import" in (value or "") for _, _, value in page.attributes)
    return page, done


def phases():
    return [spec_pb.Phase(name="head", n_epochs=2, trainable=spec_pb.Trainable(head_only=True)),
            spec_pb.Phase(name="biases", n_epochs=1, trainable=spec_pb.Trainable(patterns=spec_pb.NamePatterns(patterns=["bert.encoder.layer.1.*.bias"]))),
            spec_pb.Phase(name="all", n_epochs=3, learning_rate=3e-3, layer_decay=0.5, trainable=spec_pb.Trainable(all=True, freeze=["embeddings.*"]))]


@pytest.fixture(scope="module")
def finished(server, model):
    dataset = server.import_dataset(harness.sentiment_csv(400, labels=(LABELS[0], '"' + LABELS[1].replace('"', '""') + '"')), test_fraction=0.2)
    assert list(dataset.labels) == sorted(LABELS)
    job = server.create_job(model, dataset.name, phases=phases(), hyperparameters=spec_pb.Hyperparameters(batch_size=16))
    events = list(server.events(job.name))
    done = server.jobs.GetFineTuningJob(job_pb.GetFineTuningJobRequest(name=job.name))
    assert done.state == Job.STATE_SUCCEEDED, done
    return done, events


def test_a_page_of_a_text_job(server, finished, tmp_path):
    job, _ = finished
    page, done = report(server, job.name, tmp_path / "report.html")
    assert {"curves", "classes", "confusion", "calibration", "examples", "layers", "settings", "dataset", "environment", "warnings"} <= set(page.texts), done.stdout
    for label in LABELS:
        assert label in page.texts["classes"] and label in page.texts["confusion"] and label in page.texts["dataset"]
    accuracy = f"accuracy {job.test_evaluation.values['accuracy']:.4g} on {job.test_evaluation.rows} test texts; best at step {job.best_checkpoint.rsplit('/', 1)[1]}"
    assert accuracy in page.texts["head"]
    for count in job.test_evaluation.confusion_matrix:
        assert count == 0 or str(count) in page.texts["confusion"]
    assert "svg" in page.tags and "polyline" in page.tags


def test_layers_are_those_that_learnt(server, finished, tmp_path):
    """The table's counts, which the client works out by itself, add up to what the worker counted as it began each phase."""
    job, events = finished
    started = [e.phase_started for e in events if e.WhichOneof("payload") == "phase_started"]
    assert [p.phase for p in started] == ["head", "biases", "all"]
    report(server, job.name, tmp_path / "report.html", "--no-evaluate")
    with open(tmp_path / "report.html") as file:
        layers = file.read().split('<section id="layers">')[1].split("</section>")[0].split("<table>")[2]
    sums = [0, 0, 0]
    for row in re.findall("<tr>(.*?)</tr>", layers)[1:]:
        cells = [re.sub("<.*?>", "", cell) for cell in re.findall("<td.*?>(.*?)</td>", row)]
        parameters = int(cells[1].replace(",", ""))
        for i, cell in enumerate(cells[2:]):
            if cell.startswith("partial: "):
                sums[i] += int(cell.split()[1].replace(",", ""))
            elif cell != "frozen":
                sums[i] += parameters
    assert sums == [p.trainable_parameters for p in started]
    assert "partial" in layers and "head only" in layers


def test_without_evaluation_it_says_what_is_missing(server, finished, tmp_path):
    job, _ = finished
    page, done = report(server, job.name, tmp_path / "report.html", "--no-evaluate")
    assert "--no-evaluate was given" in done.stdout and "--no-evaluate was given" in page.texts["head"]
    assert "calibration" not in page.texts and "examples" not in page.texts


def test_a_page_of_an_image_job_shows_the_pictures_that_are_meant(server, tmp_path):
    """Two training images have each other's label: they are the suspects, with their own pictures."""
    import subprocess
    import sys
    import tarfile

    import numpy
    from PIL import Image
    colours = {"green": (30, 200, 30), "red": (200, 30, 30)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for split, count in (("train", 24), ("validation", 6), ("test", 6)):
            for label, colour in colours.items():
                for i in range(count):
                    wrong = split == "train" and i == 5
                    shown = next(c for name, c in colours.items() if (name == label) != wrong)
                    noise = numpy.random.default_rng(i + 100 * len(label)).integers(-25, 25, (48, 64, 3))
                    png = io.BytesIO()
                    Image.fromarray(numpy.clip(numpy.array(shown) + noise, 0, 255).astype(numpy.uint8)).save(png, "PNG")
                    entry = tarfile.TarInfo(f"{split}/{label}/{i:02}.png")
                    entry.size = len(png.getvalue())
                    archive.addfile(entry, io.BytesIO(png.getvalue()))
    directory = tmp_path / "mobilenet"
    subprocess.run([sys.executable, os.path.join(harness.SOURCE, "tools", "import_torchvision.py"), os.path.join(harness.DEPS, "mobilenet", "mobilenet_v2_features.pt"),
                    "--architecture", "mobilenet_v2", "--set", "image_size=64", "--out", str(directory)], check=True)
    model = server.import_model(str(directory), "report-mobilenet").name
    dataset = server.import_dataset(buffer.getvalue(), "colours.tar").name
    job = server.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(batch_size=16),
                            phases=[spec_pb.Phase(name="head", n_epochs=6, learning_rate=3e-3, trainable=spec_pb.Trainable(head_only=True))])
    assert server.wait(job.name).state == Job.STATE_SUCCEEDED
    page, _ = report(server, job.name, tmp_path / "report.html")
    pictures = {}
    for at, (tag, name, value) in enumerate(page.attributes):
        if (tag, name) == ("img", "alt"):
            pictures[value] = page.attributes[at + 1][2]
    for label, other in (("green", "red"), ("red", "green")):
        place = f"colours.tar: train/{label}/05.png"
        assert place in page.texts["examples"] and place in pictures
        pixels = numpy.asarray(Image.open(io.BytesIO(base64.b64decode(pictures[place].split(",", 1)[1]))).convert("RGB"), dtype=float).mean((0, 1))
        assert numpy.abs(pixels - colours[other]).max() < 20, (place, pixels)
