#include "server/jobs/job_filter.h"

#include <cctype>

#include "absl/strings/str_join.h"
#include "server/base/nearest.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/jobs/job_state.h"

namespace attune::jobs {
namespace {

constexpr std::string_view kLabelPrefix = "labels.";
constexpr std::string_view kExample = "for example: state = RUNNING AND labels.team = \"nlp\"";

bool IsWordChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.' || c == '/'; }

std::string WithNearest(std::string_view wrong, const std::vector<std::string>& valid) {
  std::string nearest = Nearest(wrong, valid);
  return StrCat(nearest.empty() ? std::string() : StrCat("did you mean ", nearest, "? "), "Valid are ", absl::StrJoin(valid, ", "));
}

}  // namespace

class FilterParser {
 public:
  explicit FilterParser(std::string_view text) : text_(text) {}

  absl::StatusOr<JobFilter> Parse() {
    JobFilter filter;
    SkipSpace();
    if (AtEnd()) return filter;
    while (true) {
      ATTUNE_ASSIGN_OR_RETURN(JobFilter::Condition condition, ParseCondition());
      filter.conditions_.push_back(std::move(condition));
      SkipSpace();
      if (AtEnd()) return filter;
      ATTUNE_RETURN_IF_ERROR(ParseAnd());
    }
  }

 private:
  bool AtEnd() const { return at_ == text_.size(); }
  void SkipSpace() {
    while (!AtEnd() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }

  absl::Status Error(size_t at, std::string_view what) const {
    return absl::InvalidArgumentError(StrCat("filter, character ", at + 1, ": ", what));
  }

  std::string_view Word() {
    size_t begin = at_;
    while (!AtEnd() && IsWordChar(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  absl::Status ParseAnd() {
    size_t begin = at_;
    std::string_view word = Word();
    if (word == "AND") return absl::OkStatus();
    if (word == "and") return Error(begin, "write AND in capitals");
    if (word == "OR" || word == "or") return Error(begin, "OR is not supported; ask once for each alternative");
    return Error(begin, StrCat("expected AND between two conditions; ", kExample));
  }

  absl::StatusOr<JobFilter::Condition> ParseCondition() {
    SkipSpace();
    size_t begin = at_;
    std::string_view name = Word();
    if (name.empty()) return Error(begin, StrCat("expected a field name; ", kExample));
    ATTUNE_ASSIGN_OR_RETURN(JobFilter::Condition condition, FieldOf(begin, name));
    SkipSpace();
    if (AtEnd() || text_[at_] != '=') {
      return Error(at_, StrCat("expected '=' after ", name, "; other comparisons are not supported; ", kExample));
    }
    ++at_;
    if (!AtEnd() && text_[at_] == '=') return Error(at_, "write one '='");
    SkipSpace();
    size_t value_at = at_;
    ATTUNE_ASSIGN_OR_RETURN(condition.value, ParseValue(name));
    if (condition.field == JobFilter::Field::kState && !StateFromName(condition.value).has_value()) {
      return Error(value_at, StrCat("there is no state \"", condition.value, "\"; ", WithNearest(condition.value, StateNames())));
    }
    return condition;
  }

  absl::StatusOr<JobFilter::Condition> FieldOf(size_t at, std::string_view name) const {
    JobFilter::Condition condition;
    if (name.substr(0, kLabelPrefix.size()) == kLabelPrefix) {
      condition.field = JobFilter::Field::kLabel;
      condition.key = std::string(name.substr(kLabelPrefix.size()));
      if (condition.key.empty()) return Error(at, "labels. needs a key, for example labels.team = \"nlp\"");
      return condition;
    }
    if (name == "labels") return Error(at, "name a label with its key, for example labels.team = \"nlp\"");
    if (name == "state") condition.field = JobFilter::Field::kState;
    else if (name == "base_model") condition.field = JobFilter::Field::kBaseModel;
    else if (name == "dataset") condition.field = JobFilter::Field::kDataset;
    else if (name == "display_name") condition.field = JobFilter::Field::kDisplayName;
    else {
      return Error(at, StrCat("there is no field \"", name, "\"; ",
                              WithNearest(name, {"state", "base_model", "dataset", "display_name", "labels.KEY"})));
    }
    return condition;
  }

  // A quoted text with \" and \\ as escapes, or a bare word.
  absl::StatusOr<std::string> ParseValue(std::string_view field) {
    size_t begin = at_;
    if (AtEnd() || text_[at_] != '"') {
      std::string_view word = Word();
      if (word.empty()) return Error(begin, StrCat("expected a value for ", field, "; put text in double quotes"));
      return std::string(word);
    }
    std::string value;
    for (++at_; !AtEnd(); ++at_) {
      if (text_[at_] == '"') {
        ++at_;
        return value;
      }
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      value += text_[at_];
    }
    return Error(begin, "the double quote is not closed");
  }

  const std::string_view text_;
  size_t at_ = 0;
};

absl::StatusOr<JobFilter> JobFilter::Parse(std::string_view text) { return FilterParser(text).Parse(); }

bool JobFilter::Matches(const v1::FineTuningJob& job) const {
  for (const Condition& condition : conditions_) {
    switch (condition.field) {
      case Field::kState:
        if (StateName(job.state()) != condition.value) return false;
        break;
      case Field::kBaseModel:
        if (job.spec().base_model() != condition.value) return false;
        break;
      case Field::kDataset:
        if (job.spec().dataset() != condition.value) return false;
        break;
      case Field::kDisplayName:
        if (job.display_name() != condition.value) return false;
        break;
      case Field::kLabel: {
        auto found = job.labels().find(condition.key);
        if (found == job.labels().end() || found->second != condition.value) return false;
        break;
      }
    }
  }
  return true;
}

}  // namespace attune::jobs
