#include "csup_system.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "csup_lock.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define HUGE_PAGE ((size_t)2 << 20)

const int csup_o_direct = O_DIRECT;

int csup_open_at(int directory, const char *name, int flags, unsigned mode) {
  return openat(directory, name, flags | O_CLOEXEC, (mode_t)mode);
}

long csup_write_dsync(int file, const void *bytes, size_t length, uint64_t offset) {
  struct iovec piece = {(void *)bytes, length};
  return pwritev2(file, &piece, 1, (off_t)offset, RWF_DSYNC);
}

int csup_lock_byte(int file, uint64_t byte, bool shared) {
  struct flock lock = {
      .l_type = shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};
  if (fcntl(file, F_OFD_SETLK, &lock) == 0) return 0;
  return errno == EAGAIN || errno == EACCES ? 1 : -1;
}

int csup_unlock_byte(int file, uint64_t byte) {
  struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};
  return fcntl(file, F_OFD_SETLK, &lock);
}

int csup_find_lock(int file, uint64_t begin, uint64_t end, uint64_t *first, uint64_t *last) {
  struct flock lock = {
      .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)begin, .l_len = (off_t)(end - begin)};
  if (fcntl(file, F_OFD_GETLK, &lock) != 0) return -1;
  if (lock.l_type == F_UNLCK) return 0;
  *first = (uint64_t)lock.l_start;
  /* A length of 0 means to the end of all files. */
  *last = lock.l_len == 0 ? (uint64_t)INT64_MAX : (uint64_t)(lock.l_start + lock.l_len - 1);
  return 1;
}

int csup_byte_is_locked(int file, uint64_t byte, uint64_t length) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = (off_t)length};
  if (fcntl(file, F_OFD_GETLK, &lock) != 0) return -1;
  return lock.l_type == F_UNLCK ? 0 : 1;
}

/* The private descriptors of this process. A process holds a handful: its own slot and roles in each database that it
 * has open; 4096 databases' worth is beyond any limit on open files that such a process would run under. */
#define MAX_PRIVATE 4096
static pthread_mutex_t private_mutex = PTHREAD_MUTEX_INITIALIZER;
static int private_files[MAX_PRIVATE];
static int private_count;
uint32_t csup_forks;

/* Held over fork, so that no descriptor is between being opened and being known when the child is made. */
static void before_fork(void) { pthread_mutex_lock(&private_mutex); }
static void after_fork_in_parent(void) { pthread_mutex_unlock(&private_mutex); }
static void after_fork_in_child(void) {
  __atomic_store_n(&csup_forks, csup_forks + 1, __ATOMIC_RELAXED);
  while (private_count > 0) close(private_files[--private_count]);
  csup_lock_forget();
  pthread_mutex_unlock(&private_mutex);
}
__attribute__((constructor)) static void watch_forks(void) {
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

int csup_open_private(int directory, const char *name, bool writable) {
  int file = -1;
  pthread_mutex_lock(&private_mutex);
  if (private_count == MAX_PRIVATE) {
    errno = EMFILE;
  } else {
    file = openat(directory, name, (writable ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW,
                  (mode_t)0600);
    if (file >= 0) private_files[private_count++] = file;
  }
  int number = errno;
  pthread_mutex_unlock(&private_mutex);
  errno = number;
  return file;
}

void csup_close_private(int file) {
  pthread_mutex_lock(&private_mutex);
  for (int i = 0; i < private_count; i++) {
    if (private_files[i] != file) continue;
    private_files[i] = private_files[--private_count];
    /* Closing is not enough: a child that is about to execute a program may have the description, too. */
    struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    fcntl(file, F_OFD_SETLK, &all);
    close(file);
    break;
  }
  pthread_mutex_unlock(&private_mutex);
}

const char *csup_network_file_system(int file) {
  struct statfs info;
  return fstatfs(file, &info) == 0 ? csup_network_kind((uint32_t)info.f_type) : NULL;
}

const char *csup_network_kind(uint32_t magic) {
  switch (magic) { /* as in linux/magic.h, and as statfs(2) lists those that are missing there */
    case 0x6969: return "NFS";
    case 0xFF534D42: return "CIFS";
    case 0xFE534D42: return "SMB2";
    case 0x517B: return "SMB";
    case 0x01021997: return "9P";
    case 0x5346414F: return "AFS";
    case 0x6B414653: return "AFS";
    case 0x00C36400: return "Ceph";
    case 0x0BD00BD0: return "Lustre";
    case 0x47504653: return "GPFS";
    case 0x7461636F: return "OCFS2";
    case 0x01161970: return "GFS2";
    case 0x73757245: return "Coda";
    case 0x20030528: return "OrangeFS";
    case 0x19830326: return "BeeGFS";
    case 0x786F4256: return "VirtualBox shared folders";
    default: return NULL;
  }
}

int csup_boot_id(uint8_t id[16]) {
  char text[40] = {0};
  int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno;
  long length = read(file, text, sizeof text - 1);
  close(file);
  if (length < 36) return EIO;
  int digits = 0;
  memset(id, 0, 16);
  for (int i = 0; i < 36 && digits < 32; i++) {
    char c = text[i];
    int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (value < 0) continue;
    id[digits / 2] = (uint8_t)(id[digits / 2] << 4 | value);
    digits++;
  }
  return digits == 32 ? 0 : EIO;
}

void *csup_map_anonymous(size_t length) {
  void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  madvise(memory, length, MADV_HUGEPAGE); /* fewer faults, fewer TLB misses; refused is no loss */
  return memory;
}

void csup_populate(void *memory, size_t length) { madvise(memory, length, MADV_POPULATE_WRITE); }

int csup_reserve_mapped(int file, void *memory, uint64_t offset, uint64_t end) {
  const size_t page = 4096;
  while (offset < end) {
    uint64_t stop = (offset + HUGE_PAGE) & ~(uint64_t)(HUGE_PAGE - 1);
    if (offset % HUGE_PAGE == 0 && stop <= end) {
      /* Of one page that is there and holes the kernel makes a huge page without copying; refused is no loss. */
      volatile const uint8_t *first = (volatile const uint8_t *)memory + offset;
      if (fallocate(file, 0, (off_t)offset, (off_t)page) != 0) return -1;
      (void)*first;
      madvise((uint8_t *)memory + offset, HUGE_PAGE, MADV_COLLAPSE);
    }
    if (stop > end) stop = end;
    if (fallocate(file, 0, (off_t)offset, (off_t)(stop - offset)) != 0) return -1;
    offset = stop;
  }
  return 0;
}

void *csup_map_shared(int file, size_t length, bool writable) {
  /* Where the file's huge pages, if it has any, can be mapped as such. */
  size_t spare = length >= HUGE_PAGE ? HUGE_PAGE : 0;
  uint8_t *room = mmap(NULL, length + spare, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return NULL;
  uint8_t *place = room;
  if (spare) place = (uint8_t *)(((uintptr_t)room + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
  const size_t page = 4096, end = (length + page - 1) & ~(page - 1);
  if (place > room) munmap(room, (size_t)(place - room));
  if (place + end < room + length + spare) munmap(place + end, (size_t)(room + length + spare - place) - end);
  int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void *memory = mmap(place, length, protection, MAP_SHARED | MAP_FIXED, file, 0);
  if (memory == MAP_FAILED) {
    int number = errno;
    munmap(place, end);
    errno = number;
    return NULL;
  }
  madvise(memory, length, MADV_DONTFORK); /* a child must not take part by accident */
  return memory;
}

void csup_unmap(void *memory, size_t length) { munmap(memory, length); }

int csup_sync_mapping(void *memory, size_t length) { return msync(memory, length, MS_SYNC) == 0 ? 0 : errno; }

int csup_reserve(int file, uint64_t length) { return fallocate(file, 0, 0, (off_t)length); }

int csup_file_identity(int file, uint64_t *device, uint64_t *inode, uint64_t *size) {
  struct stat info;
  if (fstat(file, &info) != 0) return -1;
  if (!S_ISREG(info.st_mode)) return errno = EINVAL, -1;
  *device = info.st_dev;
  *inode = info.st_ino;
  *size = (uint64_t)info.st_size;
  return 0;
}

void csup_name_thread(const char *name) {
  char cut[16];
  snprintf(cut, sizeof cut, "%s", name);
  pthread_setname_np(pthread_self(), cut);
}
