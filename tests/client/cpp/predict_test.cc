#include "client/cpp/predict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/files.h"
#include "tests/client/cpp/fake_server.h"

namespace attune::client {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PredictTest : public ::testing::Test {
 protected:
  std::string Put(const std::string& name, const std::string& content) {
    const std::string path = directory_.path() + "/" + name;
    EXPECT_TRUE(WriteFileAtomically(Files::Posix(), path, content).ok());
    return path;
  }
  absl::Status Fault(const std::vector<std::string>& paths) {
    return PredictImageFiles(*client_, "fineTuningJobs/j1", paths).status();
  }

  TemporaryDirectory directory_;
  FakeServer server_;
  std::unique_ptr<Client> client_ = server_.Connect();
};

TEST_F(PredictTest, SendsFilesInOrderAsManyAsACallTakes) {
  const std::string large = Put("large", std::string(16 << 20, 'l'));
  std::vector<std::string> paths = {large, Put("a", "a"), large, Put("b", "b")};
  for (int i = 0; i < 64; ++i) paths.push_back(paths[1]);
  auto response = PredictImageFiles(*client_, "fineTuningJobs/j1", paths);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->predictions_size(), 68);
  EXPECT_EQ(response->predictions(0).labels(0), std::string(20, 'l'));
  EXPECT_EQ(response->predictions(3).labels(0), "b");
  ASSERT_EQ(server_.prediction.requests.size(), 3u);
  EXPECT_EQ(server_.prediction.requests[0].images_size(), 2) << "with the third it would be over 32 MiB";
  EXPECT_EQ(server_.prediction.requests[1].images_size(), 64);
  EXPECT_EQ(server_.prediction.requests[0].checkpoint(), "fineTuningJobs/j1");
  EXPECT_EQ(server_.prediction.requests[2].checkpoint(), "fineTuningJobs/j1/checkpoints/30");
}

TEST_F(PredictTest, OneBadFileSendsNothing) {
  const std::string good = Put("good", "x");
  EXPECT_EQ(Fault({good, directory_.path() + "/none"}).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Fault({good, Put("empty", "")}).code(), absl::StatusCode::kInvalidArgument);
  const absl::Status large = Fault({good, Put("large", std::string((16 << 20) + 1, 'l'))});
  EXPECT_EQ(large.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(large.message()), HasSubstr("large has 16777217 bytes and an image may have 16777216 (16 MiB)"));
  EXPECT_THAT(server_.prediction.requests, IsEmpty());
}

}  // namespace
}  // namespace attune::client
