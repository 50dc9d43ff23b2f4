/* SPDX-License-Identifier: MIT */
/*
 * The control socket from both ends: the server in a process of its own with the loop it has in the daemon, the client as the command line has it,
 * and raw connections that send what no client would. In a mount namespace of its own with an empty /run;
 * needs root and says so with exit status 77 otherwise.
 */
#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "cli/client.h"
#include "node/config.h"
#include "sys/control.h"
#include "sys/files.h"
#include "sys/unixsock.h"

#include "sandbox.h"

#define SOCKET MESHD_RUN_DIR "/test0.sock"

/* How long the server waits for a client: long on a busy machine, but where a test waits for it to end. */
#define TIMEOUT_S 30.0
#define SHORT_TIMEOUT_S 1.0

/* ---- the server's process ---- */

struct served {
	struct ev_loop *loop;
	struct control_server *server;
	uint64_t asked;
	size_t peers;		/* to tell of */
	size_t version_len;	/* to blow the answer up with */
	bool planned;
};

static bool serve_status(void *ctx, bool sub_sessions, Meshd__Status *s)
{
	struct served *v = ctx;

	s->name = strdup("test0");
	s->rx_packets = ++v->asked;
	s->sub_sessions_left_out = sub_sessions;
	if (v->version_len) {
		s->version = malloc(v->version_len + 1);
		memset(s->version, 'v', v->version_len);
		s->version[v->version_len] = '\0';
	}
	s->peers = calloc(v->peers + 1, sizeof(*s->peers));
	for (size_t i = 0; i < v->peers; i++) {
		s->peers[i] = malloc(sizeof(**s->peers));
		meshd__peer__init(s->peers[i]);
		s->n_peers++;
		if (asprintf(&s->peers[i]->name, "peer%zu", i) < 0)
			s->peers[i]->name = NULL;
	}
	return v->peers != 13;	/* as if memory had ended */
}

/* As many routes as there are peers to tell of. */
static bool serve_routes(void *ctx, Meshd__Routes *r)
{
	struct served *v = ctx;

	r->name = strdup("test0");
	r->routes = calloc(v->peers + 1, sizeof(*r->routes));
	for (size_t i = 0; i < v->peers; i++) {
		r->routes[i] = malloc(sizeof(**r->routes));
		meshd__babel_route__init(r->routes[i]);
		r->n_routes++;
		if (asprintf(&r->routes[i]->prefix, "10.0.%zu.0/24", i) < 0)
			r->routes[i]->prefix = NULL;
	}
	return v->peers != 13;
}

static bool serve_paths(void *ctx, Meshd__Paths *p)
{
	struct served *v = ctx;

	p->name = strdup("test0");
	p->left_out = (uint32_t)v->peers;
	return v->peers != 13;
}

/* What is imported is how many slices it takes; 0: one that is refused after three. 'job' is how many there were. */
static bool serve_import(const Meshd__ImportRequest *q, void **job, Meshd__Response *r, struct text *why)
{
	uintptr_t done = (uintptr_t)*job + 1, wanted = q->file.data[0];

	*job = done < (wanted ? wanted : 3) ? (void *)done : NULL;
	if (*job || !wanted) {
		if (!*job)
			text_add(why, "refused in the end");
		return *job;
	}
	r->import = malloc(sizeof(*r->import));
	meshd__import_news__init(r->import);
	r->import->added = (uint32_t)done;
	return true;
}

static uintptr_t given_up;	/* the slices of jobs that were */

static void serve_give_up(void *job)
{
	given_up += (uintptr_t)job;
}

/* Revoking "bad" and "silent" is refused; what is exported is the names. */
static bool serve_mesh(void *ctx, const Meshd__Request *q, void **job, Meshd__Response *r, struct text *why)
{
	struct text out = { 0 };

	(void)ctx;
	if (q->kind_case == MESHD__REQUEST__KIND_IMPORT)
		return serve_import(q->import, job, r, why);
	if (q->kind_case == MESHD__REQUEST__KIND_REVOKE && !strcmp(q->revoke->node, "bad"))
		text_add(why, "there is no node 'bad'");
	if (q->kind_case == MESHD__REQUEST__KIND_REVOKE)
		return strcmp(q->revoke->node, "bad") && strcmp(q->revoke->node, "silent");
	if (q->kind_case == MESHD__REQUEST__KIND_MESH) {
		r->mesh = malloc(sizeof(*r->mesh));
		meshd__mesh__init(r->mesh);
		r->mesh->name = strdup("home");
		return true;
	}
	for (size_t i = 0; q->kind_case == MESHD__REQUEST__KIND_EXPORT && i < q->export->n_nodes; i++)
		text_add(&out, q->export->nodes[i]);
	r->text.data = (uint8_t *)out.s;
	r->text.len = out.len;
	return true;
}

static void serve_down(void *ctx, bool planned)
{
	struct served *v = ctx;

	v->planned = planned;
	control_close(v->server);
	v->server = NULL;
	ev_break(v->loop, EVBREAK_ALL);
}

/* The "config" is a command to this test's server. */
static bool serve_reload(void *ctx, const char *text, size_t len, struct text *why)
{
	struct served *v = ctx;
	char copy[64];

	if (len >= sizeof(copy))
		return true;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (!strcmp(copy, "bad"))
		text_add(why, "test0.conf:3: MTU: not a number");
	if (!strcmp(copy, "bad") || !strcmp(copy, "silent"))
		return false;
	if (sscanf(copy, "peers %zu", &v->peers) + sscanf(copy, "version %zu", &v->version_len) < 0)
		return len == 0;
	return true;
}

static int serve(int ready, double timeout_s)
{
	struct served v = { .loop = ev_loop_new(EVFLAG_AUTO) };
	struct control_handler h = { serve_status, serve_routes, serve_paths, serve_mesh, serve_give_up, serve_down, serve_reload, &v, timeout_s };
	int error = control_listen(&v.server, v.loop, "test0", &h);

	if (write(ready, &error, sizeof(error)) != sizeof(error) || error)
		return 3;
	ev_run(v.loop, 0);
	ev_loop_destroy(v.loop);
	return v.server || !access(SOCKET, F_OK) ? 4 : v.planned ? 5 : 0;
}

/* ---- the test's side ---- */

static pid_t server_pid;

static void start_server(double timeout_s)
{
	int ready[2], error = -EPIPE;

	assert_int_equal(pipe(ready), 0);
	fflush(NULL);
	server_pid = fork();
	assert_true(server_pid >= 0);
	if (!server_pid) {
		close(ready[0]);
		exit(serve(ready[1], timeout_s));
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &error, sizeof(error)), sizeof(error));
	close(ready[0]);
	assert_int_equal(error, 0);
}

/* The server's exit status once it has ended; -1 when a signal ended it. */
static int server_ended(void)
{
	int status;

	assert_int_equal(waitpid(server_pid, &status, 0), server_pid);
	server_pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int setup(void **state)
{
	(void)state;
	start_server(TIMEOUT_S);
	return 0;
}

static int setup_impatient(void **state)
{
	(void)state;
	start_server(SHORT_TIMEOUT_S);
	return 0;
}

/* Every test ends in a clean "down": what came before has not hurt the server, and it frees all it had. */
static int teardown(void **state)
{
	struct text why = { 0 };
	bool ok;

	(void)state;
	if (!server_pid)
		return 0;
	ok = client_down("test0", false, &why);
	if (!ok) {
		print_message("%s\n", why.s);
		kill(server_pid, SIGKILL);
	}
	text_done(&why);
	return ok && server_ended() == 0 ? 0 : -1;
}

/* Ask for the status; returns how often it has been asked for. */
static uint64_t ask(size_t *peers)
{
	struct text why = { 0 };
	Meshd__Status *s = NULL;
	uint64_t asked;

	if (!client_status("test0", false, &s, &why))
		fail_msg("%s", why.s);
	assert_string_equal(s->name, "test0");
	asked = s->rx_packets;
	if (peers)
		*peers = s->n_peers;
	meshd__status__free_unpacked(s, NULL);
	return asked;
}

static void command(const char *config)
{
	struct text why = { 0 };

	if (!client_reload("test0", config, strlen(config), &why))
		fail_msg("%s", why.s);
	assert_int_equal(why.len, 0);
}

static int raw(void)
{
	int fd = unix_connect(MESHD_RUN_DIR, "test0", 5000);

	assert_true(fd >= 0);
	return fd;
}

static void raw_send(int fd, uint32_t len, const void *body, size_t body_len)
{
	uint8_t header[4];

	put_le32(header, len);
	assert_int_equal(send(fd, header, sizeof(header), MSG_NOSIGNAL), sizeof(header));
	if (body_len)
		assert_int_equal(send(fd, body, body_len, MSG_NOSIGNAL), body_len);
}

/* The server closes without a byte: the end of the file, or a reset when it left something unread. */
static void raw_is_closed(int fd)
{
	uint8_t byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
	close(fd);
}

static void asks_and_answers(void **state)
{
	size_t peers;

	(void)state;
	assert_int_equal(ask(&peers), 1);
	assert_int_equal(peers, 0);
	command("peers 3");
	assert_int_equal(ask(&peers), 2);
	assert_int_equal(peers, 3);
}

/* What is asked for reaches who answers. */
static void in_full_or_not(void **state)
{
	(void)state;
	for (uint32_t full = 0; full < 2; full++) {
		struct text why = { 0 };
		Meshd__Status *s = NULL;

		assert_true(client_status("test0", full, &s, &why));
		assert_int_equal(s->sub_sessions_left_out, full);
		meshd__status__free_unpacked(s, NULL);
	}
}

static void asks_for_routes(void **state)
{
	struct text why = { 0 };
	Meshd__Routes *r = NULL;

	(void)state;
	command("peers 3");
	assert_true(client_routes("test0", &r, &why));
	assert_string_equal(r->name, "test0");
	assert_int_equal(r->n_routes, 3);
	assert_string_equal(r->routes[2]->prefix, "10.0.2.0/24");
	meshd__routes__free_unpacked(r, NULL);
	command("peers 13");
	assert_false(client_routes("test0", &r, &why));
	assert_string_equal(why.s, "test0: the routes do not fit into memory or a message");
	text_reset(&why);
	assert_false(client_routes("other", &r, &why));
	assert_string_equal(why.s, "other: meshd is not running (start it with: meshd up other)");
	text_done(&why);
}

static void asks_for_paths(void **state)
{
	struct text why = { 0 };
	Meshd__Paths *p = NULL;

	(void)state;
	command("peers 3");
	assert_true(client_paths("test0", &p, &why));
	assert_string_equal(p->name, "test0");
	assert_int_equal(p->left_out, 3);
	meshd__paths__free_unpacked(p, NULL);
	command("peers 13");
	assert_false(client_paths("test0", &p, &why));
	assert_string_equal(why.s, "test0: the paths do not fit into memory or a message");
	text_done(&why);
}

static Meshd__Response *exchange(const Meshd__Request *q)
{
	size_t len = meshd__request__get_packed_size(q), fill = 0, want = 4;
	uint8_t body[4096];
	int fd = raw();

	assert_true(len <= sizeof(body));
	meshd__request__pack(q, body);
	raw_send(fd, (uint32_t)len, body, len);
	while (fill < want) {
		ssize_t n = recv(fd, body + fill, want - fill, 0);

		assert_true(n > 0);
		fill += (size_t)n;
		if (fill == 4)
			want += get_le32(body);
		assert_true(want <= sizeof(body));
	}
	close(fd);
	return meshd__response__unpack(NULL, fill - 4, body + 4);
}

static void asks_of_the_mesh(void **state)
{
	static const char *const refused[][2] = {
		{ "bad", "there is no node 'bad'" }, { "silent", "the request was refused" }, { "old", "" },
	};
	char *names[] = { "north", "south" };
	Meshd__Request q = MESHD__REQUEST__INIT;
	Meshd__ExportRequest export = MESHD__EXPORT_REQUEST__INIT;
	Meshd__RevokeRequest revoke = MESHD__REVOKE_REQUEST__INIT;
	Meshd__MeshRequest mesh = MESHD__MESH_REQUEST__INIT;
	Meshd__Response *r;

	(void)state;
	export.nodes = names;
	export.n_nodes = 2;
	q.kind_case = MESHD__REQUEST__KIND_EXPORT;
	q.export = &export;
	r = exchange(&q);
	assert_string_equal(r->error, "");
	assert_int_equal(r->text.len, 10);
	assert_memory_equal(r->text.data, "northsouth", 10);
	meshd__response__free_unpacked(r, NULL);

	q.kind_case = MESHD__REQUEST__KIND_MESH;
	q.mesh = &mesh;
	r = exchange(&q);
	assert_string_equal(r->mesh->name, "home");
	meshd__response__free_unpacked(r, NULL);

	q.kind_case = MESHD__REQUEST__KIND_REVOKE;
	q.revoke = &revoke;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		revoke.node = (char *)(uintptr_t)refused[i][0];
		r = exchange(&q);
		assert_string_equal(r->error, refused[i][1]);
		meshd__response__free_unpacked(r, NULL);
	}
}

static Meshd__Request import_of(Meshd__ImportRequest *import, uint8_t *slices)
{
	Meshd__Request q = MESHD__REQUEST__INIT;

	meshd__import_request__init(import);
	import->file.data = slices;
	import->file.len = 1;
	q.kind_case = MESHD__REQUEST__KIND_IMPORT;
	q.import = import;
	return q;
}

/* What takes long is done in slices, to its end or to a refusal, also when nobody waits for it any more; and others are served in between. */
static void in_slices(void **state)
{
	static const uint8_t counts[] = { 1, 2, 200, 0 };
	Meshd__ImportRequest import;

	(void)state;
	for (size_t i = 0; i < sizeof(counts); i++) {
		uint8_t slices = counts[i];
		Meshd__Request q = import_of(&import, &slices);
		Meshd__Response *r = exchange(&q);

		if (slices)
			assert_int_equal(r->import->added, slices);
		else
			assert_string_equal(r->error, "refused in the end");
		meshd__response__free_unpacked(r, NULL);
	}
	for (int i = 0; i < 20; i++) {
		uint8_t slices = 250, body[64];
		Meshd__Request q = import_of(&import, &slices);
		size_t len = meshd__request__pack(&q, body);
		int fd = raw();

		raw_send(fd, (uint32_t)len, body, len);
		if (i % 2)
			assert_true(ask(NULL) > 0);
		close(fd);
	}
	assert_true(ask(NULL) > 0);
}

/* The server ends while something is under way: in the same process, turn by turn. */
static void slices_given_up(void **state)
{
	static const struct control_handler h = { serve_status, serve_routes, serve_paths, serve_mesh, serve_give_up, serve_down, serve_reload, NULL, 0 };
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct control_server *s;
	Meshd__ImportRequest import;
	uint8_t slices = 250, body[64], header[4];
	Meshd__Request q = import_of(&import, &slices);
	size_t len = meshd__request__pack(&q, body);
	int fd;

	(void)state;
	given_up = 0;
	assert_int_equal(control_listen(&s, loop, "wg9", &h), 0);
	fd = unix_connect(MESHD_RUN_DIR, "wg9", 1000);
	assert_true(fd >= 0);
	put_le32(header, (uint32_t)len);
	assert_int_equal(write(fd, header, 4), 4);
	assert_int_equal(write(fd, body, len), len);
	for (int turn = 0; turn < 20; turn++)
		ev_run(loop, EVRUN_NOWAIT);
	control_close(s);
	assert_in_range(given_up, 2, 20);
	close(fd);
	ev_loop_destroy(loop);
}

static void reload_tells_why_not(void **state)
{
	struct text why = { 0 };

	(void)state;
	assert_false(client_reload("test0", "bad", 3, &why));
	assert_string_equal(why.s, "test0: test0.conf:3: MTU: not a number");
	text_reset(&why);
	assert_false(client_reload("test0", "silent", 6, &why));
	assert_string_equal(why.s, "test0: the config was refused");
	text_done(&why);
	command("");
}

static void large_configs(void **state)
{
	size_t len = CONFIG_SIZE_MAX;
	char *big = calloc(1, len + 1);
	struct text why = { 0 };

	(void)state;
	assert_non_null(big);
	assert_true(client_reload("test0", big, len, &why));
	assert_false(client_reload("test0", big, len + 1, &why));
	assert_string_equal(why.s, "test0: the config file is too long");
	text_done(&why);
	free(big);
}

static void nobody_there(void **state)
{
	struct text why = { 0 };
	Meshd__Status *s;

	(void)state;
	assert_false(client_status("other", false, &s, &why));
	assert_string_equal(why.s, "other: meshd is not running (start it with: meshd up other)");
	text_reset(&why);
	assert_false(client_down("other", false, &why));
	assert_string_equal(why.s, "other: meshd is not running (start it with: meshd up other)");
	text_done(&why);
}

static void wrong_lengths(void **state)
{
	static const uint32_t len[] = { 0, CONTROL_REQUEST_MAX + 1, INT32_MAX, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		int fd = raw();

		print_message("length %" PRIu32 "\n", len[i]);
		raw_send(fd, len[i], NULL, 0);
		raw_is_closed(fd);
	}
	assert_int_equal(ask(NULL), 1);
}

static void garbage(void **state)
{
	uint8_t body[64];
	unsigned int seed = 5;

	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		size_t len = 1 + (size_t)rand_r(&seed) % sizeof(body);
		int fd = raw();

		for (size_t k = 0; k < len; k++)
			body[k] = (uint8_t)rand_r(&seed);
		/* A group's end without its beginning: never a message, whatever follows. */
		body[0] = 0x0c;
		raw_send(fd, (uint32_t)len, body, len);
		raw_is_closed(fd);
	}
	assert_int_equal(ask(NULL), 1);
}

static void a_later_version_asks(void **state)
{
	static const uint8_t field_15[] = { 0x7a, 0x00 };
	uint8_t header[4], body[256];
	Meshd__Response *r;
	int fd = raw();

	(void)state;
	raw_send(fd, sizeof(field_15), field_15, sizeof(field_15));
	assert_int_equal(recv(fd, header, 4, MSG_WAITALL), 4);
	assert_in_range(get_le32(header), 1, sizeof(body));
	assert_int_equal(recv(fd, body, get_le32(header), MSG_WAITALL), get_le32(header));
	r = meshd__response__unpack(NULL, get_le32(header), body);
	assert_non_null(r);
	assert_string_equal(r->error, "this meshd does not know that request");
	meshd__response__free_unpacked(r, NULL);
	raw_is_closed(fd);
}

static void halves(void **state)
{
	static const uint8_t status[] = { 0x0a, 0x00 };
	int fd;

	(void)state;
	/* Went away in the header, in the body, without reading the answer. */
	fd = raw();
	assert_int_equal(send(fd, status, 2, 0), 2);
	close(fd);
	fd = raw();
	raw_send(fd, 100, status, 2);
	close(fd);
	fd = raw();
	raw_send(fd, 2, status, 2);
	close(fd);
	/* Stays, and says no more: its time ends. */
	fd = raw();
	raw_send(fd, 100, status, 2);
	raw_is_closed(fd);
	assert_in_range(ask(NULL), 1, 2);
}

static void drip_feed(void **state)
{
	static const uint8_t message[] = { 2, 0, 0, 0, 0x0a, 0x00 };
	uint8_t header[4];
	int fd = raw();

	(void)state;
	for (size_t i = 0; i < sizeof(message); i++) {
		assert_int_equal(send(fd, message + i, 1, 0), 1);
		usleep(1000);
	}
	assert_int_equal(recv(fd, header, 4, MSG_WAITALL), 4);
	close(fd);
}

static void many_clients(void **state)
{
	enum { SILENT = 2 * CONTROL_CLIENTS_MAX + 4 };
	int fd[SILENT];

	(void)state;
	for (int i = 0; i < SILENT; i++)
		fd[i] = raw();
	/* Waits for its turn behind the silent ones, and gets it. */
	assert_int_equal(ask(NULL), 1);
	for (int i = 0; i < SILENT; i++)
		raw_is_closed(fd[i]);
	assert_int_equal(ask(NULL), 2);
}

static void large_answers(void **state)
{
	static const uint8_t status[] = { 0x0a, 0x00 };
	struct text why = { 0 };
	Meshd__Status *s;
	size_t peers;
	int fd;

	(void)state;
	command("peers 20000");
	ask(&peers);
	assert_int_equal(peers, 20000);
	/* Who does not read is let go; the answer does not fit into the socket. */
	fd = raw();
	raw_send(fd, 2, status, 2);
	ask(&peers);
	close(fd);

	command("peers 0");
	command("version 17000000");
	assert_false(client_status("test0", false, &s, &why));
	assert_string_equal(why.s, "test0: the status does not fit into memory or a message");
	text_reset(&why);
	command("version 0");
	command("peers 13");
	assert_false(client_status("test0", false, &s, &why));
	assert_string_equal(why.s, "test0: the status does not fit into memory or a message");
	text_done(&why);
}

/* Down counts even if who asked for it does not wait for the answer. */
static void down_and_gone(void **state)
{
	static const uint8_t down[] = { 0x12, 0x00 };
	struct text why = { 0 };
	Meshd__Status *s;
	int fd = raw();

	(void)state;
	raw_send(fd, 2, down, 2);
	close(fd);
	assert_int_equal(server_ended(), 0);
	assert_false(client_status("test0", false, &s, &why));
	text_done(&why);
}

static void down_planned(void **state)
{
	struct text why = { 0 };

	(void)state;
	assert_true(client_down("test0", true, &why));
	assert_int_equal(server_ended(), 5);
	text_done(&why);
}

static void modes(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(MESHD_RUN_DIR, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(SOCKET, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(S_ISSOCK(st.st_mode));
}

/* In a process that is nobody's: 0 when turned away as 'how' says. */
static int try_as_nobody(bool open_wide)
{
	struct text why = { 0 };
	Meshd__Status *s;
	bool refused;

	if (setgid(65534) || setuid(65534) || client_status("test0", false, &s, &why))
		return 1;
	refused = strstr(why.s, open_wide ? "closed the connection" : "only the superuser");
	if (!refused)
		fprintf(stderr, "%s\n", why.s);
	text_done(&why);
	return refused ? 0 : 2;
}

static void others_are_refused(void **state)
{
	(void)state;
	for (int open_wide = 0; open_wide < 2; open_wide++) {
		int status;
		pid_t pid;

		if (open_wide) {
			/* Even were the modes wrong, the credentials decide. */
			assert_int_equal(chmod(MESHD_RUN_DIR, 0755), 0);
			assert_int_equal(chmod(SOCKET, 0666), 0);
		}
		fflush(NULL);
		pid = fork();
		if (!pid)
			_exit(try_as_nobody(open_wide));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	assert_int_equal(chmod(MESHD_RUN_DIR, 0700), 0);
	assert_int_equal(ask(NULL), 1);
}

static void names_of_the_living(void **state)
{
	static const struct control_handler h = { serve_status, serve_routes, serve_paths, serve_mesh, serve_give_up, serve_down, serve_reload, NULL, 0 };
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct client_names names = { 0 };
	struct control_server *a, *b;
	struct text why = { 0 };
	int dead;

	(void)state;
	assert_int_equal(control_listen(&a, loop, "wg10", &h), 0);
	assert_int_equal(control_listen(&b, loop, "wg9", &h), 0);
	assert_int_equal(unix_listen(MESHD_RUN_DIR, "dead", &dead), 0);
	close(dead);
	fclose(fopen(MESHD_RUN_DIR "/test0.lock", "w"));
	assert_true(client_names(&names, &why));
	assert_int_equal(names.count, 3);
	assert_string_equal(names.v[0], "test0");
	assert_string_equal(names.v[1], "wg9");
	assert_string_equal(names.v[2], "wg10");
	client_names_done(&names);
	control_close(a);
	control_close(b);
	ev_loop_destroy(loop);
	assert_true(client_names(&names, &why));
	assert_int_equal(names.count, 1);
	client_names_done(&names);
}

static void one_server_a_name(void **state)
{
	static const struct control_handler h = { serve_status, serve_routes, serve_paths, serve_mesh, serve_give_up, serve_down, serve_reload, NULL, 0 };
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct control_server *s = NULL;

	(void)state;
	assert_int_equal(control_listen(&s, loop, "test0", &h), -EADDRINUSE);
	assert_int_equal(control_listen(&s, loop, "a-name-of-16-chr", &h), -ENAMETOOLONG);
	assert_null(s);
	ev_loop_destroy(loop);
	control_close(NULL);
	/* After a crash the dead socket is replaced. */
	kill(server_pid, SIGKILL);
	assert_int_equal(server_ended(), -1);
	assert_int_equal(access(SOCKET, F_OK), 0);
	start_server(TIMEOUT_S);
	assert_int_equal(ask(NULL), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(asks_and_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(in_full_or_not, setup, teardown),
		cmocka_unit_test_setup_teardown(asks_for_routes, setup, teardown),
		cmocka_unit_test_setup_teardown(asks_for_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(asks_of_the_mesh, setup, teardown),
		cmocka_unit_test_setup_teardown(in_slices, setup, teardown),
		cmocka_unit_test_setup_teardown(slices_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(reload_tells_why_not, setup, teardown),
		cmocka_unit_test_setup_teardown(large_configs, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_there, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(a_later_version_asks, setup, teardown),
		cmocka_unit_test_setup_teardown(halves, setup_impatient, teardown),
		cmocka_unit_test_setup_teardown(drip_feed, setup, teardown),
		cmocka_unit_test_setup_teardown(many_clients, setup_impatient, teardown),
		cmocka_unit_test_setup_teardown(large_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(down_and_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(down_planned, setup, teardown),
		cmocka_unit_test_setup_teardown(modes, setup, teardown),
		cmocka_unit_test_setup_teardown(others_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(names_of_the_living, setup, teardown),
		cmocka_unit_test_setup_teardown(one_server_a_name, setup, teardown),
	};

	sandbox_run_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
