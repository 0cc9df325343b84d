/* links: bits_control bits_base */
/*
 * What the kernel tells of a link, with attributes of any kind and length: names end, nothing outside the message, which is padded as the kernel's
 * are, is read.
 */
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include "fuzz.h"
#include "nic_int.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t size = MNL_ALIGN(sizeof(struct nlmsghdr)) + sizeof(struct ifinfomsg) + len;
	struct netlink_list list = {0};
	const struct nlmsghdr *found;
	struct nlmsghdr *m;
	struct nic_link l;

	if (len > 30000 || (m = calloc(1, MNL_ALIGN(size))) == NULL)
		return 0;
	m->nlmsg_len = (uint32_t)size;
	m->nlmsg_type = RTM_NEWLINK;
	((struct ifinfomsg *)mnl_nlmsg_get_payload(m))->ifi_type = len & 1 ? ARPHRD_ETHER : 0;
	memcpy((uint8_t *)mnl_nlmsg_get_payload(m) + sizeof(struct ifinfomsg), data, len);
	nic_link_parse(m, &l);
	assert_true(memchr(l.name, '\0', sizeof l.name) != NULL);
	assert_true(memchr(l.alias, '\0', sizeof l.alias) != NULL);
	assert_true(l.nalt >= 0 && l.nalt <= NIC_ALTNAMES);
	for (int i = 0; i < l.nalt; i++)
		assert_true(memchr(l.alt[i], '\0', sizeof l.alt[i]) != NULL);
	assert_int_equal(netlink_list_add(&list, m), 0);
	assert_non_null(found = netlink_list_next(&list, NULL));
	assert_int_equal(memcmp(found, m, size), 0);
	netlink_list_free(&list);
	free(m);
	return 0;
}
