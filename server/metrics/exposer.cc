#include "server/metrics/exposer.h"

#include <exception>
#include <sstream>
#include <utility>

#include "CivetServer.h"
#include "prometheus/metric_family.h"
#include "prometheus/text_serializer.h"
#include "server/base/str_cat.h"

namespace attune::metrics {
namespace {

HttpReply Scrape(const MetricsExposer::Sources& sources) {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& source : sources) {
    std::vector<prometheus::MetricFamily> more = source->Collect();
    families.insert(families.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = text.str()};
}

class PageHandler final : public CivetHandler {
 public:
  explicit PageHandler(HttpPage page) : page_(std::move(page)) {}

  bool handleGet(CivetServer*, mg_connection* connection) override {
    const mg_request_info* info = mg_get_request_info(connection);
    HttpReply reply;
    try {
      reply = page_.answer({.path = info->local_uri != nullptr ? info->local_uri : "", .query = info->query_string != nullptr ? info->query_string : ""});
    } catch (const std::exception& error) {  // want of memory: the library's thread knows no exceptions
      reply = {.status = 500, .content_type = "text/plain", .body = error.what()};
    }
    mg_printf(connection, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n\r\n", reply.status,
              mg_get_response_code_text(connection, reply.status), reply.content_type.c_str(), reply.body.size());
    mg_write(connection, reply.body.data(), reply.body.size());
    return true;
  }

  const std::string& prefix() const { return page_.prefix; }

 private:
  const HttpPage page_;
};

}  // namespace

// In this order: the server, which calls the handlers, goes first.
struct MetricsExposer::HttpServer {
  std::vector<std::unique_ptr<PageHandler>> handlers;
  std::unique_ptr<CivetServer> civet;
};

MetricsExposer::MetricsExposer(std::unique_ptr<HttpServer> server, int port) : server_(std::move(server)), port_(port) {}

MetricsExposer::~MetricsExposer() = default;

absl::StatusOr<std::unique_ptr<MetricsExposer>> MetricsExposer::Start(const std::string& address, Sources sources, std::vector<HttpPage> pages) {
  // The HTTP library reports every failure by throwing, and does not say which.
  try {
    auto server = std::make_unique<HttpServer>();
    pages.push_back({"/metrics", [sources = std::move(sources)](const HttpRequest&) { return Scrape(sources); }});
    for (HttpPage& page : pages) server->handlers.push_back(std::make_unique<PageHandler>(std::move(page)));
    server->civet = std::make_unique<CivetServer>(std::vector<std::string>{"listening_ports", address, "num_threads", "4", "request_timeout_ms", "10000"});
    for (const auto& handler : server->handlers) server->civet->addHandler(handler->prefix(), *handler);
    const std::vector<int> ports = server->civet->getListeningPorts();
    const int port = ports.empty() ? 0 : ports.front();
    return std::unique_ptr<MetricsExposer>(new MetricsExposer(std::move(server), port));
  } catch (const std::exception& error) {
    return absl::UnavailableError(StrCat("cannot serve metrics on ", address, ": ", error.what(),
                                         "; give a free HOST:PORT (port 0 takes any), or none to switch metrics off"));
  }
}

}  // namespace attune::metrics
