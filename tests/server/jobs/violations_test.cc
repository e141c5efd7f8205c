#include "server/jobs/violations.h"

#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"

namespace attune::jobs {
namespace {

TEST(Violations, NoneIsOk) {
  EXPECT_TRUE(ViolationsStatus({}).ok());
  EXPECT_TRUE(ViolationsOf(absl::OkStatus()).empty());
  EXPECT_TRUE(ViolationsOf(absl::InvalidArgumentError("other")).empty());
}

TEST(Violations, TravelInMessageAndPayload) {
  absl::Status status = ViolationsStatus({{"spec.a", "is wrong"}, {"spec.b", "is too"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "spec.a: is wrong; spec.b: is too");
  google::rpc::BadRequest details;
  ASSERT_TRUE(details.ParseFromString(std::string(status.GetPayload("google.rpc.BadRequest").value())));
  EXPECT_EQ(details.field_violations_size(), 2);
  auto back = ViolationsOf(status);
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[1].field, "spec.b");
  EXPECT_EQ(back[1].description, "is too");
}

}  // namespace
}  // namespace attune::jobs
