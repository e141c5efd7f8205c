// Pages of rows as training will see them. Stateless; thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "attune/v1/dataset.pb.h"
#include "server/tokenizers/tokenizer.h"

namespace attune::datasets {

// A page of `directory` for `request`, whose page_size and page_token are understood here. `tokenizer` may be null: no
// token ids. Pages hold fewer rows than asked for when those are long, so that a response stays below a megabyte (or
// one row); so do answers to row_indices. INVALID_ARGUMENT for a bad page_size, page_token or row index, DATA_LOSS for
// damaged files.
absl::StatusOr<v1::PreviewRowsResponse> PreviewRows(const std::string& directory, const v1::PreviewRowsRequest& request,
                                                    const tokenizers::Tokenizer* tokenizer);

// The page size to use: `fallback` for 0, 1000 at most. INVALID_ARGUMENT when negative.
absl::StatusOr<int32_t> PageSize(int32_t requested, int32_t fallback);

}  // namespace attune::datasets
