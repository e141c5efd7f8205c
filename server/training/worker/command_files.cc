#include "server/training/worker/command_files.h"

#include <string>
#include <vector>

namespace attune::training {
namespace {

using workers::FileGrants;

std::vector<std::string> NotEmpty(std::vector<std::string> paths) {
  std::erase(paths, "");
  return paths;
}

struct Needs {
  FileGrants operator()(const AssignCommand& command) const {
    const JobPaths& paths = command.paths;
    return {.read = NotEmpty({paths.model_dir, paths.dataset_dir, paths.replay_dataset_dir, paths.resume_dir, paths.warm_start_dir}), .write = NotEmpty({paths.output_dir, paths.feature_cache_dir})};
  }
  FileGrants operator()(const ProbeCommand& command) const { return (*this)(command.assignment); }
  FileGrants operator()(const PredictCommand& command) const { return {.read = {command.checkpoint_dir}}; }
  FileGrants operator()(const EvaluateCommand& command) const { return {.read = {command.evaluation.checkpoint_dir, command.evaluation.dataset_dir}}; }
  FileGrants operator()(const ShutdownCommand&) const { return {}; }
};

}  // namespace

FileGrants FilesOf(const Command& command) { return std::visit(Needs{}, command); }

}  // namespace attune::training
