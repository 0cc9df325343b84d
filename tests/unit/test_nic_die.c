/* links: bits_control bits_base */
/* root */
/*
 * Die between any two steps of taking the NIC and of giving it back: the next start completes, and what it gives back is what there
 * was before.
 */
#include "nicbed.h"
#include "nic_int.h"

/* The short of bed_look(): this is asked for some hundred times. */
static char *
look(void)
{
	return out("{ ip addr show dev eth0; ip route show table all; ip -6 route show table all; }"
		   " | sed -E -e 's/^[0-9]+: //' -e 's/@if[0-9]+//' -e 's/ link-netns(id)? [^ "
		   "]+//' -e 's/ qdisc [^ ]+//'"
		   " -e 's/ state [A-Z]+//' -e 's/NO-CARRIER,//; s/,LOWER_UP//' -e 's/ "
		   "linkdown//g' -e '/^multicast ff00/d'");
}

/* The short of bed_nothing_left(). */
static void
nothing_left(void)
{
	char path[128];

	snprintf(path, sizeof path, "/run/netns/%s", bed.priv);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(nic_state_file(&bed.o, path, sizeof path), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(if_nametoindex("eth0-bits"), 0);
}

/* Die at step ${k} of taking or giving back; true: there are fewer steps. */
static bool
die_at(unsigned k, bool give)
{
	int st;
	pid_t pid = fork();

	if (pid == 0) {
		struct nic *n;

		if (!give)
			nic_stop_after = k;
		n = nic_take(&bed.o, bed.why, sizeof bed.why);
		if (!n)
			_exit(1);
		if (give) {
			nic_stop_after = k;
			if (nic_give_back(n, bed.why, sizeof bed.why) == -1)
				_exit(1);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_true(WIFEXITED(st) && (WEXITSTATUS(st) == 0 || WEXITSTATUS(st) == 99));
	return WEXITSTATUS(st) == 0;
}

static void
die_everywhere(bool give)
{
	char *before, *after, *during;
	unsigned k;

	nic_link_wait = 0;
	bed_configure(bed_plain);
	before = look();
	for (k = 1;; k++) {
		bool complete = die_at(k, give);
		struct nic *n = bed_take();

		during = look();
		assert_looks(before, during);
		free(during);
		bed_give_back(n);
		after = look();
		if (strcmp(before, after) != 0)
			print_message("died at step %u\n", k);
		assert_looks(before, after);
		free(after);
		nothing_left();
		if (complete)
			break;
	}
	bed_nothing_left();
	assert_true(k > 8);
	free(before);
}

static void
test_die_taking(void **state)
{
	die_everywhere(false);
}

static void
test_die_taking_guarded(void **state)
{
	bed.o.stay = true;
	die_everywhere(false);
}

static void
test_die_giving(void **state)
{
	die_everywhere(true);
}

static void
test_die_giving_guarded(void **state)
{
	bed.o.stay = true;
	die_everywhere(true);
}

int
main(void)
{
#define BED(t) cmocka_unit_test_setup_teardown(t, bed_up, bed_down)
	const struct CMUnitTest tests[] = {
	    BED(test_die_taking),
	    BED(test_die_taking_guarded),
	    BED(test_die_giving),
	    BED(test_die_giving_guarded),
	};

	if (geteuid() != 0)
		return 77;
	return cmocka_run_group_tests_name("nic_die", tests, NULL, NULL);
}
