#include "server/api/grpc_status.h"

#include <set>
#include <string>

#include "absl/strings/cord.h"
#include "gtest/gtest.h"
#include "server/base/str_cat.h"
#include "tests/server/api/api_fixture.h"

namespace attune::api {
namespace {

TEST(GrpcStatusTest, EveryCodeKeepsItsNumberAndHasAReason) {
  for (int code = 1; code <= 16; ++code) {
    grpc::Status status = ToGrpcStatus(absl::Status(static_cast<absl::StatusCode>(code), "what happened; what to do"));
    EXPECT_EQ(static_cast<int>(status.error_code()), code);
    EXPECT_EQ(status.error_message(), "what happened; what to do");
    Details details = DetailsOf(status);
    EXPECT_EQ(details.status.code(), code);
    EXPECT_EQ(details.status.message(), status.error_message());
    EXPECT_EQ(details.info.domain(), "attune.dev");
    EXPECT_FALSE(details.info.reason().empty());
    EXPECT_EQ(details.info.reason().find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), std::string::npos);
  }
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).error_details().empty());
}

TEST(GrpcStatusTest, ReasonAndMetadataComeThrough) {
  absl::Status status = absl::OutOfRangeError("x");
  SetReason(status, "UPLOAD_OFFSET");
  SetMetadata(status, "committedBytes", "17");
  Details details = DetailsOf(ToGrpcStatus(status));
  EXPECT_EQ(details.info.reason(), "UPLOAD_OFFSET");
  EXPECT_EQ(details.info.metadata().at("committedBytes"), "17");
}

TEST(GrpcStatusTest, OnlyWhatMaySucceedLaterHasARetryDelay) {
  EXPECT_EQ(DetailsOf(ToGrpcStatus(absl::UnavailableError("draining"))).retry.retry_delay().seconds(), 1);
  EXPECT_FALSE(DetailsOf(ToGrpcStatus(absl::ResourceExhaustedError("disk full"))).retry.has_retry_delay());
  absl::Status busy = absl::ResourceExhaustedError("busy");
  SetRetryDelay(busy, absl::Milliseconds(1500));
  google::rpc::RetryInfo retry = DetailsOf(ToGrpcStatus(busy)).retry;
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 500000000);
}

TEST(GrpcStatusTest, AQuotaFailureComesThrough) {
  google::rpc::QuotaFailure failure;
  failure.add_violations()->set_subject("projects/team-a");
  absl::Status status = absl::ResourceExhaustedError("too many");
  status.SetPayload("google.rpc.QuotaFailure", absl::Cord(failure.SerializeAsString()));
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(ToGrpcStatus(status).error_details()));
  google::rpc::QuotaFailure found;
  ASSERT_TRUE(details.details(1).UnpackTo(&found));
  EXPECT_EQ(found.violations(0).subject(), "projects/team-a");
  status.SetPayload("google.rpc.QuotaFailure", absl::Cord("\xff"));
  ASSERT_TRUE(details.ParseFromString(ToGrpcStatus(status).error_details()));
  EXPECT_EQ(details.details_size(), 1) << "one that is none is left out";
}

absl::Status WithViolations(int count, size_t description_bytes) {
  google::rpc::BadRequest bad_request;
  for (int i = 0; i < count; ++i) {
    auto* violation = bad_request.add_field_violations();
    violation->set_field(StrCat("files[0]: a.csv line ", i));
    violation->set_description(std::string(description_bytes, 'x'));
  }
  absl::Status status = absl::InvalidArgumentError("bad rows");
  status.SetPayload("google.rpc.BadRequest", absl::Cord(bad_request.SerializeAsString()));
  return status;
}

TEST(GrpcStatusTest, ViolationsThatFitAreAllThere) {
  Details details = DetailsOf(ToGrpcStatus(WithViolations(40, 50)));
  EXPECT_EQ(details.bad_request.field_violations_size(), 40);
  EXPECT_EQ(details.bad_request.field_violations(39).field(), "files[0]: a.csv line 39");
}

TEST(GrpcStatusTest, ManyViolationsAreCutToWhatTrailersCarry) {
  grpc::Status status = ToGrpcStatus(WithViolations(100, 300));
  // In base64, beside the message, under the 8 KiB that HTTP/2 peers accept.
  EXPECT_LT(status.error_details().size() * 4 / 3 + status.error_message().size(), 7.5 * 1024);
  Details details = DetailsOf(status);
  int shown = details.bad_request.field_violations_size() - 1;
  EXPECT_GT(shown, 8);
  const auto& rest = details.bad_request.field_violations(shown);
  EXPECT_EQ(rest.description(), StrCat(100 - shown, " more faults are not shown"));
}

TEST(GrpcStatusTest, LongMessagesAreCutBetweenCharacters) {
  std::string text;
  while (text.size() < 3000) text += "ä";
  grpc::Status status = ToGrpcStatus(absl::InternalError(text));
  EXPECT_LE(status.error_message().size(), 1024u);
  EXPECT_EQ(status.error_message().substr(status.error_message().size() - 5), "ä...");
}

TEST(GrpcStatusTest, AMalformedBadRequestIsLeftOut) {
  absl::Status status = absl::InvalidArgumentError("x");
  status.SetPayload("google.rpc.BadRequest", absl::Cord("\xff\xff"));
  EXPECT_EQ(DetailsOf(ToGrpcStatus(status)).status.details_size(), 1);
}

}  // namespace
}  // namespace attune::api
