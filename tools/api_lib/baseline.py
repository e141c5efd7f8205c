"""The committed API, and whether clients of it still work."""
import os
import shutil
import tempfile

from descriptors import PUBLIC, build_image, read_image, run_buf

BASELINE = os.path.join("baseline", "attune_v1.binpb")  # in proto/


def breaking_changes(proto):
    """Lines of `buf breaking`: what would break a client of the baseline. Raises RuntimeError for protos that do not compile, which buf counts as a break."""
    built = run_buf(proto, "build", "-o", os.devnull)
    if built.returncode != 0:
        raise RuntimeError(built.stdout + built.stderr)
    done = run_buf(proto, "breaking", "--against", BASELINE)
    if done.returncode not in (0, 100):
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout.splitlines()


def is_current(proto):
    """Whether the baseline is the API as it is. Compares what the files declare, so that another version of buf makes no difference."""
    with tempfile.TemporaryDirectory() as scratch:
        now = os.path.join(scratch, "now.binpb")
        build_image(proto, now)
        ours, theirs = read_image(now), read_image(os.path.join(proto, BASELINE))
    return {n: f for n, f in ours.items() if n.startswith(PUBLIC)} == {n: f for n, f in theirs.items() if n.startswith(PUBLIC)}


def renew(proto):
    with tempfile.TemporaryDirectory() as scratch:
        now = os.path.join(scratch, "now.binpb")
        build_image(proto, now)
        os.makedirs(os.path.dirname(os.path.join(proto, BASELINE)), exist_ok=True)
        shutil.copyfile(now, os.path.join(proto, BASELINE))
