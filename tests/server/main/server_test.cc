#include "server/main/server.h"

#include <signal.h>
#include <sys/stat.h>

#include <cstdlib>
#include <string>

#include "attune/v1/dataset.grpc.pb.h"
#include "attune/v1/model.grpc.pb.h"
#include "attune/v1/system.grpc.pb.h"
#include "attune/v1/upload.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "server/base/files.h"
#include "server/base/subprocess.h"
#include "server/metrics/metric_names.h"

namespace attune {
namespace {

using ::testing::HasSubstr;

constexpr char kDescription[] = R"({"libtorch_version": "2.11.0", "architectures": [{"name": "bert", "description": "BERT", "tasks": ["text-classification"]}],
  "devices": [{"name": "cpu", "description": "test", "memory_bytes": 1, "usable": true, "unusable_reason": "", "cores": 1}]})";

class ServerTest : public ::testing::Test {
 protected:
  // A stand-in for attune-worker: it describes itself, and otherwise never says a word.
  std::string Worker(const std::string& describe = std::string("cat <<'END'\n") + kDescription + "\nEND\n") {
    std::string path = scratch_.path() + "/worker";
    EXPECT_TRUE(WriteFileAtomically(Files::Posix(), path, "#!/bin/sh\nif [ \"$1\" = --describe ]; then\n" + describe +
                                                              "else exec tail -f /dev/null\nfi\n")
                    .ok());
    EXPECT_EQ(chmod(path.c_str(), 0755), 0);
    return path;
  }
  ServerOptions Options() {
    ServerOptions options;
    options.listen.address = "127.0.0.1:0";
    options.storage.data_dir = DataDir();
    options.workers.binary = Worker();
    options.operation.drain_grace_seconds = 1;
    return options;
  }
  std::string DataDir() const { return scratch_.path() + "/data"; }
  std::string Fault(const ServerOptions& options) {
    auto server = Server::Create(options);
    EXPECT_FALSE(server.ok());
    return std::string(server.status().message());
  }

  TemporaryDirectory scratch_;
};

TEST_F(ServerTest, AWholeServerInThisProcess) {
  ServerOptions options = Options();
  options.listen.port_file = scratch_.path() + "/port";
  options.operation.metrics_listen = "127.0.0.1:0";
  auto server = Server::Create(options);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ("127.0.0.1:" + ReadFile(options.listen.port_file).value_or(""), (*server)->address() + "\n");
  EXPECT_GT((*server)->metrics_port(), 0);

  auto channel = grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials());
  auto models = v1::ModelService::NewStub(channel);
  v1::ListArchitecturesResponse architectures;
  grpc::ClientContext c1, c2, c3;
  ASSERT_TRUE(models->ListArchitectures(&c1, v1::ListArchitecturesRequest(), &architectures).ok());
  EXPECT_EQ(architectures.architectures(0).name(), "bert");
  auto system = v1::SystemService::NewStub(channel);
  v1::ServerInfo info;
  ASSERT_TRUE(system->GetServerInfo(&c2, v1::GetServerInfoRequest(), &info).ok());
  EXPECT_EQ(info.libtorch_version(), "2.11.0");
  EXPECT_EQ(info.job_slots(), 1);
  EXPECT_FALSE(info.version().empty());
  auto datasets = v1::DatasetService::NewStub(channel);
  v1::ListDatasetsResponse listed;
  ASSERT_TRUE(datasets->ListDatasets(&c3, v1::ListDatasetsRequest(), &listed).ok());
  EXPECT_EQ(listed.datasets_size(), 0);

  (*server)->RequestShutdown();
  (*server)->RequestShutdown();  // harmless
  EXPECT_TRUE((*server)->Wait());
  grpc::ClientContext c4;
  EXPECT_EQ(system->GetServerInfo(&c4, v1::GetServerInfoRequest(), &info).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServerTest, WhatItKeepsIsThereAtTheNextStart) {
  std::string name;
  {
    auto server = Server::Create(Options());
    ASSERT_TRUE(server.ok()) << server.status();
    auto uploads = v1::UploadService::NewStub(grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials()));
    v1::CreateUploadRequest request;
    request.set_filename("a.csv");
    request.set_size_bytes(10);
    v1::Upload upload;
    grpc::ClientContext context;
    ASSERT_TRUE(uploads->CreateUpload(&context, request, &upload).ok());
    name = upload.name();
  }
  auto server = Server::Create(Options());
  ASSERT_TRUE(server.ok()) << server.status();
  auto uploads = v1::UploadService::NewStub(grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials()));
  v1::GetUploadRequest request;
  request.set_name(name);
  v1::Upload upload;
  grpc::ClientContext context;
  ASSERT_TRUE(uploads->GetUpload(&context, request, &upload).ok());
  EXPECT_EQ(upload.filename(), "a.csv");
}

TEST_F(ServerTest, StartsThatFailSayWhyAndWhatToDo) {
  ServerOptions options = Options();
  options.workers.binary = scratch_.path() + "/no-worker";
  EXPECT_THAT(Fault(options), HasSubstr("worker_binary: "));
  EXPECT_THAT(Fault(options), HasSubstr("no-worker"));
  EXPECT_THAT(Fault(options), HasSubstr("--worker-binary"));

  options = Options();
  options.workers.binary = Worker("echo 'error while loading shared libraries: libtorch_cpu.so' >&2; exit 127\n");
  EXPECT_THAT(Fault(options), HasSubstr("libtorch_cpu.so"));

  options = Options();
  auto running = Server::Create(options);
  ASSERT_TRUE(running.ok()) << running.status();
  EXPECT_THAT(Fault(options), HasSubstr("is in use by another attune-server"));
  options.storage.data_dir = scratch_.path() + "/other";
  options.listen.address = (*running)->address();
  EXPECT_THAT(Fault(options), HasSubstr("listen: cannot listen on " + (*running)->address()));
  options.listen.address = "127.0.0.1:0";
  options.operation.metrics_listen = (*running)->address();
  EXPECT_THAT(Fault(options), HasSubstr("metrics_listen: "));
}

// The program itself.
class ServerProgramTest : public ServerTest {
 protected:
  void Start(std::vector<std::string> more = {}) {
    const char* build = std::getenv("ATTUNE_BUILD_DIR");
    ASSERT_NE(build, nullptr) << "run it with ctest";
    std::vector<std::string> argv = {std::string(build) + "/server/main/attune-server"};
    argv.insert(argv.end(), more.begin(), more.end());
    auto child = Subprocess::Start({.argv = argv, .capture_stdout = true, .capture_stderr = true});
    ASSERT_TRUE(child.ok()) << child.status();
    child_ = *std::move(child);
    log_ = fdopen(dup(child_->stderr_fd()), "r");
  }
  ~ServerProgramTest() override {
    if (log_ != nullptr) fclose(log_);
  }
  // The next line of its log that has `text`; empty when it ended first.
  std::string WaitForLine(const std::string& text) {
    char* line = nullptr;
    size_t capacity = 0;
    std::string found;
    while (found.empty() && getline(&line, &capacity, log_) > 0) {
      if (std::string(line).find(text) != std::string::npos) found = line;
    }
    free(line);
    return found;
  }
  std::vector<std::string> Flags() {
    return {"--listen", "127.0.0.1:0", "--data-dir", DataDir(), "--worker-binary", Worker(), "--port-file", scratch_.path() + "/port"};
  }
  std::string Address() { return "127.0.0.1:" + ReadFile(scratch_.path() + "/port").value_or("?"); }

  std::unique_ptr<Subprocess> child_;
  FILE* log_ = nullptr;
};

TEST_F(ServerProgramTest, EndsWellAtSigterm) {
  Start(Flags());
  EXPECT_THAT(WaitForLine("READY"), HasSubstr("\"address\":\"127.0.0.1:"));
  child_->Signal(SIGTERM);
  EXPECT_THAT(WaitForLine("\"stopped\""), HasSubstr("imports_cut"));
  EXPECT_EQ(child_->Wait().ToString(), "exited with code 0");
}

TEST_F(ServerProgramTest, ASecondSignalEndsItAtOnce) {
  Start(Flags());
  ASSERT_FALSE(WaitForLine("READY").empty());
  // A call that is open keeps a shutdown waiting for its grace.
  std::string address = Address();
  address.pop_back();  // the line end
  auto uploads = v1::UploadService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  v1::Upload upload;
  auto writer = uploads->WriteUpload(&context, &upload);
  v1::CreateUploadRequest create;
  create.set_filename("a.csv");
  create.set_size_bytes(10);
  grpc::ClientContext create_context;
  ASSERT_TRUE(uploads->CreateUpload(&create_context, create, &upload).ok());
  v1::WriteUploadRequest request;
  request.set_name(upload.name());
  ASSERT_TRUE(writer->Write(request));
  child_->Signal(SIGINT);
  ASSERT_FALSE(WaitForLine("stopping").empty());
  child_->Signal(SIGINT);
  EXPECT_EQ(child_->Wait().ToString(), "exited with code 130");
  writer->Finish();
}

TEST_F(ServerProgramTest, NonsenseIsExitCodeTwoAndAFailedStartOne) {
  Start({"--job-slot", "2"});
  EXPECT_THAT(WaitForLine("attune-server:"), HasSubstr("did you mean --job-slots?"));
  EXPECT_EQ(child_->Wait().ToString(), "exited with code 2");
  fclose(log_);
  Start({"--data-dir", DataDir(), "--worker-binary", "/no/such/worker"});
  EXPECT_THAT(WaitForLine("cannot start"), HasSubstr("/no/such/worker"));
  EXPECT_EQ(child_->Wait().ToString(), "exited with code 1");
}

}  // namespace
}  // namespace attune
