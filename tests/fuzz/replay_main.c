/* SPDX-License-Identifier: MIT */
/*
 * Runs inputs through a fuzz harness without a fuzzer, so that every machine replays the corpora. Arguments are
 * files, and directories whose files are all run. Output is TAP: one line an argument; a directory without files is a
 * failure, since it would test nothing. An input that breaks an assertion ends the program after its name was printed as a comment.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The size of the copy is the input's, so that a reader that goes too far is seen by the sanitizers. */
static void run_bytes(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static bool run_file(const char *path)
{
	static uint8_t data[1 << 22];
	FILE *f = fopen(path, "rb");
	size_t size;
	bool whole;

	printf("# %s\n", path);
	fflush(stdout);
	if (!f) {
		printf("# cannot open: %s\n", strerror(errno));
		return false;
	}
	size = fread(data, 1, sizeof(data), f);
	whole = feof(f) && !ferror(f);
	fclose(f);
	if (!whole) {
		printf("# cannot be read, or is larger than 4 MiB\n");
		return false;
	}
	run_bytes(data, size);
	return true;
}

static bool run_directory(const char *path)
{
	struct dirent **list;
	int count = scandir(path, &list, NULL, alphasort), files = 0;
	bool good = true;

	if (count < 0) {
		printf("# %s: %s\n", path, strerror(errno));
		return false;
	}
	for (int i = 0; i < count; i++) {
		char file[4096];

		if (list[i]->d_name[0] != '.') {
			snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
			good &= run_file(file);
			files++;
		}
		free(list[i]);
	}
	free(list);
	if (!files)
		printf("# %s: no files\n", path);
	return good && files;
}

int main(int argc, char **argv)
{
	bool all_good = true;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE|DIRECTORY...\n", argv[0]);
		return 2;
	}
	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++) {
		struct stat st;
		bool directory = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode);
		bool good = directory ? run_directory(argv[i]) : run_file(argv[i]);

		printf("%s %d - %s\n", good ? "ok" : "not ok", i, argv[i]);
		all_good &= good;
	}
	return all_good ? 0 : 1;
}
