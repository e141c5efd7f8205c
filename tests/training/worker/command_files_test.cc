#include "server/training/worker/command_files.h"

#include <gtest/gtest.h>

namespace attune::training {
namespace {

using workers::FileGrants;

const JobPaths kPaths = {.model_dir = "/m", .dataset_dir = "/d", .output_dir = "/o", .resume_dir = "/r", .feature_cache_dir = "/f", .replay_dataset_dir = "/second", .warm_start_dir = "/w"};

TEST(FilesOf, AnAttemptReadsItsInputsAndWritesItsOutput) {
  const FileGrants files = FilesOf(AssignCommand{.paths = kPaths});
  EXPECT_EQ(files, (FileGrants{.read = {"/m", "/d", "/second", "/r", "/w"}, .write = {"/o", "/f"}}));
  EXPECT_EQ(FilesOf(ProbeCommand{.assignment = {.paths = kPaths}}), files) << "a plan does what the attempt would";
}

TEST(FilesOf, WhatAJobHasNotIsNotNamed) {
  const FileGrants files = FilesOf(AssignCommand{.paths = {.model_dir = "/m", .dataset_dir = "/d", .output_dir = "/o"}});
  EXPECT_EQ(files, (FileGrants{.read = {"/m", "/d"}, .write = {"/o"}}));
}

TEST(FilesOf, PredictionsAndEvaluationsWriteNothing) {
  EXPECT_EQ(FilesOf(PredictCommand{.checkpoint_dir = "/c"}), (FileGrants{.read = {"/c"}}));
  EXPECT_EQ(FilesOf(EvaluateCommand{.evaluation = {.checkpoint_dir = "/c", .dataset_dir = "/d"}}), (FileGrants{.read = {"/c", "/d"}}));
  EXPECT_EQ(FilesOf(ShutdownCommand{}), FileGrants{});
}

}  // namespace
}  // namespace attune::training
