#include "server/base/trace_context.h"

#include <gtest/gtest.h>

#include <thread>

#include "server/base/log.h"

namespace attune {
namespace {

constexpr char kId[] = "4bf92f3577b34da6a3ce929d0e0e4736";

TEST(TraceContextTest, TheIdOfAWellFormedHeader) {
  EXPECT_EQ(TraceIdOf("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), kId);
  EXPECT_EQ(TraceIdOf("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"), kId) << "a later version";
  EXPECT_EQ(TraceIdOf("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more"), kId);
}

TEST(TraceContextTest, AMalformedHeaderIsIgnored) {
  for (const char* header : {"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
                             "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                             "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bg-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g", "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more"}) {
    EXPECT_EQ(TraceIdOf(header), "") << header;
  }
}

TEST(TraceContextTest, ScopesNestAndBelongToAThread) {
  EXPECT_EQ(CurrentTraceId(), "");
  {
    const TraceScope outer("a");
    {
      const TraceScope inner("b");
      EXPECT_EQ(CurrentTraceId(), "b");
    }
    EXPECT_EQ(CurrentTraceId(), "a");
    std::string seen = "not run", carried;
    std::thread([&] { seen = CurrentTraceId(); }).join();
    EXPECT_EQ(seen, "");
    std::thread(InCurrentTrace([&] { carried = CurrentTraceId(); })).join();
    EXPECT_EQ(carried, "a");
  }
  EXPECT_EQ(CurrentTraceId(), "");
}

TEST(TraceContextTest, LogLinesNameIt) {
  testing::internal::CaptureStderr();
  Log(LogLevel::kInfo, "outside");
  {
    const TraceScope scope(kId);
    Log(LogLevel::kInfo, "inside", {{"job", "j1"}});
  }
  const std::string written = testing::internal::GetCapturedStderr();
  EXPECT_NE(written.find("\"message\":\"outside\"}\n"), std::string::npos) << written;
  EXPECT_NE(written.find("\"message\":\"inside\",\"job\":\"j1\",\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}\n"), std::string::npos) << written;
}

}  // namespace
}  // namespace attune
