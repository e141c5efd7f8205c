// "Did you mean": the candidate with the smallest edit distance, for errors that teach. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace attune {

// Letter case is ignored; of equally near candidates the first is returned. Empty when nothing is near (distance over a
// third of the length and over 2, or no character in common).
std::string Nearest(std::string_view wrong, const std::vector<std::string>& candidates);

}  // namespace attune
