"""The Dockerfile: hadolint has nothing to say, what it names is pinned, and it agrees with the chart. The scripts of deploy/image do what they say."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import yaml

import chart

FOLDER = chart.SOURCE / "deploy" / "image"
sys.path.insert(0, str(FOLDER))
import contents  # noqa: E402
import image_root  # noqa: E402
import sbom  # noqa: E402

DOCKERFILE = (chart.SOURCE / "Dockerfile").read_text()
STATUS = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc (2.36-9)\nVersion: 2.36-9+deb12u10\nDescription: GNU C Library\n more\n"
METADATA = "Metadata-Version: 2.4\nName: Some_Wheel\nVersion: 1.2\nLicense: BSD-3-Clause\n\nText with\nName: nothing\n"
PIN = "some-wheel==1.2 --hash=sha256:" + "ab" * 32 + "\n"


def stages():
    """Name -> (what it starts from, its instructions), comments and continuations taken out."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M))
    found, name = {}, None
    for line in text.splitlines():
        start = re.fullmatch(r"FROM (\S+) AS (\S+)", line)
        if start:
            name = start.group(2)
            found[name] = (start.group(1), [])
        elif name and line.strip():
            found[name][1].append(line)
    return found


def hadolint(path):
    installed = chart.DEPS / "hadolint" / "hadolint"
    program = os.environ.get("HADOLINT") or (str(installed) if installed.exists() else shutil.which("hadolint"))
    assert program, f"no hadolint in {installed}: run `make setup`, or name one in HADOLINT"
    return subprocess.run([program, str(path)], capture_output=True, text=True, timeout=chart.DEADLINE)


def test_hadolint_has_nothing_to_say(tmp_path):
    ran = hadolint(chart.SOURCE / "Dockerfile")
    assert ran.returncode == 0 and not ran.stdout, ran.stdout
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.replace("# hadolint ignore=DL3008\n", ""))
    assert "DL3008" in hadolint(tmp_path / "Dockerfile").stdout


def test_the_base_is_pinned_and_the_rest_comes_from_it():
    assert re.search(r"^ARG BASE_IMAGE=debian:bookworm-\d{8}-slim@sha256:[0-9a-f]{64}$", DOCKERFILE, re.M)
    known = {"${BASE_IMAGE}", "scratch"}
    for name, (start, instructions) in stages().items():
        assert start in known, name
        known.add(name)
        for source in re.findall(r"--from=(\S+)", "\n".join(instructions)):
            assert source in known, f"{name} copies from {source}"
    assert list(stages())[-1] == "cpu"


def test_the_runtime_runs_nothing_when_it_is_built():
    for name in ("runtime", "cuda", "cpu"):
        assert not [line for line in stages()[name][1] if line.startswith(("RUN", "ADD"))], name
    assert stages()["runtime"][0] == "scratch" and stages()["cuda"][0] == stages()["cpu"][0] == "runtime"


def test_what_is_copied_is_there():
    ignored = (chart.SOURCE / ".dockerignore").read_text()
    for _, instructions in stages().values():
        for line in instructions:
            words = line.split()
            if words[0] == "COPY" and not words[1].startswith("--"):
                for source in words[1:-1]:
                    assert (chart.SOURCE / source).exists(), source
                    assert any(source.rstrip("/").startswith(kept) for kept in re.findall(r"^!(\S+)", ignored, re.M)), source


def test_it_agrees_with_the_chart_and_the_programs():
    runtime = "\n".join(stages()["runtime"][1])
    version = re.search(r"project\(attune VERSION (\S+)", (chart.SOURCE / "CMakeLists.txt").read_text()).group(1)
    assert f"ARG VERSION={version}\n" in runtime
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text())
    security = next(value for value in values.values() if isinstance(value, dict) and "runAsUser" in value)
    user = f"{security['runAsUser']}:{security['runAsGroup']}"
    assert f"USER {user}\n" in runtime and f"--chown={user} " in runtime
    assert f"attune:x:{user}:" in image_root.TEXTS["etc/passwd"]
    check = json.loads(re.search(r"HEALTHCHECK .* CMD (\[.*\])", runtime).group(1))
    assert check == ["/usr/local/bin/attune", "-q", "server", "health"]
    assert '"health"' in (chart.SOURCE / "client/cli/server_commands.cc").read_text()
    # Where the build links the worker to, LibTorch is.
    assert f"-Wl,-rpath,/{image_root.TORCH_HOME}/torch/lib" in DOCKERFILE


def test_the_shell_has_what_the_charts_scripts_use():
    script = (chart.CHART / "files" / "test" / "run.sh").read_text()
    used = set(re.findall(r"(?:^|[|(]|\$\() *([a-z]+) ", re.sub(r"#.*", "", script), re.M)) & {path.name for path in pathlib.Path("/usr/bin").iterdir()}
    assert {"date", "sed", "head"} <= used
    assert (used | {"sh", "sleep"}) - {"attune"} <= set(image_root.APPLETS)


def test_programs_get_every_library(tmp_path, monkeypatch):
    monkeypatch.setattr(image_root, "SHELL", "/bin/true")
    (tmp_path / "libtorch").mkdir()
    image_root.make_cpu([pathlib.Path("/bin/ls")], tmp_path / "libtorch", tmp_path / "out")
    system = tmp_path / "out" / "system"
    libraries = system / image_root.LIBRARIES
    loader, = libraries.glob("ld-linux*")
    listed = subprocess.run([str(loader), "--library-path", str(libraries), str(tmp_path / "out/attune/usr/local/bin/ls"), str(libraries)], capture_output=True, text=True, check=True).stdout
    assert "libc.so.6" in listed and (system / "lib64" / loader.name).resolve() == loader
    recorded = {path.name for path in (system / "var/lib/dpkg/status.d").iterdir()}
    assert {"libc6", "coreutils", "libselinux1"} <= recorded
    assert (system / "usr/share/doc/libc6/copyright").stat().st_size > 1000
    assert (system / "tmp").stat().st_mode & 0o7777 == 0o1777


def test_a_library_that_is_missing_is_an_error(tmp_path):
    for command in (["-shared", "-x", "c", "-", "-o", "libgone.so"], ["-x", "c", "-", "-x", "none", "-o", "program", "-Wl,--no-as-needed", "-L.", "-lgone"]):
        subprocess.run(["cc", *command], input="int main(void) { return 0; }\n", text=True, cwd=tmp_path, check=True)
    (tmp_path / "libgone.so").unlink()
    with pytest.raises(RuntimeError, match="needs libgone.so, which is not here"):
        image_root.libraries_of(tmp_path / "program")
    assert image_root.libraries_of(tmp_path / "program", {"libgone.so"})


def test_sbom_of_packages_wheels_crates_and_programs(tmp_path):
    for name, text in {"var/lib/dpkg/status.d/libc6": STATUS, "usr/share/doc/attune/wheels/some_wheel-1.2.dist-info/METADATA": METADATA, "usr/local/bin/attune": "program",
                       "Cargo.lock": '[[package]]\nname = "ours"\nversion = "1"\n[[package]]\nname = "ahash"\nversion = "0.8.12"\nchecksum = "cd"\n', "pins": PIN}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    command = [sys.executable, str(FOLDER / "sbom.py"), "--pins", str(tmp_path / "pins"), "--root", str(tmp_path)]
    subprocess.run([*command, "--version", "7.8", "--crates", str(tmp_path / "Cargo.lock"), "--out", str(tmp_path / "a")], check=True)
    made = json.loads((tmp_path / "a").read_text())
    assert made["bomFormat"] == "CycloneDX" and made["specVersion"] == "1.5" and re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", made["serialNumber"])
    by_name = {one["name"]: one for one in made["components"]}
    assert sorted(by_name) == ["ahash", "attune", "libc6", "some-wheel"]
    assert by_name["libc6"]["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12" and by_name["libc6"]["properties"][0]["value"] == "glibc"
    assert by_name["some-wheel"]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}] and by_name["some-wheel"]["licenses"] == [{"license": {"name": "BSD-3-Clause"}}]
    assert by_name["ahash"]["purl"] == "pkg:cargo/ahash@0.8.12"
    assert by_name["attune"]["type"] == "application" and by_name["attune"]["version"] == made["metadata"]["component"]["version"] == "7.8"
    # The same again, from itself: nothing comes twice, and nothing changes.
    subprocess.run([*command, "--extend", str(tmp_path / "a"), "--out", str(tmp_path / "b")], check=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_projects_own_pins_are_read():
    pinned = sbom.pins((chart.SOURCE / "tools/versions.sh").read_text())
    assert ("torch", "2.11.0") in pinned and ("nvidia-cuda-cupti", "13.0.85") in pinned
    for line in (chart.SOURCE / "tools/cuda-requirements.txt").read_text().splitlines():
        assert line.startswith("#") or len(sbom.pins(line)) == 1, line
    assert {"tokenizers", "ahash"} <= {one["name"] for one in sbom.crates((chart.SOURCE / "server/tokenizers/capi/Cargo.lock").read_text())}


def test_contents_account_for_each_large_file():
    sizes = {"/usr/lib/attune/torch/lib/libtorch_cpu.so": 400_000_000, "/usr/lib/x86_64-linux-gnu/libz.so.1": 100_000, "/usr/lib/x86_64-linux-gnu/libm.so.6": 900_000, "/etc/passwd": 99}
    rows, unknown = contents.table(sizes)
    assert not unknown and rows[0][0] == 400_000_000 and rows[1][:2] == (1_000_000, "2 files") and sum(row[0] for row in rows) == sum(sizes.values())
    assert contents.table({"/usr/lib/x86_64-linux-gnu/libicudata.so.72": 30_000_000})[1] == ["/usr/lib/x86_64-linux-gnu/libicudata.so.72"]
