/* links: bits_control bits_base */
/*
 * The state file of a NIC that was taken, as an accident or another version may have left it: what is taken is stored again as the same, and the
 * messages in it can be walked.  The input is what stands behind the boot and the namespace, which are right.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <linux/rtnetlink.h>
#include <sys/stat.h>
#include "bootid.h"
#include "fuzz.h"
#include "nic_int.h"

static struct nic n;

static void
leave(void)
{
	unlink(n.file);
	rmdir(n.dir);
}

static void
begin(void)
{
	char dir[] = "/dev/shm/bits-fuzz.XXXXXX";

	snprintf(n.name, sizeof n.name, "eth0");
	snprintf(n.netns, sizeof n.netns, "n");
	assert_non_null(mkdtemp(dir));
	snprintf(n.dir, sizeof n.dir, "%s", dir);
	snprintf(n.file, sizeof n.file, "%s/eth0.1.nic", dir);
	atexit(leave);
}

static void
write_file(const uint8_t *data, size_t len)
{
	char head[128], boot[BOOTID_LEN];
	int fd = open(n.file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int k;

	assert_int_equal(bootid(boot), 0);
	k = snprintf(
	    head, sizeof head, "{\"version\": 1, \"boot\": \"%s\", \"netns\": \"n\", ", boot);
	assert_true(
	    fd >= 0 && write(fd, head, (size_t)k) == k && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

/* Each message lies within the list, and so does each attribute. */
static void
walk(const struct netlink_list *l)
{
	const struct nlmsghdr *m = NULL;
	const struct nlattr *a;

	while ((m = netlink_list_next(l, m)) != NULL) {
		size_t head =
		    m->nlmsg_type == RTM_NEWROUTE || m->nlmsg_type == RTM_NEWNEIGH ? 12 : 8;

		assert_true(mnl_nlmsg_get_payload_len(m) >= head);
		mnl_attr_for_each(a, m, head) assert_true(
		    (const uint8_t *)a + a->nla_len <= (const uint8_t *)m + m->nlmsg_len);
	}
}

static bool
same(const struct netlink_list *a, const struct netlink_list *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct nic_state st, again;
	char why[512] = "";

	if (n.name[0] == '\0')
		begin();
	write_file(data, len);
	if (nic_save_load(&n, &st, why, sizeof why) == -1) {
		assert_true(errno == ENOENT || errno == EINVAL);
		return 0;
	}
	walk(&st.conf.addr);
	walk(&st.conf.route);
	walk(&st.conf.neigh);
	n.st = st;
	if (nic_save_store(&n, why, sizeof why) == -1)
		fail_msg("%s", why);
	if (nic_save_load(&n, &again, why, sizeof why) == -1)
		fail_msg("%s", why);
	assert_true(
	    again.phase == st.phase && again.way == st.way && again.saved_ms == st.saved_ms);
	assert_true(strcmp(again.lower, st.lower) == 0);
	assert_true(same(&again.conf.addr, &st.conf.addr) &&
		    same(&again.conf.route, &st.conf.route) &&
		    same(&again.conf.neigh, &st.conf.neigh));
	nic_conf_free(&st.conf);
	nic_conf_free(&again.conf);
	return 0;
}
