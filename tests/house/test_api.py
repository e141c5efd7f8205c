"""The API: its reference is up to date and whole, and no change breaks clients. Mutations of the protos show that the checks see."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(os.environ.get("ATTUNE_SOURCE_DIR", pathlib.Path(__file__).parents[2]))


def api(root, *arguments):
    return subprocess.run([sys.executable, "-B", SOURCE / "tools" / "api_lib" / "main.py", "--root", root, *arguments], capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path):
    """What tools/api reads and writes, to be changed."""
    for folder in ("proto", "docs/api"):
        shutil.copytree(SOURCE / folder, tmp_path / folder)
    (tmp_path / "server" / "auth").mkdir(parents=True)
    shutil.copy(SOURCE / "server" / "auth" / "permissions.cc", tmp_path / "server" / "auth")
    return tmp_path


def edit(copy, file, old, new):
    path = copy / "proto" / "attune" / "v1" / file
    text = path.read_text()
    assert text.count(old) >= 1, old
    path.write_text(text.replace(old, new, 1))


def test_reference_and_baseline_are_up_to_date():
    done = api(SOURCE, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file, old, new, words", [
    ("upload.proto", "  int64 committed_bytes = 4;", "  int64 bytes_committed = 4;", "committed_bytes"),
    ("upload.proto", "  int64 committed_bytes = 4;", "  int32 committed_bytes = 4;", "type"),
    ("upload.proto", "  int64 committed_bytes = 4;", "  int64 committed_bytes = 14;", '"4"'),
    ("upload.proto", "  int64 committed_bytes = 4;", "", "committed_bytes"),
    ("upload.proto", "  int64 committed_bytes = 4;", "  repeated int64 committed_bytes = 4;", "cardinality"),
    ("upload.proto", "STATE_COMPLETE = 2", "STATE_DONE = 2", "STATE_COMPLETE"),
    ("upload.proto", "  rpc GetUpload(GetUploadRequest) returns (Upload);", "", "GetUpload"),
    ("upload.proto", "WriteUpload(stream WriteUploadRequest)", "WriteUpload(WriteUploadRequest)", "WriteUpload"),
    ("dataset.proto", "optional double test_fraction", "double test_fraction", "cardinality"),
    ("job_event.proto", "StateChanged state_changed = 6;", "StateChanged state_changed = 60;", '"6"'),
    ("common.proto", "option java_multiple_files = true;\n", "", "java_multiple_files"),
], ids=["renamed", "other-type", "other-number", "removed", "repeated", "enum-value", "rpc-removed", "no-stream", "not-optional", "oneof-number", "java-option"])
def test_a_change_that_breaks_clients_is_seen(copy, file, old, new, words):
    edit(copy, file, old, new)
    done = api(copy, "--check")
    assert done.returncode == 1 and "breaks clients: " in done.stdout and words in done.stdout, done.stdout + done.stderr
    before = (copy / "proto" / "baseline" / "attune_v1.binpb").read_bytes()
    assert api(copy).returncode == 1
    assert (copy / "proto" / "baseline" / "attune_v1.binpb").read_bytes() == before


def test_a_file_that_is_moved_breaks_clients(copy):
    folder = copy / "proto" / "attune" / "v1"
    (folder / "common.proto").rename(folder / "shared.proto")
    for path in (copy / "proto").rglob("*.proto"):
        path.write_text(path.read_text().replace("attune/v1/common.proto", "attune/v1/shared.proto"))
    done = api(copy, "--check")
    assert done.returncode == 1 and "common.proto" in done.stdout


def test_protos_that_do_not_compile_are_no_answer(copy):
    edit(copy, "upload.proto", "  int64 committed_bytes = 4;", "  int64 committed_bytes = ;")
    done = api(copy, "--check")
    assert done.returncode == 1 and "upload.proto" in done.stderr and "breaks" not in done.stdout


def test_an_addition_breaks_nobody_and_is_guarded_from_then_on(copy):
    added = "  int64 committed_bytes = 4;\n  // Bytes that are on their way.\n  int64 pending_bytes = 44;"
    edit(copy, "upload.proto", "  int64 committed_bytes = 4;", added)
    done = api(copy, "--check")
    assert done.returncode == 1 and "breaks" not in done.stdout
    assert done.stdout.splitlines() == ["docs/api/upload.md is not what the protos say: run tools/api", "proto/baseline is not the API as it is: run tools/api"]
    assert api(copy).returncode == 0 and api(copy, "--check").returncode == 0
    assert "`pending_bytes` = 44 | int64 | Bytes that are on their way." in (copy / "docs" / "api" / "upload.md").read_text()
    edit(copy, "upload.proto", "pending_bytes = 44", "waiting_bytes = 44")
    assert "breaks clients: " in api(copy, "--check").stdout
    accepted = api(copy, "--accept-breaking")
    assert accepted.returncode == 0 and "breaks clients: " in accepted.stdout
    assert api(copy, "--check").returncode == 0


def test_another_comment_changes_the_reference_alone(copy):
    edit(copy, "upload.proto", "// Total size in bytes.", "// All of its bytes.")
    assert api(copy, "--check").stdout.splitlines() == ["docs/api/upload.md is not what the protos say: run tools/api"]


def test_workers_are_not_clients(copy):
    path = copy / "proto" / "attune" / "worker" / "v1" / "worker.proto"
    text = path.read_text()
    field = re.search(r"^  string (\w+) = 1;", text, re.M)
    path.write_text(text.replace(field.group(), "", 1))
    assert api(copy, "--check").returncode == 0


def pages():
    return {path.name: path.read_text() for path in (SOURCE / "docs" / "api").glob("*.md")}


def test_everything_is_in_the_reference():
    text = pages()
    for proto in (SOURCE / "proto" / "attune" / "v1").glob("*.proto"):
        page = text[proto.stem + ".md"]
        for line in proto.read_text().splitlines():
            declared = re.match(r"\s*(?:rpc|service) (\w+)", line) or re.match(r"\s*(?:message|enum) (\w+)", line)
            if declared:
                assert re.search(rf"^##+ (\w+\.)*{declared.group(1)}$", page, re.M), f"{proto.name}: {line}"
            field = re.match(r"\s+(?:optional |repeated )?[\w.<>, ]+ (\w+) = (\d+);", line)
            if field:
                assert re.search(rf"^\| `{field.group(1)}`( = | \| ){field.group(2)} ", page, re.M), f"{proto.name}: {line}"


def test_links_lead_somewhere():
    text = pages()
    headings = {name: {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", page, re.M)} for name, page in text.items()}
    links = 0
    for name, page in text.items():
        for target in re.findall(r"\]\(([^)]+)\)", page):
            if target.startswith("https://"):
                continue
            path, _, anchor = target.partition("#")
            path = path or name
            links += 1
            assert path in text or (SOURCE / "docs" / "api" / path).exists(), f"{name}: {target}"
            assert not anchor or anchor in headings[path], f"{name}: {target}"
    assert links > 300


def test_each_reason_of_the_server_is_explained():
    errors = pages()["errors.md"]
    reasons = set()
    for path in (SOURCE / "server").rglob("*.cc"):
        text = path.read_text()
        reasons |= set(re.findall(r'\b(?:Unauthenticated|PermissionDenied|NotYet)\("([A-Z_]+)"', text))
        for call in re.findall(r"\bSetReason\(([^;]*)\);", text):
            reasons |= set(re.findall(r'"([A-Z_]+)"', call))
        if path.name == "grpc_status.cc":
            reasons |= set(re.findall(r'return "([A-Z_]+)";', text))
    assert len(reasons) > 30
    assert not [reason for reason in sorted(reasons) if f"`{reason}`" not in errors]
    explained = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)*)`(?=[^\n]*\|)", errors)) - {"TOKEN"}
    assert not explained - reasons
