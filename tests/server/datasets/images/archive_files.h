// Archives and tiny images made in memory. Header-only.
//
//   const std::string tar = MakeTar({{"train/cat/1.pgm", Pgm(8, 8, 1)}, {"train/dog/", "", AE_IFDIR}});
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/base/str_cat.h"
#include "server/datasets/images/thumbnail.h"
#include "server/images/image.h"

namespace attune::datasets {

struct MadeEntry {
  std::string name;
  std::string content;
  unsigned type = AE_IFREG;
  std::string link;  // AE_IFLNK: its target; AE_IFREG: makes the entry a hard link
};

inline la_ssize_t AppendToString(struct archive*, void* out, const void* data, size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

// `set_up` chooses libarchive's format and filter.
template <typename SetUp>
std::string MakeArchive(const std::vector<MadeEntry>& entries, SetUp&& set_up) {
  std::string bytes;
  struct archive* archive = archive_write_new();
  set_up(archive);
  archive_write_set_bytes_in_last_block(archive, 1);
  EXPECT_EQ(archive_write_open(archive, &bytes, nullptr, &AppendToString, nullptr), ARCHIVE_OK);
  for (const MadeEntry& made : entries) {
    struct archive_entry* entry = archive_entry_new();
    archive_entry_copy_pathname(entry, made.name.c_str());
    archive_entry_set_filetype(entry, made.type);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<int64_t>(made.content.size()));
    if (made.type == AE_IFLNK) archive_entry_copy_symlink(entry, made.link.c_str());
    if (made.type == AE_IFREG && !made.link.empty()) archive_entry_copy_hardlink(entry, made.link.c_str());
    EXPECT_GE(archive_write_header(archive, entry), ARCHIVE_WARN) << archive_error_string(archive);
    archive_write_data(archive, made.content.data(), made.content.size());
    archive_entry_free(entry);
  }
  archive_write_close(archive);
  archive_write_free(archive);
  return bytes;
}

inline std::string MakeTar(const std::vector<MadeEntry>& entries) {
  return MakeArchive(entries, [](struct archive* archive) { archive_write_set_format_gnutar(archive); });
}

inline std::string MakeTarGz(const std::vector<MadeEntry>& entries) {
  return MakeArchive(entries, [](struct archive* archive) {
    archive_write_set_format_gnutar(archive);
    archive_write_add_filter_gzip(archive);
  });
}

inline std::string MakeZip(const std::vector<MadeEntry>& entries) {
  return MakeArchive(entries, [](struct archive* archive) { archive_write_set_format_zip(archive); });
}

// One stream, packed: not an archive.
inline std::string Gzip(const std::string& content) {
  return MakeArchive({{"x", content}}, [](struct archive* archive) {
    archive_write_set_format_raw(archive);
    archive_write_add_filter_gzip(archive);
  });
}

// A grey image whose pixels depend on `seed`.
inline std::string Pgm(int width, int height, int seed) {
  std::string bytes = StrCat("P5\n", width, " ", height, "\n255\n");
  for (int i = 0; i < width * height; ++i) bytes += static_cast<char>(seed * 37 + i);
  return bytes;
}

inline std::string Png(int width, int height, int seed) {
  images::Image image(width, height);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(seed * 41 + i);
  return EncodePng(image);
}

// A PNG that claims a size: its first chunk, and nothing after it.
inline std::string PngHeader(uint32_t width, uint32_t height) {
  const auto number = [](uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
    return bytes;
  };
  const std::string chunk = "IHDR" + number(width) + number(height) + std::string("\x08\x02\x00\x00\x00", 5);
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(chunk.data()), static_cast<uInt>(chunk.size()));
  return std::string("\x89PNG\r\n\x1a\n", 8) + number(13) + chunk + number(static_cast<uint32_t>(crc));
}

// Big-endian numbers, as IDX files begin.
inline std::string IdxHeader(const std::vector<uint32_t>& numbers) {
  std::string bytes;
  for (const uint32_t number : numbers) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift);
  }
  return bytes;
}

}  // namespace attune::datasets
