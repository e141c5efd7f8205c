// config.json of an imported model, for every architecture.
#include <unistd.h>

#include <set>

#include "server/base/files.h"
#include "server/catalogue/model_check.h"
#include "tests/fuzz/driver/fuzz.h"

namespace attune::fuzz {
namespace {

// A model's directory whose config.json is a file in memory.
class ModelDirectory {
 public:
  ModelDirectory() {
    Require(::symlink(config_.path().c_str(), (directory_.path() + "/config.json").c_str()) == 0, "a link can be made");
  }
  const std::string& Put(std::string_view config) {
    config_.Put(config);
    return directory_.path();
  }

 private:
  TemporaryDirectory directory_;
  MemoryFile config_;
};

void ReadConfig(std::string_view json) {
  static ModelDirectory directory;
  const auto config = catalogue::ReadModelConfig(directory.Put(json));
  if (!config.ok()) return RequireRefusal(config.status());
  const architectures::ModelLayout& layout = config->layout;
  const std::set<std::string> groups(layout.groups.begin(), layout.groups.end());
  Require(!layout.groups.empty() && groups.size() == layout.groups.size(), "groups are there, each once");
  std::set<std::string> names;
  for (const architectures::ParameterShape& parameter : layout.parameters) {
    Require(names.insert(parameter.name).second && groups.count(parameter.group) == 1,
            "parameters have names and groups");
    Require(parameter.value_count() > 0 && parameter.value_count() < int64_t{1} << 40,
            "parameters have a size that makes sense");
  }
  for (const architectures::BufferShape& buffer : layout.buffers)
    Require(groups.count(buffer.group) == 1, "buffers have groups");
}

}  // namespace
}  // namespace attune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attune::fuzz::ReadConfig(attune::fuzz::Input(data, size));
  return 0;
}
