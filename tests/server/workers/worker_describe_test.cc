#include "server/workers/worker_describe.h"

#include <sys/stat.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/files.h"

namespace attune::workers {
namespace {

using ::testing::HasSubstr;

constexpr char kGood[] = R"({"libtorch_version": "2.11.0", "architectures": [{"name": "bert", "description": "BERT", "tasks": ["text-classification"]},
    {"name": "resnet50", "description": "ResNet", "modality": "image", "tasks": ["image-classification"]}],
  "devices": [{"name": "cpu", "description": "Zen 4", "memory_bytes": 25000000000, "usable": true, "unusable_reason": "", "cores": 2},
              {"name": "cuda:0", "usable": false, "unusable_reason": "no driver"}]})";

TEST(ParseWorkerDescription, TakesEveryField) {
  auto description = ParseWorkerDescription(kGood);
  ASSERT_TRUE(description.ok()) << description.status();
  EXPECT_EQ(description->libtorch_version, "2.11.0");
  ASSERT_EQ(description->architectures.architectures_size(), 2);
  EXPECT_EQ(description->architectures.architectures(0).name(), "bert");
  EXPECT_EQ(description->architectures.architectures(0).tasks(0), "text-classification");
  EXPECT_EQ(description->architectures.architectures(0).modality(), "text") << "what older workers do not say";
  EXPECT_EQ(description->architectures.architectures(1).modality(), "image");
  ASSERT_EQ(description->devices.devices_size(), 2);
  EXPECT_EQ(description->devices.devices(0).memory_bytes(), 25000000000);
  EXPECT_EQ(description->devices.devices(0).cores(), 2);
  EXPECT_TRUE(description->devices.devices(0).usable());
  EXPECT_FALSE(description->devices.devices(1).usable());
  EXPECT_EQ(description->devices.devices(1).unusable_reason(), "no driver");
}

TEST(ParseWorkerDescription, RefusesNonsense) {
  for (const char* text : {"", "nonsense", "[]", "{}", R"({"architectures": "bert"})", R"({"architectures": [{"name": "bert"}]})",
                           R"({"architectures": [3], "devices": [{"name": "cpu"}]})"}) {
    EXPECT_EQ(ParseWorkerDescription(text).status().code(), absl::StatusCode::kInternal) << text;
  }
}

class DescribeWorkerTest : public ::testing::Test {
 protected:
  std::string Script(const std::string& body) {
    std::string path = directory_.path() + "/worker";
    EXPECT_TRUE(WriteFileAtomically(Files::Posix(), path, "#!/bin/sh\n" + body).ok());
    EXPECT_EQ(chmod(path.c_str(), 0755), 0);
    return path;
  }
  TemporaryDirectory directory_;
};

TEST_F(DescribeWorkerTest, RunsTheProgram) {
  auto description = DescribeWorker(Script("test \"$1\" = --describe || exit 9\necho noise >&2\ncat <<'END'\n" + std::string(kGood) + "\nEND\n"));
  ASSERT_TRUE(description.ok()) << description.status();
  EXPECT_EQ(description->libtorch_version, "2.11.0");
}

TEST_F(DescribeWorkerTest, FailureCarriesItsLastWords) {
  absl::Status status = DescribeWorker(Script("echo 'libtorch_cpu.so: cannot open' >&2\nexit 127\n")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("code 127"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("libtorch_cpu.so: cannot open"));
}

TEST_F(DescribeWorkerTest, AHangingProgramIsKilled) {
  absl::Status status = DescribeWorker(Script("exec sleep 1000\n"), absl::Milliseconds(50)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(DescribeWorkerTest, AbsentProgram) {
  EXPECT_EQ(DescribeWorker(directory_.path() + "/nothing").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace attune::workers
