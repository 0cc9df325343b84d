/*
 * What the walk costs a packet, on edges of memory, on one core: nanoseconds outbound and inbound by suite, back end and size, beside
 * what the same cipher costs by itself and what OpenSSL's EVP does in a plain loop (`openssl speed`); each stage's part; and how
 * it grows with the number of SAs in use, round robin.
 *
 *     bits_bench_walk [--quick] [--json] [suites] [stages] [sas] [profile [SAS]]
 *
 * Sizes are of the IP packet before protection.  An edge of memory copies each frame once in and once out, as a device would.
 * Each figure is the best of some rounds, the others having been disturbed.
 */
#include <openssl/evp.h>
#include "world.h"

#define FRAME_MAX 2048

static const struct suite suites[] = {
    {"none", "aes-128-gcm", NULL, true},
    {"aes-128-gcm", "aes-128-gcm", NULL, false},
    {"aes-256-gcm", "aes-256-gcm", NULL, false},
    {"chacha20-poly1305", "chacha20-poly1305", NULL, false},
    {"aes-128-cbc-sha1", "aes-128", "hmac-sha1", false},
    {"aes-128-cbc-sha256", "aes-128", "hmac-sha2-256", false},
    {"aes-256-cbc-sha512", "aes-256", "hmac-sha2-512", false},
    {"null-sha256", "null", "hmac-sha2-256", false},
};
static const uint32_t sizes[] = {64, 576, 1400};
static const size_t sa_counts[] = {1, 10, 100, 1000, 10000, 100000};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static bool json, quick;
static size_t profile_sas = 1;
static unsigned rows; /* of the JSON array that is being written */

static const struct crypto_backend *backends[2] = {&crypto_ossl};
static unsigned nbackends = 1;

/* The stages that are told apart, in order; the walk itself does more than their sum: moving between bursts. */
enum stage { READ, CLASSIFY, REASM, POLICY, FIT, SEAL, FIND, OPEN, CHECK, SEND, ACCOUNT, STAGES };
static const char *const stage_name[STAGES] = {"read", "classify", "reassemble", "policy", "fit",
    "seal", "find SA", "open", "policy check", "send", "account"};

static double
best(double a, double b)
{
	return a < b ? a : b;
}

static double
seconds(void)
{
	return quick ? 0.02 : 0.1;
}

/* A burst of ${octets} octets each for the upper edge of ${v}, to (or from) the peers behind the last ones. */
static void
feed(struct world *v, uint32_t octets, bool from_peers, size_t *next)
{
	uint8_t f[FRAME_MAX] = {0};

	for (unsigned i = 0; i < BURST_MAX; i++) {
		uint32_t len = world_frame(f, *next, from_peers, octets);

		*next = *next + 1 < v->n ? *next + 1 : 0;
		if (edge_mem_give(v->w.upper, f, len) < 0)
			world_die("out of memory");
	}
}

static double
outbound_once(struct world *v, uint32_t octets, size_t *next)
{
	struct burst b;
	double start;

	feed(v, octets, false, next);
	start = world_ns();
	edge_recv(v->w.upper, v->w.pool, &b, BURST_MAX);
	outbound_burst(&v->w, &b);
	return world_ns() - start;
}

/* A burst from the peers, each packet sealed by its own SA; it waits in ${v}'s lower edge. */
static void
peers_send(struct world *v, uint32_t octets, size_t *next)
{
	size_t at = *next;
	struct burst b;

	feed(v, octets, true, next);
	edge_recv(v->w.upper, v->w.pool, &b, BURST_MAX);
	classify_burst(&b, DIR_OUT);
	for (unsigned i = 0; i < b.n; i++, at = at + 1 < v->n ? at + 1 : 0)
		v->sa[at]->seal(v->sa[at], &b.p[i], 1, &v->w);
	edge_send(v->w.lower, &b);
	account_burst(&v->w, &b, DIR_OUT);
}

/* What ${from} has sent comes to ${to}. */
static void
wire(struct world *from, struct world *to)
{
	uint8_t f[FRAME_MAX];

	for (int len; (len = edge_mem_take(from->w.lower, f, sizeof f)) >= 0;)
		if (edge_mem_give(to->w.lower, f, (uint32_t)len) < 0)
			world_die("out of memory");
}

static double
inbound_once(struct world *v)
{
	struct burst b;
	double start = world_ns();

	edge_recv(v->w.lower, v->w.pool, &b, BURST_MAX);
	inbound_burst(&v->w, &b);
	return world_ns() - start;
}

/* ns a packet with ${n} SAs.  Every peer is met twice before it counts. */
static double
outbound(const struct suite *s, const struct crypto_backend *be, uint32_t octets, size_t n)
{
	struct world *v = world_new(s, n, true, false);
	size_t next = 0, warm = 2 * (n / BURST_MAX + 1);
	double least = 1e18;

	for (int run = 0; run < (quick ? 2 : 3); run++) {
		double begin = world_ns(), took = 0;
		size_t bursts = 0;

		for (; run == 0 && warm > 0; warm--) {
			outbound_once(v, octets, &next);
			world_drain(v->w.lower, BURST_MAX);
			begin = world_ns();
		}
		do {
			took += outbound_once(v, octets, &next);
			if (!world_drain(v->w.lower, BURST_MAX))
				world_die("a packet was not sent");
			bursts++;
		} while (world_ns() - begin < seconds() * 1e9 || bursts * BURST_MAX < n);
		least = best(least, took / (double)(bursts * BURST_MAX));
	}
	world_free(v, be);
	return least;
}

static double
inbound(const struct suite *s, const struct crypto_backend *be, uint32_t octets, size_t n)
{
	struct world *v = world_new(s, n, false, false), *peers = world_new(s, n, true, true);
	size_t next = 0, warm = 2 * (n / BURST_MAX + 1);
	double least = 1e18;

	for (int run = 0; run < (quick ? 2 : 3); run++) {
		double begin = world_ns(), took = 0;
		size_t bursts = 0;

		do {
			double t;

			peers_send(peers, octets, &next);
			wire(peers, v);
			t = inbound_once(v);
			if (!world_drain(v->w.upper, BURST_MAX))
				world_die("a packet was not accepted");
			if (warm > 0) {
				warm--;
				begin = world_ns();
				continue;
			}
			took += t;
			bursts++;
		} while (
		    warm > 0 || world_ns() - begin < seconds() * 1e9 || bursts * BURST_MAX < n);
		least = best(least, took / (double)(bursts * BURST_MAX));
	}
	world_free(v, be);
	world_free(peers, be);
	return least;
}

/* Sealing alone, without the walk: ns for a payload of ${len} octets. */
static double
sealing(const struct suite *s, uint32_t len)
{
	static uint8_t wire_octets[BURST_MAX][FRAME_MAX];
	struct world *v = world_new(s, 1, true, false);
	struct crypto *c = v->sa[0]->out;
	struct crypto_esp_job j[BURST_MAX];
	double least = 1e18;

	len = (len + c->block - 1) / c->block * c->block;
	for (unsigned i = 0; i < BURST_MAX; i++)
		j[i] = (struct crypto_esp_job){
		    .esp = wire_octets[i], .src = wire_octets[i] + 8 + c->iv_len, .len = len};
	for (int run = 0; run < 5; run++) {
		double start = world_ns(), took;
		unsigned long n = 0;

		do {
			crypto_esp_seal(c, j, BURST_MAX);
			n += BURST_MAX;
			took = world_ns() - start;
		} while (took < seconds() * 1e9 / 5);
		least = best(least, took / (double)n);
	}
	world_free(v, c->be == &none ? &crypto_ossl : c->be);
	return least;
}

/* What `openssl speed -evp` does: one key, no packet around, ${len} octets at a time.  0: it has no such figure. */
static double
evp(const struct suite *s, uint32_t len)
{
	static uint8_t buf[FRAME_MAX], key[32], iv[16];
	const char *name = strcmp(s->name, "aes-128-gcm") == 0	       ? "AES-128-GCM"
			   : strcmp(s->name, "aes-256-gcm") == 0       ? "AES-256-GCM"
			   : strcmp(s->name, "chacha20-poly1305") == 0 ? "ChaCha20-Poly1305"
								       : NULL;
	EVP_CIPHER *cipher = name ? EVP_CIPHER_fetch(NULL, name, NULL) : NULL;
	EVP_CIPHER_CTX *ctx = cipher ? EVP_CIPHER_CTX_new() : NULL;
	double least = 1e18;
	int l;

	if (!ctx || EVP_EncryptInit_ex2(ctx, cipher, key, iv, NULL) != 1)
		return 0;
	for (int run = 0; run < 5; run++) {
		double start = world_ns(), took;
		unsigned long n = 0;

		do {
			for (int i = 0; i < 64; i++) {
				EVP_EncryptInit_ex2(ctx, NULL, NULL, iv, NULL);
				EVP_EncryptUpdate(ctx, buf, &l, buf, (int)len);
				EVP_EncryptFinal_ex(ctx, buf, &l);
			}
			n += 64;
			took = world_ns() - start;
		} while (took < seconds() * 1e9 / 5);
		least = best(least, took / (double)n);
	}
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	return least;
}

/* JSON: one object of an array; ${name} begins the array. */
static void
array(const char *name, bool first)
{
	rows = 0;
	if (json)
		printf("%s\n  \"%s\": [", first ? "" : "\n  ],", name);
}

static void
row(void)
{
	if (json)
		printf("%s\n    ", rows++ ? "," : "");
}

static void
choose(const struct crypto_backend *be)
{
	const char *why;

	if (crypto_select(be->name, &why) < 0)
		world_die(why);
}

static void
bench_suites(void)
{
	if (!json)
		printf("%-19s %-9s %6s %9s %9s %9s %9s %10s %8s %8s\n", "suite", "back end",
		    "octets", "out ns", "in ns", "out Mpps", "out Gb/s", "cipher ns", "EVP ns",
		    "of EVP");
	for (size_t i = 0; i < COUNT(suites); i++)
		for (unsigned b = 0; b < (suites[i].none ? 1 : nbackends); b++)
			for (size_t k = 0; k < COUNT(sizes); k++) {
				const struct suite *s = &suites[i];
				double out, in, cipher, raw, octets = sizes[k];
				const char *name = s->none ? "none" : backends[b]->name;

				choose(backends[b]);
				out = outbound(s, backends[b], sizes[k], 1);
				in = inbound(s, backends[b], sizes[k], 1);
				cipher = s->none ? 0 : sealing(s, sizes[k] - 20 + 2);
				raw = evp(s, sizes[k]);
				row();
				printf(
				    json ? "{\"suite\": \"%s\", \"backend\": \"%s\", \"octets\": "
					   "%.0f, \"out_ns\": %.1f, "
					   "\"in_ns\": %.1f, \"out_mpps\": %.3f, \"out_gbit\": "
					   "%.3f, \"cipher_ns\": %.1f, "
					   "\"evp_ns\": %.1f}"
					 : "%-19s %-9s %6.0f %9.1f %9.1f %9.2f %9.2f %10.1f %8.1f",
				    s->name, name, octets, out, in, 1e3 / out, octets * 8 / out,
				    cipher, raw);
				if (!json && raw > 0)
					printf(" %8.2f\n", raw / out);
				else if (!json)
					printf("\n");
				fflush(stdout);
			}
}

static void
bench_sas(void)
{
	const struct crypto_backend *be = backends[nbackends - 1];
	double out1 = 0, in1 = 0;

	choose(be);
	if (!json)
		printf("\n%-19s %-9s %6s %9s %9s %9s %9s %9s\n", "suite", "back end", "octets",
		    "SAs", "out ns", "in ns", "out of 1", "in of 1");
	for (size_t k = 0; k < COUNT(sizes); k += 2)
		for (size_t i = 0; i < COUNT(sa_counts) - (quick ? 2 : 0); i++) {
			double out = outbound(&suites[1], be, sizes[k], sa_counts[i]),
			       in = inbound(&suites[1], be, sizes[k], sa_counts[i]);

			if (i == 0) {
				out1 = out;
				in1 = in;
			}
			row();
			printf(json ? "{\"suite\": \"%s\", \"backend\": \"%s\", \"octets\": %u, "
				      "\"sas\": %zu, \"out_ns\": "
				      "%.1f, \"in_ns\": %.1f, \"out_of_one\": %.2f, \"in_of_one\": "
				      "%.2f}"
				    : "%-19s %-9s %6u %9zu %9.1f %9.1f %9.2f %9.2f\n",
			    suites[1].name, be->name, sizes[k], sa_counts[i], out, in, out / out1,
			    in / in1);
			fflush(stdout);
		}
}

/* The time since *${from}, which moves on, goes to one stage. */
static void
lap(double ns[STAGES], enum stage s, double *from)
{
	double now = world_ns();

	ns[s] += now - *from;
	*from = now;
}

/* outbound_burst() line by line. */
static void
staged_out(struct world *v, double ns[STAGES])
{
	struct walk *w = &v->w;
	struct burst b;
	uint32_t mtu;
	double t = world_ns();

	edge_recv(w->upper, w->pool, &b, BURST_MAX);
	lap(ns, READ, &t);
	account_read(w, &b, DIR_OUT);
	lap(ns, ACCOUNT, &t);
	classify_burst(&b, DIR_OUT);
	lap(ns, CLASSIFY, &t);
	reasm_burst(w, &b, DIR_OUT);
	lap(ns, REASM, &t);
	policy_burst(w, &b, DIR_OUT);
	lap(ns, POLICY, &t);
	for (unsigned i = 0; i < b.n; i++)
		if (pmtu_fit(w, b.p[i], &mtu) != FIT_WHOLE)
			world_die("a packet does not fit");
	lap(ns, FIT, &t);
	v->sa[0]->seal(v->sa[0], b.p, b.n, w);
	lap(ns, SEAL, &t);
	edge_send(w->lower, &b);
	lap(ns, SEND, &t);
	account_burst(w, &b, DIR_OUT);
	lap(ns, ACCOUNT, &t);
}

static void
staged_in(struct world *v, double ns[STAGES])
{
	struct walk *w = &v->w;
	struct burst b;
	double t = world_ns();

	edge_recv(w->lower, w->pool, &b, BURST_MAX);
	lap(ns, READ, &t);
	account_read(w, &b, DIR_IN);
	lap(ns, ACCOUNT, &t);
	classify_burst(&b, DIR_IN);
	lap(ns, CLASSIFY, &t);
	reasm_burst(w, &b, DIR_IN);
	lap(ns, REASM, &t);
	for (unsigned i = 0; i < b.n; i++) {
		struct pkt *p = b.p[i];

		p->ipsec = p->l4;
		p->sa[0] =
		    sadb_in(w->gen->sad, IPSEC_ESP, get32(pkt_data(p) + p->l4), &p->key.local);
		p->chain[p->nchain++] = p->sa[0];
	}
	lap(ns, FIND, &t);
	v->sa[0]->open(v->sa[0], b.p, b.n, w);
	lap(ns, OPEN, &t);
	classify_burst(&b, DIR_IN);
	lap(ns, CLASSIFY, &t);
	for (unsigned i = 0; i < b.n; i++)
		b.p[i]->drop = policy_opened(w, b.p[i]);
	lap(ns, CHECK, &t);
	edge_send(w->upper, &b);
	lap(ns, SEND, &t);
	account_burst(w, &b, DIR_IN);
	lap(ns, ACCOUNT, &t);
}

/* Stages of ${s} both ways; the clock between them costs each about half a nanosecond a packet. */
static void
stages_of(const struct suite *s, const struct crypto_backend *be, uint32_t octets)
{
	struct world *v = world_new(s, 1, true, false), *peers = world_new(s, 1, true, true),
		     *to = world_new(s, 1, false, false);
	double out[STAGES] = {0}, in[STAGES] = {0}, begin = world_ns();
	size_t next = 0, bursts = 0;

	for (; world_ns() - begin < 2 * seconds() * 1e9; bursts++) {
		if (bursts == 100) { /* warm */
			memset(out, 0, sizeof out);
			memset(in, 0, sizeof in);
		}
		feed(v, octets, false, &next);
		staged_out(v, out);
		peers_send(peers, octets, &next);
		wire(peers, to);
		staged_in(to, in);
		if (!world_drain(v->w.lower, BURST_MAX) || !world_drain(to->w.upper, BURST_MAX))
			world_die("a packet did not go through");
	}
	for (int dir = 0; dir < 2; dir++)
		for (int i = 0; i < STAGES; i++) {
			double ns = (dir ? in : out)[i] / (double)((bursts - 100) * BURST_MAX);

			if (ns <= 0)
				continue;
			row();
			printf(json ? "{\"suite\": \"%s\", \"backend\": \"%s\", \"octets\": %u, "
				      "\"dir\": \"%s\", \"stage\": "
				      "\"%s\", \"ns\": %.1f}"
				    : "%-19s %-9s %6u %-4s %-13s %8.1f\n",
			    s->name, s->none ? "none" : be->name, octets, dir ? "in" : "out",
			    stage_name[i], ns);
		}
	world_free(v, be);
	world_free(peers, be);
	world_free(to, be);
}

static void
bench_stages(void)
{
	if (!json)
		printf("\n%-19s %-9s %6s %-4s %-13s %8s\n", "suite", "back end", "octets", "dir",
		    "stage", "ns");
	for (unsigned b = 0; b < nbackends; b++) {
		choose(backends[b]);
		for (size_t k = 0; k < COUNT(sizes); k++)
			stages_of(&suites[1], backends[b], sizes[k]);
	}
	choose(backends[0]);
	stages_of(&suites[0], backends[0], 1400);
}

/* For a profiler: outbound and inbound for some seconds, 64 octets and 1400 by turns. */
static void
bench_profile(void)
{
	const struct crypto_backend *be = backends[nbackends - 1];

	choose(be);
	for (int i = 0; i < (profile_sas > 1000 ? 1 : 5); i++)
		for (size_t k = 0; k < COUNT(sizes); k += 2) {
			double out = outbound(&suites[1], be, sizes[k], profile_sas);

			printf("%u octets, %zu SAs: %.1f ns out, %.1f ns in\n", sizes[k],
			    profile_sas, out, inbound(&suites[1], be, sizes[k], profile_sas));
			fflush(stdout);
		}
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
		bool unasked;
	} parts[] = {{"suites", bench_suites, true}, {"stages", bench_stages, true},
	    {"sas", bench_sas, true}, {"profile", bench_profile, false}};
	bool want[COUNT(parts)] = {0}, some = false, first = true;

	for (int i = 1; i < argc; i++) {
		bool known = strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "--quick") == 0;

		json = json || strcmp(argv[i], "--json") == 0;
		quick = quick || strcmp(argv[i], "--quick") == 0;
		for (size_t k = 0; k < COUNT(parts); k++)
			if (strcmp(argv[i], parts[k].name) == 0)
				want[k] = some = known = true;
		if (!known && atol(argv[i]) > 0) {
			profile_sas = (size_t)atol(argv[i]);
			known = true;
		}
		if (!known) {
			fprintf(stderr, "usage: bits_bench_walk [--quick] [--json] [suites] "
					"[stages] [sas] [profile [SAS]]\n");
			return 2;
		}
	}
#ifdef BITS_HAVE_IPSEC_MB
	const char *why;

	if (crypto_imb_usable(&why))
		backends[nbackends++] = &crypto_imb;
	else
		fprintf(stderr, "ipsec-mb: %s\n", why);
#endif
	if (json)
		printf("{");
	for (size_t k = 0; k < COUNT(parts); k++)
		if (some ? want[k] : parts[k].unasked) {
			array(parts[k].name, first);
			first = false;
			parts[k].run();
		}
	if (json)
		printf("%s\n}\n", first ? "" : "\n  ]");
	return 0;
}
