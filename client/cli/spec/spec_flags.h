// Flags of `jobs create`: one for each value of FineTuningSpec that is single, a list of numbers or a map, made from
// its descriptor, so that a field added to the proto is a flag without more ado. Names are the fields' names with dashes. Pure.
//
//   for (const SpecFlag& flag : SpecFlags()) ... "--" + flag.name ...
//   ATTUNE_RETURN_IF_ERROR(SetSpecFlag(flag, "3", &spec));
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "attune/v1/training_spec.pb.h"
#include "google/protobuf/descriptor.h"

namespace attune::cli {

struct SpecFlag {
  std::string name;   // "n-epochs"; of a switch also "no-" before it
  std::string group;  // "Hyperparameters": heading in the help
  std::string help;
  std::vector<std::string> choices;                            // of an enum; empty otherwise
  std::vector<const google::protobuf::FieldDescriptor*> path;  // from the spec to the value

  bool is_map() const { return path.back()->is_map(); }                     // "name=value,name=value"
  bool is_list() const { return path.back()->is_repeated() && !is_map(); }  // values with commas between
  bool is_switch() const {                                     // "true" or "false"
    return path.back()->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_BOOL;
  }
};

const std::vector<SpecFlag>& SpecFlags();

// Overwrites the value (the whole list or map) in `spec`. INVALID_ARGUMENT names the flag and what it expects.
absl::Status SetSpecFlag(const SpecFlag& flag, const std::string& value, v1::FineTuningSpec* spec);

}  // namespace attune::cli
