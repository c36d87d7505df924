//go:build !brs_ossignal

#include "textflag.h"

// void handler(int sig, siginfo_t *info, void *context), called by the kernel:
// write(pipe, info, record). No Go code runs, no Go stack is touched, and the
// kernel restores every register on return, which R30 leads to. A full pipe
// loses the signal, as a second one of the same kind is lost while the first is
// pending.
TEXT ·handler(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVW	·pipe(SB), R0
	MOVD	$32, R2
	MOVD	$64, R8 // write
	SVC
	RET

// void nothing(int sig, siginfo_t *info, void *context): the signal is caught, and that is all.
TEXT ·nothing(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	RET

TEXT ·handlerPC(SB),NOSPLIT,$0-8
	MOVD	$·handler(SB), R0
	MOVD	R0, ret+0(FP)
	RET

TEXT ·nothingPC(SB),NOSPLIT,$0-8
	MOVD	$·nothing(SB), R0
	MOVD	R0, ret+0(FP)
	RET

// The kernel has a restorer of its own.
TEXT ·restorerPC(SB),NOSPLIT,$0-8
	MOVD	ZR, ret+0(FP)
	RET
