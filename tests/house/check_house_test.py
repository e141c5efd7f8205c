#!/usr/bin/env python3
"""The house check finds what it is there to find: each rule is broken once in a scratch tree."""
import os
import subprocess
import sys
import tempfile
import unittest

CHECK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "check_house.py")


def run(files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w") as file:
                file.write(text)
            open(os.path.join(root, os.path.dirname(path), "README.md"), "w").close()
        done = subprocess.run([sys.executable, CHECK, root], capture_output=True, text=True)
        return done.returncode, done.stdout


class HouseTest(unittest.TestCase):
    def test_clean_tree_passes(self):
        code, out = run({"server/base/a.h": "", "server/jobs/b.cc": '#include "server/base/a.h"\n'})
        self.assertEqual(code, 0, out)

    def broken(self, files, expected):
        code, out = run(files)
        self.assertEqual(code, 1, out)
        self.assertIn(expected, out)

    def test_upward_include(self):
        self.broken({"server/api/a.h": "", "server/jobs/b.cc": '#include "server/api/a.h"\n'}, "may not include server/api/a.h")

    def test_torch_outside_training(self):
        self.broken({"server/jobs/b.cc": "#include <ATen/ATen.h>\n"}, "torch outside server/training")

    def test_torch_reached_through_a_header(self):
        self.broken({"server/training/models/m.h": "#include <torch/torch.h>\n",
                     "server/training/worker/w.cc": '#include "server/training/models/m.h"\n#include "attune/v1/job.pb.h"\n'},
                    "torch and generated protobuf code in one file")

    def test_grpc_in_jobs(self):
        self.broken({"server/jobs/b.cc": "#include <grpcpp/grpcpp.h>\n"}, "gRPC is not for this folder")

    def test_messages_in_training(self):
        self.broken({"server/training/steps/b.cc": '#include "attune/v1/job.pb.h"\n'}, "generated messages are not for this folder")

    def test_long_files(self):
        self.broken({"server/base/a.cc": "\n" * 500}, "500 lines")

    def test_crowded_folder(self):
        self.broken({f"server/base/f{i}.cc": "" for i in range(25)}, "move the walls")

    def test_empty_tree_fails(self):
        self.assertEqual(run({})[0], 1)


if __name__ == "__main__":
    unittest.main()
