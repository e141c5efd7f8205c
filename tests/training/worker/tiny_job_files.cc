#include "tests/training/worker/tiny_job_files.h"

#include "tests/training/tiny_job.h"

namespace attune::training {

void WriteTinyJobFiles(const std::string& directory) {
  WriteTinyModel(directory + "/model");
  WriteTinyDataset(directory + "/dataset");
}

}  // namespace attune::training
