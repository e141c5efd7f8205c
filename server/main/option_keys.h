// The table of options: one entry makes a flag (--job-slots), a key of the configuration file (job_slots), its check and its help. Pure; thread-safe.
// Adding an option is a member in options.h and an entry in the table.
//
//   const OptionKey* key = FindOption("job_slots");
//   ATTUNE_RETURN_IF_ERROR(SetOption(*key, "--job-slots", "2", options));
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "server/main/options.h"

namespace attune {

struct OptionKey {
  std::string name;                                          // as in a file
  std::string placeholder;                                   // what stands for its value in the help
  std::string help;                                          // with unit, default, and what 0 or empty means
  std::variant<std::string*, int64_t*, bool*> (*target)(ServerOptions&);
  int64_t least = 0, most = 0;                               // of whole numbers
  std::vector<std::string> choices = {};                     // of words; empty: any text
  absl::Status (*check)(std::string_view value) = nullptr;   // of texts with a form

  std::string Flag() const;  // "--job-slots"
};

const std::vector<OptionKey>& OptionKeys();
const OptionKey* FindOption(std::string_view name);  // null when there is none

// Puts `text` where it belongs. INVALID_ARGUMENT that begins with `shown_name` and says what the value must be.
absl::Status SetOption(const OptionKey& key, std::string_view shown_name, std::string_view text, ServerOptions& options);

// What only the whole can show: INVALID_ARGUMENT for values that don't go together.
absl::Status CheckOptions(const ServerOptions& options);

}  // namespace attune
