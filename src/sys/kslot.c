/* SPDX-License-Identifier: MIT */
/*
 * Slots: files locked by F_OFD_SETLK (as sys/files.c locks names), whose content is a name, and a second line when its routes were kept. A
 * file is never removed, so what is locked is always what the path leads to. A slot found with a name and without a lock is what a
 * killed run left; whoever takes it purges it first.
 *
 * They are in /run/meshd: instances that share the network but not that directory (containers on the host's network) do not see each
 * other's, and would change each other's routes.
 */
#include "sys/kslot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/kfib.h"
#include "sys/netlink.h"

enum { CONTENT_MAX = 64 };

static const char kept_line[] = "kept\n";

static int lock(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &l) ? -errno : 0;
}

/* The slot's file, or negative errno. Its first line goes to 'holder', "" when it has none. */
static int open_slot(const char *dir, unsigned int number, bool make, char holder[CONTENT_MAX], bool *kept)
{
	char path[256], content[CONTENT_MAX];
	int fd;
	ssize_t n;
	char *end;

	snprintf(path, sizeof(path), "%s/babel-%u.slot", dir, number);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
	if (fd < 0)
		return -errno;
	n = pread(fd, content, sizeof(content) - 1, 0);
	content[n > 0 ? n : 0] = '\0';
	end = strchr(content, '\n');
	*kept = end && !strcmp(end + 1, kept_line);
	if (end)
		*end = '\0';
	snprintf(holder, CONTENT_MAX, "%s", content);
	return fd;
}

static void write_holder(int fd, const char *name, bool kept)
{
	char content[CONTENT_MAX];
	int len = snprintf(content, sizeof(content), "%s\n%s", name, kept ? kept_line : "");

	/* Should it fail, the next one merely looks at other slots first. */
	if (ftruncate(fd, 0) || (name[0] && pwrite(fd, content, (size_t)len, 0) != len))
		return;
}

enum wish {
	OURS,		/* named after us */
	NOBODYS,
	ANY,
};

static int take(struct kslot *s, const char *dir, const char *name, enum wish wish)
{
	int error = -EBUSY;

	for (unsigned int i = 0; i < KFIB_SLOTS; i++) {
		char holder[CONTENT_MAX];
		bool kept = false, fits;
		int fd = open_slot(dir, i, wish != OURS, holder, &kept);

		if (fd < 0 && fd != -ENOENT)
			error = fd;
		if (fd < 0)
			continue;
		fits = wish == ANY || !strcmp(holder, wish == OURS ? name : "");
		if (fits && !lock(fd)) {
			*s = (struct kslot){ .fd = fd, .number = i, .kept = kept && wish == OURS };
			return 0;
		}
		close(fd);
	}
	return error;
}

int kslot_take(struct kslot *s, const char *dir, const char *name)
{
	int error = -EBUSY;

	s->fd = -1;
	for (enum wish wish = OURS; wish <= ANY && error; wish++)
		error = take(s, dir, name, wish);
	if (!error)
		write_holder(s->fd, name, false);
	return error;
}

int kslot_find(struct kslot *s, const char *dir, const char *name)
{
	int error;

	s->fd = -1;
	error = take(s, dir, name, OURS);
	return error == -EBUSY ? -ENOENT : error;
}

void kslot_release(struct kslot *s, bool keep)
{
	char holder[CONTENT_MAX] = "";
	ssize_t n;

	if (s->fd < 0)
		return;
	n = keep ? pread(s->fd, holder, sizeof(holder) - 1, 0) : 0;
	holder[n > 0 ? n : 0] = '\0';
	holder[strcspn(holder, "\n")] = '\0';
	write_holder(s->fd, holder, keep);
	close(s->fd);
	s->fd = -1;
}

bool kslot_clean(const char *dir, const char *name)
{
	struct netlink nl;
	struct kslot s;

	if (kslot_find(&s, dir, name))
		return false;
	if (!netlink_open(&nl)) {
		kfib_purge(&nl, s.number, false);
		netlink_close(&nl);
		kslot_release(&s, false);
	} else {
		close(s.fd);	/* and its name stays, for another try */
	}
	return true;
}
