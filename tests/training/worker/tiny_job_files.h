// tests/training/tiny_job.h for files that must not see torch: writes the same model and dataset.
#pragma once

#include <string>

namespace attune::training {

// {directory}/model and {directory}/dataset.
void WriteTinyJobFiles(const std::string& directory);

}  // namespace attune::training
