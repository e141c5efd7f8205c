// MetricsExposer: serves registries (and other collectables) at http://ADDRESS/metrics in Prometheus' text format, and further read-only pages beside them, from four threads of its
// own. Owned by main. Thread-safe. Errors: UNAVAILABLE when the address cannot be listened on.
//
//   auto registry = std::make_shared<prometheus::Registry>();
//   ATTUNE_ASSIGN_OR_RETURN(auto exposer, MetricsExposer::Start("127.0.0.1:9464", {registry}, {{"/jobs", [&](const HttpRequest& request) { return Curves(request); }}}));
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "prometheus/collectable.h"

namespace attune::metrics {

struct HttpRequest {
  std::string path;   // decoded, with the page's prefix
  std::string query;  // as it came, without "?"
};

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

struct HttpPage {
  std::string prefix;  // "/jobs": that path and all below it
  std::function<HttpReply(const HttpRequest&)> answer;  // to GET; on the exposer's threads
};

class MetricsExposer {
 public:
  using Sources = std::vector<std::shared_ptr<prometheus::Collectable>>;
  // HOST:PORT; port 0 takes a free one. The exposer keeps the sources alive.
  static absl::StatusOr<std::unique_ptr<MetricsExposer>> Start(const std::string& address, Sources sources, std::vector<HttpPage> pages = {});
  ~MetricsExposer();  // waits for requests that are being answered
  int port() const { return port_; }

 private:
  struct HttpServer;
  MetricsExposer(std::unique_ptr<HttpServer> server, int port);
  const std::unique_ptr<HttpServer> server_;
  const int port_;
};

}  // namespace attune::metrics
