#include "server/training/steps/plan/training_state.h"

#include <cmath>
#include <limits>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace attune::training {
namespace {

constexpr int kVersion = 1;

// JSON has no NaN and no infinity; null stands for both.
nlohmann::json Number(double value) { return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(); }
double FromNumber(const nlohmann::json& json) { return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>(); }

}  // namespace

std::string TrainingState::ToJson() const {
  nlohmann::ordered_json json;
  json["version"] = kVersion;
  json["step"] = step;
  json["phase"] = phase;
  json["step_in_phase"] = step_in_phase;
  json["phase_ended"] = phase_ended;
  json["optimizer_steps"] = optimizer_steps;
  json["epoch"] = epoch;
  json["batch"] = batch;
  json["best"] = {{"has_best", best.has_best},
                  {"step", best.best_step},
                  {"value", Number(best.best_value)},
                  {"has_phase_best", best.has_phase_best},
                  {"phase_value", Number(best.phase_best)},
                  {"evaluations_without_improvement", best.evaluations_without_improvement}};
  json["metrics"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : metrics) json["metrics"][name] = Number(value);
  return json.dump(1) + "\n";
}

TrainingState TrainingState::FromJson(std::string_view text) {
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    if (json.at("version").get<int>() != kVersion) {
      throw std::invalid_argument(absl::StrCat("training_state.json has version ", json.at("version").dump(), "; this worker reads ", kVersion));
    }
    TrainingState state;
    state.step = json.at("step").get<int64_t>();
    state.phase = json.at("phase").get<int>();
    state.step_in_phase = json.at("step_in_phase").get<int64_t>();
    state.phase_ended = json.at("phase_ended").get<bool>();
    state.optimizer_steps = json.at("optimizer_steps").get<int64_t>();
    state.epoch = json.at("epoch").get<int64_t>();
    state.batch = json.at("batch").get<int64_t>();
    const nlohmann::json& best = json.at("best");
    state.best.has_best = best.at("has_best").get<bool>();
    state.best.best_step = best.at("step").get<int64_t>();
    state.best.best_value = FromNumber(best.at("value"));
    state.best.has_phase_best = best.at("has_phase_best").get<bool>();
    state.best.phase_best = FromNumber(best.at("phase_value"));
    state.best.evaluations_without_improvement = best.at("evaluations_without_improvement").get<int>();
    for (const auto& [name, value] : json.at("metrics").items()) state.metrics[name] = FromNumber(value);
    return state;
  } catch (const nlohmann::json::exception& error) {
    throw std::invalid_argument(absl::StrCat("training_state.json: ", error.what()));
  }
}

}  // namespace attune::training
