#include "server/base/log.h"

#include <gtest/gtest.h>

#include <limits>

#include "nlohmann/json.hpp"

namespace attune {
namespace {

TEST(LogTest, LineIsOneJsonObject) {
  std::string line = FormatLogLine(absl::FromUnixMillis(1'700'000'000'123), LogLevel::kWarning, "job \"queued\"\n",
                                   {{"job", std::string("fineTuningJobs/j1")},
                                    {"ahead", 3},
                                    {"bytes", int64_t{1} << 40},
                                    {"size", size_t{7}},
                                    {"loss", 0.25},
                                    {"nan", std::numeric_limits<double>::quiet_NaN()},
                                    {"warm", true},
                                    {"broken", "\xff\x01"}});
  ASSERT_EQ(line.find('\n'), line.size() - 1) << line;
  nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  ASSERT_FALSE(json.is_discarded()) << line;
  EXPECT_EQ(json["time"], "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(json["level"], "warning");
  EXPECT_EQ(json["message"], "job \"queued\"\n");
  EXPECT_EQ(json["job"], "fineTuningJobs/j1");
  EXPECT_EQ(json["ahead"], 3);
  EXPECT_EQ(json["bytes"], int64_t{1} << 40);
  EXPECT_EQ(json["size"], 7);
  EXPECT_EQ(json["loss"], 0.25);
  EXPECT_TRUE(json["nan"].is_null());
  EXPECT_EQ(json["warm"], true);
  EXPECT_EQ(json["broken"], "\xEF\xBF\xBD\x01");
}

TEST(LogTest, WritesToStandardErrorFromItsLevelOn) {
  testing::internal::CaptureStderr();
  Log(LogLevel::kDebug, "hidden");
  Log(LogLevel::kInfo, "shown");
  SetMinLogLevel(LogLevel::kError);
  Log(LogLevel::kWarning, "hidden");
  SetMinLogLevel(LogLevel::kInfo);
  std::string written = testing::internal::GetCapturedStderr();
  EXPECT_NE(written.find("\"message\":\"shown\""), std::string::npos) << written;
  EXPECT_EQ(written.find("hidden"), std::string::npos) << written;
}

}  // namespace
}  // namespace attune
