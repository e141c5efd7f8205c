// Whole numbers out of a file's bytes. The caller has checked that they are there.
//
//   const uint32_t width = BigEndian32(bytes.data() + 16);
#pragma once

#include <cstdint>

namespace attune::images {

inline uint32_t ByteAt(const char* at) { return static_cast<unsigned char>(*at); }
inline uint32_t BigEndian16(const char* at) { return ByteAt(at) << 8 | ByteAt(at + 1); }
inline uint32_t BigEndian32(const char* at) { return BigEndian16(at) << 16 | BigEndian16(at + 2); }
inline uint32_t LittleEndian16(const char* at) { return ByteAt(at + 1) << 8 | ByteAt(at); }
inline uint32_t LittleEndian32(const char* at) { return LittleEndian16(at + 2) << 16 | LittleEndian16(at); }

}  // namespace attune::images
