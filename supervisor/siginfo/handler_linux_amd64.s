//go:build !brs_ossignal

#include "textflag.h"

// void handler(int sig, siginfo_t *info, void *context), called by the kernel:
// write(pipe, info, record). No Go code runs, no Go stack is touched, and the
// kernel restores every register on return. A full pipe loses the signal, as a
// second one of the same kind is lost while the first is pending.
TEXT ·handler(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVL	·pipe(SB), DI
	MOVL	$32, DX
	MOVL	$1, AX // write
	SYSCALL
	RET

// void nothing(int sig, siginfo_t *info, void *context): the signal is caught, and that is all.
TEXT ·nothing(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	RET

// The kernel returns from the handler to here: rt_sigreturn.
TEXT ·restorer(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVL	$15, AX
	SYSCALL
	INT	$3

TEXT ·handlerPC(SB),NOSPLIT,$0-8
	MOVQ	$·handler(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·nothingPC(SB),NOSPLIT,$0-8
	MOVQ	$·nothing(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·restorerPC(SB),NOSPLIT,$0-8
	MOVQ	$·restorer(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
