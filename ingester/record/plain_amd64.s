//go:build amd64 && !purego

#include "textflag.h"

// Go has no vector instructions of its own. These are SSE2's, which every amd64
// has, so that nothing has to be chosen at the start.

DATA quotes<>+0(SB)/8, $0x2222222222222222
DATA quotes<>+8(SB)/8, $0x2222222222222222
DATA backslashes<>+0(SB)/8, $0x5c5c5c5c5c5c5c5c
DATA backslashes<>+8(SB)/8, $0x5c5c5c5c5c5c5c5c
DATA spaces<>+0(SB)/8, $0x2020202020202020
DATA spaces<>+8(SB)/8, $0x2020202020202020
GLOBL quotes<>(SB), RODATA|NOPTR, $16
GLOBL backslashes<>(SB), RODATA|NOPTR, $16
GLOBL spaces<>(SB), RODATA|NOPTR, $16

// MARK sets the bits in mask of those of the 16 bytes at SI+offset that are to
// be marked. As signed numbers, control characters and what isn't ASCII are
// less than a space.
#define MARK(offset, mask) \
	MOVOU    offset(SI), X0 \
	MOVO     X0, X1         \
	MOVO     X12, X2        \
	PCMPGTB  X0, X2         \
	PCMPEQB  X13, X0        \
	PCMPEQB  X14, X1        \
	POR      X2, X0         \
	POR      X1, X0         \
	PMOVMSKB X0, mask

// func markSpecialSSE2(masks *uint64, data *byte, blocks int)
//
// SI is the next block, DI its mask, and CX how many are left; AX, BX, DX and
// R8 are the mask's parts, X12 to X14 what is compared with.
TEXT ·markSpecialSSE2(SB), NOSPLIT, $0-24
	MOVQ  masks+0(FP), DI
	MOVQ  data+8(FP), SI
	MOVQ  blocks+16(FP), CX
	MOVOU quotes<>(SB), X13
	MOVOU backslashes<>(SB), X14
	MOVOU spaces<>(SB), X12

block:
	MARK(0, AX)
	MARK(16, BX)
	MARK(32, DX)
	MARK(48, R8)
	SHLQ $16, BX
	SHLQ $32, DX
	SHLQ $48, R8
	ORQ  BX, AX
	ORQ  R8, DX
	ORQ  DX, AX
	MOVQ AX, (DI)
	ADDQ $64, SI
	ADDQ $8, DI
	DECQ CX
	JNZ  block
	RET
