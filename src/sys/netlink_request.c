/* SPDX-License-Identifier: MIT */
/*
 * One request to the kernel's route netlink and its answer (RFC 3549; linux/netlink.h).
 *
 * Every request has a number of its own and is waited for before the next is sent. Answers with
 * another number are leftovers and skipped. When an exchange ends in any other way than by the kernel's
 * last word (time-out, a truncated piece), the socket is replaced, because a dump may still be running on it and
 * would make the next one fail. A dump that the kernel marks as interrupted, the tables having changed under it, is
 * begun anew, a bounded number of times.
 *
 * Strict checking and extended acks are asked for where the kernel has them (4.20), never relied on: whoever
 * reads a dump filters it again.
 */
#include "sys/netlink_request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>

#include "base/addr.h"
#include "sys/netlink.h"

/* What a datagram left us with, besides negative errno. */
enum {
	MORE = 1,
	DONE = 0,
};

struct exchange {
	struct netlink *nl;
	const struct netlink_visitor *visitor;
	uint32_t seq;
	bool interrupted;	/* by a change of the tables */
	bool answered;		/* the kernel had its last word */
};

uint8_t netlink_af(uint8_t family)
{
	return family == IP_V4 ? AF_INET : family == IP_V6 ? AF_INET6 : AF_UNSPEC;
}

uint8_t netlink_family(uint8_t af)
{
	return af == AF_INET ? IP_V4 : af == AF_INET6 ? IP_V6 : IP_NONE;
}

int netlink_request_open(struct netlink *nl)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct timeval timeout = { .tv_sec = NETLINK_TIMEOUT_S };
	int on = 1;

	if (!s)
		return -errno;
	if (setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
		int err = -errno;

		mnl_socket_close(s);
		return err;
	}
	/* Comforts; an older kernel does without. */
	mnl_socket_setsockopt(s, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(s, NETLINK_CAP_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(s, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	if (nl->request)
		mnl_socket_close(nl->request);
	nl->request = s;
	return 0;
}

void *netlink_request_begin(struct netlink_request *r, uint16_t type, uint16_t flags, size_t fixed)
{
	memset(r, 0, sizeof(*r));
	mnl_nlmsg_put_header(r->bytes);
	r->header.nlmsg_type = type;
	r->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	return mnl_nlmsg_put_extra_header(&r->header, fixed);
}

void netlink_request_put_addr(struct netlink_request *r, uint16_t type, const struct ip_addr *a)
{
	mnl_attr_put(&r->header, type, ip_family_bytes(a->family), a->bytes);
}

/* Keep the kernel's words: the attribute NLMSGERR_ATTR_MSG at 'offset' of the payload. */
static void keep_words(struct netlink *nl, const struct nlmsghdr *h, size_t offset)
{
	const struct nlattr *attrs[NLMSGERR_ATTR_MSG + 1];
	const struct nlattr *a;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) || offset > mnl_nlmsg_get_payload_len(h))
		return;
	netlink_attrs_read(h, offset, attrs, NLMSGERR_ATTR_MSG + 1);
	a = attrs[NLMSGERR_ATTR_MSG];
	if (a)
		snprintf(nl->error, sizeof(nl->error), "%.*s", (int)mnl_attr_get_payload_len(a), mnl_attr_get_str(a));
}

/* NLMSG_ERROR: an error with what it was about, or an acknowledgement. */
static int read_error(struct exchange *x, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
	size_t offset = sizeof(*e);

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*e))
		return -EBADMSG;
	x->answered = true;
	if (!e->error)
		return DONE;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		offset += NLMSG_ALIGN(e->msg.nlmsg_len) - sizeof(struct nlmsghdr);
	keep_words(x->nl, h, offset);
	return e->error < 0 ? e->error : -EBADMSG;
}

/* NLMSG_DONE: the end of a dump, with the error that ended it if one did. */
static int read_done(struct exchange *x, const struct nlmsghdr *h)
{
	int error = 0;

	x->answered = true;
	if (mnl_nlmsg_get_payload_len(h) >= sizeof(error))
		memcpy(&error, mnl_nlmsg_get_payload(h), sizeof(error));
	if (error >= 0)
		return DONE;
	keep_words(x->nl, h, sizeof(error));
	return error;
}

static int read_message(struct exchange *x, const struct nlmsghdr *h)
{
	if (h->nlmsg_seq != x->seq || h->nlmsg_pid != mnl_socket_get_portid(x->nl->request))
		return MORE;
	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		x->interrupted = true;
	if (h->nlmsg_type == NLMSG_ERROR)
		return read_error(x, h);
	if (h->nlmsg_type == NLMSG_DONE)
		return read_done(x, h);
	if (h->nlmsg_type == NLMSG_OVERRUN)
		return -ENOBUFS;
	if (h->nlmsg_type >= NLMSG_MIN_TYPE && x->visitor)
		x->visitor->visit(x->visitor->ctx, h);
	return MORE;
}

static int read_datagram(struct exchange *x, const void *bytes, int len)
{
	int got = MORE;

	for (const struct nlmsghdr *h = bytes; got == MORE && mnl_nlmsg_ok(h, len); h = mnl_nlmsg_next(h, &len))
		got = read_message(x, h);
	return got;
}

static int send_request(struct netlink *nl, const struct netlink_request *r)
{
	ssize_t n;

	do
		n = mnl_socket_sendto(nl->request, r->bytes, r->header.nlmsg_len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int receive_answer(struct exchange *x)
{
	union {
		struct nlmsghdr align;
		uint8_t bytes[NETLINK_ANSWER_MAX];
	} answer;
	int got = MORE;

	while (got == MORE) {
		ssize_t n = mnl_socket_recvfrom(x->nl->request, answer.bytes, sizeof(answer.bytes));

		if (n >= 0)
			got = read_datagram(x, answer.bytes, (int)n);
		else if (errno == EAGAIN)
			got = -ETIMEDOUT;
		else if (errno == ENOSPC)	/* libmnl's word for a truncated datagram */
			got = -EMSGSIZE;
		else if (errno != EINTR)
			got = -errno;
	}
	return got;
}

/* One request, one answer. */
static int talk(struct exchange *x, struct netlink_request *r)
{
	int err;

	x->seq = ++x->nl->seq;
	x->interrupted = false;
	x->answered = false;
	x->nl->error[0] = '\0';
	r->header.nlmsg_seq = x->seq;
	err = send_request(x->nl, r);
	if (!err)
		err = receive_answer(x);
	if (!x->answered)
		netlink_request_open(x->nl);	/* when that fails the old one has to do */
	return err;
}

int netlink_request_run(struct netlink *nl, struct netlink_request *r, const struct netlink_visitor *v)
{
	struct exchange x = { .nl = nl, .visitor = v };

	r->header.nlmsg_flags |= NLM_F_ACK;
	return talk(&x, r);
}

int netlink_request_dump(struct netlink *nl, struct netlink_request *r, const struct netlink_visitor *v)
{
	struct exchange x = { .nl = nl, .visitor = v };
	int err = 0;

	r->header.nlmsg_flags |= NLM_F_DUMP;
	for (int i = 0; i < NETLINK_DUMP_TRIES_MAX; i++) {
		v->visit(v->ctx, NULL);
		err = talk(&x, r);
		if (!x.interrupted)
			return err;
	}
	return err ? err : -EINTR;
}

static void read_attrs(const struct nlattr *a, size_t len, const struct nlattr **attrs, size_t count)
{
	const char *end = (const char *)a + len;

	for (; mnl_attr_ok(a, (int)(end - (const char *)a)); a = mnl_attr_next(a))
		if (mnl_attr_get_type(a) < count)
			attrs[mnl_attr_get_type(a)] = a;
}

void netlink_attrs_read(const struct nlmsghdr *h, size_t fixed, const struct nlattr **attrs, size_t count)
{
	size_t len = mnl_nlmsg_get_payload_len(h), skip = NLMSG_ALIGN(fixed);

	memset(attrs, 0, count * sizeof(*attrs));
	if (len > skip)
		read_attrs(mnl_nlmsg_get_payload_offset(h, skip), len - skip, attrs, count);
}

void netlink_attrs_read_nested(const struct nlattr *nest, const struct nlattr **attrs, size_t count)
{
	memset(attrs, 0, count * sizeof(*attrs));
	if (nest)
		read_attrs(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), attrs, count);
}

uint32_t netlink_attr_u32(const struct nlattr *a, uint32_t otherwise)
{
	return a && mnl_attr_get_payload_len(a) >= sizeof(uint32_t) ? mnl_attr_get_u32(a) : otherwise;
}

bool netlink_attr_addr(const struct nlattr *a, uint8_t family, struct ip_addr *out)
{
	unsigned int bytes = ip_family_bytes(family);

	if (!a || !bytes || mnl_attr_get_payload_len(a) < bytes)
		return false;
	memset(out, 0, sizeof(*out));
	out->family = family;
	memcpy(out->bytes, mnl_attr_get_payload(a), bytes);
	return true;
}
