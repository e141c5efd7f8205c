"""The notebook among the examples runs from its first cell to its last, against a real server. With ATTUNE_RENEW_NOTEBOOK=1 what it showed is written into it."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import nbclient
import nbformat
import pytest

import harness

NOTEBOOK = os.path.join(harness.SOURCE, "client", "examples", "notebook", "finetune_text.ipynb")
MAX_BYTES = 60_000  # of the file, outputs included


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The Python package with its stubs, in a directory for PYTHONPATH."""
    directory = tmp_path_factory.mktemp("package")
    source = os.path.join(harness.SOURCE, "client", "python")
    shutil.copytree(os.path.join(source, "attune_client"), directory / "attune_client", ignore=shutil.ignore_patterns("_generated"))
    subprocess.run([os.path.join(source, "generate.sh"), directory / "attune_client" / "_generated"], check=True, env={**os.environ, "PYTHON": sys.executable})
    return str(directory)


def text_of(cell):
    return "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", []))


def test_the_notebook_runs(server, package, tmp_path, monkeypatch):
    for name, value in {"PYTHONPATH": package, "ATTUNE_SERVER": server.address, "MODEL_DIR": os.path.join(harness.DEPS, "minilm"), "MPLBACKEND": "module://matplotlib_inline.backend_inline",
                        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"), "IPYTHONDIR": str(tmp_path / "ipython"), "MPLCONFIGDIR": str(tmp_path / "matplotlib")}.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    committed = [text_of(cell) for cell in notebook.cells]
    nbclient.NotebookClient(notebook, timeout=int(harness.DEADLINE), kernel_name="python3", record_timing=False, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [text_of(cell) for cell in notebook.cells]
    said = "\n".join(outputs)
    assert "BAD_ROWS" in said and "reviews.csv" in said and "SUCCEEDED" in said and "positive: the concert made everybody happy" in said, said
    assert any("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
    if os.environ.get("ATTUNE_RENEW_NOTEBOOK"):
        nbformat.write(notebook, NOTEBOOK)
        return
    # What a reader sees is what it printed: the same cells, if not the same figures.
    assert [bool(text) for text in committed] == [bool(text) for text in outputs]


def test_what_is_committed_is_small_and_of_no_machine():
    with open(NOTEBOOK) as file:
        text = file.read()
    assert len(text) < MAX_BYTES
    notebook = json.loads(text)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert not [path for path in (os.path.abspath(harness.SOURCE), tempfile.gettempdir() + "/", os.path.expanduser("~") + "/") if path in text]
    assert not [output for cell in notebook["cells"] for output in cell.get("outputs", []) if output["output_type"] == "error"]
