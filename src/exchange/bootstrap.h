/* SPDX-License-Identifier: MIT */
#ifndef MESHD_EXCHANGE_BOOTSTRAP_H
#define MESHD_EXCHANGE_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "exchange/fields.h"
#include "exchange/store.h"

/*
 * Bootstrap files: a mesh's founding key and any items, to be mailed, put on a web server or shown as a QR code. Text:
 *
 *	-----BEGIN MESHD MESH-----
 *	Mesh: NAME
 *	Key: BASE64 of the founding key
 *	Nodes: 12					(for people: not read)
 *
 *	BASE64 of Bootstrap, 64 characters a line
 *	=BASE64 of the first 6 bytes of BLAKE2s of the bytes
 *	-----END MESHD MESH-----
 *
 * What stands before and after is ignored (a mail's text), as are CRs and blanks at the ends of lines; two blocks are refused. Binary: "meshd\0\1\n", the
 * length of the rest (4 bytes, little-endian), Bootstrap, 16 bytes of its BLAKE2s. Invitation files say INVITATION in the place of MESH; join requests use the same armour, saying
 * JOIN REQUEST (and have a Signed in the place of Bootstrap).
 */
enum {
	BOOTSTRAP_SIZE_MAX = 8 << 20,	/* bytes of a file */
	BOOTSTRAP_ITEMS_MAX = 20000,
	MESH_NAME_MAX = 63,		/* as a node's */
};

enum armour_kind {
	ARMOUR_MESH,
	ARMOUR_INVITATION,
	ARMOUR_JOIN_REQUEST,
	ARMOUR_KINDS,
};

struct bootstrap {
	uint8_t mesh[SIGN_KEY_LEN];
	char name[MESH_NAME_MAX + 1];
	struct item **items;		/* unchecked ones: item_read_unchecked() */
	size_t count;
	size_t later;			/* items of kinds of a later version, which are left out */
	uint8_t *token;			/* a Token, encoded; NULL: none. A secret */
	size_t token_len;
};

/* What is in the file: armoured or binary. False with one line in 'why', and 'b' empty. Nothing is verified but form and checksum. */
bool bootstrap_read(struct bootstrap *b, const void *data, size_t len, struct text *why);
void bootstrap_done(struct bootstrap *b);

/*
 * The same, some items at a time: 'data' has to stay until it is done. bootstrap_open() false, or BOOTSTRAP_REFUSED: as above, and all is freed. DONE: 'b' is read. Whoever stops
 * before calls bootstrap_close(), once.
 */
struct bootstrap_reading {
	struct bootstrap *b;
	const void *text;
	size_t text_len;
	struct text data;		/* Bootstrap: may be a secret */
	struct fields fields;
	enum armour_kind kind;
	bool binary, mesh;
};
enum bootstrap_step {
	BOOTSTRAP_MORE,
	BOOTSTRAP_DONE,
	BOOTSTRAP_REFUSED,
};
bool bootstrap_open(struct bootstrap_reading *r, struct bootstrap *b, const void *data, size_t len, struct text *why);
enum bootstrap_step bootstrap_step(struct bootstrap_reading *r, size_t items, struct text *why);
void bootstrap_close(struct bootstrap_reading *r);

/* What a merge came to. */
struct bootstrap_news {
	size_t added, known, old, refused;
	size_t later;			/* of the file, of kinds this version does not know: left out */
	char first_refused[160];	/* "node alpha: reason" */
};

/*
 * Merge into a store of the same mesh: what is newer is taken, what is older left. First it is tried, and what would be taken is verified: false, with one line in 'why' and the
 * store as it was, where it is of another mesh, a signature of that is wrong, or an item is refused for anything but an unknown or released signer - those are counted as
 * refused. All at once: a daemon has better things to do than to wait for that, see import.h.
 */
bool bootstrap_merge(struct store *s, const struct bootstrap *b, int64_t now_s, struct bootstrap_news *news, struct text *why);

/* A new store with what is in the file. NULL: as above. */
struct store *bootstrap_store(const struct bootstrap *b, int64_t now_s, struct bootstrap_news *news, struct text *why);

/*
 * Write a store: all but invitations and what is expired. 'only' (count of them public keys; NULL: all nodes) chooses nodes, with what is needed to believe their records. 'token'
 * may be NULL. False: no memory, or it is longer than BOOTSTRAP_SIZE_MAX.
 */
struct bootstrap_options {
	const char *name;		/* of the mesh */
	const uint8_t (*only)[KEY_LEN];
	size_t only_count;
	const uint8_t *token;
	size_t token_len;
	bool binary;
	bool invitations;		/* with them: our own copy */
};

bool bootstrap_write(struct store *s, const struct bootstrap_options *o, int64_t now_s, struct text *out);

/*
 * The armour alone. 'headers': lines, each with its end; may be NULL. armour_read: the only block in the text, of any kind; 'kind' says which. 'data' has what was in it,
 * which may be a secret. armour_header: the value of a line above the data of a text that armour_read() took; false: there is none, or it is too long.
 */
void armour_write(enum armour_kind kind, const char *headers, const void *data, size_t len, struct text *out);
bool armour_read(const void *text, size_t text_len, enum armour_kind *kind, struct text *data, struct text *why);
bool armour_header(const void *text, size_t text_len, const char *name, char *out, size_t size);

#endif
