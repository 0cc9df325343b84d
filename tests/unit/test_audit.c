/* links: bits_control bits_edge bits_walk bits_base bits_spd bits_sadb PkgConfig::JANSSON */
/*
 * RFC 4301 4.4.4 and 5.2, RFC 4302 and 4303 3.4: what an audit event says of a packet that was not let by.
 */
#include "walkbed.h"
#include <jansson.h>
#include <time.h>
#include "audit.h"
#include "conf.h"

static char *told;

static void
tell(void *ctx, const char *json)
{
	(void)ctx;
	free(told);
	told = strdup(json);
}

/* The next audit event of ${h}, as a monitor sees it. */
static json_t *
heard_by(struct host *h)
{
	struct audit *a = audit_new(tell, NULL);
	struct event ev;
	json_t *j;

	do
		assert_true(events_pop(h->w.events, &ev));
	while (ev.kind != EV_AUDIT);
	audit_event(a, &ev);
	audit_free(a);
	j = json_loads(told, 0, NULL);
	assert_non_null(j);
	free(told);
	told = NULL;
	return j;
}

static json_t *
heard(void)
{
	return heard_by(&pr.b);
}

static void
says(const json_t *j, const char *key, const char *want)
{
	const char *got = json_string_value(json_object_get(j, key));

	assert_non_null(got);
	assert_string_equal(got, want);
}

static void
counts(const json_t *j, const char *key, json_int_t want)
{
	assert_true(json_is_integer(json_object_get(j, key)));
	assert_int_equal(json_integer_value(json_object_get(j, key)), want);
}

/* The number stands in the packet, also where its SA is not to be found. */
static void
test_unknown_spi(void **state)
{
	struct pair_sa ah = {
	    IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", NULL, "hmac-sha2-256"};
	const struct pair_sa *sas[] = {&esp4, &ah};
	uint8_t f[200], wire[300];
	uint32_t len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1111, 2222, 0x4000, 20);

	for (unsigned i = 0; i < 2; i++) {
		json_t *j;
		int n;

		pair_protect(&pr, sas[i], 1, "10.0.0.1", "10.0.0.2");
		host_policy(&pr.b, ++pr.generation, NULL, 0, NULL, 0);
		host_send1(&pr.a, f, len);
		assert_true(edge_mem_take(pr.a.w.lower, wire, sizeof wire) > 0);
		host_send1(&pr.a, f, len); /* the second */
		assert_true((n = edge_mem_take(pr.a.w.lower, wire, sizeof wire)) > 0);
		host_receive1(&pr.b, wire, (uint32_t)n);
		j = heard();
		says(j, "event", "audit");
		says(j, "drop", "unknown_spi");
		says(j, "proto", i ? "ah" : "esp");
		says(j, "spi", "0x00001001");
		counts(j, "seq", 2);
		says(j, "src", "10.0.0.1");
		says(j, "dst", "10.0.0.2");
		counts(j, "held_back", 0);
		json_decref(j);

		/* Cut behind the number. */
		n = 14 + 20 + (i ? 12 : 8);
		put16(wire + 16, (uint16_t)(n - 14));
		put16(wire + 24, 0);
		put16(wire + 24, cksum_ip4(wire + 14, 20));
		host_receive1(&pr.b, wire, (uint32_t)n);
		j = heard();
		counts(j, "seq", 2);
		json_decref(j);
	}
}

/* A packet of another flow than the SA's: SPI and number of the SA, addresses and ports of the packet within. */
static void
test_wrong_flow(void **state)
{
	uint8_t f[200];
	uint32_t len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1111, 2222, 0x4000, 20);
	struct policy *other = pair_rule(&esp4, 1, "10.0.0.1", "10.0.0.2", true);
	struct sa *in = pair_sa_new(&esp4, 0x1001, false, SA_DIR_IN, 1000);
	char year[8];
	time_t now = time(NULL);
	struct tm tm;
	json_t *j;

	pair_protect(&pr, &esp4, 1, "10.0.0.1", "10.0.0.2");
	other->sel.proto_any = false;
	other->sel.proto = 6;
	host_policy(&pr.b, ++pr.generation, &other, 1, &in, 1);
	host_send1(&pr.a, f, len);
	assert_int_equal(pair_wire(&pr.a, &pr.b), 1);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_SELECTOR_MISMATCH), 1);
	j = heard();
	says(j, "drop", "selector_mismatch");
	says(j, "dir", "in");
	says(j, "proto", "esp");
	says(j, "spi", "0x00001001");
	counts(j, "seq", 1);
	counts(j, "next", 17);
	counts(j, "sport", 1111);
	counts(j, "dport", 2222);
	counts(j, "flow", 0);
	says(j, "text",
	    "audit in selector_mismatch esp spi 0x00001001 seq 1 from 10.0.0.1 to 10.0.0.2 proto "
	    "17 "
	    "port 1111 to 2222 flow 0x00000: an opened packet is not what its SA's policy covers");
	gmtime_r(&now, &tm);
	strftime(year, sizeof year, "%Y-", &tm);
	assert_memory_equal(json_string_value(json_object_get(j, "time")), year, 5);
	assert_int_equal(strlen(json_string_value(json_object_get(j, "time"))), 24);
	json_decref(j);
}

/* Protocol, SPI and number of the SA that refused. */
static void
names(json_t *j, const char *drop, const char *proto, const char *spi, json_int_t seq)
{
	says(j, "drop", drop);
	says(j, "proto", proto);
	says(j, "spi", spi);
	counts(j, "seq", seq);
	json_decref(j);
}

/* On the way out the SA is named that may not send, also when it is not the bundle's first. */
static void
test_outbound(void **state)
{
	static const struct pair_sa ah = {
	    IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", NULL, "hmac-sha2-256"};
	const struct pair_sa bundle[] = {esp4, ah};
	uint8_t f[200], wire[300];
	uint32_t len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1111, 2222, 0x4000, 20);

	for (unsigned at = 0; at < 2; at++) {
		const char *proto = at ? "ah" : "esp", *spi = at ? "0x00001002" : "0x00001001";
		struct seq *s;

		pair_protect(&pr, bundle, 2, "10.0.0.1", "10.0.0.2");
		s = &sadb_at(pr.a.w.gen->sad, 2 * at)->seq;
		s->reserved = s->next;
		host_send1(&pr.a, f, len);
		names(heard_by(&pr.a), "seq_unreserved", proto, spi, 0);
		s->reserved = s->next = SEQ_LAST + 1;
		host_send1(&pr.a, f, len);
		names(heard_by(&pr.a), "seq_exhausted", proto, spi, 0);
	}
	assert_int_equal(edge_mem_take(pr.a.w.lower, wire, sizeof wire), -1);
}

/* A replay names its number, and a nested SA that refuses is named and not the one around it. */
static void
test_inbound(void **state)
{
	static const struct pair_sa ah = {IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", NULL,
					"hmac-sha2-256"},
				    wrong = {IPSEC_AH, MODE_TRANSPORT, "10.0.0.2", "10.0.0.1", NULL,
					"hmac-sha2-256"}; /* another key */
	const struct pair_sa bundle[] = {ah, esp4};
	struct policy *r = pair_rule(bundle, 2, "10.0.0.1", "10.0.0.2", true);
	struct sa *sas[2];
	uint8_t wire[300];
	uint32_t n;

	pair_protect(&pr, &esp4, 1, "10.0.0.1", "10.0.0.2");
	n = sealed(wire, 20);
	host_receive1(&pr.b, wire, n);
	host_receive1(&pr.b, wire, n);
	names(heard(), "replay_dup", "esp", "0x00001001", 1);

	pair_protect(&pr, bundle, 2, "10.0.0.1", "10.0.0.2");
	sas[0] = pair_sa_new(&wrong, 0x1001, true, SA_DIR_IN, 1000);
	sas[1] = pair_sa_new(&esp4, 0x1002, false, SA_DIR_IN, 1000);
	host_policy(&pr.b, ++pr.generation, &r, 1, sas, 2);
	host_receive1(&pr.b, wire, sealed(wire, 20));
	names(heard(), "auth_failed", "ah", "0x00001001", 1);
}

/* ESP and AH neither protect nor open a fragment (RFC 4303 3.3.4, 3.4.1; RFC 4302 3.3.4, 3.4.1); here, where nothing puts them together. */
static void
test_fragments(void **state)
{
	static const struct pair_sa ah = {
	    IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", NULL, "hmac-sha2-256"};
	const struct pair_sa *sas[] = {&esp4, &ah};
	struct reasm *a = pr.a.w.reasm, *b = pr.b.w.reasm;
	uint8_t f[200], wire[300];
	uint32_t len = frame_make_udp(f, "10.0.0.1", "10.0.0.2", 1111, 2222, 0x2000, 32), n;

	for (unsigned i = 0; i < 2; i++) {
		pair_protect(&pr, sas[i], 1, "10.0.0.1", "10.0.0.2");
		n = sealed(wire, 20);
		pr.a.w.reasm = pr.b.w.reasm = NULL;
		host_send1(&pr.a, f, len);
		assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_FRAGMENT_OUT), i + 1);
		put16(wire + 20, 0x2000); /* more fragments */
		put16(wire + 24, 0);
		put16(wire + 24, cksum_ip4(wire + 14, 20));
		host_receive1(&pr.b, wire, n);
		assert_int_equal(dropped(&pr.b, DIR_IN, DROP_FRAGMENT_IN), i + 1);
		names(heard(), "fragment_in", i ? "ah" : "esp", "0x00000000", 0);
		pr.a.w.reasm = a;
		pr.b.w.reasm = b;
	}
}

/* The flow label is the packet's (RFC 4302 3.4, RFC 4303 3.4: cleartext flow ID). */
static void
test_flow_label(void **state)
{
	uint8_t f[200];
	uint32_t len = frame_make_udp(f, "fd00::1", "fd00::2", 1111, 2222, 0, 20);
	json_t *j;

	pair_protect(&pr, &esp4, 1, "10.0.0.1", "10.0.0.2");
	put32(f + 14, 6u << 28 | 0xabcde);
	host_send1(&pr.a, f, len);
	j = heard_by(&pr.a);
	says(j, "drop", "policy_default");
	says(j, "dir", "out");
	counts(j, "flow", 0xabcde);
	json_decref(j);
}

/* A flood: few events, and the next one says how many it stands for. */
static void
test_flood(void **state)
{
	uint8_t wire[300];
	unsigned told_of = 0;
	struct event ev;
	json_t *j;
	uint32_t n;

	pair_protect(&pr, &esp4, 1, "10.0.0.1", "10.0.0.2");
	n = sealed(wire, 20);
	put32(wire + 34, 0x9999);
	for (unsigned i = 0; i < 1000; i++)
		host_receive1(&pr.b, wire, n);
	while (events_pop(pr.b.w.events, &ev))
		told_of++;
	assert_true(told_of > 0 && told_of <= 200);
	pr.b.w.now += 10000;
	host_receive1(&pr.b, wire, n);
	j = heard();
	counts(j, "held_back", 1000 - told_of);
	json_decref(j);
}

/* What a monitor reads, to the octet, but for the time. */
static void
is_line(const char *want)
{
	char *at, *line = told;

	assert_non_null(line);
	at = strstr(line, "\"time\":\"");
	assert_non_null(at);
	assert_int_equal(at[8 + 10], 'T');
	assert_int_equal(at[8 + 23], 'Z');
	memset(at + 8, '-', 24);
	assert_string_equal(line, want);
	free(told);
	told = NULL;
}

static void
test_lines(void **state)
{
	static const char rule[] =
	    "flow esp tunnel proto tcp from 10.0.0.1 to 10.2.0.0/16 peer 192.0.2.7 reqid 7 srcid "
	    "me.example.org dstid you.example.org pfp remote ports type acquire";
	struct event ev = {.kind = EV_AUDIT,
	    .dir = DIR_IN,
	    .drop = DROP_CLEAR_DENIED,
	    .now = 1500,
	    .held_back = 3,
	    .flowlabel = 0x12345};
	struct conf_opts o = {.any_owner = true, .no_files = true};
	struct audit *a = audit_new(tell, NULL);
	struct diags ds = {0};
	struct conf c;

	/* a clear packet that policy wants protected */
	ipaddr_parse("fd00::2", &ev.src);
	ipaddr_parse("fd00::1", &ev.dst);
	ev.key = (struct flowkey){.local = ev.dst,
	    .remote = ev.src,
	    .proto = 6,
	    .ports = PORTS_PORTS,
	    .lport = 22,
	    .rport = 4711,
	    .dir = DIR_IN,
	    .vlan = VLAN_NONE};
	audit_event(a, &ev);
	is_line("{\"event\":\"audit\",\"time\":\"------------------------\",\"dir\":\"in\",\"src\":"
		"\"fd00::2\","
		"\"dst\":\"fd00::1\",\"now_ms\":1500,\"held_back\":3,\"text\":\"audit in "
		"clear_denied from "
		"fd00::2 to fd00::1 proto 6 port 4711 to 22 flow 0x12345: a clear packet that "
		"policy wants "
		"protected\",\"drop\":\"clear_denied\",\"next\":6,\"flow\":74565,\"sport\":4711,"
		"\"dport\":22}");

	/* an SA */
	ev = (struct event){.kind = EV_SA_HARD,
	    .dir = DIR_OUT,
	    .proto = IPSEC_AH,
	    .spi = 0x1001,
	    .seq = UINT64_C(1) << 33,
	    .now = 2000};
	ipaddr_parse("10.0.0.1", &ev.src);
	ipaddr_parse("10.0.0.2", &ev.dst);
	audit_event(a, &ev);
	is_line(
	    "{\"event\":\"sa_hard\",\"time\":\"------------------------\",\"dir\":\"out\",\"src\":"
	    "\"10.0.0.1\","
	    "\"dst\":\"10.0.0.2\",\"now_ms\":2000,\"held_back\":0,\"text\":\"sa_hard out - ah spi "
	    "0x00001001 seq 8589934592 from 10.0.0.1 to 10.0.0.2 flow 0x00000\",\"proto\":\"ah\","
	    "\"spi\":\"0x00001001\",\"seq\":8589934592}");

	/* an SA that is wanted: the text is a statement, but for what a key daemon chooses */
	conf_init(&c);
	assert_int_equal(conf_parse_text("t", rule, strlen(rule), &o, &c, &ds), 0);
	ev = (struct event){.kind = EV_ACQUIRE, .dir = DIR_OUT, .proto = IPSEC_ESP, .now = 2500};
	ipaddr_parse("10.0.0.1", &ev.src);
	ipaddr_parse("192.0.2.7", &ev.dst);
	ev.key = (struct flowkey){.local = ev.src,
	    .proto = 6,
	    .ports = PORTS_PORTS,
	    .lport = 4711,
	    .rport = 80,
	    .vlan = VLAN_NONE};
	ipaddr_parse("10.2.3.4", &ev.key.remote);
	audit_acquire(a, &ev, c.rule[0]);
	is_line("{\"event\":\"acquire\",\"time\":\"------------------------\",\"dir\":\"out\","
		"\"src\":\"10.0.0.1\","
		"\"dst\":\"192.0.2.7\",\"now_ms\":2500,\"held_back\":0,\"text\":\"acquire esp "
		"tunnel from "
		"10.0.0.1 to 192.0.2.7 reqid 7 for proto tcp from 10.0.0.1 port 4711 to 10.2.3.4 "
		"port 80\","
		"\"next\":6,\"flow\":0,\"sport\":4711,\"dport\":80,\"proto\":\"esp\",\"request\":{"
		"\"text\":\"esp tunnel "
		"from 10.0.0.1 to 192.0.2.7 reqid 7 for proto tcp from 10.0.0.1 port 4711 to "
		"10.2.3.4 port 80\","
		"\"mode\":\"tunnel\",\"reqid\":7,\"srcid\":\"me.example.org\",\"dstid\":\"you."
		"example.org\"}}");
	conf_free(&c);
	diags_free(&ds);
	audit_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_unknown_spi, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_wrong_flow, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_outbound, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_inbound, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_fragments, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_flow_label, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
	    cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
