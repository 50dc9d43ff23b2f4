/* SPDX-License-Identifier: MIT */
/*
 * Frames between the root parent and the daemon proper. A frame is sent and received whole, so neither side
 * keeps half of one between two turns of its loop. Every transfer is non-blocking with a poll around it:
 * the flags of the descriptor do not matter, and a frame that stands still for FRAME_STALL_MS is an
 * error instead of a process that hangs.
 *
 * Payloads may hold keys (a saved config); the caller who gets one wipes it.
 */
#include "sys/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "crypto/key.h"

enum { HEADER = 5 };

static int wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do
		n = poll(&p, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

static int send_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			int error = wait_for(fd, POLLOUT, FRAME_STALL_MS);

			if (error)
				return error;
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		} else if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* Up to 'len' bytes; fewer only at end of file. 'first_ms' is how long the first may take. */
static ssize_t receive_all(int fd, uint8_t *p, size_t len, int first_ms)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = recv(fd, p + got, len - got, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			int error = wait_for(fd, POLLIN, got ? FRAME_STALL_MS : first_ms);

			if (error)
				return error;
		} else if (n < 0 && errno == ECONNRESET) {
			break;		/* the other side died with our bytes unread */
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		} else if (!n) {
			break;
		} else if (n > 0) {
			got += (size_t)n;
		}
	}
	return (ssize_t)got;
}

int frame_send(int fd, enum frame_type type, const void *payload, size_t len)
{
	uint8_t header[HEADER] = { (uint8_t)type };
	int error;

	if (len > FRAME_MAX)
		return -EMSGSIZE;
	put_le32(header + 1, (uint32_t)len);
	error = send_all(fd, header, HEADER);
	return error ? error : send_all(fd, payload, len);
}

static int receive_payload(int fd, char **payload, size_t len)
{
	uint8_t *p = malloc(len + 1);
	ssize_t n;

	if (!p)
		return -ENOMEM;
	n = receive_all(fd, p, len, FRAME_STALL_MS);
	if (n != (ssize_t)len) {
		crypto_wipe(p, len + 1);
		free(p);
		return n < 0 ? (int)n : -EPROTO;
	}
	p[len] = '\0';
	*payload = (char *)p;
	return 0;
}

int frame_receive(int fd, char **payload, size_t *len)
{
	uint8_t header[HEADER];
	ssize_t n = receive_all(fd, header, HEADER, -1);
	int error;

	if (n <= 0)
		return (int)n;
	if (n < HEADER || !header[0])
		return -EPROTO;
	if (get_le32(header + 1) > FRAME_MAX)
		return -EMSGSIZE;
	error = receive_payload(fd, payload, get_le32(header + 1));
	if (error)
		return error;
	*len = get_le32(header + 1);
	return header[0];
}

int frame_peek(int fd)
{
	uint8_t type;
	ssize_t n;

	do
		n = recv(fd, &type, 1, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n > 0 ? type : n < 0 ? -errno : 0;
}

bool frame_made_take(struct frame_made *made, const void *payload, size_t len)
{
	struct frame_made m;

	if (len != sizeof(m))
		return false;
	memcpy(&m, payload, sizeof(m));
	if (m.address_count > FRAME_ADDRESSES_MAX)
		return false;
	for (uint32_t i = 0; i < m.address_count; i++)
		if (!ip_family_bits(m.addresses[i].addr.family) || m.addresses[i].len > ip_family_bits(m.addresses[i].addr.family))
			return false;
	*made = m;
	return true;
}
