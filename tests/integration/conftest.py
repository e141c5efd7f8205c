import pytest

import harness


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    return harness.make_tiny_bert(tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for tests of a module that do not disturb it."""
    with harness.Server(tmp_path_factory.mktemp("server") / "data") as running:
        yield running
        code = running.stop()
    assert code == 0, running.log_text()[-3000:]


@pytest.fixture(scope="module")
def model(server, tiny_bert):
    return server.import_model(tiny_bert, "tiny-bert").name


@pytest.fixture(scope="module")
def dataset(server):
    return server.import_dataset(harness.sentiment_csv(400), test_fraction=0.2).name


@pytest.fixture
def own_server(tmp_path):
    """A server that the test may kill."""
    server = harness.Server(tmp_path / "data")
    server.start()
    yield server
    if server.process.poll() is None:
        server.process.kill()
        server.process.wait()
