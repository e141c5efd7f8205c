#include "server/api/validation.h"

#include <functional>
#include <string>

#include "gtest/gtest.h"
#include "tests/server/api/api_fixture.h"

namespace attune::api {
namespace {

std::string FaultOf(const std::function<void(RequestCheck&)>& call) {
  RequestCheck check;
  call(check);
  return std::string(check.status().message());
}

TEST(ValidationTest, NamesTheFieldAndSaysWhatToDo) {
  struct Case {
    std::function<void(RequestCheck&)> call;
    const char* fault;  // part of the message; empty: no fault
  };
  const std::string long_text(300, 'x');
  const Case cases[] = {
      {[](RequestCheck& c) { c.Name("name", "uploads/abc", "uploads"); }, ""},
      {[](RequestCheck& c) { c.Name("name", "", "uploads"); }, "name: is required: uploads/{id}"},
      {[](RequestCheck& c) { c.Name("name", "abc", "uploads"); }, "name: \"abc\" is not of the form uploads/{id}"},
      {[](RequestCheck& c) { c.Name("name", "uploads/../x", "uploads"); }, "not of the form"},
      {[](RequestCheck& c) { c.OptionalName("m", "", "models"); }, ""},
      {[](RequestCheck& c) { c.OptionalName("m", "x", "models"); }, "m: \"x\" is not of the form models/{id}"},
      {[](RequestCheck& c) { c.CheckpointName("n", "fineTuningJobs/j/checkpoints/12", false); }, ""},
      {[](RequestCheck& c) { c.CheckpointName("n", "fineTuningJobs/j/checkpoints/best", true); }, ""},
      {[](RequestCheck& c) { c.CheckpointName("n", "fineTuningJobs/j/checkpoints/best", false); }, "needs a step"},
      {[](RequestCheck& c) { c.CheckpointName("n", "fineTuningJobs/j/checkpoints/012", true); }, "not of the form"},
      {[](RequestCheck& c) { c.CheckpointName("n", "fineTuningJobs/j/checkpoints/-1", true); }, "not of the form"},
      {[](RequestCheck& c) { c.CheckpointName("n", "fineTuningJobs/j", true); }, "not of the form"},
      {[](RequestCheck& c) { c.CheckpointName("n", "", true); }, "n: is required"},
      {[](RequestCheck& c) { c.OptionalId("id", ""); }, ""},
      {[](RequestCheck& c) { c.OptionalId("id", "Bad_Id"); }, "id: \"Bad_Id\" is not a valid id; use 1 to 63"},
      {[](RequestCheck& c) { c.NotEmpty("x", "", "the thing"); }, "x: is required: the thing"},
      {[&](RequestCheck& c) { c.Text("x", long_text, 255); }, "x: is 300 bytes long; at most 255"},
      {[](RequestCheck& c) { c.Text("x", "a\nb", 255); }, "control characters"},
      {[](RequestCheck& c) { c.Text("x", "Größe", 255); }, ""},
      {[](RequestCheck& c) { c.Range("n", 5, 1, 5, "it"); }, ""},
      {[](RequestCheck& c) { c.Range("n", 6, 1, 5, "it"); }, "n: is 6; it must be from 1 to 5"},
      {[](RequestCheck& c) { c.RequestId(""); }, ""},
      {[](RequestCheck& c) { c.RequestId("a b"); }, "request_id: \"a b\" is not usable"},
      {[&](RequestCheck& c) { c.RequestId(long_text); }, "request_id: "},
      {[](RequestCheck& c) { c.PageSize(0); }, ""},
      {[](RequestCheck& c) { c.PageSize(-1); }, "page_size: is -1"},
  };
  for (const Case& c : cases) {
    std::string fault = FaultOf(c.call);
    if (*c.fault == '\0') {
      EXPECT_EQ(fault, "");
    } else {
      EXPECT_NE(fault.find(c.fault), std::string::npos) << fault << "\nshould have: " << c.fault;
    }
  }
}

TEST(ValidationTest, AllFaultsAreReported) {
  RequestCheck check;
  EXPECT_TRUE(check.status().ok());
  check.PageSize(-1);
  check.Name("name", "", "jobs");
  check.Name("other", "", "jobs");
  grpc::Status status = ToGrpcStatus(check.status());
  EXPECT_NE(status.error_message().find("(and 2 more faults)"), std::string::npos);
  Details details = DetailsOf(status);
  ASSERT_EQ(details.bad_request.field_violations_size(), 3);
  EXPECT_EQ(details.bad_request.field_violations(2).field(), "other");
}

TEST(ValidationTest, PageSizes) {
  EXPECT_EQ(EffectivePageSize(0, 50, 1000), 50);
  EXPECT_EQ(EffectivePageSize(7, 50, 1000), 7);
  EXPECT_EQ(EffectivePageSize(5000, 50, 1000), 1000);
}

}  // namespace
}  // namespace attune::api
