// Runs the command line in this process against a FakeServer. Header-only.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "client/cli/app.h"
#include "server/base/files.h"
#include "tests/client/cpp/fake_server.h"
#include "tests/fakes/manual_clock.h"

namespace attune::cli {

struct CliResult {
  int code = -1;
  std::string out, err;
};

class CliTest : public ::testing::Test {
 protected:
  CliResult Run(const std::vector<std::string>& args, const std::string& input = "") {
    std::istringstream in(input);
    std::ostringstream out, err;
    Console console{.in = in,
                    .out = out,
                    .err = err,
                    .out_is_terminal = terminal_,
                    .err_is_terminal = terminal_,
                    .out_style = {.width = terminal_ ? 100 : 0},
                    .err_style = {.width = terminal_ ? 100 : 0},
                    .clock = clock_};
    CliResult result;
    result.code = RunCli(args, console, server_.Options());
    result.out = out.str();
    result.err = err.str();
    return result;
  }
  std::string Put(const std::string& name, const std::string& content) {
    const std::string path = directory_.path() + "/" + name;
    EXPECT_TRUE(WriteFileAtomically(Files::Posix(), path, content).ok());
    return path;
  }

  client::FakeServer server_;
  ManualClock clock_{absl::FromUnixSeconds(1'800'000'000)};
  TemporaryDirectory directory_;
  bool terminal_ = false;
};

}  // namespace attune::cli
