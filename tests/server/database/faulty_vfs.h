// FaultyVfs: SQLite's own way to the disk, with one operation that fails. It is the default VFS while it lives; one at a time. Not thread-safe.
//
//   FaultyVfs vfs;
//   vfs.FailAt(7, FaultyVfs::Kind::kShortWrite);   // the seventh write from now leaves half of its bytes and fails
//   ... use the database ...
//   if (!vfs.fired()) ...                          // there were no seven
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>

namespace attune {

class FaultyVfs {
 public:
  enum class Kind { kFull, kWrite, kShortWrite, kSync, kRead, kOpen, kTruncate };

  FaultyVfs() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
    current = this;
    vfs_.zName = "faulty";
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
    vfs_.xOpen = Open;
    sqlite3_vfs_register(&vfs_, /*makeDflt=*/1);
  }
  ~FaultyVfs() {
    sqlite3_vfs_register(real_, /*makeDflt=*/1);
    sqlite3_vfs_unregister(&vfs_);
    current = nullptr;
  }
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  // The nth operation of the kind from now, from 1.
  void FailAt(int64_t n, Kind kind) {
    left_ = n;
    kind_ = kind;
    fired_ = false;
  }
  void Heal() { left_ = 0; }
  bool fired() const { return fired_; }

 private:
  struct File {
    sqlite3_file base;
    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  };
  static sqlite3_file* Real(sqlite3_file* file) { return reinterpret_cast<File*>(file)->real(); }
  static const sqlite3_io_methods& Of(sqlite3_file* file) { return *Real(file)->pMethods; }

  bool Fails(Kind kind) {
    if (left_ == 0 || kind != kind_ || --left_ > 0) return false;
    return fired_ = true;
  }

  static int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    file->pMethods = nullptr;
    if (current->Fails(Kind::kOpen)) return SQLITE_CANTOPEN;
    const int code = current->real_->xOpen(current->real_, name, Real(file), flags, out_flags);
    if (code == SQLITE_OK) file->pMethods = &Methods();
    return code;
  }
  static int Write(sqlite3_file* file, const void* data, int bytes, sqlite3_int64 offset) {
    if (current->Fails(Kind::kFull)) return SQLITE_FULL;
    if (current->Fails(Kind::kWrite)) return SQLITE_IOERR_WRITE;
    if (current->Fails(Kind::kShortWrite)) {
      Of(file).xWrite(Real(file), data, bytes / 2, offset);
      return SQLITE_IOERR_WRITE;
    }
    return Of(file).xWrite(Real(file), data, bytes, offset);
  }
  static int Read(sqlite3_file* file, void* data, int bytes, sqlite3_int64 offset) {
    return current->Fails(Kind::kRead) ? SQLITE_IOERR_READ : Of(file).xRead(Real(file), data, bytes, offset);
  }
  static int Sync(sqlite3_file* file, int flags) { return current->Fails(Kind::kSync) ? SQLITE_IOERR_FSYNC : Of(file).xSync(Real(file), flags); }
  static int Truncate(sqlite3_file* file, sqlite3_int64 size) {
    return current->Fails(Kind::kTruncate) ? SQLITE_IOERR_TRUNCATE : Of(file).xTruncate(Real(file), size);
  }

  static const sqlite3_io_methods& Methods() {
    static const sqlite3_io_methods methods = {
        .iVersion = 2,  // shared memory, as WAL needs it; no mapped reads, which nobody could make fail
        .xClose = [](sqlite3_file* f) { return Of(f).xClose(Real(f)); },
        .xRead = Read,
        .xWrite = Write,
        .xTruncate = Truncate,
        .xSync = Sync,
        .xFileSize = [](sqlite3_file* f, sqlite3_int64* size) { return Of(f).xFileSize(Real(f), size); },
        .xLock = [](sqlite3_file* f, int lock) { return Of(f).xLock(Real(f), lock); },
        .xUnlock = [](sqlite3_file* f, int lock) { return Of(f).xUnlock(Real(f), lock); },
        .xCheckReservedLock = [](sqlite3_file* f, int* out) { return Of(f).xCheckReservedLock(Real(f), out); },
        .xFileControl = [](sqlite3_file* f, int op, void* argument) { return Of(f).xFileControl(Real(f), op, argument); },
        .xSectorSize = [](sqlite3_file* f) { return Of(f).xSectorSize(Real(f)); },
        .xDeviceCharacteristics = [](sqlite3_file* f) { return Of(f).xDeviceCharacteristics(Real(f)); },
        .xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** out) { return Of(f).xShmMap(Real(f), page, size, extend, out); },
        .xShmLock = [](sqlite3_file* f, int offset, int n, int flags) { return Of(f).xShmLock(Real(f), offset, n, flags); },
        .xShmBarrier = [](sqlite3_file* f) { Of(f).xShmBarrier(Real(f)); },
        .xShmUnmap = [](sqlite3_file* f, int remove) { return Of(f).xShmUnmap(Real(f), remove); },
        .xFetch = nullptr,
        .xUnfetch = nullptr,
    };
    return methods;
  }

  inline static FaultyVfs* current = nullptr;
  sqlite3_vfs* const real_;
  sqlite3_vfs vfs_;
  int64_t left_ = 0;
  Kind kind_ = Kind::kFull;
  bool fired_ = false;
};

}  // namespace attune
