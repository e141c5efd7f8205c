import pytest

from attune_client import Client, RetryPolicy
from fake_server import FakeServer


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("ADDRESS", "SERVER", "TOKEN", "TOKEN_FILE", "CA_FILE", "CLIENT_CERTIFICATE_FILE", "CLIENT_KEY_FILE"):
        monkeypatch.delenv(f"ATTUNE_{name}", raising=False)


@pytest.fixture
def server():
    fake = FakeServer()
    yield fake
    fake.stop()


@pytest.fixture
def sleeps():
    return []


@pytest.fixture
def policy(sleeps):
    return RetryPolicy(sleep=sleeps.append, random=lambda: 0.5)


@pytest.fixture
def client(server, policy):
    with Client(server.address, retry=policy) as made:
        yield made
