/*
 * bitsd's command line.
 */
#ifndef BITS_OPTIONS_H
#define BITS_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>
#include "edge.h"

struct options {
	const char *nic;
	const char *file;
	bool file_said; /* else it is the default, and may be missing */
	bool foreground;
	bool check; /* -n */
	bool restore;
	bool dissolve;
	int verbose;
	const char *debug; /* tokens */
	const char *user;  /* --user; NULL: the default */
	const char *run_dir, *state_dir, *netns, *socket;
	const char *crypto; /* "auto", "openssl", "ipsec-mb" */
	enum edge_lower lower;
	unsigned workers;
	bool no_offload;
	bool stay;   /* --guard-in-place */
	bool shared; /* --group: members of it may use the control socket */
	gid_t group;
	unsigned pmtu_age; /* s; 0: the default */
};

/** options_absolute(path): ${path}, or a copy seen from the root that lives as long as the process: a daemon leaves the directory it was
 * started in. */
const char *options_absolute(const char *path);

/** options_parse(o, argc, argv): fills ${o}, or writes what is wrong (or help) and ends the process. */
void options_parse(struct options *o, int argc, char **argv);

#endif
