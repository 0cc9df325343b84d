/* links: bits_spd bits_sadb */
/*
 * The policy language where golden files do not reach: random round trips, limits, who may read a file with keys, what an
 * error leaves behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "conf.h"

#define KEY20 "0x000102030405060708090a0b0c0d0e0f10111213"

static uint64_t seed;

/* xorshift64*: the same cases each run. */
static uint32_t
rnd(uint32_t n)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545f4914f6cdd1dULL) >> 33) % n;
}

static struct ipaddr
random_addr(uint8_t af)
{
	uint8_t b[16];

	for (size_t i = 0; i < sizeof b; i++)
		b[i] = rnd(4) == 0 ? (uint8_t)(rnd(2) * 255) : (uint8_t)rnd(256);
	b[0] = (uint8_t)(1 + rnd(200)); /* neither unspecified nor multicast */
	return ipaddr_from(af, b);
}

static struct iprange
random_range(uint8_t af)
{
	struct iprange r = {.lo = random_addr(af)};
	char text[IPADDR_STRLEN + 8], buf[IPADDR_STRLEN];
	struct ipaddr other = random_addr(af);

	r.hi = r.lo;
	switch (rnd(4)) {
	case 0:
		return (struct iprange){.lo = {.af = 0}};
	case 1:
		snprintf(
		    text, sizeof text, "%s/%u", ipaddr_print(&r.lo, buf), rnd(af == 4 ? 33 : 129));
		assert_int_equal(iprange_parse(text, &r), 0);
		break;
	case 2:
		if (ipaddr_cmp(&r.lo, &other) <= 0)
			r.hi = other;
		else
			r.lo = other;
		break;
	}
	return r;
}

static void
random_ports(uint8_t *match, struct portrange *r)
{
	uint16_t a = (uint16_t)rnd(65536), b = (uint16_t)rnd(65536);

	*match = (uint8_t)rnd(3);
	if (*match == MATCH_RANGE)
		*r = rnd(2)  ? (struct portrange){a, a}
		     : a < b ? (struct portrange){a, b}
			     : (struct portrange){b, a};
}

static void
random_types(struct selector *s)
{
	uint16_t a = (uint16_t)rnd(256), b = (uint16_t)(a + rnd(256 - a));

	s->lmatch = (uint8_t)rnd(3);
	if (s->lmatch != MATCH_RANGE)
		return;
	if (s->proto == 135 || rnd(2)) /* types with all their codes */
		s->lport = (struct portrange){(uint16_t)(a << 8), (uint16_t)(b << 8 | 255)};
	else { /* one type, some codes */
		uint16_t t = (uint16_t)(rnd(256) << 8);

		s->lport = (struct portrange){t | a, t | b};
	}
}

static char *
random_text(void)
{
	static const char from[] = "abcXYZ019 \t\"'\\$#{},=@:";
	size_t n = rnd(12);
	char *s = calloc(1, n + 1);

	assert_non_null(s);
	for (size_t i = 0; i < n; i++)
		s[i] = from[rnd(sizeof from - 1)];
	return s;
}

static void
random_step(struct sa_template *t, const struct selector *s, bool first)
{
	uint8_t af = rnd(2) ? 4 : 6;

	t->proto = rnd(2) ? IPSEC_ESP : IPSEC_AH;
	t->mode = rnd(2) ? MODE_TUNNEL : MODE_TRANSPORT;
	t->reqid = rnd(2) ? rnd(UINT32_MAX) : 0;
	if (t->mode == MODE_TRANSPORT && !first)
		return;
	if (t->mode == MODE_TRANSPORT) {
		if (s->remote.lo.af != 0 && rnd(2))
			t->peer = s->remote.hi;
		return;
	}
	t->peer = random_addr(af);
	if (rnd(2))
		t->local = random_addr(af);
}

static struct policy *
random_rule(void)
{
	static const uint8_t protos[] = {6, 17, 132, 33, 136, 1, 58, 135, 50, 89, 200};
	static const enum policy_action action[] = {
	    ACT_PROTECT, ACT_PROTECT, ACT_PROTECT, ACT_PROTECT, ACT_BYPASS, ACT_DISCARD};
	struct policy *p = policy_new();
	struct selector *s;
	uint8_t af = rnd(2) ? 4 : 6;

	assert_non_null(p);
	s = &p->sel;
	p->dirs = (uint8_t)(1 + rnd(3));
	p->type = (uint8_t)rnd(6);
	p->action = (uint8_t)action[p->type];
	s->local = random_range(af);
	s->remote = random_range(af);
	s->vlan = rnd(4) == 0 ? (uint16_t)rnd(4095) : VLAN_NONE;
	if (rnd(8) == 0) {
		s->proto_any = false;
		s->proto_opaque = true;
	} else if (rnd(3) != 0) {
		s->proto_any = false;
		s->proto = protos[rnd(sizeof protos)];
		if (proto_has_ports(s->proto)) {
			random_ports(&s->lmatch, &s->lport);
			random_ports(&s->rmatch, &s->rport);
		} else if (s->proto == 1 || s->proto == 58 || s->proto == 135) {
			random_types(s);
		}
	}
	if (p->action == ACT_PROTECT) {
		p->nsteps = (uint8_t)(1 + rnd(POLICY_STEPS_MAX));
		for (unsigned i = 0; i < p->nsteps; i++)
			random_step(&p->step[i], s, i == 0);
		if (policy_names_fragments(p) && p->step[0].mode == MODE_TRANSPORT) {
			p->step[0] = (struct sa_template){
			    .proto = IPSEC_ESP, .mode = MODE_TUNNEL, .peer = random_addr(af)};
		}
	}
	if (p->nsteps == 1 && p->action == ACT_PROTECT)
		p->pfp = (uint8_t)rnd(16);
	if (p->action != ACT_PROTECT || p->step[0].mode == MODE_TUNNEL)
		p->frags = (uint8_t)rnd(2);
	if (rnd(4) == 0)
		p->srcid = random_text();
	if (rnd(4) == 0)
		p->dstid = random_text();
	assert_null(policy_check(p));
	return p;
}

static struct secret *
random_key(const struct alg *a)
{
	uint8_t b[SECRET_MAX];
	struct secret *s;
	unsigned n = 1;
	size_t len;

	if (a == NULL || a->key[0] == 0)
		return NULL;
	while (n < 3 && a->key[n] != 0)
		n++;
	len = (size_t)a->key[rnd(n)] + a->salt;
	for (size_t i = 0; i < len; i++)
		b[i] = (uint8_t)rnd(256);
	s = secret_new(b, len);
	assert_non_null(s);
	return s;
}

static const struct alg *
random_alg(bool is_auth)
{
	size_t n = 0;
	const struct alg *a;

	while (alg_at(n) != NULL)
		n++;
	do
		a = alg_at(rnd((uint32_t)n));
	while (a->is_auth != is_auth);
	return a;
}

static void
random_lifetime(struct lifetime *l)
{
	if (rnd(3) == 0)
		l->packets = 1 + rnd(1u << 30);
	if (rnd(3) == 0)
		l->octets = 1 + ((uint64_t)rnd(1u << 30) << rnd(32));
	if (rnd(3) == 0)
		l->ms = 1000 * (uint64_t)(1 + rnd(1u << 30));
}

static struct sa_ports
random_for_ports(void)
{
	struct sa_ports p = {.any = rnd(3) == 0};

	if (!p.any) {
		p.lo = (uint16_t)rnd(65536);
		p.hi = (uint16_t)(p.lo + rnd(65536u - p.lo));
	}
	return p;
}

/* What `for` names, or NULL. */
static struct sa_selector *
random_for(uint8_t af)
{
	struct sa_selector s = {.proto_any = rnd(3) == 0, .sport.any = true, .dport.any = true};

	if (rnd(3) != 0)
		return NULL;
	s.src = random_range(af);
	s.dst = random_range(af);
	if (!s.proto_any)
		s.proto = (uint8_t)rnd(256);
	if (!s.proto_any && proto_has_ports(s.proto)) {
		s.sport = random_for_ports();
		s.dport = random_for_ports();
	}
	return sa_selector_new(&s);
}

static void
random_sa(struct sa_params *p)
{
	uint8_t af = rnd(2) ? 4 : 6;

	for (;;) {
		sa_params_init(p);
		p->proto = rnd(2) ? IPSEC_ESP : IPSEC_AH;
		p->mode = rnd(2) ? MODE_TUNNEL : MODE_TRANSPORT;
		p->frag = p->mode == MODE_TUNNEL && rnd(2) ? FRAG_AFTER : FRAG_BEFORE;
		p->dir = (enum sa_dir)rnd(3);
		p->spi = SPI_MIN + rnd(UINT32_MAX - SPI_MIN);
		p->src = random_addr(af);
		p->dst = random_addr(af);
		p->enc = p->proto == IPSEC_ESP ? random_alg(false) : NULL;
		p->auth = p->enc != NULL && p->enc->aead ? NULL : random_alg(true);
		p->enckey = random_key(p->enc);
		p->authkey = random_key(p->auth);
		p->weak = (p->enc != NULL && p->enc->weak) || (p->auth != NULL && p->auth->weak);
		p->reqid = rnd(2) ? rnd(UINT32_MAX) : 0;
		p->esn = rnd(2);
		p->replay = rnd(2)   ? REPLAY_DEFAULT
			    : rnd(2) ? 0
				     : REPLAY_MIN + rnd(REPLAY_MAX - REPLAY_MIN + 1);
		if (p->proto == IPSEC_ESP && rnd(3) == 0) {
			p->encap_sport = (uint16_t)(1 + rnd(65535));
			p->encap_dport = (uint16_t)(1 + rnd(65535));
			p->follow = rnd(2);
		}
		if (p->proto == IPSEC_ESP && p->mode == MODE_TUNNEL && rnd(3) == 0)
			p->tfc = rnd(65536);
		if (p->proto == IPSEC_AH)
			p->ahpad = rnd(2) ? 4 : 8;
		p->df = (enum df_policy)rnd(3);
		p->ecn = rnd(2);
		p->mss = (uint16_t[]){0, MSS_AUTO, MSS_MIN, 1360, 65535}[rnd(5)];
		p->dscp = rnd(2) ? -1 : (int16_t)rnd(64);
		random_lifetime(&p->soft);
		random_lifetime(&p->hard);
		p->sel = random_for(af);
		if (sa_params_check(p) == NULL)
			return;
		sa_params_fini(p); /* such as GMAC of AH in ESP */
	}
}

static int
parse(const char *text, const struct conf_opts *o, struct conf *c, struct diags *ds)
{
	return conf_parse_text("t", text, strlen(text), o, c, ds);
}

static void
test_rules_round_trip(void **state)
{
	seed = 4711;
	for (int i = 0; i < 20000; i++) {
		struct policy *p = random_rule();
		struct diags ds = {0};
		struct conf c;
		char *text = NULL;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		conf_print_rule(p, out);
		fclose(out);
		conf_init(&c);
		if (conf_parse_text("t", text, len, NULL, &c, &ds) == -1) {
			diags_print(&ds, stderr);
			fail_msg("not read: %s", text);
		}
		assert_int_equal(c.nrules, 1);
		if (!policy_eq(p, c.rule[0]))
			fail_msg("read as another: %s", text);
		free(text);
		conf_free(&c);
		policy_unref(p);
	}
}

static void
test_sas_round_trip(void **state)
{
	seed = 42;
	for (int i = 0; i < 10000; i++) {
		struct sa_params p;
		struct diags ds = {0};
		struct conf c;
		char *text = NULL;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		random_sa(&p);
		conf_print_sa(&p, true, out);
		fclose(out);
		conf_init(&c);
		if (conf_parse_text("t", text, len, NULL, &c, &ds) == -1) {
			diags_print(&ds, stderr);
			fail_msg("not read: %s", text);
		}
		assert_int_equal(c.nsas, 1);
		if (!sa_params_eq(&p, &c.sa[0]) || p.dir != c.sa[0].dir)
			fail_msg("read as another: %s", text);
		free(text);
		conf_free(&c);
		diags_free(&ds); /* warnings of weak algorithms */
		sa_params_fini(&p);
	}
}

/* Without -k no key is in the text, and the text does not load. */
static void
test_hidden_keys(void **state)
{
	struct diags ds = {0};
	struct conf c;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	conf_init(&c);
	assert_int_equal(
	    parse("esp from 10.0.0.1 to 10.0.0.2 spi 4096 enc aes-128-gcm enckey " KEY20, NULL, &c,
		&ds),
	    0);
	conf_print(&c, false, out);
	fclose(out);
	assert_null(strstr(text, "0001020304"));
	conf_free(&c);
	assert_int_equal(conf_parse_text("t", text, len, NULL, &c, &ds), -1);
	assert_int_equal(c.nsas, 0);
	free(text);
	conf_free(&c);
	diags_free(&ds);
}

static void
test_error_leaves_all_as_it_was(void **state)
{
	static const char good[] =
	    "builtin arp type deny\nflow from 10.0.0.1 to any type deny\n"
	    "esp from 10.0.0.1 to 10.0.0.2 spi 4096 enc aes-128-gcm enckey " KEY20 "\n"
	    "ike from 10.0.0.1 to any\n";
	static const char bad[] =
	    "builtin { arp, nd } type none\nflow from 10.0.0.2 to any type deny\n"
	    "esp from 10.0.0.1 to 10.0.0.3 spi 4096 enc aes-128-gcm enckey " KEY20 "\n"
	    "ike from 10.0.0.2 to any\nflow from 10.0.0.3 to any type nonsense\n";
	struct diags ds = {0};
	struct conf c;

	conf_init(&c);
	assert_int_equal(parse(good, NULL, &c, &ds), 0);
	assert_int_equal(parse(bad, NULL, &c, &ds), -1);
	assert_int_equal(ds.errors, 1);
	assert_string_equal(ds.d[0].file, "t");
	assert_int_equal(ds.d[0].line, 5);
	assert_int_equal(ds.d[0].col, 32);
	assert_int_equal(c.nrules, 1);
	assert_int_equal(c.nsas, 1);
	assert_int_equal(c.nforeign, 1);
	assert_int_equal(c.builtin[BUILTIN_ARP], BUILTIN_DENY);
	assert_false(c.builtin_said[BUILTIN_ND]);
	/* an error of an earlier text is not one of the next */
	assert_int_equal(parse(good, NULL, &c, &ds), 0);
	assert_int_equal(c.nrules, 2);
	assert_string_equal(c.rule_at[1].file, "t");
	assert_int_equal(c.rule_at[1].line, 2);
	assert_int_equal(c.sa_at[1].line, 3);
	conf_free(&c);
	diags_free(&ds);
}

static void
test_names_need_a_resolver(void **state)
{
	struct diags ds = {0};
	struct conf c;

	conf_init(&c);
	assert_int_equal(parse("flow from localhost to any type deny", NULL, &c, &ds), -1);
	assert_non_null(strstr(ds.d[0].text, "no address, near 'localhost'"));
	conf_free(&c);
	diags_free(&ds);
}

static void
test_no_files(void **state)
{
	const struct conf_opts o = {.no_files = true};
	struct diags ds = {0};
	struct conf c;

	conf_init(&c);
	assert_int_equal(parse("include \"/etc/hostname\"\n"
			       "esp from 10.0.0.1 to 10.0.0.2 spi 4096 enc aes-128-gcm enckey file "
			       "\"/etc/hostname\"\n",
			     &o, &c, &ds),
	    -1);
	assert_int_equal(ds.n, 2);
	assert_non_null(strstr(ds.d[0].text, "files are not read"));
	assert_non_null(strstr(ds.d[1].text, "files are not read"));
	conf_free(&c);
	diags_free(&ds);
}

/* ${text} is refused with ${why} in some message. */
static void
refused(const char *text, size_t len, const char *why)
{
	struct diags ds = {0};
	bool found = false;
	struct conf c;

	conf_init(&c);
	assert_int_equal(conf_parse_text("t", text, len, NULL, &c, &ds), -1);
	assert_int_equal(c.nrules + c.nsas, 0);
	for (size_t i = 0; i < ds.n; i++)
		found |= strstr(ds.d[i].text, why) != NULL;
	if (!found) {
		diags_print(&ds, stderr);
		fail_msg("no message says: %s", why);
	}
	conf_free(&c);
	diags_free(&ds);
}

static char *
repeat(const char *before, const char *what, size_t n, const char *after)
{
	size_t b = strlen(before), w = strlen(what), a = strlen(after);
	char *s = malloc(b + n * w + a + 1);

	assert_non_null(s);
	memcpy(s, before, b);
	for (size_t i = 0; i < n; i++)
		memcpy(s + b + i * w, what, w);
	memcpy(s + b + n * w, after, a + 1);
	return s;
}

static void
refused_repeat(const char *before, const char *what, size_t n, const char *after, const char *why)
{
	char *s = repeat(before, what, n, after);

	refused(s, strlen(s), why);
	free(s);
}

static void
test_limits(void **state)
{
	char *s;
	FILE *out;
	size_t len;

	refused_repeat("flow from ", "a", 1 << 20, " to any\n", "word is longer than 4096 octets");
	refused_repeat("flow from \"", "a", 1 << 20, "\" to any\n",
	    "quoted string is longer than 65536 octets");
	refused_repeat("flow from {", "1.1.1.1 ", 70000, "} to any\n", "more than 65536 words");
	refused_repeat("flow from ", "{", 70000, "} to any\n", "more than 65536 words");
	refused_repeat("flow from ", "{", 1000, "} to any\n", "more than 8 deep");
	refused_repeat("flow proto tcp from { ", "1.1.1.1 ", 300,
	    "} port { 1 2 3 4 5 6 7 8 9 10 } to { 1.1.1.1 2.2.2.2 } "
	    "port { 1 2 3 4 5 6 7 8 9 10 11 12 } type deny\n",
	    "more than 65536 rules");

	/* each macro is the one before it, twice */
	out = open_memstream(&s, &len);
	fprintf(out, "m0 = \"1.1.1.1\"\n");
	for (int i = 1; i < 60; i++)
		fprintf(out, "m%d = \"$m%d $m%d\"\n", i, i - 1, i - 1);
	fprintf(out, "flow from { $m25 } to any type deny\n");
	fclose(out);
	refused(s, len, "more than 65536 words");
	free(s);
	out = open_memstream(&s, &len);
	fprintf(out, "m0 = \"\"\n");
	for (int i = 1; i < 60; i++)
		fprintf(out, "m%d = \"$m%d $m%d\"\n", i, i - 1, i - 1);
	fprintf(out, "flow from { $m30 } to any type deny\n");
	fclose(out);
	refused(s, len, "expand to more than 32 MB");
	free(s);
	out = open_memstream(&s, &len);
	fprintf(out, "m0 = \"1.1.1.1\"\n");
	for (int i = 1; i < 60; i++)
		fprintf(out, "m%d = \"$m%d\"\n", i, i - 1);
	fprintf(out, "flow from $m50 to any type deny\n");
	fclose(out);
	refused(s, len, "too deep");
	free(s);
	out = open_memstream(&s, &len);
	for (int i = 0; i < 5000; i++)
		fprintf(out, "m%d = x\n", i);
	fclose(out);
	refused(s, len, "more than 4096 macros");
	free(s);
}

/* A folder of our own; removed by folder_gone(). */
static char folder[] = "/tmp/test_conf.XXXXXX";

static int
folder_make(void **state)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
folder_gone(void **state)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) == 0 ? 0 : -1;
}

static const char *
in_folder(const char *name)
{
	static char path[4][128];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", folder, name);
	return p;
}

static void
write_file(const char *name, mode_t mode, const char *text)
{
	const char *path = in_folder(name);
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* Load ${name}: NULL, or the first message (valid until the next call). */
static const char *
load(const char *name, bool any_owner)
{
	static char text[512];
	const struct conf_opts o = {.any_owner = any_owner};
	struct diags ds = {0};
	struct conf c;
	int rc;

	conf_init(&c);
	rc = conf_parse_file(in_folder(name), &o, &c, &ds);
	assert_int_equal(rc, ds.errors == 0 ? 0 : -1);
	snprintf(text, sizeof text, "%s", ds.n > 0 ? ds.d[0].text : "");
	conf_free(&c);
	diags_free(&ds);
	return rc == 0 ? NULL : text;
}

static void
refused_file(const char *name, const char *why)
{
	const char *text = load(name, false);

	assert_non_null(text);
	if (strstr(text, why) == NULL)
		fail_msg("%s: '%s' does not say '%s'", name, text, why);
}

#define SA "esp from 10.0.0.1 to 10.0.0.2 spi 4096 enc aes-128-gcm enckey "

static void
test_secrecy(void **state)
{
	static const char others[] = "its group or others may read or write it";

	write_file("good", 0600, SA KEY20 "\n");
	assert_null(load("good", false));
	write_file("owner-only", 0400, SA KEY20 "\n");
	assert_null(load("owner-only", false));
	for (mode_t bit = 1; bit < 0100; bit <<= 1) {
		write_file("open", 0600 | bit, SA KEY20 "\n");
		if (bit & 0011)
			assert_null(load("open", false)); /* may be executed: harmless */
		else
			refused_file("open", others);
		assert_null(load("open", true));
	}
	write_file("rules", 0644, "flow from any to any type bypass\n");
	assert_null(load("rules", false));

	/* a symbolic link is what it leads to */
	write_file("open", 0644, SA KEY20 "\n");
	assert_int_equal(symlink(in_folder("open"), in_folder("to-open")), 0);
	assert_int_equal(symlink(in_folder("good"), in_folder("to-good")), 0);
	refused_file("to-open", others);
	assert_null(load("to-good", false));

	/* a macro's key is in the file that defines it */
	write_file("define", 0644, "key = \"" KEY20 "\"\n");
	write_file("use", 0600, "include \"define\"\n" SA "$key\n");
	refused_file("use", others);
	write_file("define", 0600, "key = \"" KEY20 "\"\n");
	write_file("use", 0644, "include \"define\"\n" SA "$key\n");
	assert_null(load("use", false));
	write_file("use", 0644, "include \"define\"\n" SA "0x00$key\n");
	refused_file("use", others);

	/* key files */
	write_file("key", 0600, KEY20 "\n");
	write_file("by-file", 0644, SA "file \"\"\n");
	refused_file("by-file", "cannot read");
	{
		char text[256];

		snprintf(text, sizeof text, SA "file \"%s\"\n", in_folder("key"));
		write_file("by-file", 0644, text);
		assert_null(load("by-file", false));
		write_file("key", 0640, KEY20 "\n");
		refused_file("by-file", others);
		assert_null(load("by-file", true));
		unlink(in_folder("key"));
		assert_int_equal(mkfifo(in_folder("key"), 0600), 0);
		refused_file("by-file", "no regular file"); /* and does not wait for a writer */
	}
	if (geteuid() == 0) {
		write_file("foreign", 0600, SA KEY20 "\n");
		assert_int_equal(chown(in_folder("foreign"), 65534, 65534), 0);
		refused_file("foreign", "belongs to another user");
	}
	assert_int_equal(mkdir(in_folder("sub"), 0700), 0);
	refused_file("sub", "is a directory");
	refused_file("none", "No such file");
}

static void
test_include_limits(void **state)
{
	char name[16], text[64];

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "deep%d", i);
		snprintf(text, sizeof text, "include \"deep%d\"\n", i + 1);
		write_file(name, 0600, text);
	}
	write_file("deep20", 0600, "flow from any to any type deny\n");
	refused_file("deep0", "more than 16 deep");
	assert_null(load("deep4", false));
	write_file("loop-a", 0600, "include \"loop-b\"\n");
	assert_int_equal(link(in_folder("loop-a"), in_folder("loop-c")), 0);
	write_file("loop-b", 0600, "include \"loop-c\"\n"); /* by another name of the same file */
	refused_file("loop-a", "includes itself");
	write_file("huge", 0600, "");
	assert_int_equal(truncate(in_folder("huge"), (off_t)CONF_FILE_MAX + 1), 0);
	refused_file("huge", "more than 67108864 octets");
	refused_file("../../dev/zero", "no regular file");
}

/* Whatever is wrong with a line, the key in it is in no message. */
static void
test_no_message_shows_a_key(void **state)
{
	static const char key[] = "c0ffee11c0ffee22c0ffee33c0ffee44c0ffee55";
	static const char *const lines[] = {
	    "esp from 10.0.0.1 to 10.0.0.2 spi 4096 enc aes-128-gcm enckey ^:",
	    "esp from 10.0.0.1 to 10.0.0.2 spi 4096 enc aes-128-gcm enckey ^g",
	    "esp from 10.0.0.1 to 10.0.0.2 spi 4096 enc aes-128-gcm ^",
	    "esp ^",
	    "^",
	    "^ = ",
	    "flow from $^ to any",
	    "flow from ^ to any",
	    "flow from { ^, any",
	    "flow from any to any type ^",
	    "esp from 10.0.0.1 to 10.0.0.2 spi ^",
	    "esp from 10.0.0.1 to 10.0.0.2 spi 4096 auth ^",
	    "esp from 10.0.0.1 to 10.0.0.2 spi 4096 enc ^",
	    "k = ^\nesp $k",
	    "k = ^\n$k $k",
	    "esp from 10.0.0.1 to 10.0.0.2 spi 4096 enckey file ^",
	    "include \"^\"",
	    "builtin ^",
	    "esp from 10.0.0.1 to 10.0.0.2 spi 4096 enc aes-128-gcm enckey '^",
	    "ike psk ^ from",
	    "tcpmd5 from a to b authkey ^ authkeys",
	    "flow proto ^ from any to any",
	    "flow proto tcp from any port ^-9 to any",
	    "flow from any to any local ^ peer ^",
	    "@^",
	    "flow from any to any reqid ^",
	    "esp from 10.0.0.1 to 10.0.0.2 spi 4096:^",
	};

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		for (int prefix = 0; prefix < 2; prefix++) {
			char text[512];
			struct diags ds = {0};
			struct conf c;
			size_t n = 0;

			for (const char *f = lines[i]; *f != '\0'; f++)
				if (*f == '^')
					n += (size_t)snprintf(text + n, sizeof text - n, "%s%s",
					    prefix ? "0x" : "", key);
				else
					text[n++] = *f;
			text[n] = '\0';
			conf_init(&c);
			assert_int_equal(parse(text, NULL, &c, &ds), -1);
			for (size_t d = 0; d < ds.n; d++)
				if (strstr(ds.d[d].text, "c0ffee") != NULL)
					fail_msg("line %zu: %s", i, ds.d[d].text);
			conf_free(&c);
			diags_free(&ds);
		}
}

/* /dev/null is an empty file; another device is none */
static void
test_dev_null(void **state)
{
	struct conf_opts o = {0};
	struct diags ds = {0};
	struct conf c;

	conf_init(&c);
	assert_int_equal(conf_parse_file("/dev/null", &o, &c, &ds), 0);
	assert_int_equal(c.nrules + c.nsas + ds.n, 0);
	assert_int_equal(conf_parse_file("/dev/zero", &o, &c, &ds), -1);
	assert_int_equal(ds.errors, 1);
	diags_free(&ds);
	conf_free(&c);
}

/* A set that came from no text (an edit) is checked too. */
static void
test_check_without_places(void **state)
{
	struct policy *rule[2] = {policy_new(), policy_new()};
	struct sa_params sa[2];
	struct conf c;
	struct diags ds = {0};
	uint8_t key[20] = {1};

	conf_init(&c);
	for (int i = 0; i < 2; i++) {
		sa_params_init(&sa[i]);
		sa[i].spi = 4096;
		ipaddr_parse("10.0.0.1", &sa[i].src);
		ipaddr_parse("10.0.0.2", &sa[i].dst);
		sa[i].enc = alg_enc("aes-128-gcm");
		key[1] = (uint8_t)i;
		sa[i].enckey = secret_new(key, sizeof key);
	}
	c.rule = rule;
	c.nrules = 2;
	assert_int_equal(conf_check(&c, &ds), 0);
	assert_int_equal(ds.n, 1); /* the second is shadowed */
	assert_true(ds.d[0].warning);
	c.sa = sa;
	c.nsas = 2;
	assert_int_equal(conf_check(&c, &ds), -1);
	assert_int_equal(ds.errors, 1);
	for (int i = 0; i < 2; i++) {
		policy_unref(rule[i]);
		sa_params_fini(&sa[i]);
	}
	diags_free(&ds);
}

/* Rules that never decide are told of among any number of others, and no other is. */
static void
test_shadows_of_many(void **state)
{
	enum { N = 30000 };
	struct conf_opts o = {.any_owner = true, .no_files = true};
	char *text = malloc((N + 20) * 100), *at = text;
	struct diags ds = {0};
	struct conf c;

	at += sprintf(at, "flow from any to 192.0.2.0/24 type bypass\n"
			  "flow proto tcp from 10.0.0.0/8 to 198.51.100.0/24 port 1-9 type deny\n"
			  "flow proto tcp from 10.0.0.0/8 to 198.51.100.0/23 type bypass\n");
	for (unsigned i = 0; i < N; i++)
		at += sprintf(at,
		    "flow proto udp from 10.%u.%u.1-10.%u.%u.9 to 10.%u.0.0/16 port %u type "
		    "bypass\n",
		    i >> 8, i & 255, i >> 8, i & 255, i & 255, 1 + i);
	at += sprintf(at, "flow from 10.7.7.1 to 192.0.2.9 type deny\n"
			  "flow from 10.7.7.1 to 192.0.3.9 type deny\n"
			  "flow proto tcp from 10.1.0.0/16 to 198.51.100.0/24 type deny\n"
			  "flow proto udp from 10.3.9.2 to 10.9.1.1 port 778 type deny\n"
			  "flow proto udp from 10.3.9.2 to 10.9.1.1 port 777 type deny\n");
	conf_init(&c);
	assert_int_equal(conf_parse_text("many", text, (size_t)(at - text), &o, &c, &ds), 0);
	assert_int_equal(conf_check(&c, &ds), 0);
	assert_int_equal(ds.n, 3);
	assert_int_equal(ds.d[0].line, N + 4);
	assert_string_equal(ds.d[0].text,
	    "this rule never decides: rule 0 (many:1) before it takes all its packets");
	assert_int_equal(ds.d[1].line, N + 6);
	assert_string_equal(ds.d[1].text,
	    "this rule never decides: rule 2 (many:3) before it takes all its packets");
	assert_int_equal(ds.d[2].line, N + 7);
	assert_string_equal(ds.d[2].text,
	    "this rule never decides: rule 780 (many:781) before it takes all its packets");
	diags_free(&ds);
	conf_free(&c);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rules_round_trip),
	    cmocka_unit_test(test_sas_round_trip),
	    cmocka_unit_test(test_hidden_keys),
	    cmocka_unit_test(test_error_leaves_all_as_it_was),
	    cmocka_unit_test(test_names_need_a_resolver),
	    cmocka_unit_test(test_no_files),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test_setup_teardown(test_secrecy, folder_make, folder_gone),
	    cmocka_unit_test_setup_teardown(test_include_limits, folder_make, folder_gone),
	    cmocka_unit_test(test_no_message_shows_a_key),
	    cmocka_unit_test(test_check_without_places),
	    cmocka_unit_test(test_shadows_of_many),
	    cmocka_unit_test(test_dev_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
