/* links: bits_control bits_edge bits_walk bits_spd PkgConfig::EVENT PkgConfig::JANSSON */
/*
 * What ipsecctl can ask for, as bitsd answers it: a bump without a NIC, its policy, its state.
 */
#include <event2/event.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bump.h"
#include "ctl_verb.h"
#include "mem_store.h"
#include "pair_edge.h"
#include "shim.h"

#define KEY(c) "0x" c c c c c c c c c c c c c c c c c c c c
#define GCM                                                                                        \
	"esp transport from 10.9.0.1 to 10.9.0.2 spi 0x1001:0x2001 enc aes-128-gcm enckey " KEY(   \
	    "a1") ":" KEY("b2")

struct fix {
	struct mem mem;
	struct event_base *base;
	struct bump b;
	bool monitor;
};

static int
setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	struct nic_opts o = {.name = "t0"};

	f->base = event_base_new();
	assert_int_equal(bump_new(&f->b, f->base, &o, mem_keeper(&f->mem, "aa")), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fix *f = *state;

	bump_free(&f->b);
	event_base_free(f->base);
	free(f);
	return 0;
}

/* The reply to ${body}; its status in *${status}. */
static json_t *
raw(struct fix *f, uid_t uid, const char *body, size_t len, int *status)
{
	struct wipebuf out = {0};
	json_t *j;

	f->monitor = ctl_verb_handle(&f->b, uid, body, len, &out);
	assert_true(out.len > 0);
	j = json_loadb(out.text, out.len, 0, NULL);
	assert_true(json_is_object(j));
	assert_true(json_is_integer(json_object_get(j, "status")));
	*status = (int)json_integer_value(json_object_get(j, "status"));
	assert_true(*status == 0 || json_is_string(json_object_get(j, "error")));
	wipebuf_free(&out);
	return j;
}

static json_t *
ask_as(struct fix *f, uid_t uid, json_t *req, int *status)
{
	char *body = json_dumps(req, 0);
	json_t *j;

	assert_non_null(body);
	j = raw(f, uid, body, strlen(body), status);
	free(body);
	json_decref(req);
	return j;
}

/* Asks as root for something that only has a status. */
static int
ask(struct fix *f, json_t *req)
{
	int status;

	json_decref(ask_as(f, 0, req, &status));
	return status;
}

static int
load(struct fix *f, const char *text)
{
	return ask(f, json_pack("{s:s, s:s, s:s}", "verb", "load", "name", "t", "text", text));
}

static json_t *
show(struct fix *f, const char *what, bool keys)
{
	int status;
	json_t *j = ask_as(f, 0,
	    json_pack("{s:s, s:s, s:b}", "verb", "show", "what", what, "keys", (int)keys), &status);

	assert_int_equal(status, 0);
	return j;
}

static const char *
text_of(const json_t *j, const char *list, size_t i)
{
	return json_string_value(
	    json_object_get(json_array_get(json_object_get(j, list), i), "text"));
}

static void
test_nonsense(void **state)
{
	static const char *const bodies[] = {"", "{", "[]", "null", "\"load\"", "{}",
	    "{\"verb\":1}", "{\"verb\":\"nothing\"}", "{\"verb\":\"load\"}",
	    "{\"verb\":\"load\",\"text\":7}", "{\"verb\":\"show\"}",
	    "{\"verb\":\"show\",\"what\":\"me\"}", "{\"verb\":\"flush\",\"what\":\"x\"}",
	    "{\"verb\":\"delete\"}", "{\"verb\":\"delete\",\"flow\":-1}",
	    "{\"verb\":\"delete\",\"flow\":0}",
	    "{\"verb\":\"delete\",\"proto\":\"esp\",\"spi\":\"zero\"}",
	    "{\"verb\":\"delete\",\"proto\":\"esp\",\"spi\":\"0x1ffffffff\"}",
	    "{\"verb\":\"move\",\"from\":1}",
	    "{\"verb\":\"add\",\"text\":\"flow from any to any type deny\",\"at\":-1}",
	    "{\"verb\":\"load\",\"verb\":\"show\"}", "{\"verb\":\"attach\"}",
	    "{\"verb\":\"detach\"}", "{\"verb\":\"pause\"}", "{\"verb\":\"restart\"}"};
	struct fix *f = *state;
	const struct gen *g = shim_gen(f->b.shim);
	int status;

	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		json_decref(raw(f, 0, bodies[i], strlen(bodies[i]), &status));
		assert_int_equal(status, 1);
	}
	json_decref(raw(f, 0, "\xff\xfe\0\0", 4, &status));
	assert_int_equal(status, 1);
	assert_ptr_equal(shim_gen(f->b.shim), g);
}

static void
test_load_and_show(void **state)
{
	struct fix *f = *state;
	json_t *j, *rule;

	assert_int_equal(
	    load(f, GCM "\nflow out proto tcp from any to 10.9.0.0/24 port 80-90 type deny\n"), 0);
	j = show(f, "flow", false);
	assert_int_equal(json_array_size(json_object_get(j, "flows")), 1);
	assert_int_equal(json_array_size(json_object_get(j, "builtins")), BUILTIN_MAX);
	assert_string_equal(text_of(j, "builtins", 0), "builtin arp type bypass");
	rule = json_array_get(json_object_get(j, "flows"), 0);
	assert_string_equal(json_string_value(json_object_get(rule, "dir")), "out");
	assert_string_equal(json_string_value(json_object_get(rule, "remote")), "10.9.0.0/24");
	assert_string_equal(json_string_value(json_object_get(rule, "remote_port")), "80-90");
	assert_int_equal(json_integer_value(json_object_get(rule, "proto")), 6);
	assert_int_equal(json_integer_value(json_object_get(rule, "place")), 0);
	assert_true(json_is_null(json_object_get(json_object_get(rule, "out"), "idle_ms")));
	json_decref(j);
	j = show(f, "sa", false);
	assert_int_equal(json_array_size(json_object_get(j, "sas")), 2);
	assert_string_equal(
	    json_string_value(json_object_get(json_array_get(json_object_get(j, "sas"), 0), "spi")),
	    "0x00001001");
	assert_null(strstr(text_of(j, "sas", 0), "a1a1"));
	json_decref(j);
}

static json_int_t
integer(const json_t *j, const char *object, const char *key)
{
	const json_t *n = json_object_get(object ? json_object_get(j, object) : j, key);

	assert_true(json_is_integer(n));
	return json_integer_value(n);
}

/* What an operator asks of an SA: all its keys, with the numbers it has. */
static void
test_an_sa_in_full(void **state)
{
	static const char *const strings[] = {
	    "text", "proto", "mode", "dir", "spi", "src", "dst", "enc", "state", "backend"};
	struct fix *f = *state;
	json_t *j, *s;
	struct sa *sa;

	assert_int_equal(load(f, "esp tunnel from 10.9.0.1 to 10.9.0.2 spi 0x1001 enc aes-128-gcm "
				 "enckey 0x000102030405060708090a0b0c0d0e0f10111213 replay 256 "
				 "udpencap 4500:4501 "
				 "lifetime soft 10 packets lifetime hard 20 packets "
				 "lifetime hard 3600 seconds\n"),
	    0);
	sa = sadb_at(shim_gen(f->b.shim)->sad, 0);
	sa->cin.packets = 3;
	sa->cin.octets = 300;
	sa->cin.last_ms = sa->added_ms;
	sa->cin.replay_old = 4;
	sa->cin.replay_dup = 5;
	sa->cin.auth_failed = 6;
	sa->cin.other_failed = 7;
	sa->cin.lost = 8;
	sa->replay.top = 99;
	sa->cout.packets = 1;
	sa_move(sa, SA_DYING);
	j = show(f, "sa", false);
	s = json_array_get(json_object_get(j, "sas"), 0);
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
		assert_true(json_is_string(json_object_get(s, strings[i])));
	assert_string_equal(json_string_value(json_object_get(s, "state")), "dying");
	assert_string_equal(json_string_value(json_object_get(s, "udpencap")), "4500:4501");
	assert_string_equal(json_string_value(json_object_get(s, "backend")), sa->in->be->name);
	assert_true(json_is_null(json_object_get(s, "peer")));
	assert_true(json_is_null(json_object_get(s, "auth")));
	assert_int_equal(integer(s, NULL, "replay"), 256);
	assert_int_equal(integer(s, NULL, "memory"), sa_footprint(sa));
	assert_int_equal(integer(s, "soft", "packets"), 10);
	assert_true(json_is_null(json_object_get(json_object_get(s, "soft"), "ms")));
	assert_int_equal(integer(s, "hard", "packets"), 20);
	assert_int_equal(integer(s, "hard", "ms"), 3600000);
	assert_true(json_is_null(json_object_get(json_object_get(s, "hard"), "octets")));
	assert_int_equal(integer(s, "used", "packets"), 4);
	assert_int_equal(integer(s, "used", "octets"), 300);
	assert_int_equal(integer(s, "in", "packets"), 3);
	assert_int_equal(integer(s, "in", "top_seq"), 99);
	assert_int_equal(integer(s, "in", "replay_old"), 4);
	assert_int_equal(integer(s, "in", "replay_dup"), 5);
	assert_int_equal(integer(s, "in", "auth_failed"), 6);
	assert_int_equal(integer(s, "in", "other_failed"), 7);
	assert_int_equal(integer(s, "in", "lost"), 8);
	assert_true(integer(s, "in", "idle_ms") >= 0);
	json_decref(j);
}

/* Everything that is shown, with keys, as one text. */
static char *
dump(struct fix *f)
{
	static const char *const lists[] = {"sas", "builtins", "flows"};
	json_t *j = show(f, "all", true);
	char *text = calloc(1, 65536), *end = text;

	for (size_t l = 0; l < 3; l++)
		for (size_t i = 0; i < json_array_size(json_object_get(j, lists[l])); i++)
			end += sprintf(end, "%s\n", text_of(j, lists[l], i));
	json_decref(j);
	return text;
}

static void
test_what_is_shown_can_be_fed_back(void **state)
{
	struct fix *f = *state;
	const struct gen *g;
	struct sa *sa;
	char *text, *again;

	assert_int_equal(
	    load(f, GCM
		"\nesp tunnel from 192.0.2.1 to 198.51.100.7 spi 0x1002 enc aes-256-gcm enckey 0x"
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223 esn "
		"replay 1024 reqid 7\n"
		"builtin dhcp type none\n"
		"flow esp tunnel from 10.1.0.0/16 to 10.2.0.0/16 local 192.0.2.1 peer 198.51.100.7 "
		"reqid 7\n"
		"flow proto icmp from any to any icmptype 8 type bypass\n"
		"flow out from any to 203.0.113.0-203.0.113.9 type deny\n"),
	    0);
	sa = sadb_at(shim_gen(f->b.shim)->sad, 2);
	text = dump(f);
	assert_non_null(strstr(text, "a1a1a1"));
	assert_int_equal(load(f, text), 0);
	again = dump(f);
	assert_string_equal(text, again);
	g = shim_gen(f->b.shim);
	assert_int_equal(g->number, 2);
	assert_ptr_equal(sadb_at(g->sad, 2), sa); /* the same state, so the same object */
	free(text);
	free(again);
}

static void
test_keys_are_roots(void **state)
{
	struct fix *f = *state;
	json_t *j;
	char *text;
	int status;

	assert_int_equal(load(f, GCM "\n"), 0);
	j = ask_as(f, 1000, json_pack("{s:s, s:s, s:b}", "verb", "show", "what", "sa", "keys", 1),
	    &status);
	assert_int_equal(status, 3);
	text = json_dumps(j, 0);
	assert_null(strstr(text, "a1a1"));
	free(text);
	json_decref(j);
	j = show(f, "all", false);
	text = json_dumps(j, 0);
	assert_null(strstr(text, "a1a1"));
	assert_null(strstr(text, "b2b2"));
	free(text);
	json_decref(j);
}

static void
test_an_error_has_its_place(void **state)
{
	struct fix *f = *state;
	json_t *j, *d;
	int status;

	j = ask_as(f, 0,
	    json_pack("{s:s, s:s, s:s}", "verb", "load", "name", "here.conf", "text",
		"flow from any to any type bypass\nflow from any to nowhere.example type deny\n"),
	    &status);
	assert_int_equal(status, 1);
	d = json_array_get(json_object_get(j, "diags"), 0);
	assert_string_equal(json_string_value(json_object_get(d, "file")), "here.conf");
	assert_int_equal(json_integer_value(json_object_get(d, "line")), 2);
	assert_true(json_integer_value(json_object_get(d, "col")) > 1);
	json_decref(j);
	assert_int_equal(spd_count(shim_gen(f->b.shim)->spd), 0);
	/* understood, and not to be had */
	assert_int_equal(load(f, "ike esp from 10.1.0.0/16 to 10.2.0.0/16 peer 192.0.2.1\n"), 1);
	assert_int_equal(load(f, "flow from any to any type bypass\n" GCM "\n" GCM "\n"), 1);
	/* no file is opened for anyone */
	assert_int_equal(load(f, "include \"/etc/passwd\"\n"), 1);
	assert_int_equal(load(f, "esp from 10.9.0.1 to 10.9.0.2 spi 0x1001 enc aes-128-gcm enckey "
				 "file \"/etc/passwd\"\n"),
	    1);
}

static void
test_edit(void **state)
{
	struct fix *f = *state;
	json_t *j;

	assert_int_equal(load(f, "flow from any to 10.0.0.1 type deny\n"), 0);
	assert_int_equal(ask(f, json_pack("{s:s, s:s, s:i}", "verb", "add", "text",
				    "flow from any to 10.0.0.2 type deny\n", "at", 0)),
	    0);
	assert_int_equal(ask(f, json_pack("{s:s, s:s}", "verb", "add", "text", GCM)), 0);
	assert_int_equal(ask(f, json_pack("{s:s, s:s}", "verb", "add", "text", GCM)), 1);
	assert_int_equal(
	    ask(f, json_pack("{s:s, s:i, s:i}", "verb", "move", "from", 0, "to", 1)), 0);
	j = show(f, "flow", false);
	assert_non_null(strstr(text_of(j, "flows", 1), "10.0.0.2"));
	json_decref(j);
	assert_int_equal(ask(f, json_pack("{s:s, s:i}", "verb", "delete", "flow", 1)), 0);
	assert_int_equal(ask(f, json_pack("{s:s, s:i}", "verb", "delete", "flow", 1)), 1);
	assert_int_equal(ask(f, json_pack("{s:s, s:s, s:s, s:s}", "verb", "delete", "proto", "esp",
				    "spi", "0x1001", "dst", "10.9.0.2")),
	    0);
	assert_int_equal(
	    ask(f, json_pack("{s:s, s:s, s:s}", "verb", "delete", "proto", "esp", "spi", "0x1001")),
	    1);
	assert_int_equal(ask(f, json_pack("{s:s, s:s}", "verb", "remove", "text",
				    "flow from any to 10.0.0.1 type deny\n")),
	    0);
	assert_int_equal(ask(f, json_pack("{s:s, s:s}", "verb", "flush", "what", "all")), 0);
	assert_int_equal(sadb_count(shim_gen(f->b.shim)->sad), 0);
}

static void
test_life(void **state)
{
	struct fix *f = *state;
	struct pair_edge *upper = pair_new(), *lower = pair_new();
	json_t *j;

	shim_set_edges(f->b.shim, &upper->e, &lower->e);
	assert_int_equal(shim_init(f->b.shim), 0);
	assert_int_equal(ask(f, json_pack("{s:s}", "verb", "restart")), 0);
	assert_int_equal(shim_state(f->b.shim), SHIM_RUNNING);
	assert_int_equal(ask(f, json_pack("{s:s}", "verb", "restart")), 0); /* is already */
	assert_int_equal(ask(f, json_pack("{s:s}", "verb", "pause")), 0);
	assert_int_equal(shim_state(f->b.shim), SHIM_PAUSED);
	j = show(f, "nic", false);
	assert_string_equal(json_string_value(json_object_get(j, "state")), "paused");
	assert_string_equal(json_string_value(json_object_get(j, "nic")), "t0");
	assert_true(json_is_false(json_object_get(j, "attached")));
	json_decref(j);
	assert_int_equal(ask(f, json_pack("{s:s}", "verb", "detach")), 1); /* no NIC to give back */
	assert_int_equal(ask(f, json_pack("{s:s}", "verb", "monitor")), 0);
	assert_true(f->monitor);
	assert_int_equal(ask(f, json_pack("{s:s}", "verb", "version")), 0);
	assert_false(f->monitor);
	assert_int_equal(ask(f, json_pack("{s:s}", "verb", "selftest")), 0);
}

static void
test_drops(void **state)
{
	struct fix *f = *state;
	struct pair_edge *upper = pair_new(), *lower = pair_new();
	uint8_t frame[64];
	size_t n = pair_udp(frame, 1, 2, 80), i;
	json_t *j, *d;
	long long found = -1;

	shim_set_edges(f->b.shim, &upper->e, &lower->e);
	assert_int_equal(load(f, ""), 0);
	assert_int_equal(shim_init(f->b.shim), 0);
	assert_int_equal(shim_restart(f->b.shim), 0);
	assert_int_equal(send(upper->test, frame, n, 0), n);
	assert_int_equal(pair_take(lower, frame, sizeof frame, 100), -1);
	shim_pause(f->b.shim);
	j = show(f, "drops", false);
	assert_int_equal(json_array_size(json_object_get(j, "drops")), DROP_HELD - 1);
	json_array_foreach(json_object_get(j, "drops"), i,
	    d) if (strcmp(json_string_value(json_object_get(d, "reason")), "policy_default") == 0)
	    found = json_integer_value(json_object_get(d, "out"));
	assert_int_equal(found, 1);
	json_decref(j);
}

static void
text_that_is_no_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} row[] = {
	    {"plain", "plain"},
	    {"", ""},
	    {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
	    {"/etc/\xe4.conf", "/etc/\\xe4.conf"},
	    {"cut \xc3", "cut \\xc3"},
	    {"\xff\xfe", "\\xff\\xfe"},
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		json_t *j = ctl_verb_text(row[i].in);

		assert_non_null(j);
		assert_string_equal(json_string_value(j), row[i].out);
		json_decref(j);
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_that_is_no_utf8),
	    T(test_nonsense),
	    T(test_load_and_show),
	    T(test_an_sa_in_full),
	    T(test_what_is_shown_can_be_fed_back),
	    T(test_keys_are_roots),
	    T(test_an_error_has_its_place),
	    T(test_edit),
	    T(test_life),
	    T(test_drops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
