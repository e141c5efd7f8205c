#include "server/auth/tls/certificate_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/auth/tls/server_certificate.h"
#include "server/base/files.h"
#include "tests/fakes/manual_clock.h"
#include "tests/server/auth/test_keys.h"

namespace attune::auth {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

class CertificateCheckTest : public ::testing::Test {
 protected:
  std::string Fault(const std::string& chain, const std::string& key) {
    const absl::Status status = CheckCertificateAndKey(chain, key, kNow).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  }
  const TestCertificate root_ = MakeCertificate(TestKey::Ec(), {.common_name = "root", .authority = true});
  const TestCertificate middle_ = MakeCertificate(TestKey::Ec(), {.common_name = "middle", .authority = true}, &root_);
  const TestCertificate server_ = MakeCertificate(TestKey::Ec(), {.common_name = "server", .san = "DNS:localhost,DNS:attune.example,IP:127.0.0.1"}, &middle_);
};

TEST_F(CertificateCheckTest, AGoodChainSaysWhatItIs) {
  const auto facts = CheckCertificateAndKey(server_.Pem() + middle_.Pem() + root_.Pem(), server_.key.PrivatePem(), kNow);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->subject, "CN=server");
  EXPECT_EQ(facts->names, (std::vector<std::string>{"localhost", "attune.example", "127.0.0.1"}));
  EXPECT_EQ(facts->not_before, absl::FromUnixSeconds(1'500'000'000));
  EXPECT_EQ(facts->not_after, absl::FromUnixSeconds(4'000'000'000));
  EXPECT_TRUE(CheckCertificateAndKey("Comments are allowed.\n" + server_.Pem(), server_.key.PrivatePem(), kNow).ok());
  const TestCertificate own = MakeCertificate(TestKey::Rsa(), {.common_name = "own"});
  EXPECT_TRUE(CheckCertificateAndKey(own.Pem(), own.key.PrivatePem(), kNow).ok());
}

TEST_F(CertificateCheckTest, WhatIsWrongIsTold) {
  const std::string chain = server_.Pem() + middle_.Pem(), key = server_.key.PrivatePem();
  EXPECT_THAT(Fault("", key), HasSubstr("is not PEM text"));
  EXPECT_THAT(Fault("\x30\x82\x01", key), HasSubstr("convert DER"));
  EXPECT_THAT(Fault(key, chain), HasSubstr("are the two files swapped?"));
  EXPECT_THAT(Fault(chain, chain), HasSubstr("the private key's file holds a certificate"));
  EXPECT_THAT(Fault(chain, ""), HasSubstr("holds no private key"));
  EXPECT_THAT(Fault(chain, key.substr(0, key.size() / 2)), HasSubstr("holds no private key"));
  EXPECT_THAT(Fault(chain, server_.key.PrivatePem("secret")), HasSubstr("encrypted with a passphrase"));
  EXPECT_THAT(Fault(chain.substr(0, 200), key), HasSubstr("damaged"));
  EXPECT_THAT(Fault(server_.Pem() + middle_.Pem().substr(0, 200), key), HasSubstr("damaged certificate after 1 good"));
  EXPECT_THAT(Fault(chain, TestKey::Ec().PrivatePem()), HasSubstr("does not belong to the private key (CN=server)"));
  EXPECT_THAT(Fault(middle_.Pem() + server_.Pem(), key), HasSubstr("the server's certificate at place 2"));
  EXPECT_THAT(Fault(server_.Pem() + root_.Pem(), key), HasSubstr("at place 2 a certificate (CN=root) that did not issue"));
  const TestCertificate weak = MakeCertificate(TestKey::Rsa(1024), {});
  EXPECT_THAT(Fault(weak.Pem(), weak.key.PrivatePem()), HasSubstr("1024 bits"));
  const TestCertificate old = MakeCertificate(server_.key, {.common_name = "old", .not_after = kNow - absl::Seconds(1)});
  EXPECT_THAT(Fault(old.Pem(), key), HasSubstr("expired on 2023-11-14 22:13 UTC (CN=old)"));
  const TestCertificate early = MakeCertificate(server_.key, {.not_before = kNow + absl::Hours(1)});
  EXPECT_THAT(Fault(early.Pem(), key), HasSubstr("check this machine's clock"));
  const TestCertificate old_middle = MakeCertificate(middle_.key, {.common_name = "middle", .authority = true, .not_after = kNow - absl::Seconds(1)}, &root_);
  EXPECT_THAT(Fault(server_.Pem() + old_middle.Pem(), key), HasSubstr("expired"));
}

TEST_F(CertificateCheckTest, Authorities) {
  EXPECT_TRUE(CheckAuthorities(root_.Pem() + middle_.Pem(), kNow).ok());
  EXPECT_THAT(std::string(CheckAuthorities(server_.Pem(), kNow).message()), HasSubstr("no authority's (CN=server)"));
  EXPECT_THAT(std::string(CheckAuthorities(root_.key.PrivatePem(), kNow).message()), HasSubstr("private key"));
  const TestCertificate old = MakeCertificate(TestKey::Ec(), {.common_name = "old", .authority = true, .not_after = kNow - absl::Seconds(1)});
  EXPECT_THAT(std::string(CheckAuthorities(old.Pem(), kNow).message()), HasSubstr("expired"));
  EXPECT_TRUE(CheckAuthorities(old.Pem() + root_.Pem(), kNow).ok()) << "a bundle may hold old ones";
}

class ServerCertificateTest : public CertificateCheckTest {
 protected:
  void Put(const std::string& name, const std::string& text) { ASSERT_TRUE(WriteFileAtomically(Files::Posix(), Path(name), text).ok()); }
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  TlsFiles FilesFor(ClientCertificates mode = ClientCertificates::kNone) { return {.certificate_file = Path("crt"), .key_file = Path("key"), .client_ca_file = Path("ca"), .client_certificates = mode}; }
  std::string LoadFault(const TlsFiles& files) { return std::string(ServerCertificate::Load(files, clock_).status().message()); }

  ManualClock clock_;
  TemporaryDirectory directory_;
};

TEST_F(ServerCertificateTest, FaultsNameTheOptionAndTheFile) {
  EXPECT_THAT(LoadFault({}), HasSubstr("tls_certificate_file and tls_key_file: give both"));
  EXPECT_THAT(LoadFault({.certificate_file = "a", .key_file = "b", .client_certificates = ClientCertificates::kRequire}), HasSubstr("tls_client_ca_file: is needed"));
  EXPECT_THAT(LoadFault(FilesFor()), HasSubstr("tls_certificate_file: "));
  Put("crt", server_.Pem());
  EXPECT_EQ(ServerCertificate::Load(FilesFor(), clock_).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(LoadFault(FilesFor()), HasSubstr("tls_key_file: "));
  Put("key", root_.key.PrivatePem());
  EXPECT_THAT(LoadFault(FilesFor()), HasSubstr("tls_certificate_file: " + Path("crt") + " does not belong"));
  Put("key", server_.key.PrivatePem());
  EXPECT_EQ(LoadFault(FilesFor()), "");
  EXPECT_THAT(LoadFault(FilesFor(ClientCertificates::kRequest)), HasSubstr("tls_client_ca_file: "));
  Put("ca", server_.Pem());
  EXPECT_THAT(LoadFault(FilesFor(ClientCertificates::kRequest)), HasSubstr("no authority's"));
  EXPECT_EQ(*ParseClientCertificates("require"), ClientCertificates::kRequire);
  EXPECT_FALSE(ParseClientCertificates("yes").ok());
}

TEST_F(ServerCertificateTest, ReloadsAllOrNothing) {
  Put("crt", server_.Pem());
  Put("key", server_.key.PrivatePem());
  auto certificate = ServerCertificate::Load(FilesFor(), clock_).value();
  EXPECT_TRUE(certificate->Reload().ok());
  EXPECT_EQ(certificate->reloads(), 0);
  const TestCertificate next = MakeCertificate(TestKey::Ec(), {.common_name = "next", .not_after = kNow + absl::Hours(24)});
  Put("crt", next.Pem());
  EXPECT_FALSE(certificate->Reload().ok()) << "its key is not there yet";
  EXPECT_EQ(certificate->facts().subject, "CN=server");
  Put("key", next.key.PrivatePem());
  EXPECT_TRUE(certificate->Reload().ok());
  EXPECT_EQ(certificate->facts().subject, "CN=next");
  EXPECT_EQ(certificate->facts().not_after, kNow + absl::Hours(24));
  EXPECT_EQ(certificate->reloads(), 1);
  ASSERT_TRUE(Files::Posix().Remove(Path("key")).ok());
  EXPECT_FALSE(certificate->Reload().ok());
  EXPECT_EQ(certificate->facts().subject, "CN=next");
  EXPECT_EQ(certificate->reload_failures(), 2);
}

}  // namespace
}  // namespace attune::auth
