// A model directory to damage, and what the check says of it. For the tests of this folder.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "server/base/files.h"
#include "server/catalogue/model_check.h"
#include "tests/fakes/tiny_tensors.h"

namespace attune::catalogue {

using Tensors = std::vector<TinyTensor>;

class ModelDirectoryTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return dir_.path() + "/" + name; }
  void Write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(WriteFileAtomically(Files::Posix(), Path(name), content).ok());
  }
  void SetTensors(const Tensors& tensors) { ASSERT_TRUE(WriteTinyTensors(Path("model.safetensors"), tensors).ok()); }
  absl::StatusOr<ModelDescription> Check() { return CheckModelDirectory(dir_.path()); }
  // Every one of `parts` must be in the message, and the place of the file must not.
  void ExpectRefused(const std::string& what, const std::vector<std::string>& parts) {
    const auto description = Check();
    EXPECT_EQ(description.status().code(), absl::StatusCode::kInvalidArgument) << what << ": " << description.status();
    const std::string message(description.status().message());
    for (const std::string& part : parts) EXPECT_THAT(message, ::testing::HasSubstr(part)) << what;
    EXPECT_THAT(message, ::testing::Not(::testing::HasSubstr(dir_.path()))) << what;
  }
  TemporaryDirectory dir_;
};

inline TinyTensor& Named(Tensors& tensors, const std::string& name) {
  for (TinyTensor& tensor : tensors) {
    if (tensor.name == name) return tensor;
  }
  ADD_FAILURE() << name;
  return tensors.front();
}

inline void Erase(Tensors& tensors, const std::string& part) {
  tensors.erase(std::remove_if(tensors.begin(), tensors.end(),
                               [&](const TinyTensor& t) { return t.name.find(part) != std::string::npos; }),
                tensors.end());
}

}  // namespace attune::catalogue
