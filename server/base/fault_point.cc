#include "server/base/fault_point.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "absl/strings/numbers.h"
#include "server/base/str_cat.h"

namespace attune {
namespace {

struct Plan {
  std::string name;   // of the point; "*": any
  std::string token;
  int64_t arrivals = 0;
};

std::atomic<bool> armed{false};
std::atomic<int64_t> arrived{0};

Plan& ThePlan() {
  static Plan* const plan = new Plan;  // never destroyed: threads may outlive main
  return *plan;
}

}  // namespace

void ArmFaultPoints(std::string_view program) {
  const char* text = std::getenv("ATTUNE_FAULT_POINT");
  const char* token = std::getenv("ATTUNE_FAULT_TOKEN");
  if (text == nullptr || token == nullptr) return;
  std::string_view rest = text;
  const std::string prefix = StrCat(program, "/");
  const size_t hash = rest.rfind('#');
  Plan& plan = ThePlan();
  if (rest.substr(0, prefix.size()) != prefix || hash == std::string_view::npos || !absl::SimpleAtoi(std::string(rest.substr(hash + 1)), &plan.arrivals)) return;
  plan.name = std::string(rest.substr(prefix.size(), hash - prefix.size()));
  plan.token = token;
  armed = true;
}

bool FaultPointsArmed() { return armed.load(std::memory_order_relaxed); }

void FaultPoint(std::string_view name) {
  if (!FaultPointsArmed()) return;
  const Plan& plan = ThePlan();
  if (plan.name != "*" && plan.name != name) return;
  if (++arrived != plan.arrivals || unlink(plan.token.c_str()) != 0) return;
  kill(getpid(), SIGKILL);
  while (true) pause();
}

}  // namespace attune
