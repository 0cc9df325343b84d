/*
 * A NIC that cannot leave the host's namespace is cut off from the stack by nftables' netdev hooks: nothing that comes in gets past
 * ingress, nothing leaves but what carries bitsd's mark.  The ETH_P_ALL taps of AF_PACKET see frames before the ingress hook
 * (sockets of one EtherType come after it and see nothing).
 *
 * Spoken to the kernel directly: the nft program may be missing, and a guard must not depend on it.  Where the kernel can
 * (Linux 6.9), the table has an owner and persists: `nft flush ruleset` does not take it, and it outlives us.
 */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include "log.h"
#include "nic_int.h"
#include "tapflags.h"

#define GUARD_PRIORITY (-1000) /* before every other chain */
#ifndef NFT_TABLE_F_PERSIST    /* Linux 6.9 */
#define NFT_TABLE_F_PERSIST 0x4
#endif
#define GUARD_BUF 4096

struct nic_guard {
	struct netlink *nl;     /* owns the table while it is open ... */
	bool owned;             /* ... once it got hold of it */
};

/* A transaction as it is written. */
struct batch {
	_Alignas(struct nlmsghdr) uint8_t buf[GUARD_BUF];
	size_t len;
	uint32_t seq;
};

static struct nlmsghdr *
put(struct batch *b, uint16_t type, uint16_t flags, uint8_t family, uint16_t res)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(b->buf + b->len);
	struct nfgenmsg *nf = mnl_nlmsg_put_extra_header(nlh, sizeof *nf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = ++b->seq;
	nf->nfgen_family = family;
	nf->version = NFNETLINK_V0;
	nf->res_id = htons(res);
	return nlh;
}

static struct nlmsghdr *
put_nft(struct batch *b, uint16_t type, uint16_t flags)
{
	return put(b, (NFNL_SUBSYS_NFTABLES << 8) | type, flags, NFPROTO_NETDEV, 0);
}

static void
done(struct batch *b, const struct nlmsghdr *nlh)
{
	b->len += MNL_ALIGN(nlh->nlmsg_len);
}

static void
begin(struct batch *b)
{
	b->len = 0;
	done(b, put(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
}

static int
commit(struct batch *b, struct netlink *nl)
{
	done(b, put(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
	return netlink_batch(nl, b->buf, b->len);
}

static void
table_name(const char *dev, char out[static 32])
{
	snprintf(out, 32, "bits-guard-%s", dev);
}

static void
put_chain(struct batch *b, const char *table, const char *chain, uint32_t hook, const char *dev)
{
	struct nlmsghdr *nlh = put_nft(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	struct nlattr *nest;

	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, table);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, chain);
	nest = mnl_attr_nest_start(nlh, NFTA_CHAIN_HOOK);
	mnl_attr_put_u32(nlh, NFTA_HOOK_HOOKNUM, htonl(hook));
	mnl_attr_put_u32(nlh, NFTA_HOOK_PRIORITY, htonl((uint32_t)GUARD_PRIORITY));
	mnl_attr_put_strz(nlh, NFTA_HOOK_DEV, dev);
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_put_u32(nlh, NFTA_CHAIN_POLICY, htonl(NF_DROP));
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TYPE, "filter");
	done(b, nlh);
	/* Whatever rules it has from before go. */
	nlh = put_nft(b, NFT_MSG_DELRULE, 0);
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, table);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	done(b, nlh);
}

/* An expression's frame; the caller puts its attributes in between. */
static struct nlattr *
expr_begin(struct nlmsghdr *nlh, const char *name, struct nlattr **data)
{
	struct nlattr *elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);

	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, name);
	*data = mnl_attr_nest_start(nlh, NFTA_EXPR_DATA);
	return elem;
}

static void
expr_end(struct nlmsghdr *nlh, struct nlattr *elem, struct nlattr *data)
{
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, elem);
}

/* "meta mark NIC_MARK accept" */
static void
put_mark_rule(struct batch *b, const char *table, const char *chain)
{
	struct nlmsghdr *nlh = put_nft(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	struct nlattr *list, *elem, *data, *value, *verdict;

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, table);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	list = mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
	elem = expr_begin(nlh, "meta", &data);
	mnl_attr_put_u32(nlh, NFTA_META_KEY, htonl(NFT_META_MARK));
	mnl_attr_put_u32(nlh, NFTA_META_DREG, htonl(NFT_REG_1));
	expr_end(nlh, elem, data);
	elem = expr_begin(nlh, "cmp", &data);
	mnl_attr_put_u32(nlh, NFTA_CMP_SREG, htonl(NFT_REG_1));
	mnl_attr_put_u32(nlh, NFTA_CMP_OP, htonl(NFT_CMP_EQ));
	value = mnl_attr_nest_start(nlh, NFTA_CMP_DATA);
	mnl_attr_put_u32(nlh, NFTA_DATA_VALUE, NIC_MARK); /* the mark's register is in host order */
	mnl_attr_nest_end(nlh, value);
	expr_end(nlh, elem, data);
	elem = expr_begin(nlh, "immediate", &data);
	mnl_attr_put_u32(nlh, NFTA_IMMEDIATE_DREG, htonl(NFT_REG_VERDICT));
	value = mnl_attr_nest_start(nlh, NFTA_IMMEDIATE_DATA);
	verdict = mnl_attr_nest_start(nlh, NFTA_DATA_VERDICT);
	mnl_attr_put_u32(nlh, NFTA_VERDICT_CODE, htonl(NF_ACCEPT));
	mnl_attr_nest_end(nlh, verdict);
	mnl_attr_nest_end(nlh, value);
	expr_end(nlh, elem, data);
	mnl_attr_nest_end(nlh, list);
	done(b, nlh);
}

static int
ingress(struct netlink *nl, const char *table, const char *dev, uint32_t flags)
{
	struct batch b = {.seq = 0};
	struct nlmsghdr *nlh;

	begin(&b);
	nlh = put_nft(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, table);
	mnl_attr_put_u32(nlh, NFTA_TABLE_FLAGS, htonl(flags));
	done(&b, nlh);
	put_chain(&b, table, "ingress", NF_NETDEV_INGRESS, dev);
	return commit(&b, nl);
}

static int
egress(struct netlink *nl, const char *table, const char *dev)
{
	struct batch b = {.seq = 0};

	begin(&b);
	put_chain(&b, table, "egress", NF_NETDEV_EGRESS, dev);
	put_mark_rule(&b, table, "egress");
	return commit(&b, nl);
}

/* Both hooks, ours; 0, or -1 and errno (EPERM: another socket owns the table). */
static int
put_up(struct nic_guard *g, const char *dev)
{
	char table[32];

	table_name(dev, table);
	if (ingress(g->nl, table, dev, NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST) == -1 &&
	    (errno == EPERM || ingress(g->nl, table, dev, 0) == -1))
		return -1;
	g->owned = true;
	/* Linux before 5.16 has no such hook; the device has neither address nor ARP nor IPv6, so there is little to leave. */
	if (egress(g->nl, table, dev) == -1)
		log_warnx("%s: no egress hook: %s", dev, netlink_why(g->nl));
	return 0;
}

/* Is the ingress hook there, whoever owns it? */
static bool
in_force(struct nic_guard *g, const char *dev)
{
	struct nfgenmsg nf = {.nfgen_family = NFPROTO_NETDEV, .version = NFNETLINK_V0};
	struct nlmsghdr *nlh;
	char table[32];

	table_name(dev, table);
	nlh = netlink_request(
	    g->nl, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETCHAIN, 0, &nf, sizeof nf);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, table);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, "ingress");
	return netlink_dump(g->nl, nlh, NULL, NULL) == 0;
}

struct nic_guard *
nic_guard_open(int netns, const char *dev, char *why, size_t cap)
{
	struct nic_guard *g = calloc(1, sizeof *g);
	char text[256];

	if (!g || (g->nl = netlink_open(netns, NETLINK_NETFILTER, 0)) == NULL) {
		nic_why(why, cap, "%s: no nfnetlink (CONFIG_NETFILTER_NETLINK): %s", dev,
		    strerror(errno));
		goto err;
	}
	if (put_up(g, dev) == -1) {
		/* An older struct nic of this process may still hold it: it is inherited when that one lets go. */
		snprintf(text, sizeof text, "%s", netlink_why(g->nl));
		if (errno != EPERM || !in_force(g, dev)) {
			nic_why(why, cap,
			    "%s: the nftables netdev hook (CONFIG_NF_TABLES_NETDEV) that has to "
			    "close it is refused: %s",
			    dev, text);
			goto err;
		}
	}
	return g;
err:
	nic_guard_close(g);
	return NULL;
}

void
nic_guard_inherit(struct nic_guard *g, const char *dev)
{
	if (!g->owned)
		(void)put_up(g, dev);
}

void
nic_guard_close(struct nic_guard *g)
{
	if (!g)
		return;
	netlink_close(g->nl);
	free(g);
}

int
nic_guard_remove(int netns, const char *dev)
{
	struct netlink *nl = netlink_open(netns, NETLINK_NETFILTER, 0);
	struct batch b = {.seq = 0};
	struct nlmsghdr *nlh;
	char table[32];
	int r, e;

	if (!nl)
		return -1;
	table_name(dev, table);
	begin(&b);
	nlh = put_nft(&b, NFT_MSG_DELTABLE, 0);
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, table);
	done(&b, nlh);
	r = commit(&b, nl);
	e = errno;
	netlink_close(nl);
	errno = e;
	return r == -1 && e == ENOENT ? 0 : r;
}
