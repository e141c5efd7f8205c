#include "server/training/worker/describe.h"

#include <nlohmann/json.hpp>

#include "server/training/models/model.h"
#include "server/training/worker/devices.h"
#include "server/training/worker/torch_runtime.h"

namespace attune::training {

std::string DescribeWorker() {
  nlohmann::ordered_json json;
  json["libtorch_version"] = LibtorchVersion();
  json["architectures"] = nlohmann::ordered_json::array();
  for (const ModelFactory* factory : ModelRegistry::Get().All()) {
    json["architectures"].push_back({{"name", factory->architecture},
                                     {"description", factory->description},
                                     {"modality", architectures::ModalityName(factory->description_of().modality)},
                                     {"tasks", factory->tasks}});
  }
  json["devices"] = nlohmann::ordered_json::array();
  for (const DeviceInfo& device : ListDevices()) {
    json["devices"].push_back({{"name", device.name},
                               {"description", device.description},
                               {"memory_bytes", device.memory_bytes},
                               {"usable", device.usable},
                               {"unusable_reason", device.unusable_reason},
                               {"cores", device.cores}});
  }
  return json.dump(1) + "\n";
}

}  // namespace attune::training
