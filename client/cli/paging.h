// Lists of any length: asks for page after page until `limit` entries are there (0: all). Header-only.
//
//   auto jobs = ListAll<v1::ListFineTuningJobsResponse>(limit, request,
//                   [&](const auto& r) { return client.ListFineTuningJobs(r); },
//                   [](auto& response) { return response.mutable_fine_tuning_jobs(); });
#pragma once

#include <algorithm>

#include "absl/status/statusor.h"
#include "server/base/status_macros.h"

namespace attune::cli {

// All pages in one response. Its next_page_token is set when there is more.
template <typename Response, typename Request, typename Fetch, typename Entries>
absl::StatusOr<Response> ListAll(int limit, Request request, Fetch fetch, Entries entries) {
  constexpr int kLargestPage = 1000;
  Response all;
  do {
    const int missing = limit > 0 ? limit - entries(all)->size() : kLargestPage;
    request.set_page_size(std::min(missing, kLargestPage));
    ATTUNE_ASSIGN_OR_RETURN(Response page, fetch(request));
    entries(all)->MergeFrom(*entries(page));
    all.set_next_page_token(page.next_page_token());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && (limit == 0 || entries(all)->size() < limit));
  return all;
}

}  // namespace attune::cli
