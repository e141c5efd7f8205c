#include "server/auth/jwt/https_fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <csignal>
#include <functional>
#include <thread>

#include "server/base/files.h"
#include "tests/server/auth/test_keys.h"

namespace attune::auth {
namespace {

using ::testing::HasSubstr;

// Answers one connection after the other with TLS, each with `reply` once a request has come.
class TlsServer {
 public:
  TlsServer(const TestCertificate& certificate, std::function<void(SSL*)> reply) : context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free), reply_(std::move(reply)) {
    SSL_CTX_use_certificate(context_.get(), certificate.x509.get());
    SSL_CTX_use_PrivateKey(context_.get(), certificate.key.get());
    accept_.reset(BIO_new_accept("127.0.0.1:0"));
    if (BIO_do_accept(accept_.get()) != 1) std::abort();
    port_ = static_cast<const char*>(BIO_get_accept_port(accept_.get()));
    thread_ = std::thread([this] { Run(); });
  }
  ~TlsServer() {
    int fd = -1;
    BIO_get_fd(accept_.get(), &fd);
    shutdown(fd, SHUT_RDWR);
    thread_.join();
  }
  std::string Url(const std::string& path = "/jwks") const { return "https://localhost:" + port_ + path; }

 private:
  void Run() {
    while (BIO_do_accept(accept_.get()) == 1) {
      std::unique_ptr<BIO, decltype(&BIO_free_all)> connection(BIO_pop(accept_.get()), BIO_free_all);
      std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context_.get()), SSL_free);
      BIO_up_ref(connection.get());
      SSL_set_bio(ssl.get(), connection.get(), connection.get());
      if (SSL_accept(ssl.get()) != 1) continue;
      char request[4096];
      if (SSL_read(ssl.get(), request, sizeof(request)) > 0) reply_(ssl.get());
      SSL_shutdown(ssl.get());
    }
  }

  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  const std::function<void(SSL*)> reply_;
  std::unique_ptr<BIO, decltype(&BIO_free_all)> accept_{nullptr, BIO_free_all};
  std::string port_;
  std::thread thread_;
};

void Send(SSL* ssl, const std::string& text) { SSL_write(ssl, text.data(), static_cast<int>(text.size())); }

std::function<void(SSL*)> Fixed(const std::string& text) {
  return [text](SSL* ssl) { Send(ssl, text); };
}

class HttpsFetchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    setenv("no_proxy", "localhost", 1);
    ASSERT_TRUE(WriteFileAtomically(Files::Posix(), options_.ca_file, authority_.Pem()).ok());
  }
  absl::StatusOr<std::string> Fetch(const std::function<void(SSL*)>& reply) {
    TlsServer server(certificate_, reply);
    return FetchHttps(options_, server.Url());
  }

  const TestCertificate authority_ = MakeCertificate(TestKey::Ec(), {.common_name = "root", .authority = true});
  const TestCertificate certificate_ = MakeCertificate(TestKey::Ec(), {.common_name = "issuer", .san = "DNS:localhost"}, &authority_);
  TemporaryDirectory directory_;
  HttpsOptions options_ = {.max_bytes = 1000, .timeout = absl::Seconds(60), .ca_file = directory_.path() + "/ca"};
};

TEST_F(HttpsFetchTest, BringsWhatIsThere) {
  EXPECT_EQ(Fetch(Fixed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")).value_or("?"), "{}");
  EXPECT_EQ(Fetch(Fixed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")).value_or("?"), "{}");
  EXPECT_EQ(Fetch(Fixed("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x'))).value_or("?").size(), 1000u);
}

TEST_F(HttpsFetchTest, NoMoreBytesThanAllowedWhateverTheServerSays) {
  for (const std::string& head : {std::string("Content-Length: 1001\r\n"), std::string("Connection: close\r\n"), std::string("Transfer-Encoding: chunked\r\n")}) {
    const std::string body = head[0] == 'T' ? "7d0\r\n" + std::string(2000, 'x') + "\r\n0\r\n\r\n" : std::string(1001, 'x');
    const absl::Status status = Fetch(Fixed("HTTP/1.1 200 OK\r\n" + head + "\r\n" + body)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << head << status;
  }
}

TEST_F(HttpsFetchTest, OtherStatusesAndRedirectsAreFaults) {
  EXPECT_THAT(std::string(Fetch(Fixed("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")).status().message()), HasSubstr("status 404"));
  const absl::Status redirect = Fetch(Fixed("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n")).status();
  EXPECT_EQ(redirect.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(redirect.message()), HasSubstr("redirects are not followed"));
  EXPECT_EQ(Fetch(Fixed("SSH-2.0-x\r\n")).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Fetch(Fixed("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}")).status().code(), absl::StatusCode::kUnavailable) << "cut";
}

TEST_F(HttpsFetchTest, TimeIsBounded) {
  options_.timeout = absl::Milliseconds(300);
  // Waits for the client to give up.
  EXPECT_EQ(Fetch([](SSL* ssl) {
              char more;
              SSL_read(ssl, &more, 1);
            }).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(HttpsFetchTest, TheServerIsWhoItShouldBe) {
  const TestCertificate other_name = MakeCertificate(TestKey::Ec(), {.common_name = "localhost", .san = "DNS:other.example"}, &authority_);
  const TestCertificate other_root = MakeCertificate(TestKey::Ec(), {.common_name = "root", .authority = true});
  const TestCertificate foreign = MakeCertificate(TestKey::Ec(), {.common_name = "x", .san = "DNS:localhost"}, &other_root);
  const TestCertificate expired = MakeCertificate(TestKey::Ec(), {.common_name = "x", .san = "DNS:localhost", .not_after = absl::FromUnixSeconds(1'600'000'000)}, &authority_);
  for (const TestCertificate& wrong : {other_name, foreign, expired}) {
    TlsServer server(wrong, Fixed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
    const absl::Status status = FetchHttps(options_, server.Url()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  }
  TlsServer server(certificate_, Fixed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
  options_.ca_file = "";
  EXPECT_EQ(FetchHttps(options_, server.Url()).status().code(), absl::StatusCode::kUnavailable) << "an authority of this test is not the system's";
}

TEST_F(HttpsFetchTest, OnlyHttps) {
  for (const char* url : {"http://localhost/jwks", "file:///etc/passwd", "ftp://localhost/x", "localhost", "", "https://", "https://user:password@localhost/", "HTTPS//localhost", "gopher://x"}) {
    EXPECT_EQ(FetchHttps(options_, url).status().code(), absl::StatusCode::kInvalidArgument) << url;
    EXPECT_FALSE(CheckHttpsUrl(url).ok()) << url;
  }
  EXPECT_TRUE(CheckHttpsUrl("https://issuer.example:8443/a/jwks.json?x=1").ok());
}

}  // namespace
}  // namespace attune::auth
