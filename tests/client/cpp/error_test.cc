#include "client/cpp/error.h"

#include <gtest/gtest.h>

#include "tests/client/cpp/fake_server.h"

namespace attune::client {
namespace {

TEST(ErrorTest, DetailsSurviveTheWayThroughStatus) {
  const FakeError sent{.code = grpc::StatusCode::INVALID_ARGUMENT,
                       .message = "2 faults",
                       .reason = "INVALID_SPEC",
                       .violations = {{"spec.seed", "must be a number"}, {"spec.dataset", "is required"}},
                       .retry_after_seconds = 3,
                       .metadata = {{"dataset", "datasets/d1"}}};
  const Error error = DescribeError(ToStatus(sent.ToStatus()));
  EXPECT_EQ(error.code, absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(error.reason, "INVALID_SPEC");
  EXPECT_EQ(error.metadata.at("dataset"), "datasets/d1");
  EXPECT_EQ(error.retry_delay, absl::Seconds(3));
  ASSERT_EQ(error.violations.size(), 2u);
  EXPECT_EQ(error.violations[1].field, "spec.dataset");
  EXPECT_EQ(error.ToString(), "INVALID_ARGUMENT: 2 faults\n  spec.seed: must be a number\n  spec.dataset: is required");
}

TEST(ErrorTest, PrefixKeepsDetails) {
  const absl::Status status =
      WithPrefix(ToStatus(FakeError{grpc::StatusCode::NOT_FOUND, "gone", "GONE"}.ToStatus()), "a.csv");
  EXPECT_EQ(status.message(), "a.csv: gone");
  EXPECT_EQ(DescribeError(status).reason, "GONE");
  EXPECT_TRUE(WithPrefix(absl::OkStatus(), "a.csv").ok());
}

TEST(ErrorTest, GarbageDetailsAreIgnored) {
  const Error error = DescribeError(ToStatus(grpc::Status(grpc::StatusCode::ABORTED, "m", "\xff\xff not a message")));
  EXPECT_EQ(error.message, "m");
  EXPECT_TRUE(error.reason.empty());
}

TEST(ErrorTest, WhatIsTransient) {
  using grpc::StatusCode;
  const struct {
    grpc::Status status;
    bool transient;
  } cases[] = {
      {{StatusCode::UNAVAILABLE, ""}, true},
      {{StatusCode::INTERNAL, "RST_STREAM"}, true},
      {{StatusCode::UNKNOWN, "Stream removed"}, true},
      {FakeError{StatusCode::INTERNAL, "a bug of the server"}.ToStatus(), false},
      {FakeError{.code = StatusCode::RESOURCE_EXHAUSTED, .message = "busy", .retry_after_seconds = 1}.ToStatus(), true},
      {FakeError{StatusCode::RESOURCE_EXHAUSTED, "disk full"}.ToStatus(), false},
      {{StatusCode::INVALID_ARGUMENT, ""}, false},
      {{StatusCode::DEADLINE_EXCEEDED, ""}, false},
      {{StatusCode::NOT_FOUND, ""}, false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(IsTransient(ToStatus(c.status)), c.transient) << c.status.error_code() << " " << c.status.error_message();
  }
}

}  // namespace
}  // namespace attune::client
