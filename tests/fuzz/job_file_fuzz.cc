// YAML job files of `attune jobs create -f`, the specs in them as the server checks these, and back to YAML.
#include "client/cli/spec/job_file.h"
#include "client/cli/spec/spec_yaml.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "server/base/utf8.h"
#include "server/jobs/spec/spec_check.h"
#include "tests/fuzz/driver/fuzz.h"
#include "tests/server/scheduler/fake_stores.h"

namespace attune::fuzz {
namespace {

// Equal for equal messages, also where a map's entries would come in any order, or a number is none.
std::string Bytes(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  message.SerializePartialToCodedStream(&out);
  out.Trim();
  return bytes;
}

// What the server knows of the names in the spec.
jobs::SpecCheckInput KnownTo(const v1::FineTuningSpec& spec) {
  static scheduler::FakeCatalogue models;
  static scheduler::FakeDatasets datasets;
  jobs::SpecCheckInput input;
  input.spec = spec;
  if (auto model = models.Get(spec.base_model()); model.ok()) input.model = *std::move(model);
  if (auto dataset = datasets.Get(spec.dataset()); dataset.ok()) input.dataset = *std::move(dataset);
  if (auto dataset = datasets.Get(spec.replay().dataset()); dataset.ok()) input.replay_dataset = *std::move(dataset);
  const auto layers = models.DescribeLayers({});
  input.layers.assign(layers->layers().begin(), layers->layers().end());
  v1::Device& cpu = input.devices.emplace_back();
  cpu.set_name("cpu");
  cpu.set_usable(true);
  cpu.set_cores(2);
  return input;
}

void CheckAsServer(const v1::FineTuningSpec& spec) {
  const jobs::SpecCheckResult result = CheckSpec(KnownTo(spec));
  for (const jobs::FieldViolation& violation : result.violations) {
    Require(!violation.field.empty() && !violation.description.empty() && !FirstInvalidUtf8(violation.description),
            "violations name a field, and are for people");
  }
  if (!result.violations.empty()) return;
  const jobs::SpecCheckResult again = CheckSpec(KnownTo(result.effective));
  Require(again.violations.empty(), "an effective spec is one that the server takes");
  Require(Bytes(again.effective) == Bytes(result.effective), "nothing is left to fill in");
}

void ReadJobFile(const std::string& yaml) {
  const auto request = cli::ParseJobFile(yaml, "job.yaml");
  if (!request.ok()) {
    // Lines of a person's own file are shown to that person as they are.
    Require(absl::IsInvalidArgument(request.status()) && !request.status().message().empty(),
            "what is wrong with a file is INVALID_ARGUMENT");
    return;
  }
  const auto again = cli::ParseJobFile(cli::SpecYaml(request->spec()), "again.yaml");
  Require(again.ok(), "what was written as YAML can be read");
  Require(Bytes(again->spec()) == Bytes(request->spec()), "YAML gives the same spec again");
  CheckAsServer(request->spec());
}

}  // namespace
}  // namespace attune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attune::fuzz::ReadJobFile(std::string(attune::fuzz::Input(data, size)));
  return 0;
}
