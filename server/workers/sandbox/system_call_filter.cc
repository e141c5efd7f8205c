#include "server/workers/sandbox/system_call_filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "server/base/errno_status.h"

namespace attune::workers {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the filter has to know this processor's system calls"
#endif

constexpr uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;

// Of later kernels than the headers; the numbers are the same for all processors.
constexpr uint32_t kChangeModeAt2 = 452, kSetAttributeAt = 463, kRemoveAttributeAt = 466, kOpenTreeAttributes = 467, kSetFileAttributes = 469;

constexpr uint32_t kForbidden[] = {
    // Other programs and processes.
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_process_madvise, SYS_process_mrelease, SYS_kcmp, SYS_pidfd_open, SYS_pidfd_getfd, SYS_pidfd_send_signal, SYS_tkill,
    SYS_setns, SYS_unshare,
    // The file system's shape, and files by other means than paths.
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_move_mount, SYS_open_tree, kOpenTreeAttributes, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_mount_setattr, SYS_name_to_handle_at,
    SYS_open_by_handle_at, SYS_quotactl, SYS_quotactl_fd, SYS_fanotify_init, SYS_swapon, SYS_swapoff,
    // Rights of files, and news of them, which Landlock does not guard.
    SYS_inotify_init1, SYS_inotify_add_watch, SYS_fchmod, SYS_fchmodat, kChangeModeAt2, kSetAttributeAt, kRemoveAttributeAt, kSetFileAttributes, SYS_fchown, SYS_fchownat, SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr, SYS_mknodat,
    // The kernel.
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_syslog,
    SYS_acct, SYS_keyctl, SYS_add_key, SYS_request_key,
    // Clocks and names of the machine.
    SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime, SYS_sethostname, SYS_setdomainname, SYS_vhangup,
    // Memory and messages that other processes of the same user see.
    SYS_shmget, SYS_shmat, SYS_shmctl, SYS_semget, SYS_semctl, SYS_semop, SYS_semtimedop, SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_msgctl, SYS_mq_open, SYS_mq_unlink,
    SYS_kexec_file_load,
#if defined(__x86_64__)
    SYS_fork, SYS_vfork, SYS_inotify_init, SYS_chmod, SYS_chown, SYS_lchown, SYS_mknod, SYS_ioperm, SYS_iopl, SYS_modify_ldt, SYS_uselib, SYS_ustat, SYS_sysfs, SYS__sysctl,
#endif
};

// Of a thread's terminal: putting words into its input.
constexpr uint32_t kTerminalInput = TIOCSTI, kTerminalConsole = TIOCLINUX;

constexpr uint32_t kSocketTypes = 0xf;  // what is left without SOCK_CLOEXEC and SOCK_NONBLOCK

class Filter {
 public:
  Filter() {
    Load(offsetof(seccomp_data, arch));
    Unless(kArchitecture, kRefuse);
    Load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
    constexpr uint32_t kX32 = 0x40000000;  // the same calls by other numbers
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32, 0, 1));
    Return(kRefuse);
#endif
  }

  void Refuse(uint32_t call) { When(call, kRefuse); }
  void When(uint32_t call, uint32_t answer) {
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
    Return(answer);
  }

  // One call whose arguments decide: begin, then any of the conditions, which look at the low 32 bits, then end.
  void BeginCall(uint32_t call) {
    skip_ = code_.size();
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 0));
  }
  void RefuseUnlessArgument(int argument, std::initializer_list<uint32_t> values, uint32_t mask = UINT32_MAX) {
    LoadArgument(argument, mask);
    uint8_t left = static_cast<uint8_t>(values.size());
    for (const uint32_t value : values) code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, left--, 0));
    Return(kRefuse);
  }
  void RefuseIfArgument(int argument, std::initializer_list<uint32_t> values) {
    LoadArgument(argument, UINT32_MAX);
    for (const uint32_t value : values) When(value, kRefuse);
  }
  void RefuseUnlessNull(int argument) {
    RefuseUnlessArgument(argument, {0});
    Load(OffsetOf(argument) + sizeof(uint32_t));
    Unless(0, kRefuse);
  }
  void EndCall() {
    Return(SECCOMP_RET_ALLOW);
    code_[skip_].jf = static_cast<uint8_t>(code_.size() - skip_ - 1);
  }

  absl::Status Install() {
    Return(SECCOMP_RET_ALLOW);
    const sock_fprog program = {.len = static_cast<unsigned short>(code_.size()), .filter = code_.data()};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ErrnoStatus(errno, "give up", "new privileges");
    const long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (result < 0) return ErrnoStatus(errno, "filter", "system calls");
    if (result > 0) return absl::InternalError("a thread of this process has system call filters of its own");
    return absl::OkStatus();
  }

 private:
  // Both processors are little-endian: the low half is first.
  static uint32_t OffsetOf(int argument) { return static_cast<uint32_t>(offsetof(seccomp_data, args) + static_cast<size_t>(argument) * sizeof(uint64_t)); }
  void Load(size_t offset) { code_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset))); }
  void LoadArgument(int argument, uint32_t mask) {
    Load(OffsetOf(argument));
    if (mask != UINT32_MAX) code_.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
  }
  void Unless(uint32_t value, uint32_t answer) {
    code_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0));
    Return(answer);
  }
  void Return(uint32_t answer) { code_.push_back(BPF_STMT(BPF_RET | BPF_K, answer)); }

  std::vector<sock_filter> code_;
  size_t skip_ = 0;
};

}  // namespace

absl::Status ForbidSystemCalls(const SystemCallOptions& options) {
  const auto self = static_cast<uint32_t>(getpid());
  Filter filter;
  for (const uint32_t call : kForbidden) filter.Refuse(call);
  filter.When(SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
  filter.BeginCall(SYS_clone);  // threads, and nothing else
  filter.RefuseUnlessArgument(0, {CLONE_THREAD}, CLONE_THREAD);
  filter.EndCall();
  for (const uint32_t call : {SYS_kill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo}) {
    filter.BeginCall(call);
    filter.RefuseUnlessArgument(0, {self});
    filter.EndCall();
  }
  filter.BeginCall(SYS_prlimit64);
  filter.RefuseUnlessArgument(0, {0, self});
  filter.EndCall();
  filter.BeginCall(SYS_ioctl);
  filter.RefuseIfArgument(1, {kTerminalInput, kTerminalConsole});
  filter.EndCall();
  filter.BeginCall(SYS_socket);
  if (options.internet) {
    filter.RefuseUnlessArgument(0, {AF_UNIX, AF_INET, AF_INET6});
  } else {
    filter.RefuseUnlessArgument(0, {AF_UNIX});
    filter.RefuseUnlessArgument(1, {SOCK_STREAM, SOCK_SEQPACKET}, kSocketTypes);
  }
  filter.EndCall();
  return filter.Install();
}

absl::Status ForbidConnections() {
  Filter filter;
  for (const uint32_t call : {SYS_connect, SYS_bind, SYS_listen, SYS_accept, SYS_accept4}) filter.Refuse(call);
  for (const uint32_t call : {SYS_socket, SYS_socketpair}) {
    filter.BeginCall(call);
    filter.RefuseUnlessArgument(0, {AF_UNIX});
    filter.RefuseUnlessArgument(1, {SOCK_STREAM, SOCK_SEQPACKET}, kSocketTypes);  // whose messages go where they are connected to
    filter.EndCall();
  }
  filter.BeginCall(SYS_sendto);
  filter.RefuseUnlessNull(4);
  filter.EndCall();
  return filter.Install();
}

}  // namespace attune::workers
