// A model's digest: over its files' SHA-256, by name. What an import writes down and a check of the data directory computes again. Pure.
#pragma once

#include <map>
#include <string>

#include "server/base/sha256.h"
#include "server/base/str_cat.h"

namespace attune::catalogue {

inline std::string ModelDigest(const std::map<std::string, std::string>& sha256_by_name) {
  std::string lines;
  for (const auto& [name, sha256] : sha256_by_name) StrAppend(&lines, sha256, "  ", name, "\n");
  return Sha256Hex(lines);
}

}  // namespace attune::catalogue
