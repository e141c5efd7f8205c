#!/usr/bin/env python3
"""Checks the house rules of docs/architecture.md: who may include whom, where torch and protobuf meet, file and folder sizes, a README in each
folder.

    tests/house/check_house.py [ROOT]      exit 0 when the house is clean; otherwise each fault on a line
"""
import os
import re
import sys

ROOT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]', re.M)

# Folder -> folders whose headers it may include (itself always). The order is the order of the house, from the top down.
BASIS = ["server/base"]
STORES = ["server/examples", "server/weights", "server/tokenizers", "server/database", *BASIS]
MAY_INCLUDE = {
    "server/base": [],
    "server/database": BASIS,
    "server/backup": ["server/database", *BASIS],
    "server/examples": BASIS,
    "server/weights": BASIS,
    "server/tokenizers": BASIS,
    "server/architectures": BASIS,
    "server/images": BASIS,
    "server/metrics": BASIS,
    "server/artifacts": ["server/database", *BASIS],
    "server/datasets": ["server/artifacts", "server/images", *STORES],
    "server/catalogue": ["server/artifacts", "server/architectures", *STORES],
    "server/jobs": ["server/database", "server/architectures", "server/metrics", *BASIS],
    "server/workers/sandbox": BASIS,
    "server/workers": ["server/workers/sandbox", "server/jobs", "server/metrics", *BASIS],
    "server/scheduler": ["server/jobs", "server/workers", "server/datasets", "server/catalogue", "server/artifacts", "server/architectures", "server/images", "server/metrics", *STORES],
    "server/auth": ["server/database", "server/metrics", *BASIS],
    "server/api": ["server/auth", "server/scheduler", "server/datasets", "server/catalogue", "server/artifacts", "server/jobs", "server/workers",
                   "server/metrics", "server/architectures", "server/images", "server/backup", *STORES],
    "server/training/input": ["server/examples", "server/tokenizers", "server/images", *BASIS],
    "server/training/models": ["server/training/input", "server/weights", "server/architectures", *BASIS],
    "server/training/tasks": ["server/training/models", "server/training/input", "server/training/recipes", "server/examples", "server/architectures", *BASIS],
    "server/training/steps": ["server/training/models", "server/training/tasks", "server/training/input", "server/training/recipes",
                              "server/weights", "server/examples", "server/tokenizers", "server/architectures", "server/images", *BASIS],
    "server/training/recipes": ["server/training/steps", "server/training/models", "server/training/tasks", "server/training/input",
                                "server/weights", "server/examples", "server/tokenizers", "server/architectures", "server/images", *BASIS],
    "server/training/worker": ["server/workers/sandbox", "server/training/recipes", "server/training/steps", "server/training/models", "server/training/tasks",
                               "server/training/input", "server/weights", "server/examples", "server/tokenizers", "server/architectures", "server/images", *BASIS],
    "client/cpp": BASIS,
    "client/cli": ["client/cpp", *BASIS],
}
# Below recipes, only these headers of recipes/ are shared: plain values and the reporter, free of torch and protobuf.
SHARED_OF_RECIPES = {"server/training/recipes/fine_tune_spec.h", "server/training/recipes/job_reporter.h"}
GRPC_FOLDERS = ("server/api", "server/auth", "server/workers", "server/training/worker", "server/main", "client")
MESSAGE_FOLDERS = GRPC_FOLDERS + ("server/jobs", "server/scheduler", "server/datasets", "server/catalogue")
MAX_LINES, MAX_FILES, SHARE_OVER = 400, 15, 0.05


def sources():
    found = {}
    for top in ("server", "client"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in names:
                if name.endswith((".h", ".cc")):
                    path = os.path.relpath(os.path.join(folder, name), ROOT)
                    with open(os.path.join(ROOT, path), errors="replace") as file:
                        found[path] = file.read()
    return found


def house_folder(path):
    """The entry of MAY_INCLUDE that a file belongs to (the longest that fits), or its directory."""
    fits = [f for f in MAY_INCLUDE if path.startswith(f + "/")]
    return max(fits, key=len) if fits else os.path.dirname(path)


def reach(path, includes, cache):
    """Every include that a file sees, through our own headers."""
    if path in cache:
        return cache[path]
    cache[path] = seen = set()
    for include in includes.get(path, ()):
        seen.add(include)
        if include in includes:
            seen |= reach(include, includes, cache)
    return seen


def is_torch(include):
    return include.startswith(("torch/", "ATen/", "c10/"))


def check(files):
    faults = []
    includes = {path: INCLUDE.findall(text) for path, text in files.items()}
    for path, own in includes.items():
        folder = house_folder(path)
        allowed = MAY_INCLUDE.get(folder)
        for include in own:
            target = house_folder(include) if include.startswith(("server/", "client/")) else None
            if target and target != folder and allowed is not None and target not in allowed:
                faults.append(f"{path}: {folder} may not include {include}")
            if target == "server/training/recipes" and folder in ("server/training/steps", "server/training/tasks") and include not in SHARED_OF_RECIPES:
                faults.append(f"{path}: what lies below recipes may only include its plain headers, not {include}")
            if include.startswith(("grpcpp/", "grpc/")) and not path.startswith(GRPC_FOLDERS):
                faults.append(f"{path}: gRPC is not for this folder ({include})")
            if include.endswith(".grpc.pb.h") and not path.startswith(GRPC_FOLDERS):
                faults.append(f"{path}: gRPC is not for this folder ({include})")
            if include.endswith(".pb.h") and not path.startswith(MESSAGE_FOLDERS):
                faults.append(f"{path}: generated messages are not for this folder ({include})")
        seen = reach(path, includes, {})
        torch = any(map(is_torch, seen))
        if torch and not path.startswith("server/training/"):
            faults.append(f"{path}: torch outside server/training")
        if torch and any(i.endswith(".pb.h") for i in seen):
            faults.append(f"{path}: torch and generated protobuf code in one file")
        if folder == "server/training/recipes" and any(re.match(r"server/training/models/(?!model\.h|model_registry\.h|load_weights\.h)", i) for i in own):
            faults.append(f"{path}: a recipe reaches models through the registry only")
    faults += check_sizes(files)
    faults += check_folders(files)
    return faults


def check_sizes(files):
    over = sorted(((text.count("\n"), path) for path, text in files.items() if text.count("\n") > MAX_LINES), reverse=True)
    if len(over) > SHARE_OVER * len(files):
        return [f"{path}: {lines} lines, over {MAX_LINES}" for lines, path in over]
    return []


def check_folders(files):
    faults = []
    stems = {}
    for path in files:
        stems.setdefault(os.path.dirname(path), set()).add(path.rsplit(".", 1)[0])
    for folder, names in sorted(stems.items()):
        if len(names) > MAX_FILES + 5:
            faults.append(f"{folder}: {len(names)} files, over {MAX_FILES}: move the walls")
        if not os.path.exists(os.path.join(ROOT, folder, "README.md")):
            faults.append(f"{folder}: no README.md")
    return faults


def main():
    files = sources()
    faults = check(files)
    for fault in faults:
        print(fault)
    print(f"{len(files)} files, {len(faults)} faults")
    return 1 if faults or not files else 0


if __name__ == "__main__":
    sys.exit(main())
