// RegistryOrOwn: the registry that a component was given, or one of its own that nobody reads: so that no line asks whether there is one. Must outlive the metrics in it.
#pragma once

#include <memory>

#include "prometheus/registry.h"

namespace attune::metrics {

class RegistryOrOwn {
 public:
  explicit RegistryOrOwn(prometheus::Registry* given) : own_(given == nullptr ? std::make_unique<prometheus::Registry>() : nullptr), registry_(given == nullptr ? *own_ : *given) {}
  prometheus::Registry& get() { return registry_; }

 private:
  const std::unique_ptr<prometheus::Registry> own_;
  prometheus::Registry& registry_;
};

}  // namespace attune::metrics
