"""The scenario of docs/conformance.md with a client of each language, and with clients that lie. A language is a folder of client/examples with a `run`."""
import os
import re
import sys

import grpc
import pytest

import checks
import harness
import world

EXAMPLES = os.path.join(harness.SOURCE, "client", "examples")
LANGUAGES = sorted(name for name in os.listdir(EXAMPLES) if os.path.exists(os.path.join(EXAMPLES, name, "run")))


def client(language):
    return [os.path.join(EXAMPLES, language, "run")]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return harness.make_tiny_bert(tmp_path_factory.mktemp("bert"), **world.BERT)


@pytest.mark.parametrize("language", LANGUAGES)
def test_scenario(language, tmp_path, bert):
    with world.World(tmp_path, bert) as met:
        output = met.run(client(language))
        print(output)
        checks.check(met, output)


@pytest.fixture(scope="module")
def honest(tmp_path_factory, bert):
    """The world after a client that did everything, and what it said."""
    with world.World(tmp_path_factory.mktemp("honest"), bert) as met:
        yield met, met.run(client("python"))


def test_words_alone_do_not_pass(tmp_path, bert, honest):
    """An honest client's words, at a server that nobody asked for anything: not one check lets them pass."""
    said = honest[1]
    with world.World(tmp_path, bert) as untouched:
        assert untouched.run([sys.executable, "-c", f"print({said!r}, end='')"]) == said
        for part in checks.PARTS:
            with pytest.raises((AssertionError, grpc.RpcError)):
                part(untouched, checks.parse(said))


@pytest.mark.parametrize("was, says", [
    (r"ok upload uploads/\w+", "ok upload uploads/another"),
    (r"line 42", "line 41"),
    (r"(ok import \S+) 400", r"\1 399"),
    (r"(ok create \S+)", r"\1x"),
    (r"(ok watch \S+) (\d+)", r"\1 1\2"),
    (r"ok pages 2", "ok pages 1"),
    (r"ok download \w", "ok download _"),
    (r"ok predict positive", "ok predict negative"),
    (r"ok predict.*\n", ""),
    (r"ok pages 2\n", "ok pages 2\nok pages 2\n"),
    (r"ok bad_row", "bad_row"),
])
def test_a_wrong_word_does_not_pass(honest, was, says):
    met, output = honest
    changed = re.sub(was, says, output, count=1)
    assert changed != output
    with pytest.raises((AssertionError, grpc.RpcError)):
        checks.check(met, changed)
