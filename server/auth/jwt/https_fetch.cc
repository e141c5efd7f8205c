#include "server/auth/jwt/https_fetch.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

constexpr long kConnectTimeoutMs = 5'000;  // NOLINT(google-runtime-int): libcurl's type

struct Body {
  std::string text;
  size_t max_bytes;
  bool too_large = false;
};

// Also for answers without a Content-Length, or with a false one.
size_t OnBytes(char* data, size_t size, size_t count, void* user) {
  Body& body = *static_cast<Body*>(user);
  const size_t bytes = size * count;
  if (body.text.size() + bytes > body.max_bytes) {
    body.too_large = true;
    return 0;  // ends the transfer
  }
  body.text.append(data, bytes);
  return bytes;
}

bool StartCurl() {
  static const bool started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return started;
}

}  // namespace

absl::Status CheckHttpsUrl(const std::string& url) {
  std::unique_ptr<CURLU, void (*)(CURLU*)> parsed(curl_url(), curl_url_cleanup);
  if (parsed != nullptr && curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) == CURLUE_OK) {
    const auto part = [&](CURLUPart which) {
      char* text = nullptr;
      std::string value = curl_url_get(parsed.get(), which, &text, 0) == CURLUE_OK ? text : "";
      curl_free(text);
      return value;
    };
    if (part(CURLUPART_SCHEME) == "https" && !part(CURLUPART_HOST).empty() && part(CURLUPART_USER).empty() && part(CURLUPART_PASSWORD).empty()) return absl::OkStatus();
  }
  return absl::InvalidArgumentError("must be an https URL without a user's name, such as https://issuer.example/.well-known/jwks.json");
}

absl::StatusOr<std::string> FetchHttps(const HttpsOptions& options, const std::string& url) {
  ATTUNE_RETURN_IF_ERROR(CheckHttpsUrl(url));
  std::unique_ptr<CURL, void (*)(CURL*)> curl(StartCurl() ? curl_easy_init() : nullptr, curl_easy_cleanup);
  if (curl == nullptr) return absl::InternalError("libcurl cannot start");
  Body body = {.text = "", .max_bytes = options.max_bytes};
  char reason[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(curl.get(), CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(absl::ToInt64Milliseconds(options.timeout)));
  curl_easy_setopt(curl.get(), CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(options.max_bytes));
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, OnBytes);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &body);
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(curl.get(), CURLOPT_USERAGENT, "attune-server");
  if (!options.ca_file.empty()) {
    curl_easy_setopt(curl.get(), CURLOPT_CAINFO, options.ca_file.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_CAPATH, nullptr);  // that file, and nobody else
  }
  const CURLcode code = curl_easy_perform(curl.get());
  if (body.too_large || code == CURLE_FILESIZE_EXCEEDED) return absl::ResourceExhaustedError(StrCat(url, " has more than ", options.max_bytes, " bytes"));
  if (code == CURLE_OPERATION_TIMEDOUT) return absl::DeadlineExceededError(StrCat(url, " did not answer within ", absl::FormatDuration(options.timeout)));
  if (code != CURLE_OK) return absl::UnavailableError(StrCat(url, ": ", reason[0] != '\0' ? reason : curl_easy_strerror(code)));
  long status = 0;  // NOLINT(google-runtime-int)
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) return absl::UnavailableError(StrCat(url, " answered with status ", status, ", not 200", status >= 300 && status < 400 ? "; redirects are not followed: give the address that it leads to" : ""));
  return std::move(body.text);
}

}  // namespace attune::auth
