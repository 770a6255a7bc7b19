/* A disk that fails when told to: preloaded into the process, in front of libc's calls that change files.
 *
 * $FAULTY_ROOT names the folder whose files may fail, $FAULTY_ORDERS a file with one line: ERRNO SHARE DELAY. Each call
 * that changes something below the root then fails with ERRNO in SHARE of 1000 cases (ERRNO 0: never), and flushes take
 * DELAY milliseconds longer. An empty or missing file means a good disk. SQLite calls libc too, so its files fail as well.
 * A failed call does nothing at all; flushes that fail have flushed nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static __thread unsigned seed;

static int below(const char *path) {
    const char *root = getenv("FAULTY_ROOT");
    return root && path && strncmp(path, root, strlen(root)) == 0;
}

static int fd_below(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return below(path);
}

/* The orders as they stand now; read with raw calls, so that it never comes back here. */
static int orders(int *share, int *delay) {
    const char *file = getenv("FAULTY_ORDERS");
    int kept = errno, number = 0;
    *share = *delay = 0;
    static int (*real)(const char *, int, ...);
    if (!real) real = dlsym(RTLD_NEXT, "open");
    int fd = file ? real(file, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        char text[64];
        ssize_t n = read(fd, text, sizeof text - 1);
        close(fd);
        if (n > 0) {
            text[n] = 0;
            sscanf(text, "%d %d %d", &number, share, delay);
        }
    }
    errno = kept;
    return number;
}

/* 1 when this call has to fail; errno is set. */
static int fails(int concerned, int flush) {
    int share, delay, number = orders(&share, &delay);
    if (!concerned) return 0;
    if (flush && delay) {
        struct timespec wait = {delay / 1000, delay % 1000 * 1000000L};
        nanosleep(&wait, NULL);
    }
    if (!number || !share) return 0;
    if (!seed) seed = (unsigned)(size_t)&seed ^ (unsigned)time(NULL) ^ (unsigned)getpid();
    if ((int)(rand_r(&seed) % 1000) >= share) return 0;
    errno = number;
    return 1;
}

#define REAL(kind, name, ...) static kind (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)
#define CHANGES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, name, const char *, int, ...); \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        if (CHANGES(flags) && fails(below(path), 0)) return -1; \
        return real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int at, const char *path, int flags, ...) { \
        REAL(int, name, int, const char *, int, ...); \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        if (CHANGES(flags) && fails(path && path[0] == '/' ? below(path) : fd_below(at), 0)) return -1; \
        return real(at, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *octets, size_t count) {
    REAL(ssize_t, write, int, const void *, size_t);
    return fails(fd_below(fd), 0) ? -1 : real(fd, octets, count);
}
ssize_t writev(int fd, const struct iovec *pieces, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    return fails(fd_below(fd), 0) ? -1 : real(fd, pieces, count);
}
ssize_t pwrite(int fd, const void *octets, size_t count, off_t at) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    return fails(fd_below(fd), 0) ? -1 : real(fd, octets, count, at);
}
ssize_t pwrite64(int fd, const void *octets, size_t count, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    return fails(fd_below(fd), 0) ? -1 : real(fd, octets, count, at);
}
int fsync(int fd) {
    REAL(int, fsync, int);
    return fails(fd_below(fd), 1) ? -1 : real(fd);
}
int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    return fails(fd_below(fd), 1) ? -1 : real(fd);
}
int syncfs(int fd) {
    REAL(int, syncfs, int);
    return fails(fd_below(fd), 1) ? -1 : real(fd);
}
int link(const char *from, const char *to) {
    REAL(int, link, const char *, const char *);
    return fails(below(to), 0) ? -1 : real(from, to);
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    return fails(to[0] == '/' ? below(to) : fd_below(b), 0) ? -1 : real(a, from, b, to, flags);
}
int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    return fails(below(to), 0) ? -1 : real(from, to);
}
int renameat(int a, const char *from, int b, const char *to) {
    REAL(int, renameat, int, const char *, int, const char *);
    return fails(to[0] == '/' ? below(to) : fd_below(b), 0) ? -1 : real(a, from, b, to);
}
int unlink(const char *path) {
    REAL(int, unlink, const char *);
    return fails(below(path), 0) ? -1 : real(path);
}
int ftruncate(int fd, off_t length) {
    REAL(int, ftruncate, int, off_t);
    return fails(fd_below(fd), 0) ? -1 : real(fd, length);
}
int ftruncate64(int fd, off64_t length) {
    REAL(int, ftruncate64, int, off64_t);
    return fails(fd_below(fd), 0) ? -1 : real(fd, length);
}
