/* The calls of the code under test go to simfs.h; as macros with arguments, so that members of the same names stay. */
#define openat(...)		 sim_openat(__VA_ARGS__)
#define read(fd, buf, n)	 sim_read(fd, buf, n)
#define write(fd, buf, n)	 sim_write(fd, buf, n)
#define fsync(fd)		 sim_fsync(fd)
#define fstat(fd, st)		 sim_fstat(fd, st)
#define close(fd)		 sim_close(fd)
#define renameat(a, from, b, to) sim_renameat(a, from, b, to)
#define unlinkat(dir, name, f)	 sim_unlinkat(dir, name, f)
