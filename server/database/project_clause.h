// The part of a query that keeps to some projects: tables with a column `project`. Pure.
//
//   database.Query(StrCat("SELECT id FROM models WHERE creation_order < ?", InProjects(projects), " LIMIT ?"), ArgumentsOf(projects, {before}, limit));
#pragma once

#include <string>
#include <vector>

#include "server/base/projects.h"
#include "server/database/database.h"

namespace attune {

// " AND project IN (?, ?)", or nothing for all projects.
inline std::string InProjects(const ProjectSet& projects) {
  if (projects.all()) return "";
  std::string clause = " AND project IN (";
  for (size_t i = 0; i < projects.ids().size(); ++i) clause += i == 0 ? "?" : ", ?";
  return clause + ")";
}

// The arguments before that part, those of it, and the last one.
inline std::vector<SqlValue> ArgumentsOf(const ProjectSet& projects, std::vector<SqlValue> before, SqlValue last) {
  if (!projects.all()) before.insert(before.end(), projects.ids().begin(), projects.ids().end());
  before.push_back(std::move(last));
  return before;
}

}  // namespace attune
