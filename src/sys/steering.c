/* SPDX-License-Identifier: MIT */
/*
 * Two small programs for the kernel, assembled by hand.
 *
 * For sockets a classic BPF program (SO_ATTACH_REUSEPORT_CBPF, Linux 4.5), run on the UDP payload. It reads what the low bytes
 * of a receiver index say: sub-session i in bits 0-6 of the first, home lane in bits 0-2 of the second. Sub-sessions 1..126
 * belong to lane i mod n, 0 and 127 to the home lane; initiations, which have no receiver index, to lane 0, like
 * whatever is too short: a load beyond the end returns 0. Loads are of single bytes, so that byte order does not matter.
 *
 * For the TUN an eBPF socket filter (TUNSETSTEERINGEBPF, Linux 4.16), run on the IP packet. The kernel's own choice follows
 * skb->hash, which TCP draws anew after a timeout; this one depends on the packet alone. Fragments are hashed without
 * ports, the first one too, so that those of a datagram stay together. The kernel takes the result modulo queues.
 */
#include "sys/steering.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wire/wg.h"

int steering_attach(int fd, unsigned int lanes)
{
	struct sock_filter code[] = {
		/* X: where the receiver index is. */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_STMT(BPF_LDX | BPF_IMM, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, WG_DATA, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, WG_COOKIE_REPLY, 3, 0),
		BPF_STMT(BPF_LDX | BPF_IMM, 8),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, WG_RESPONSE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
		/* By sub-session, */
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, WG_INDEX_SUB_SESSION),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, WG_INDEX_SUB_SESSION, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JA, 2, 0, 0),
		/* or by home lane. */
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, 1),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, WG_INDEX_LANE >> WG_INDEX_LANE_SHIFT),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, lanes),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog program;

	memset(&program, 0, sizeof(program));	/* its padding goes along */
	program.len = sizeof(code) / sizeof(code[0]);
	program.filter = code;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)))
		return -errno;
	return 0;
}

/*
 * The assembler. Registers: R6 the packet (loads want it there), R7 the multiplier, R8 the hash, R9 where the ports
 * are (0: nowhere), R0 what was loaded last. A load clobbers R1 to R5; beyond the end of the packet it ends the program with 0.
 */
enum {
	CODE_MAX = 128,
	REG_LOADED = BPF_REG_0,
	REG_SCRATCH = BPF_REG_1,
	REG_PACKET = BPF_REG_6,
	REG_MULTIPLIER = BPF_REG_7,
	REG_HASH = BPF_REG_8,
	REG_PORTS = BPF_REG_9,
};

struct program {
	struct bpf_insn code[CODE_MAX];
	size_t len;
};

static void emit(struct program *p, unsigned int code, unsigned int dst, unsigned int src, int32_t imm)
{
	p->code[p->len++] = (struct bpf_insn){
		.code = (uint8_t)code, .dst_reg = (uint8_t)(dst & 15), .src_reg = (uint8_t)(src & 15), .imm = imm,
	};
}

/* R0: the value of 'size' at an offset. */
static void load(struct program *p, unsigned int size, int32_t offset)
{
	emit(p, BPF_LD | BPF_ABS | size, 0, 0, offset);
}

static void set(struct program *p, unsigned int dst, int32_t value)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, value);
}

static void copy(struct program *p, unsigned int dst, unsigned int src)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0);
}

/* R0: 'op' with a constant. */
static void apply(struct program *p, unsigned int op, int32_t value)
{
	emit(p, BPF_ALU64 | op | BPF_K, REG_LOADED, 0, value);
}

/* R8: R0 mixed in; R0 stays. The high half of a product depends on all of its factor, so it goes back into the low one. */
static void mix(struct program *p)
{
	emit(p, BPF_ALU64 | BPF_XOR | BPF_X, REG_HASH, REG_LOADED, 0);
	emit(p, BPF_ALU64 | BPF_MUL | BPF_X, REG_HASH, REG_MULTIPLIER, 0);
	copy(p, REG_SCRATCH, REG_HASH);
	emit(p, BPF_ALU64 | BPF_RSH | BPF_K, REG_SCRATCH, 0, 32);
	emit(p, BPF_ALU64 | BPF_XOR | BPF_X, REG_HASH, REG_SCRATCH, 0);
}

/* A jump, when 'reg' compares so, to where land() will be called. */
static size_t jump(struct program *p, unsigned int op, unsigned int reg, int32_t value)
{
	emit(p, BPF_JMP | op | BPF_K, reg, 0, value);
	return p->len - 1;
}

static void land(struct program *p, size_t from)
{
	p->code[from].off = (int16_t)(p->len - from - 1);
}

static void begin(struct program *p)
{
	const uint64_t multiplier = 0x9e3779b97f4a7c15;	/* the golden ratio's: odd, its bits as good as random */

	copy(p, REG_PACKET, BPF_REG_1);
	emit(p, BPF_LD | BPF_DW | BPF_IMM, REG_MULTIPLIER, 0, (int32_t)(uint32_t)multiplier);
	emit(p, 0, 0, 0, (int32_t)(uint32_t)(multiplier >> 32));
	set(p, REG_HASH, 0);
}

/* Addresses into the hash, R9 set, protocol in R0. */
static void read_ip4(struct program *p)
{
	size_t whole;

	load(p, BPF_W, 12);
	mix(p);
	load(p, BPF_W, 16);
	mix(p);
	load(p, BPF_B, 0);
	apply(p, BPF_AND, 0x0f);
	apply(p, BPF_LSH, 2);
	copy(p, REG_PORTS, REG_LOADED);
	load(p, BPF_H, 6);
	apply(p, BPF_AND, 0x3fff);	/* more fragments, or an offset */
	whole = jump(p, BPF_JEQ, REG_LOADED, 0);
	set(p, REG_PORTS, 0);
	land(p, whole);
	load(p, BPF_B, 9);
}

/* The same. Behind an extension header nobody looks: that of a fragment has no ports, the others are rare. */
static void read_ip6(struct program *p)
{
	for (int32_t offset = 8; offset < 40; offset += 4) {
		load(p, BPF_W, offset);
		mix(p);
	}
	set(p, REG_PORTS, 40);
	load(p, BPF_B, 6);
}

/* Protocol, and ports where it has some. */
static void read_ports(struct program *p)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_UDPLITE };
	size_t found[sizeof(protocols)], fragment, other;

	mix(p);
	fragment = jump(p, BPF_JEQ, REG_PORTS, 0);
	for (size_t i = 0; i < sizeof(protocols); i++)
		found[i] = jump(p, BPF_JEQ, REG_LOADED, protocols[i]);
	other = jump(p, BPF_JA, 0, 0);
	for (size_t i = 0; i < sizeof(protocols); i++)
		land(p, found[i]);
	emit(p, BPF_LD | BPF_IND | BPF_W, 0, REG_PORTS, 0);
	mix(p);
	land(p, fragment);
	land(p, other);
}

static void assemble(struct program *p)
{
	size_t is6, is_none, done4;

	p->len = 0;
	begin(p);
	load(p, BPF_B, 0);
	apply(p, BPF_RSH, 4);
	is6 = jump(p, BPF_JEQ, REG_LOADED, 6);
	is_none = jump(p, BPF_JNE, REG_LOADED, 4);
	read_ip4(p);
	done4 = jump(p, BPF_JA, 0, 0);
	land(p, is6);
	read_ip6(p);
	land(p, done4);
	read_ports(p);
	land(p, is_none);
	copy(p, BPF_REG_0, REG_HASH);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0);
}

static int load_program(const struct program *p)
{
	union bpf_attr attr;
	long fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = (uintptr_t)p->code;
	attr.insn_cnt = (uint32_t)p->len;
	attr.license = (uintptr_t)"Dual MIT/GPL";
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	return fd < 0 ? -errno : (int)fd;
}

int steering_attach_tun(int fd)
{
	struct program p;
	int program, error;

	assemble(&p);
	program = load_program(&p);
	if (program < 0)
		return program;
	error = ioctl(fd, TUNSETSTEERINGEBPF, &program) ? -errno : 0;
	close(program);
	return error;
}
