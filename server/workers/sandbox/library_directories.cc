#include "server/workers/sandbox/library_directories.h"

#include <link.h>

#include <filesystem>
#include <set>

namespace attune::workers {
namespace {

std::filesystem::path FolderOf(const std::filesystem::path& library) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::weakly_canonical(library, error);
  const std::filesystem::path folder = (error ? library : whole).parent_path();
  const bool of_package = folder.filename() == "lib" && folder.parent_path().filename() == "torch";
  return of_package ? folder.parent_path().parent_path() : folder;
}

int Collect(dl_phdr_info* info, size_t, void* folders) {
  // The program itself has no name, and the kernel's virtual library no path.
  if (info->dlpi_name != nullptr && info->dlpi_name[0] == '/') static_cast<std::set<std::string>*>(folders)->insert(FolderOf(info->dlpi_name).string());
  return 0;
}

}  // namespace

std::vector<std::string> LibraryDirectories() {
  std::set<std::string> folders;
  dl_iterate_phdr(Collect, &folders);
  return {folders.begin(), folders.end()};
}

}  // namespace attune::workers
