#include "server/main/option_keys.h"

#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/main/config_file.h"
#include "server/main/listen_address.h"

namespace attune {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// A wrong value of each key, and what the message must say. Every key must be here.
struct Wrong {
  const char* key;
  const char* value;
  const char* must;
};
const Wrong kWrong[] = {
    {"listen", "50051", "must be HOST:PORT"},
    {"listen", "host:", "must be HOST:PORT"},
    {"listen", "host:70000", "from 0 to 65535"},
    {"listen", "::1:50051", "brackets"},
    {"listen", "unix:", "a path after unix:"},
    {"listen", "", "must be HOST:PORT"},
    {"allow_insecure_network", "yes", "must be true or false"},
    {"auth", "yes", "must be one of none, required"},
    {"tls_client_certificates", "maybe", "must be one of none, request, require"},
    {"jwt_projects_claim", "", "must not be empty"},
    {"jwt_scopes_claim", "", "must not be empty"},
    {"jwt_leeway_seconds", "301", "from 0 to 300"},
    {"jwt_leeway_seconds", "-1", "from 0 to 300"},
    {"jwt_leeway_seconds", "1m", "whole number"},
    {"tls_certificate_file", nullptr, nullptr},  // any text; what is in it shows at the start, and whether it fits the others in security_test.cc
    {"tls_key_file", nullptr, nullptr},
    {"tls_client_ca_file", nullptr, nullptr},
    {"certificate_rules_file", nullptr, nullptr},
    {"jwt_issuer", nullptr, nullptr},
    {"jwt_audience", nullptr, nullptr},
    {"jwt_jwks", nullptr, nullptr},
    {"jwt_scope_prefix", nullptr, nullptr},
    {"quotas_file", nullptr, nullptr},
    {"data_dir", "", "must not be empty"},
    {"upload_expiry_hours", "0", "from 1 to 8760"},
    {"upload_expiry_hours", "soon", "whole number"},
    {"upload_expiry_hours", "1.5", "whole number"},
    {"upload_idle_seconds", "0", "from 1 to 86400"},
    {"upload_idle_seconds", "2m", "whole number"},
    {"max_upload_bytes", "0", "from 1 to"},
    {"max_upload_bytes", "1GB", "whole number"},
    {"max_dataset_rows", "0", "from 1 to 4294967295"},
    {"max_upload_bytes", "99999999999999999999", "whole number"},
    {"job_slots", "0", "from 1 to 64"},
    {"job_slots", "65", "from 1 to 64"},
    {"job_slots", "-1", "from 1 to 64"},
    {"job_slots", "many", "whole number"},
    {"worker_threads", "-1", "from 0 to 1024"},
    {"worker_threads", "1025", "from 0 to 1024"},
    {"worker_threads", "x", "whole number"},
    {"warm_workers", "0", "from 1 to 64"},
    {"warm_workers", "65", "from 1 to 64"},
    {"warm_workers", "x", "whole number"},
    {"prediction_workers", "0", "from 1 to 64"},
    {"worker_memory_bytes", "-1", "from 0 to"},
    {"worker_memory_bytes", "4G", "whole number"},
    {"worker_sandbox", "maybe", "must be one of auto, required, off"},
    {"worker_user", "", "must not be empty"},  // whether there is one shows at the start
    {"share_devices_by", "luck", "must be one of memory, slots"},
    {"job_memory_bytes", "-1", "from 0 to"},
    {"job_memory_bytes", "20G", "whole number"},
    {"feature_cache_bytes", "-1", "from 0 to"},
    {"feature_cache_bytes", "8GiB", "whole number"},
    {"feature_cache_bytes", "1125899906842625", "from 0 to"},
    {"metrics_listen", "unix:/x", "must be HOST:PORT"},
    {"metrics_listen", "9464", "must be HOST:PORT"},
    {"log_level", "verbose", "must be one of debug, info, warning, error"},
    {"drain_grace_seconds", "-1", "from 0 to 3600"},
    {"drain_grace_seconds", "3601", "from 0 to 3600"},
    {"drain_grace_seconds", "1s", "whole number"},
    {"port_file", nullptr, nullptr},      // any text
    {"worker_binary", nullptr, nullptr},  // any text; whether it runs shows at the start
};

TEST(OptionKeysTest, EachWrongValueNamesTheOptionAndWhatItMustBe) {
  std::set<std::string> covered;
  for (const Wrong& wrong : kWrong) {
    covered.insert(wrong.key);
    const OptionKey* key = FindOption(wrong.key);
    ASSERT_NE(key, nullptr) << wrong.key;
    if (wrong.value == nullptr) continue;
    ServerOptions options;
    absl::Status status = SetOption(*key, key->Flag(), wrong.value, options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << wrong.key << " = " << wrong.value;
    EXPECT_THAT(Message(status), StartsWith(key->Flag() + " must"));
    EXPECT_THAT(Message(status), HasSubstr(wrong.must));
    EXPECT_THAT(Message(status), HasSubstr(std::string("; got \"") + wrong.value + "\""));
    // The same in a file, with its line.
    status = ApplyConfig("# comment\n" + key->name + ": \"" + wrong.value + "\"\n", "a.yaml", options);
    EXPECT_THAT(Message(status), StartsWith("a.yaml:2: " + key->name + " must"));
  }
  for (const OptionKey& key : OptionKeys()) EXPECT_TRUE(covered.count(key.name)) << key.name << " has no case here";
}

TEST(OptionKeysTest, EveryKeyHasHelpAndARangeOrForm) {
  for (const OptionKey& key : OptionKeys()) {
    EXPECT_FALSE(key.help.empty()) << key.name;
    EXPECT_THAT(key.help, HasSubstr("Default")) << key.name;
    EXPECT_FALSE(key.placeholder.empty()) << key.name;
    ServerOptions options;
    if (std::holds_alternative<int64_t*>(key.target(options))) {
      EXPECT_LT(key.least, key.most) << key.name;
      int64_t value = *std::get<int64_t*>(key.target(options));
      EXPECT_TRUE(value >= key.least && value <= key.most) << key.name << ": the default is out of range";
    }
  }
}

TEST(OptionKeysTest, SetsEveryKind) {
  ServerOptions options;
  auto set = [&options](const char* key, const char* value) { return SetOption(*FindOption(key), key, value, options); };
  EXPECT_TRUE(set("listen", "[::1]:7").ok());
  EXPECT_TRUE(set("allow_insecure_network", "true").ok());
  EXPECT_TRUE(set("job_slots", "64").ok());
  EXPECT_EQ(options.workers.feature_cache_bytes, 8589934592) << "as its help says";
  EXPECT_TRUE(set("feature_cache_bytes", "0").ok());
  EXPECT_TRUE(set("log_level", "debug").ok());
  EXPECT_TRUE(set("metrics_listen", "").ok());
  EXPECT_EQ(options.listen.address, "[::1]:7");
  EXPECT_TRUE(options.listen.allow_insecure_network);
  EXPECT_EQ(options.workers.job_slots, 64);
  EXPECT_EQ(options.workers.feature_cache_bytes, 0);
  EXPECT_EQ(options.operation.log_level, "debug");
}

TEST(OptionKeysTest, OnlyLoopbackWithoutLeave) {
  struct Case {
    const char* address;
    bool loopback;
  };
  const Case cases[] = {{"127.0.0.1:1", true},  {"127.9.9.9:1", true},    {"localhost:1", true},  {"[::1]:1", true},
                        {"unix:/a/b", true},    {"0.0.0.0:1", false},     {"[::]:1", false},      {"10.0.0.1:1", false},
                        {"example.org:1", false}, {"128.0.0.1:1", false}, {"[fe80::1]:1", false}, {"localhost.evil.org:1", false}};
  for (const Case& c : cases) {
    auto address = ParseListenAddress(c.address);
    ASSERT_TRUE(address.ok()) << c.address;
    EXPECT_EQ(address->loopback, c.loopback) << c.address;
    ServerOptions options;
    options.listen.address = c.address;
    absl::Status status = CheckOptions(options);
    EXPECT_EQ(status.ok(), c.loopback) << c.address;
    if (!c.loopback) EXPECT_THAT(Message(status), HasSubstr("--allow-insecure-network"));
    options.security.auth = "required";
    EXPECT_EQ(CheckOptions(options).ok(), c.loopback) << "tokens would be read on the way";
    options.security.tls_certificate_file = options.security.tls_key_file = "x.pem";
    EXPECT_TRUE(CheckOptions(options).ok()) << c.address;
    options.security.auth = "none";
    EXPECT_EQ(CheckOptions(options).ok(), c.loopback) << "anybody could call";
    options.security = {};
    options.listen.allow_insecure_network = true;
    EXPECT_TRUE(CheckOptions(options).ok()) << c.address;
  }
}

TEST(OptionKeysTest, AWorkerNeedsMemory) {
  ServerOptions options;
  options.workers.memory_bytes = (int64_t{512} << 20) - 1;
  EXPECT_THAT(Message(CheckOptions(options)), StartsWith("worker_memory_bytes: 536870911 bytes hold no worker"));
  ++options.workers.memory_bytes;
  EXPECT_TRUE(CheckOptions(options).ok());
}

TEST(OptionKeysTest, AUnixSocketHasNoPortToWrite) {
  ServerOptions options;
  options.listen.address = "unix:/tmp/x.sock";
  options.listen.port_file = "p";
  EXPECT_THAT(Message(CheckOptions(options)), StartsWith("port_file:"));
}

}  // namespace
}  // namespace attune
