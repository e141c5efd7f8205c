#include "server/metrics/exposer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "prometheus/counter.h"
#include "prometheus/registry.h"
#include "server/metrics/label_limit.h"

namespace attune::metrics {
namespace {

std::string HttpGet(int port, const std::string& path) {
  int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
    EXPECT_EQ(write(socket_fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
    char buffer[4096];
    for (ssize_t got; (got = read(socket_fd, buffer, sizeof(buffer))) > 0;) answer.append(buffer, got);
  }
  close(socket_fd);
  return answer;
}

TEST(MetricsExposerTest, ServesTheRegistryOnAFreePort) {
  auto registry = std::make_shared<prometheus::Registry>();
  auto& family = prometheus::BuildCounter().Name("attune_test_total").Help("Tests.").Register(*registry);
  family.Add({{"kind", "unit"}}).Increment(3);
  auto exposer = MetricsExposer::Start("127.0.0.1:0", {registry});
  ASSERT_TRUE(exposer.ok()) << exposer.status();
  ASSERT_GT((*exposer)->port(), 0);
  std::string page = HttpGet((*exposer)->port(), "/metrics");
  EXPECT_NE(page.find("200 OK"), std::string::npos) << page;
  EXPECT_NE(page.find("attune_test_total{kind=\"unit\"} 3"), std::string::npos) << page;
}

TEST(MetricsExposerTest, PagesAreServedBesideIt) {
  auto exposer = MetricsExposer::Start("127.0.0.1:0", {}, {{"/jobs", [](const HttpRequest& request) {
                                                              return HttpReply{.status = request.path == "/jobs" ? 200 : 404, .body = request.path + "?" + request.query};
                                                            }}});
  ASSERT_TRUE(exposer.ok()) << exposer.status();
  std::string page = HttpGet((*exposer)->port(), "/jobs?x=1");
  EXPECT_NE(page.find("200 OK"), std::string::npos) << page;
  EXPECT_NE(page.find("application/json"), std::string::npos) << page;
  EXPECT_NE(page.find("\r\n\r\n/jobs?x=1"), std::string::npos) << page;
  page = HttpGet((*exposer)->port(), "/jobs/a%20b/metrics");
  EXPECT_NE(page.find("404"), std::string::npos) << page;
  EXPECT_NE(page.find("/jobs/a b/metrics?"), std::string::npos) << "decoded, and all below the prefix: " << page;
  EXPECT_NE(HttpGet((*exposer)->port(), "/elsewhere").find("404"), std::string::npos);
}

TEST(LabelLimitTest, LateValuesShareOne) {
  LabelLimit limit(2);
  EXPECT_EQ(limit.Of("a"), "a");
  EXPECT_EQ(limit.Of("b"), "b");
  EXPECT_EQ(limit.Of("c"), "other");
  EXPECT_EQ(limit.Of("a"), "a");
}

TEST(MetricsExposerTest, ABusyPortAndNonsenseAreErrorsThatSayWhatToDo) {
  auto registry = std::make_shared<prometheus::Registry>();
  auto first = MetricsExposer::Start("127.0.0.1:0", {registry});
  ASSERT_TRUE(first.ok()) << first.status();
  for (const std::string& address : {"127.0.0.1:" + std::to_string((*first)->port()), std::string("no such address")}) {
    auto second = MetricsExposer::Start(address, {registry});
    ASSERT_EQ(second.status().code(), absl::StatusCode::kUnavailable) << address;
    EXPECT_NE(std::string(second.status().message()).find(address), std::string::npos) << second.status();
    EXPECT_NE(std::string(second.status().message()).find("free HOST:PORT"), std::string::npos) << second.status();
  }
}

}  // namespace
}  // namespace attune::metrics
