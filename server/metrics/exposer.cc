#include "server/metrics/exposer.h"

#include <exception>
#include <utility>
#include <vector>

#include "server/base/str_cat.h"

namespace attune::metrics {

MetricsExposer::MetricsExposer(Sources sources, std::unique_ptr<prometheus::Exposer> exposer, int port)
    : sources_(std::move(sources)), exposer_(std::move(exposer)), port_(port) {}

absl::StatusOr<std::unique_ptr<MetricsExposer>> MetricsExposer::Start(const std::string& address, Sources sources) {
  // The HTTP library reports every failure by throwing, and does not say which.
  try {
    auto exposer = std::make_unique<prometheus::Exposer>(address, /*num_threads=*/2);
    for (const auto& source : sources) exposer->RegisterCollectable(source);
    std::vector<int> ports = exposer->GetListeningPorts();
    int port = ports.empty() ? 0 : ports.front();
    return std::unique_ptr<MetricsExposer>(new MetricsExposer(std::move(sources), std::move(exposer), port));
  } catch (const std::exception& error) {
    return absl::UnavailableError(StrCat("cannot serve metrics on ", address, ": ", error.what(),
                                         "; give a free HOST:PORT (port 0 takes any), or none to switch metrics off"));
  }
}

}  // namespace attune::metrics
