// The gate before a real gRPC server: plaintext, TLS and mutual TLS, with certificates made here.
#include <gmock/gmock.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <set>
#include <thread>

#include "absl/synchronization/notification.h"
#include "attune/v1/admin.grpc.pb.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/system.grpc.pb.h"
#include "attune/v1/upload.grpc.pb.h"
#include "nlohmann/json.hpp"
#include "prometheus/registry.h"
#include "server/auth/auth_errors.h"
#include "server/auth/certificate_authenticator.h"
#include "server/auth/chain_authenticator.h"
#include "server/auth/gate/audit_interceptor.h"
#include "server/auth/gate/gated_credentials.h"
#include "server/auth/gate/open_streams.h"
#include "server/auth/tls/server_certificate.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "tests/fakes/manual_clock.h"
#include "tests/server/auth/test_keys.h"

namespace attune::auth {
namespace {

using ::testing::HasSubstr;

// attune_NAME is a token of NAME with what the test has put in.
class ListedTokens final : public Authenticator {
 public:
  absl::StatusOr<Identity> Authenticate(const Credentials& credentials) override {
    ATTUNE_RETURN_IF_ERROR(CheckRevoked(credentials.bearer_token));
    absl::MutexLock lock(&mutex);
    auto found = known.find(credentials.bearer_token);
    if (found == known.end()) return Unauthenticated("TOKEN_UNKNOWN", "no such token; ask for one");
    return Identity{.subject = credentials.bearer_token, .kind = IdentityKind::kToken, .projects = {"*"}, .scopes = found->second};
  }
  absl::Status CheckRevoked(const std::string& token) {
    absl::MutexLock lock(&mutex);
    return revoked.count(token) != 0 ? Unauthenticated("TOKEN_REVOKED", "it was revoked; ask for another") : absl::OkStatus();
  }
  absl::Mutex mutex;
  std::set<std::string> revoked;
  std::map<std::string, ScopeSet> known = {{"attune_reader", {Scope::kRead}}, {"attune_admin", {Scope::kAdmin}}};
};

// Answers with who calls, as its version.
class WhoService final : public v1::SystemService::CallbackService {
 public:
  explicit WhoService(CallGate& gate) : gate_(gate) {}
  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context, const v1::GetServerInfoRequest*, v1::ServerInfo* response) override {
    ++calls;
    const absl::StatusOr<Identity> caller = gate_.CallerOf(*context);
    response->set_version(caller.ok() ? caller->subject : "refused");
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  std::atomic<int> calls{0};

 private:
  CallGate& gate_;
};

// Makes uploads/u1 of everything, and finds none.
class OneUploadService final : public v1::UploadService::CallbackService {
 public:
  grpc::ServerUnaryReactor* CreateUpload(grpc::CallbackServerContext* context, const v1::CreateUploadRequest*, v1::Upload* response) override {
    response->set_name("uploads/u1");
    return End(context, grpc::Status::OK);
  }
  grpc::ServerUnaryReactor* DeleteUpload(grpc::CallbackServerContext* context, const v1::DeleteUploadRequest*, v1::DeleteUploadResponse*) override {
    return End(context, grpc::Status(grpc::StatusCode::NOT_FOUND, "no such upload"));
  }
  grpc::ServerUnaryReactor* GetUpload(grpc::CallbackServerContext* context, const v1::GetUploadRequest*, v1::Upload*) override { return End(context, grpc::Status::OK); }

 private:
  static grpc::ServerUnaryReactor* End(grpc::CallbackServerContext* context, const grpc::Status& status) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(status);
    return reactor;
  }
};

// Sends an empty message at once, and then nothing until the call is cut.
class EndlessBackupService final : public v1::AdminService::CallbackService {
 public:
  grpc::ServerWriteReactor<v1::CreateBackupResponse>* CreateBackup(grpc::CallbackServerContext*, const v1::CreateBackupRequest*) override {
    class Reactor final : public grpc::ServerWriteReactor<v1::CreateBackupResponse> {
     public:
      Reactor() { StartWrite(&response_); }
      void OnCancel() override { Finish(grpc::Status::CANCELLED); }
      void OnDone() override { delete this; }

     private:
      v1::CreateBackupResponse response_;
    };
    return new Reactor;
  }
};

class GateTest : public ::testing::Test {
 protected:
  // Before anything that handshakes ask goes.
  void TearDown() override {
    if (server_ != nullptr) server_->Shutdown();
  }

  void Start(ChainOptions options, grpc_server_credentials* credentials = nullptr) {
    options.tokens = &tokens_;
    chain_ = std::make_unique<ChainAuthenticator>(options);
    auto log = AuditLog::Open({.directory = audit_directory_.path()}, Files::Posix(), Clock::System());
    ASSERT_TRUE(log.ok()) << log.status();
    audit_ = *std::move(log);
    gate_ = std::make_unique<CallGate>(*chain_, *audit_, registry_);
    streams_ = std::make_unique<OpenStreams>([this](const std::string& token) { return tokens_.CheckRevoked(token); }, registry_);
    service_ = std::make_unique<WhoService>(*gate_);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", MakeGatedCredentials(credentials, *gate_), &port_);
    builder.RegisterService(service_.get());
    builder.RegisterService(&uploads_);
    builder.RegisterService(&backups_);
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
    interceptors.push_back(std::make_unique<AuditInterceptor>(*audit_, *gate_));
    interceptors.push_back(streams_->MakeInterceptorFactory());
    builder.experimental().SetInterceptorCreators(std::move(interceptors));
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    ASSERT_NE(port_, 0);
  }

  std::shared_ptr<grpc::Channel> Channel(const std::shared_ptr<grpc::ChannelCredentials>& credentials = grpc::InsecureChannelCredentials()) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a handshake for each channel
    arguments.SetSslTargetNameOverride("localhost");  // an address that nobody has to resolve, under the certificate's name
    return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port_), credentials, arguments);
  }

  struct Reply {
    grpc::Status status;
    std::string caller;
  };
  static Reply Who(const std::shared_ptr<grpc::Channel>& channel, const std::vector<std::string>& authorization) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    for (const std::string& value : authorization) context.AddMetadata("authorization", value);
    v1::ServerInfo info;
    Reply reply;
    reply.status = v1::SystemService::NewStub(channel)->GetServerInfo(&context, {}, &info);
    reply.caller = info.version();
    return reply;
  }
  double Refusals(const std::string& reason) {
    for (const auto& family : registry_.Collect()) {
      if (family.name != "attune_auth_refused_calls_total") continue;
      for (const auto& metric : family.metric) {
        if (metric.label.at(0).value == reason) return metric.counter.value;
      }
    }
    return 0;
  }

  prometheus::Registry registry_;
  TemporaryDirectory audit_directory_;
  std::unique_ptr<AuditLog> audit_;
  OneUploadService uploads_;
  EndlessBackupService backups_;
  ListedTokens tokens_;
  std::unique_ptr<ChainAuthenticator> chain_;
  std::unique_ptr<CallGate> gate_;
  std::unique_ptr<OpenStreams> streams_;
  std::unique_ptr<WhoService> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

TEST_F(GateTest, WhoIsRefusedReachesNoService) {
  Start({.allow_plaintext_tokens = true});
  const auto channel = Channel();
  const std::vector<std::vector<std::string>> refused = {{}, {"Bearer attune_nobody"}, {"attune_reader"}, {"Basic YTpi"}, {"Bearer"}, {"Bearer "}, {"Bearer  attune_reader"}, {"Bearer attune_reader x"},
                                                         {"Bearer attune_reader", "Bearer attune_reader"}, {"Bearer x.y.z"}};
  for (const auto& authorization : refused) {
    const Reply reply = Who(channel, authorization);
    EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << (authorization.empty() ? "" : authorization[0]) << reply.status.error_message();
    EXPECT_FALSE(reply.status.error_message().empty());
  }
  EXPECT_EQ(service_->calls, 0);
  EXPECT_THAT(Who(channel, {}).status.error_message(), HasSubstr("this server takes an API token (authorization: Bearer attune_...)"));
  EXPECT_EQ(Refusals("TOKEN_UNKNOWN"), 1);
  EXPECT_EQ(Refusals("CREDENTIALS_MISSING"), 2);
  for (const char* good : {"Bearer attune_reader", "bearer attune_reader", "BEARER attune_reader"}) {
    const Reply reply = Who(channel, {good});
    EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
    EXPECT_EQ(reply.caller, "attune_reader");
  }
  EXPECT_EQ(service_->calls, 3);
}

TEST_F(GateTest, ScopesOfMethodsAlsoOfStreamsAndOfWhatIsNotThere) {
  Start({.allow_plaintext_tokens = true});
  const auto channel = Channel();
  const auto write = [&](const std::string& token) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    v1::Upload upload;
    auto stream = v1::UploadService::NewStub(channel)->WriteUpload(&context, &upload);
    v1::WriteUploadRequest request;
    while (stream->Write(request)) {
    }
    return stream->Finish();
  };
  EXPECT_EQ(write("attune_reader").error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(write("attune_reader").error_message(), HasSubstr("WriteUpload needs scope \"write\""));
  EXPECT_EQ(write("attune_admin").error_code(), grpc::StatusCode::UNIMPLEMENTED) << "it went through, and nobody was there";
  const auto backup = [&](const std::string& token) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    auto stream = v1::AdminService::NewStub(channel)->CreateBackup(&context, {});
    v1::CreateBackupResponse response;
    EXPECT_FALSE(stream->Read(&response));
    return stream->Finish();
  };
  EXPECT_EQ(backup("attune_reader").error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(GateTest, StreamsEndWithTheirToken) {
  tokens_.known["attune_other"] = {Scope::kAdmin};
  Start({.allow_plaintext_tokens = true});
  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::CreateBackupResponse>> stream;
  };
  const auto open = [stub = std::shared_ptr(v1::AdminService::NewStub(Channel()))](const std::string& token) {
    auto call = std::make_unique<Call>();
    call->context.AddMetadata("authorization", "Bearer " + token);
    call->stream = stub->CreateBackup(&call->context, {});
    v1::CreateBackupResponse response;
    EXPECT_TRUE(call->stream->Read(&response));
    return call;
  };
  const auto revoked = open("attune_admin"), other = open("attune_other");
  EXPECT_EQ(streams_->EndRevoked(), 0);
  {
    absl::MutexLock lock(&tokens_.mutex);
    tokens_.revoked.insert("attune_admin");
    tokens_.known.erase("attune_other");  // as what has expired
  }
  EXPECT_EQ(streams_->EndRevoked(), 1);
  v1::CreateBackupResponse response;
  EXPECT_FALSE(revoked->stream->Read(&response));
  const grpc::Status status = revoked->stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(status.error_message(), "it was revoked; ask for another");
  EXPECT_EQ(streams_->EndRevoked(), 0) << "ended once, whether or not its call is gone";
  other->context.TryCancel();
  EXPECT_EQ(other->stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(GateTest, ProbesNeedNothing) {
  Start({.allow_plaintext_tokens = true});
  // Health's messages are gRPC's own: an empty request asks for the whole server, and an Upload takes the answer as a field that it does not know.
  grpc::TemplatedGenericStub<v1::GetServerInfoRequest, v1::Upload> stub(Channel());
  for (const auto& [method, code] : std::vector<std::pair<std::string, grpc::StatusCode>>{{"/grpc.health.v1.Health/Check", grpc::StatusCode::OK}, {"/grpc.health.v1.Health/Chec", grpc::StatusCode::UNAUTHENTICATED}}) {
    grpc::ClientContext context;
    v1::GetServerInfoRequest request;
    v1::Upload response;
    grpc::Status status;
    absl::Notification ended;
    stub.UnaryCall(&context, method, {}, &request, &response, [&](grpc::Status result) {
      status = std::move(result);
      ended.Notify();
    });
    ended.WaitForNotification();
    EXPECT_EQ(status.error_code(), code) << method << status.error_message();
  }
}

TEST_F(GateTest, CallersOfOneConnectionAreNotMixedUp) {
  for (int i = 0; i < 8; ++i) tokens_.known["attune_" + std::to_string(i)] = {Scope::kRead};
  Start({.allow_plaintext_tokens = true});
  const auto channel = Channel();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      const std::string token = "attune_" + std::to_string(i);
      for (int n = 0; n < 20; ++n) {
        EXPECT_EQ(Who(channel, {"Bearer " + token}).caller, token);
        EXPECT_EQ(Who(channel, {}).status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  {
    absl::MutexLock lock(&tokens_.mutex);
    tokens_.known.clear();
  }
  EXPECT_EQ(Who(channel, {"Bearer attune_1"}).status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << "revoked, on the same connection";
}

TEST_F(GateTest, ChangesAreAudited) {
  Start({.allow_plaintext_tokens = true});
  const auto stub = v1::UploadService::NewStub(Channel());
  const auto call = [](const std::string& token, auto method) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    method(context);
  };
  call("attune_admin", [&](grpc::ClientContext& context) {
    v1::Upload upload;
    EXPECT_TRUE(stub->CreateUpload(&context, {}, &upload).ok());
  });
  call("attune_admin", [&](grpc::ClientContext& context) {
    v1::DeleteUploadRequest request;
    request.set_name("uploads/u2");
    v1::DeleteUploadResponse response;
    EXPECT_FALSE(stub->DeleteUpload(&context, request, &response).ok());
  });
  call("attune_reader", [&](grpc::ClientContext& context) {
    v1::Upload upload;
    EXPECT_TRUE(stub->GetUpload(&context, {}, &upload).ok());
  });
  call("attune_reader", [&](grpc::ClientContext& context) {
    v1::Upload upload;
    EXPECT_EQ(stub->CreateUpload(&context, {}, &upload).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  });
  call("attune_stranger", [&](grpc::ClientContext& context) {
    v1::Upload upload;
    EXPECT_EQ(stub->CreateUpload(&context, {}, &upload).error_code(), grpc::StatusCode::UNAUTHENTICATED) << "and no line: strangers could fill the log";
  });
  TearDown();  // lines are written when calls have ended
  std::vector<nlohmann::json> lines;
  const std::string text = ReadFile(audit_directory_.path() + "/audit.jsonl").value();
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != text.npos; begin = end + 1) lines.push_back(nlohmann::json::parse(text.substr(begin, end - begin)));
  ASSERT_EQ(lines.size(), 3u) << text;
  const auto with_code = [&](const char* code) { return *std::find_if(lines.begin(), lines.end(), [&](const nlohmann::json& line) { return line["code"] == code; }); };
  const nlohmann::json created = with_code("OK"), missing = with_code("NOT_FOUND"), refused = with_code("PERMISSION_DENIED");
  EXPECT_EQ(created["subject"], "attune_admin");
  EXPECT_EQ(created["method"], "attune.v1.UploadService/CreateUpload");
  EXPECT_EQ(created["resource"], "uploads/u1") << "of the answer";
  EXPECT_THAT(created["peer"].get<std::string>(), HasSubstr("127.0.0.1"));
  EXPECT_EQ(missing["resource"], "uploads/u2");
  EXPECT_EQ(refused["subject"], "attune_reader");
  EXPECT_EQ(refused["method"], "attune.v1.UploadService/CreateUpload");
}

TEST(ResourceName, IsOnTheMessageOrOneBelow) {
  v1::Upload upload;
  EXPECT_EQ(ResourceNameOf(upload), "");
  upload.set_name("uploads/u1");
  EXPECT_EQ(ResourceNameOf(upload), "uploads/u1");
  v1::UpdateFineTuningJobRequest update;
  EXPECT_EQ(ResourceNameOf(update), "");
  update.mutable_fine_tuning_job()->set_name("fineTuningJobs/j1");
  EXPECT_EQ(ResourceNameOf(update), "fineTuningJobs/j1");
  EXPECT_EQ(ResourceNameOf(v1::CreateBackupResponse()), "");
}

TEST_F(GateTest, AnonymousCallersWhereTheyAreAllowed) {
  Start({.anonymous = Identity{.subject = "anybody", .scopes = {Scope::kRead}}});
  EXPECT_EQ(Who(Channel(), {}).caller, "anybody");
  EXPECT_EQ(Who(Channel(), {"Bearer attune_reader"}).status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << "a token on an open channel";
  EXPECT_EQ(Refusals("CHANNEL_NOT_ENCRYPTED"), 1);
}

class TlsGateTest : public GateTest {
 protected:
  void Put(const std::string& name, const std::string& text) { ASSERT_TRUE(WriteFileAtomically(Files::Posix(), Path(name), text).ok()); }
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }

  void StartTls(ClientCertificates mode) {
    Put("crt", server_certificate_.Pem());
    Put("key", server_certificate_.key.PrivatePem());
    Put("ca", authority_.Pem());
    auto loaded = ServerCertificate::Load({.certificate_file = Path("crt"), .key_file = Path("key"), .client_ca_file = Path("ca"), .client_certificates = mode}, clock_);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    loaded_ = *std::move(loaded);
    Start({.certificates = &certificates_}, loaded_->MakeCredentials());
  }
  // Trusts `root`, shows `own` (null: nothing).
  static std::shared_ptr<grpc::ChannelCredentials> Client(const TestCertificate& root, const TestCertificate* own = nullptr) {
    grpc::SslCredentialsOptions options = {.pem_root_certs = root.Pem()};
    if (own != nullptr) {
      options.pem_private_key = own->key.PrivatePem();
      options.pem_cert_chain = own->Pem();
    }
    return grpc::SslCredentials(options);
  }
  // The least or most TLS version that a bare client offers, and what it got; 0: no handshake.
  int Handshake(int least, int most) {
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    SSL_CTX_set_min_proto_version(context.get(), least);
    SSL_CTX_set_max_proto_version(context.get(), most);
    std::unique_ptr<BIO, decltype(&BIO_free_all)> connection(BIO_new_ssl_connect(context.get()), BIO_free_all);
    SSL* ssl = nullptr;
    BIO_get_ssl(connection.get(), &ssl);
    const unsigned char alpn[] = "\x02h2";
    SSL_set_alpn_protos(ssl, alpn, 3);
    BIO_set_conn_hostname(connection.get(), ("127.0.0.1:" + std::to_string(port_)).c_str());
    return BIO_do_connect(connection.get()) == 1 && BIO_do_handshake(connection.get()) == 1 ? SSL_version(ssl) : 0;
  }

  ManualClock clock_;
  TemporaryDirectory directory_;
  const TestCertificate authority_ = MakeCertificate(TestKey::Ec(), {.common_name = "root", .authority = true});
  const TestCertificate server_certificate_ = MakeCertificate(TestKey::Ec(), {.common_name = "server", .san = "DNS:localhost"}, &authority_);
  const TestCertificate ann_ = MakeCertificate(TestKey::Ec(), {.common_name = "ann", .san = "URI:spiffe://x/ann,DNS:ann.example"}, &authority_);
  CertificateAuthenticator certificates_{ParseCertificateRules("uri:spiffe://x/* team-a read", "rules").value()};
  std::unique_ptr<ServerCertificate> loaded_;
};

TEST_F(TlsGateTest, TokensOverTls) {
  StartTls(ClientCertificates::kNone);
  EXPECT_EQ(Who(Channel(Client(authority_)), {"Bearer attune_reader"}).caller, "attune_reader");
  EXPECT_EQ(Who(Channel(Client(authority_)), {}).status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Who(Channel(Client(ann_)), {"Bearer attune_reader"}).status.error_code(), grpc::StatusCode::UNAVAILABLE) << "a client that trusts somebody else";
  EXPECT_NE(Who(Channel(), {"Bearer attune_reader"}).status.error_code(), grpc::StatusCode::OK) << "a plaintext client";
  EXPECT_EQ(Who(Channel(Client(authority_, &ann_)), {}).status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << "certificates are not asked for";
  EXPECT_EQ(Handshake(TLS1_3_VERSION, TLS1_3_VERSION), TLS1_3_VERSION);
  EXPECT_EQ(Handshake(TLS1_2_VERSION, TLS1_2_VERSION), TLS1_2_VERSION) << "gRPC's own least";
  EXPECT_EQ(Handshake(TLS1_1_VERSION, TLS1_1_VERSION), 0);
}

TEST_F(TlsGateTest, CertificatesWhenShown) {
  StartTls(ClientCertificates::kRequest);
  EXPECT_EQ(Who(Channel(Client(authority_, &ann_)), {}).caller, "uri:spiffe://x/ann");
  EXPECT_EQ(Who(Channel(Client(authority_, &ann_)), {"Bearer attune_reader"}).caller, "attune_reader") << "the token speaks";
  EXPECT_EQ(Who(Channel(Client(authority_, &ann_)), {"Bearer attune_nobody"}).status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Who(Channel(Client(authority_)), {}).status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Who(Channel(Client(authority_)), {"Bearer attune_reader"}).caller, "attune_reader");
  const TestCertificate bob = MakeCertificate(TestKey::Ec(), {.common_name = "bob", .san = "URI:spiffe://y/bob"}, &authority_);
  const Reply stranger = Who(Channel(Client(authority_, &bob)), {});
  EXPECT_EQ(stranger.status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(stranger.status.error_message(), HasSubstr("no rule of this server names its owner (uri:spiffe://y/bob)"));
}

TEST_F(TlsGateTest, NobodyWithoutACertificateOrWithAForeignOne) {
  StartTls(ClientCertificates::kRequire);
  EXPECT_EQ(Who(Channel(Client(authority_, &ann_)), {}).caller, "uri:spiffe://x/ann");
  EXPECT_EQ(Who(Channel(Client(authority_)), {"Bearer attune_reader"}).status.error_code(), grpc::StatusCode::UNAVAILABLE);
  const TestCertificate other = MakeCertificate(TestKey::Ec(), {.common_name = "root", .authority = true});
  const TestCertificate foreign = MakeCertificate(TestKey::Ec(), {.common_name = "ann", .san = "URI:spiffe://x/ann"}, &other);
  EXPECT_EQ(Who(Channel(Client(authority_, &foreign)), {}).status.error_code(), grpc::StatusCode::UNAVAILABLE);
  const TestCertificate expired = MakeCertificate(TestKey::Ec(), {.common_name = "ann", .san = "URI:spiffe://x/ann", .not_after = absl::FromUnixSeconds(1'600'000'000)}, &authority_);
  EXPECT_EQ(Who(Channel(Client(authority_, &expired)), {}).status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(service_->calls, 1);
}

TEST_F(TlsGateTest, NewCertificatesAreForNewConnections) {
  StartTls(ClientCertificates::kNone);
  const auto open = Channel(Client(authority_));
  ASSERT_TRUE(Who(open, {"Bearer attune_reader"}).status.ok());
  const TestCertificate next_root = MakeCertificate(TestKey::Ec(), {.common_name = "next root", .authority = true});
  const TestCertificate next = MakeCertificate(TestKey::Ec(), {.common_name = "server", .san = "DNS:localhost"}, &next_root);
  Put("crt", next.Pem());
  EXPECT_FALSE(loaded_->Reload().ok());
  EXPECT_TRUE(Who(Channel(Client(authority_)), {"Bearer attune_reader"}).status.ok()) << "half a change is none";
  Put("key", next.key.PrivatePem());
  ASSERT_TRUE(loaded_->Reload().ok());
  EXPECT_TRUE(Who(Channel(Client(next_root)), {"Bearer attune_reader"}).status.ok());
  EXPECT_EQ(Who(Channel(Client(authority_)), {"Bearer attune_reader"}).status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Who(open, {"Bearer attune_reader"}).status.ok()) << "an open connection stays";
}

// In a process of its own: gRPC reads its ciphers once.
class Tls13DeathTest : public TlsGateTest {};

TEST_F(Tls13DeathTest, WithoutTls12) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        RequireTls13();
        StartTls(ClientCertificates::kNone);
        const bool modern = Handshake(TLS1_2_VERSION, TLS1_3_VERSION) == TLS1_3_VERSION && Who(Channel(Client(authority_)), {"Bearer attune_reader"}).status.ok();
        std::_Exit(modern && Handshake(TLS1_2_VERSION, TLS1_2_VERSION) == 0 ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace attune::auth
