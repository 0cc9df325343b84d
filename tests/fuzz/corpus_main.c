/*
 * Where there is no libFuzzer: runs LLVMFuzzerTestOneInput() over each file named, and over the files of each folder
 * named.  Fails when there was none, so that a lost corpus is seen.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static long ran;

static int
run_file(const char *path)
{
	uint8_t *data = NULL;
	struct stat st;
	size_t len;
	FILE *f = fopen(path, "rb");

	if (f == NULL || fstat(fileno(f), &st) == -1 ||
	    (data = malloc((size_t)st.st_size + 1)) == NULL) {
		perror(path);
		if (f != NULL)
			fclose(f);
		return -1;
	}
	len = fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	/* A copy of just that size, so that AddressSanitizer sees a read past the end. */
	if (len != 0) {
		uint8_t *exact = realloc(data, len);

		data = exact != NULL ? exact : data;
	}
	LLVMFuzzerTestOneInput(data, len);
	free(data);
	ran++;
	return 0;
}

static int
run(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	char file[4096];
	int rc = 0;

	if (dir == NULL)
		return run_file(path);
	while (rc == 0 && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof file, "%s/%s", path, e->d_name);
		rc = run_file(file);
	}
	closedir(dir);
	return rc;
}

int
main(int argc, char *argv[])
{
	for (int i = 1; i < argc; i++)
		if (run(argv[i]) == -1)
			return 1;
	printf("%ld inputs\n", ran);
	return ran > 0 ? 0 : 1;
}
