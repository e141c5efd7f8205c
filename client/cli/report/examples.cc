#include "client/cli/report/examples.h"

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/str_join.h"
#include "client/cli/render/format.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr int kRowsShown = 20;
constexpr int kExcerptColumns = 400;
// Of PNG in all: base64 makes a third more of it, and a page is to stay below 2 MB.
constexpr size_t kPictureBytes = 1'000'000;

using Rows = google::protobuf::RepeatedPtrField<v1::JudgedRow>;

std::vector<int64_t> FirstRows(const Rows& rows) {
  std::vector<int64_t> indices;
  for (int i = 0; i < std::min(rows.size(), kRowsShown); ++i) indices.push_back(rows[i].row());
  return indices;
}

// "reviews.csv, line 12" or "photos.tar: cat/1.jpg".
std::string Place(const v1::JudgedRow& row) {
  if (!row.entry().empty()) return StrCat(row.filename(), ": ", row.entry());
  return row.line() > 0 ? StrCat(row.filename(), ", line ", Count(row.line())) : row.filename();
}

std::string Names(const google::protobuf::RepeatedPtrField<std::string>& labels) {
  return labels.empty() ? "no class" : absl::StrJoin(labels, ", ");
}

Html Verdict(const v1::JudgedRow& row, bool is_regression) {
  const std::string label = is_regression ? Number(row.value()) : Names(row.labels());
  const std::string predicted = is_regression ? Number(row.predicted_value()) : Names(row.predicted_labels());
  const std::string sure = is_regression ? "" : StrCat(" (", Percent(row.predicted_probability()), ")");
  const std::string unsure = is_regression ? "" : StrCat(" (", Percent(row.label_probability()), ")");
  return Join(
      {Element("div", {}, Join({Html("label "), Element("b", {{"class", "label"}}, Text(label)), Text(unsure)})),
       Element("div", {},
               Join({Html("predicted "), Element("b", {{"class", "predicted"}}, Text(predicted)), Text(sure)}))});
}

// What fits of the pictures' budget, which all lists share.
class PictureBudget {
 public:
  bool Take(size_t bytes) {
    if (bytes > left_) {
      ++refused_;
      return false;
    }
    left_ -= bytes;
    return true;
  }
  int refused() const { return refused_; }

 private:
  size_t left_ = kPictureBytes;
  int refused_ = 0;
};

Html Card(const v1::JudgedRow& row, bool is_regression, const std::map<int64_t, std::string>& pictures,
          PictureBudget& budget) {
  Html card;
  auto picture = pictures.find(row.row());
  if (picture != pictures.end() && !picture->second.empty() && budget.Take(picture->second.size()))
    card.Add(Picture(picture->second, Place(row)));
  if (!row.text().empty()) card.Add(Element("blockquote", {}, Text(Fit(OneLine(row.text()), kExcerptColumns))));
  card.Add(Verdict(row, is_regression)).Add(Element("small", {}, Text(Place(row))));
  return Element("div", {{"class", "card"}}, card);
}

Html Cards(const Rows& rows, bool is_regression, const std::map<int64_t, std::string>& pictures, bool are_images,
           PictureBudget& budget) {
  Html cards;
  for (int i = 0; i < std::min(rows.size(), kRowsShown); ++i)
    cards.Add(Card(rows[i], is_regression, pictures, budget)).Add(Html("\n"));
  return Element("div", {{"class", are_images ? "cards images" : "cards"}}, cards);
}

}  // namespace

std::vector<int64_t> MistakeRows(const v1::CheckpointEvaluation& evaluation) {
  return FirstRows(evaluation.mistakes());
}
std::vector<int64_t> SuspectRows(const v1::CheckpointEvaluation& evaluation) {
  return FirstRows(evaluation.suspects());
}

Html ExampleSection(const ReportData& data) {
  if (!data.evaluation.has_value()) return Html();
  const v1::CheckpointEvaluation& evaluation = *data.evaluation;
  const bool is_regression = IsRegression(data);
  const bool are_images = HoldsImages(data);
  PictureBudget budget;
  Html content = Element("h3", {}, Text(is_regression ? "Largest errors" : "Surest mistakes"));
  if (evaluation.mistakes().empty()) {
    content.Add(Note("The model makes no mistake on these rows."));
  } else {
    content.Add(Note(StrCat("Rows of the ", evaluation.evaluation().split(),
                            is_regression ? " split where the model is furthest off."
                                          : " split that the model is most sure about and wrong.")));
    content.Add(Cards(evaluation.mistakes(), is_regression, data.mistake_pictures, are_images, budget));
  }
  content.Add(Element(
      "h3", {}, Text(is_regression ? "Training rows with the largest errors" : "Training rows with suspect labels")));
  if (evaluation.training_rows() == 0) {
    content.Add(Note("Nobody looked for them."));
  } else if (evaluation.suspects().empty()) {
    content.Add(Note(StrCat("None was found among ", Count(evaluation.training_rows()), " rows.")));
  } else {
    const std::string all = evaluation.contradicted_rows() > evaluation.suspects_size()
                                ? StrCat(Count(evaluation.contradicted_rows()), " of ",
                                         Count(evaluation.training_rows()), " training rows are contradicted. ")
                                : "";
    content.Add(Note(StrCat(all, is_regression ? "The model is furthest from" : "The model contradicts most decidedly",
                            " what these rows say, though it learnt from them: look whether it is right.")));
    content.Add(Cards(evaluation.suspects(), is_regression, data.suspect_pictures, are_images, budget));
  }
  if (budget.refused() > 0)
    content.Add(Note(StrCat(budget.refused(), " pictures were left out to keep this page small.")));
  return Section("examples", "Rows to look at", content);
}

}  // namespace attune::cli
