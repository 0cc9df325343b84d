#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include "lowuser.h"

/* Numbers that neither distributions nor systemd give to anybody (systemd's UIDS-GIDS: "unused"). */
#define FREE_FIRST 60706
#define FREE_LAST  61183

static int
take(struct lowuser *u, const struct passwd *pw, char *why, size_t cap)
{
	if (pw->pw_uid == 0) {
		snprintf(why, cap, "--user: %s is root", pw->pw_name);
		return -1;
	}
	snprintf(u->name, sizeof u->name, "%s", pw->pw_name);
	u->uid = pw->pw_uid;
	u->gid = pw->pw_gid;
	return 0;
}

int
lowuser_find(const char *name, struct lowuser *u, char *why, size_t cap)
{
	const struct passwd *pw = getpwnam(name ? name : LOWUSER_DEFAULT);

	if (pw)
		return take(u, pw, why, cap);
	if (name) {
		snprintf(why, cap,
		    "--user: there is no user %s; to make one: useradd --system --home-dir "
		    "/nonexistent --shell /usr/sbin/nologin %s",
		    name, name);
		return -1;
	}
	for (uid_t n = FREE_FIRST; n <= FREE_LAST; n++) {
		if (getpwuid(n) || getgrgid(n))
			continue;
		snprintf(u->name, sizeof u->name, "%u", (unsigned)n);
		u->uid = n;
		u->gid = n;
		snprintf(why, cap,
		    "there is no user " LOWUSER_DEFAULT
		    ": going on as number %u, which nobody has; "
		    "useradd --system --home-dir /nonexistent --shell "
		    "/usr/sbin/nologin " LOWUSER_DEFAULT " makes one",
		    (unsigned)n);
		return 1;
	}
	snprintf(why, cap, "there is no user " LOWUSER_DEFAULT ", and no number that nobody has");
	return -1;
}
